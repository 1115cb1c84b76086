"""What the code before the restructuring recorded, the code of today records too: names, and how runs are nested."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.tracking.names import is_metric
from tests.fixtures.commands import Commands
from tests.fixtures.record_contract import contract

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests/fixtures"
RECORDED: dict[str, Any] = json.loads((FIXTURES / "contract.json").read_text(encoding="utf-8"))
SMALL = FIXTURES / "experiments" / "small.yaml"
ADDED: dict[str, str] = {
    "narrowgap.recipe": "the settings that a network is trained with, its own included",
    "narrowgap.claim": "when a process asked for a lease; of searches too",
    "narrowgap.lease": "what a process asks to do alone, or does",
    "narrowgap.takes": "the refit of a stopped evaluation that is just being taken over",
    "narrowgap.request": "a run or a version is found by it if the answer to the request that created it was lost",
    "narrowgap.keeps_refits": "an evaluation that was stopped, whose refits can be used again",
    "unreadable": "how many pictures of a prediction cannot be read",
    **{
        f"{part}_{measure}": "counts every class alike"
        for part in ("train", "val", "test")
        for measure in ("balanced_accuracy", "macro_f1")
    },
    **{f"{part}_recall/{label}": "recall of one class" for part in ("val", "test") for label in range(10)},
    "class_weight": "the training setting, as all of them",
    "weight_decay": "the same",
    "label_smoothing": "the same",
    "normalization": "of the hidden layers, beside their activations",
    "largest_class_rate": "share of the largest class: the accuracy of always answering it",
    "narrowgap.run_number": "the seeds of a retraining run depend on it, also when older runs were deleted",
}
"""Names that are new since then, and why. As they stand in the contract: of a tag, a metric, a file, or a kind of run."""
NOT_MADE_HERE = {"evaluate", "evaluate > refit", "prepare", "search", "search > trial"}
"""Kinds of run that the commands below do not make; `main` makes the same below itself."""
Path_ = tuple[str, ...]


def names(content: Any, path: Path_ = ()) -> dict[Path_, str]:
    """Every name of a contract by where it stands; how often is the value: `always`, `sometimes`, or `` for a plain list."""
    if isinstance(content, list):
        often = path[-1] if path[-1] in {"always", "sometimes"} else ""
        where = path[:-1] if often else path
        return {(*where, name): often for name in content}
    found = {(*path, "runs", kind): "" for kind in content.get("runs", {})} if not path else {}
    for key, value in content.items():
        if key != "exit_codes":
            found |= names(value, (*path, key))
    return found


def missing(recorded: dict[str, Any], found: dict[str, Any], *, without: set[str] | None = None) -> list[str]:
    """What was recorded and is not found, or is not always there any more; kinds of run in `without` are not expected."""
    lines = []
    now = names(found)
    for place, often in names(recorded).items():
        if place[0] == "exit_codes" or (place[0] == "runs" and place[1] in (without or set())):
            continue
        if place not in now:
            lines.append(": ".join(place))
        elif often == "always" and now[place] == "sometimes":
            lines.append(f"{': '.join(place)} (was always there, is only sometimes)")
    return lines


def added(recorded: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What is found, was not recorded, and stands not in `ADDED`."""
    before = names(recorded)
    new = {kind for kind in found["runs"] if kind not in recorded["runs"]}
    kinds = [f"runs: {kind}" for kind in new if kind not in ADDED]
    return kinds + [
        ": ".join(place)
        for place in names(found)
        if place not in before and place[-1] not in ADDED and not (place[0] == "runs" and place[1] in new)
    ]


@pytest.fixture(scope="module")
def found(tmp_path_factory, tensorflow):
    """A store that today's code makes: a whole run; nights that promote, find nothing new, keep, and promote again."""
    folder = tmp_path_factory.mktemp("contract")
    uri = f"sqlite:///{folder}/mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        call = Commands(folder, uri, patch)
        codes = {"success": call("main", SMALL).code, "bad_input": call("search", SMALL, "--search.trails", "5").code}
        for words, outcome in (
            ((), "promoted version 1"),
            ((), "nothing new"),
            # Two refits leave one degree of freedom: at this alpha nothing can be shown.
            (("--promotion.alpha", "0.001"), "challenger version 3"),
            (("--training.epochs", "12", "--retrain.mode", "refit"), "promoted version 4"),
        ):
            night = call("retrain", SMALL, *words)
            assert (night.code, outcome in night.said) == (0, True), night.said
        for words in (("--why", "to have its names"), ("--version", "4")):
            back = call("rollback", SMALL, *words)
            assert back.code == 0, back.said
        asked = call("predict", SMALL, "--input", str(FIXTURES / "digits.npz"))
        assert asked.code == 0, asked.said
        kept = ("--promotion.alpha", "0.001", "--retrain.mode", "refit", "--retrain.fail_when_kept", "true")
        codes["kept_where_that_fails"] = call("retrain", SMALL, *kept).code
        return contract(uri) | {"exit_codes": codes}


def test_every_metric_and_artifact_that_is_recorded_stands_in_the_module_of_names(found):
    text = (ROOT / "pipeline/tracking/names.py").read_text(encoding="utf-8")
    metrics, artifacts = ({name for place, name in places(found) if place == kind} for kind in ("metrics", "artifacts"))
    assert len(metrics) > 70
    assert {name for name in metrics if not is_metric(name)} == set()
    assert {
        name for name in artifacts if f'"{Path(name).name}"' not in text and not name.startswith("samples/")
    } == set()


def places(content: dict[str, Any]) -> set[tuple[str, str]]:
    """(`metrics`, name) and the like of all runs."""
    return {(place[2], place[-1]) for place in names(content) if place[0] == "runs" and len(place) > 3}


def test_nothing_that_was_recorded_is_missing(found):
    assert missing(RECORDED, found, without=NOT_MADE_HERE) == []


def test_what_is_recorded_beyond_that_is_listed_with_a_reason(found):
    assert added(RECORDED, found) == []


def test_exit_codes_are_what_they_were(found):
    assert found["exit_codes"] == RECORDED["exit_codes"]


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (("main > search > trial", "metrics"), "test_accuracy"),
        (("main > evaluate", "artifacts"), "gaps.csv"),
        (("retrain", "tags"), "narrowgap.decision"),
    ],
)
def test_a_name_that_is_gone_or_rarer_is_told(place, name):
    kind, what = place
    gone, rarer = copy.deepcopy(RECORDED), copy.deepcopy(RECORDED)
    for each in (gone, rarer):
        each["runs"][kind][what]["always"].remove(name)
    rarer["runs"][kind][what]["sometimes"].append(name)
    assert missing(RECORDED, gone) == [f"runs: {kind}: {what}: {name}"]
    assert missing(RECORDED, rarer) == [f"runs: {kind}: {what}: {name} (was always there, is only sometimes)"]


def test_a_kind_of_run_that_is_gone_is_told_and_a_new_one_too():
    other = copy.deepcopy(RECORDED)
    other["runs"]["main > look"] = other["runs"].pop("main > prepare")
    assert "runs: main > prepare" in missing(RECORDED, other)
    assert added(RECORDED, other) == ["runs: main > look"]
