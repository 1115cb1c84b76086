"""The contract of names stands in one module."""

import ast
import re
from pathlib import Path

from pipeline.tracking import names

PIPELINE = Path(names.__file__).parents[1]
SPELLED = re.compile(r"""["'`]narrowgap\.[a-z_]""")


def test_no_other_module_spells_a_tag():
    found = {
        f"{file.relative_to(PIPELINE)}: {line.strip()}"
        for file in PIPELINE.rglob("*.py")
        if file != Path(names.__file__)
        for line in file.read_text().splitlines()
        if SPELLED.search(line) and not _in_prose(line)
    }
    assert found == set()


ARTIFACT = re.compile(r"[a-z_]+\.(png|csv|html|json|md|npz|txt|yaml)")


OTHER_FILES = {"serving/model.py: settings.json", "search/recording/outbox.py: record.json"}
"""Inside the model's folder and inside a record of the outbox."""


def test_no_other_module_spells_an_artifact():
    artifacts = {value for name, value in vars(names).items() if isinstance(value, str) and ARTIFACT.fullmatch(value)}
    assert len(artifacts) > 15
    found = {
        f"{file.relative_to(PIPELINE)}: {spelled}"
        for file in PIPELINE.rglob("*.py")
        if file != Path(names.__file__)
        for spelled in re.findall(f'"({ARTIFACT.pattern.replace("(", "(?:")})"', file.read_text())
        if spelled in artifacts or spelled.endswith(("png", "csv", "html", "json", "npz"))
    }
    assert found == OTHER_FILES


def test_every_name_is_used():
    modules = "".join(file.read_text() for file in PIPELINE.rglob("*.py") if file != Path(names.__file__))
    constants = {name for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
    assert {name for name in constants if not re.search(rf"\b{name}\b", modules)} == set()


def test_a_tag_spelled_elsewhere_is_seen():
    assert SPELLED.search('run.log(tags={"narrowgap.step": step})')
    assert SPELLED.search("where = f\"tags.`narrowgap.step` = 'trial'\"")
    assert not SPELLED.search("run.log(tags={STEP_TAG: step})")


def _in_prose(line: str) -> bool:
    """Docstrings may name a tag in backticks."""
    return "tags." not in line and bool(re.search(r"`narrowgap\.[a-z_]+`", line))


def test_a_metric_is_known_by_its_name_or_by_what_varies_in_it():
    known = [
        "val_loss",
        "epoch/val_loss",
        "val_recall/T-shirt_top",
        "accuracy_gap_low",
        "duplicates_train_test",
        "bytes",
    ]
    assert [names.is_metric(name) for name in known] == [True] * len(known)
    unknown = ["loss of validation", "epoch/", "recall/3", "bytes_freed", "<metric>"]
    assert [names.is_metric(name) for name in unknown] == [False] * len(unknown)


def test_every_metric_that_the_code_spells_out_is_in_the_module_of_names():
    """A metric of a rare case, such as `pruned`, may be missing from the runs that the contract's test looks at."""
    spelled = [
        key.value
        for path in PIPELINE.rglob("*.py")
        for given in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(given, ast.keyword) and given.arg == "metrics"
        for each in ast.walk(given.value)
        if isinstance(each, ast.Dict)
        for key in each.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    ]
    assert "pruned" in spelled
    assert [name for name in spelled if not names.is_metric(name)] == []


def test_no_two_constants_name_the_same_tag():
    tags = [value for name, value in vars(names).items() if name.endswith(("_TAG", "_PREFIX"))]
    assert len(tags) == len(set(tags))


def test_a_metric_says_how_people_read_it():
    gap = names.METRICS["accuracy_gap"]
    assert (gap.text(0.0341), gap.heading) == ("+3.41", "honest gap, points")
    loss = names.METRICS["test_loss"]
    assert (loss.text(0.30336), loss.heading) == ("0.3034", "test loss, nats")


def test_the_recall_of_a_class_is_named_by_letters_that_mlflow_takes_and_no_two_alike():
    found = names.recall_metrics("val", ["Bag", "T-shirt/top", "T-shirt!top", "..", "été"])
    assert found == [
        "val_recall/Bag", "val_recall/T-shirt_top 1", "val_recall/T-shirt_top 2", "val_recall/_", "val_recall/_t_",
    ]  # fmt: skip
