"""A search of ranges and lists of training settings, from end to end: killed, resumed, evaluated, shown."""

import io
import json
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from tests.fixtures import warm
from tests.fixtures.commands import Commands
from tests.test_whole import artifact, environment, runs
from tests.tracking.test_views import state_of

pytestmark = pytest.mark.tensorflow

FILE = Path(__file__).parents[1] / "fixtures" / "experiments" / "settings.yaml"
KILLED, TRIALS = 9, 11
"""Trials before the search is killed, of which 8 are random and the others proposed by the Gaussian process; and all."""
VIEW_TAG = "mlflow.sharedViewState.narrowgap-trials-settings"
SEARCHED = ["activation", "learning_rate", "batch_size", "weight_decay"]
DIES_IN_ITS_SEARCH = (
    f"""
import os, signal
from pipeline.search.trial_journal import TrialJournal
real = TrialJournal.ended
def dies(self, proposal, outcome):
    score = real(self, proposal, outcome)
    if proposal.number == {KILLED - 1}:
        self._runs.drain()
        os.kill(os.getpid(), signal.SIGKILL)
    return score
TrialJournal.ended = dies
"""
    + warm.COMMAND_LINE
)


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory, tensorflow: object) -> Path:
    """The store of a whole run whose first process was killed in the search."""
    folder = tmp_path_factory.mktemp("resumed")
    words = ("main", "--experiment", str(FILE))
    killed = warm.run(*words, env=environment(folder), cwd=folder, code=DIES_IN_ITS_SEARCH)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with pytest.MonkeyPatch.context() as patch:
        done = Commands(folder, f"sqlite:///{folder}/mlflow.db", patch)("main", FILE)
    assert done.code == 0, done.said
    assert f"({KILLED} trials done)" in done.said
    return folder


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory, tensorflow: object) -> Path:
    """The store of the same search in one process, without an evaluation."""
    folder = tmp_path_factory.mktemp("at_once")
    environment(folder)  # lays out the store
    with pytest.MonkeyPatch.context() as patch:
        done = Commands(folder, f"sqlite:///{folder}/mlflow.db", patch)("search", FILE)
    assert done.code == 0, done.said
    return folder


def trials(folder: Path) -> dict[int, Any]:
    """Finished trials by number."""
    found = [run for run in runs(folder)["trial"] if run.info.status == "FINISHED"]
    return {int(run.data.tags["narrowgap.asked"]): run for run in found}


def test_a_killed_and_resumed_search_has_the_proposals_and_the_very_scores_of_one_that_was_not(resumed, at_once):
    one, other = trials(resumed), trials(at_once)
    assert one.keys() == other.keys() == set(range(TRIALS))
    for number, run in one.items():
        assert run.data.tags["narrowgap.proposal"] == other[number].data.tags["narrowgap.proposal"]
        assert run.data.params == other[number].data.params
        scores = [
            {name: value for name, value in each.data.metrics.items() if name != "seconds"}
            for each in (run, other[number])
        ]
        assert scores[0] == scores[1], number


def test_a_trial_is_trained_with_what_was_proposed_and_is_named_after_it(resumed):
    for number, run in trials(resumed).items():
        asked, params = json.loads(run.data.tags["narrowgap.proposal"]), run.data.params
        assert 0.01 <= asked["learning_rate"] <= 0.1
        assert {name: params[name] for name in SEARCHED} == {name: str(asked[name]) for name in SEARCHED}
        rate = f"({asked['dropout_1']:g})" if asked["dropout_1"] else ""
        settings = ", ".join(f"{name} {asked[name]:g}" for name in SEARCHED[1:])
        name = f"64-8{rate}-10, activation {asked['activation']}, {settings}"
        assert params["architecture"] == name
        assert run.data.tags["mlflow.runName"] == f"{number:02d} {name}"


def test_tables_views_and_the_report_show_what_was_searched(resumed):
    found = runs(resumed)
    search, evaluate = found["search"][0], found["evaluate"][0]
    table = pd.read_csv(io.BytesIO(artifact(resumed, search, "trials.csv")))
    assert set(SEARCHED) < set(table.columns)
    assert set(table["activation"]) == {"relu", "gelu"}
    chosen = evaluate.data.tags["narrowgap.chosen"]
    assert chosen in set(table["architecture"])
    # The references train with the settings of the best network, and have an activation of their own.
    settings = chosen[chosen.index("learning_rate") :]
    refits = pd.read_csv(io.BytesIO(artifact(resumed, evaluate, "refits.csv")))
    assert refits["architecture"].tolist()[::2] == [
        chosen, f"64-128-64-32-10, {settings}", f"64-128-64(0.1)-32-10, {settings}",
    ]  # fmt: skip
    assert chosen in artifact(resumed, evaluate, "report.html").decode()
    view = MlflowClient(f"sqlite:///{resumed}/mlflow.db").get_experiment(search.info.experiment_id).tags[VIEW_TAG]
    columns = state_of(view)["selectedColumns"]
    assert columns[-4:] == [f"params.`{name}`" for name in SEARCHED]


def test_what_was_searched_is_a_factor_of_the_effects_on_its_scale(resumed):
    evaluate = runs(resumed)["evaluate"][0]
    effects = pd.read_csv(io.BytesIO(artifact(resumed, evaluate, "effects.csv")))
    columns = effects[effects["outcome"] == "accuracy_gap"]["column"].tolist()
    assert columns[:5] == [
        "dropout_0",
        "dropout_1",
        "hidden_1",
        "choice:activation=gelu, not relu",
        "size:learning_rate",
    ]
    # Of two numbers, the higher is compared with the lower.
    assert columns[5] == "range:batch_size 16 to 32"
    assert columns[6].startswith("range:weight_decay ")
    assert len(columns) == 7
