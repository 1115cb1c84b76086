"""The step `prune` on real SQLite stores: a dry run, a deletion, `mlflow gc` after it, and other processes."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import main
from pipeline.errors import BusyError
from pipeline.retraining.cleanup import prune as pruning
from pipeline.tracking import deletion, run_lock
from pipeline.tracking.names import CHALLENGER, CHAMPION
from pipeline.tracking.store import Run, Store
from tests.retraining.aged import KIB, Aged


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    """The folder of a filled store, to be copied."""
    folder: Path = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        Aged(folder).fill()
    return folder


@pytest.fixture
def aged(filled, tmp_path, monkeypatch) -> Aged:
    """A copy of the filled store; its artifacts stay where they are."""
    with closing(sqlite3.connect(filled / "mlflow.db")) as old, closing(sqlite3.connect(tmp_path / "mlflow.db")) as new:
        old.backup(new)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    found = Aged(tmp_path)
    assert found.old.status == "FINISHED"  # remembered from here on
    return found


def test_without_apply_everything_is_listed_and_nothing_deleted(aged, capsys):
    before = len(aged.store.runs(step="retrain", experiment="smoke", status=None))
    assert aged.prune() == 0
    screen = capsys.readouterr().out
    assert aged.old.id in screen
    assert "made no version that is kept" in screen
    # Two runs of 1 and 10 KiB and a model of 100.
    assert screen.splitlines()[-1] == (
        "prune: would delete 2 runs, 1 version, 1 model, 0.1 MiB of artifacts. Nothing is deleted yet; "
        "-P apply=yes deletes it"
    )
    assert aged.there(aged.old) == [True]
    assert len(aged.registry.versions()) == 11
    assert len(aged.store.runs(step="retrain", experiment="smoke", status=None)) == before
    assert aged.store.runs(step="prune", experiment="smoke", status=None) == []


def test_apply_deletes_and_says_how_much_and_how_to_remove_it_for_good(aged, capsys):
    (refit,) = aged.store.children(aged.old)
    assert aged.prune("--apply", "yes") == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith(
        "prune: deleted of smoke, older than 90 days: 2 runs, 1 version, 1 model, 0.1 MiB of artifacts. "
    )
    address = f"sqlite:///{aged.folder}/mlflow.db"
    assert line.endswith(f": MLFLOW_TRACKING_URI={address} mlflow gc --backend-store-uri {address}")
    assert aged.there(aged.old, refit) == [False, False]
    assert [each.number for each in aged.registry.versions()] == [str(number) for number in range(2, 12)]
    assert deletion.model_location(aged.store, aged.old.tags["narrowgap.model"]) is None
    (run,) = aged.store.runs(step="prune", experiment="smoke", status=None)
    assert (run.status, run.metrics) == ("FINISHED", {"runs": 2, "versions": 1, "models": 1, "bytes": 111 * 1024})
    rows = [row.split(",")[:2] for row in run.read("pruned.csv").decode().splitlines()]
    assert rows == [["what", "id"], ["version", "1"], ["refit", refit.id], ["retrain", aged.old.id]]
    assert aged.prune("--apply", "yes") == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line == "prune: deleted of smoke, older than 90 days: 0 runs, 0 versions, 0 models, 0.0 MiB of artifacts"


def test_models_of_a_killed_evaluation_that_no_tag_names_go_with_it(aged):
    run = aged.root("evaluate", age=200, status="KILLED")
    models = [aged.store.client.create_logged_model(aged.experiment_id, source_run_id=run.id) for _ in range(2)]
    assert aged.prune("--apply", "yes") == 0
    assert aged.there(run) == [False]
    assert [deletion.model_location(aged.store, each.model_uri) for each in models] == [None, None]
    (young, *_) = aged.store.runs(step="retrain", experiment="smoke", status=None)
    assert deletion.model_location(aged.store, young.tags["narrowgap.model"]) is not None


def test_a_deleted_run_can_be_restored(aged):
    assert aged.prune("--apply", "yes") == 0
    aged.store.client.restore_run(aged.old.id)
    assert aged.there(aged.old) == [True]
    assert aged.store.get(aged.old.id).read("experiment.yaml") == KIB


@pytest.mark.server
def test_mlflow_gc_removes_it_for_good_and_leaves_the_rest(tmp_path, monkeypatch):
    """In a store with artifacts of its own."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    aged = Aged(tmp_path)
    aged.fill()
    old = aged.old
    kept = aged.store.runs(step="retrain", experiment="smoke", status=None)[-1]
    model = Path(str(deletion.model_location(aged.store, old.tags["narrowgap.model"])).removeprefix("file://"))
    assert aged.prune("--apply", "yes") == 0
    uri = os.environ["MLFLOW_TRACKING_URI"]
    command = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", uri]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert not Path(old.artifact_uri).exists()
    assert not list(model.glob("**/*.keras"))
    with closing(sqlite3.connect(aged.folder / "mlflow.db")) as database:
        rows = database.execute("SELECT count(*) FROM tags WHERE run_uuid = ?", (old.id,)).fetchone()
    assert rows == (0,)
    assert aged.store.get(kept.id).read("experiment.yaml") == KIB
    assert len(aged.registry.versions()) == 10
    assert aged.prune() == 0


def test_the_champion_survives_keep_days_0(aged):
    """And so does whatever the next calls of `retrain`, `rollback` and `evaluate` need."""
    assert aged.registry.promote(aged.old_version, instead_of=None)
    assert aged.prune("--keep_days", "0", "--apply", "yes") == 0
    assert aged.there(aged.old, *aged.store.children(aged.old)) == [True, True]
    assert deletion.model_location(aged.store, aged.old_version.source) is not None
    assert aged.registry.by_alias(CHAMPION).number == "1"
    assert aged.registry.by_alias(CHALLENGER).number == "11"


def test_a_version_that_becomes_champion_meanwhile_is_left_alone(aged, monkeypatch):
    real = pruning._look

    def look_and_move(*arguments: Any) -> Any:
        found = real(*arguments)
        aged.registry.promote(aged.old_version, instead_of=None)
        return found

    monkeypatch.setattr(pruning, "_look", look_and_move)
    assert aged.prune("--apply", "yes") == 0
    assert aged.registry.by_alias(CHAMPION).number == "1"
    assert aged.there(aged.old) == [True]


def test_a_run_that_somebody_takes_up_meanwhile_is_left_alone(aged, monkeypatch, capsys):
    killed = aged.root("main", age=200, status="KILLED")
    taken = aged.root("main", age=200, status="KILLED")
    taken.log(tags={"narrowgap.holder": '{"host": "x", "pid": 1, "started": 1, "beat": 0}'})
    monkeypatch.setattr(run_lock, "alive", lambda _store, run: run.id == taken.id)
    monkeypatch.setattr(
        run_lock, "owner_tag", lambda: {"narrowgap.holder": '{"host": "x", "pid": 1, "started": 1, "beat": 1}'}
    )
    real, looks = pruning._look, []

    def look_and_take(*arguments: Any) -> Any:
        looks.append(real(*arguments))
        if len(looks) == 2:  # the last before runs are deleted
            killed.log(tags=run_lock.owner_tag())
        return looks[-1]

    monkeypatch.setattr(pruning, "_look", look_and_take)
    assert aged.prune("--apply", "yes") == 0
    assert "; 2 left alone, since somebody works on them" in capsys.readouterr().out
    assert aged.there(killed, taken, aged.old) == [True, True, False]


def test_a_refit_that_an_evaluation_takes_over_meanwhile_stays(aged, monkeypatch, capsys):
    killed = aged.root("evaluate", age=200, status="KILLED")
    taken, other = (aged.child(killed, "refit", age=200) for _ in range(2))
    running = aged.root("evaluate", age=0, status="RUNNING")
    real = pruning._taken_up

    def take(store: Store, now: Run, before: Run) -> bool:
        if before.id == killed.id:
            assert run_lock.take_over(store, taken, below=running)
        return real(store, now, before)

    monkeypatch.setattr(pruning, "_taken_up", take)
    assert aged.prune("--apply", "yes") == 0
    assert aged.there(taken, other, killed, running) == [True, False, False, True]
    assert "deleted of smoke, older than 90 days: 4 runs, " in capsys.readouterr().out


def test_runs_of_others_stay(aged):
    """Another experiment's, one that is no run of Narrowgap's, and one that a user has put below a run that goes."""
    client = aged.store.client
    foreign = [
        client.create_run(aged.experiment_id, start_time=0).info.run_id,
        client.create_run(aged.experiment_id, start_time=0, tags={"mlflow.parentRunId": aged.old.id}).info.run_id,
        client.create_run(
            aged.experiment_id, start_time=0, tags={"narrowgap.experiment": "digits", "narrowgap.step": "retrain"}
        ).info.run_id,
    ]
    for run_id in foreign:
        client.set_terminated(run_id, "KILLED")
    assert aged.prune("--apply", "yes") == 0
    assert [deletion.is_deleted(aged.store, run_id) for run_id in foreign] == [False] * 3
    assert aged.there(aged.old) == [False]


def test_a_model_that_another_registered_model_serves_stays_with_its_run(aged):
    aged.store.client.create_registered_model("of the team")
    aged.store.client.create_model_version("of the team", aged.old_version.source)
    assert aged.prune("--apply", "yes") == 0
    assert aged.there(aged.old) == [True]
    assert deletion.model_location(aged.store, aged.old_version.source) is not None


def test_trials_below_a_search_that_was_deleted_in_the_ui_go(aged):
    search = aged.root("search", age=200)
    trial = aged.child(search, "trial", age=200)
    young = aged.child(search, "trial", age=1)
    aged.store.client.delete_run(search.id)
    assert aged.prune("--apply", "yes") == 0
    assert aged.there(trial, young) == [False, True]


def test_retrain_and_prune_wait_for_one_another(aged, monkeypatch, capsys):
    other = aged.store.root(step="retrain", experiment="smoke", tags=run_lock.owner_tag())
    run_lock.lease(aged.store, other, of="registry smoke", what="retrain of smoke")
    assert aged.prune("--apply", "yes") == 4
    assert f"retrain of smoke is being run by process {os.getpid()}" in capsys.readouterr().err
    assert aged.prune() == 0  # looking disturbs nobody
    assert aged.there(aged.old) == [True]
    other.finish("FINISHED")

    class Meanwhile(Exception):  # noqa: N818 - no error
        pass

    def retrain_now(*_arguments: Any) -> Any:
        night = aged.store.root(step="retrain", experiment="smoke", tags=run_lock.owner_tag())
        with pytest.raises(BusyError, match="prune of smoke is being run by process"):
            run_lock.lease(aged.store, night, of="registry smoke", what="retrain of smoke")
        raise Meanwhile

    monkeypatch.setattr(pruning, "_look", retrain_now)
    assert aged.prune("--apply", "yes") == 1
    assert "Meanwhile" in capsys.readouterr().err


def test_an_interrupted_prune_is_finished_by_the_next(aged, monkeypatch):
    """Versions go first, and nested runs before the run above them."""
    real, calls = deletion.delete_run, []

    def dies(store: Store, run_id: str) -> None:
        calls.append(run_id)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(store, run_id)

    with monkeypatch.context() as patch:
        patch.setattr(deletion, "delete_run", dies)
        assert aged.prune("--apply", "yes") == 130
    assert aged.there(aged.old) == [True]
    assert aged.prune("--apply", "yes") == 0
    assert aged.there(aged.old) == [False]


def test_the_next_retraining_run_gets_a_number_that_no_deleted_run_had(aged):
    """Runs of earlier versions have none; of 11, one is deleted."""
    from pipeline.retraining.run_number import next_number

    def completed() -> list[Run]:
        return list(aged.store.runs(step="retrain", experiment="smoke", status=None, tag="narrowgap.decision"))

    assert next_number(completed()) == 12
    assert aged.prune("--apply", "yes") == 0
    assert len(completed()) == 10
    assert next_number(completed()) == 12


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--keep_days", "-1"), "keep_days is '-1'; expected a number of days such as 90"),
        (("--keep_days", "90d"), "keep_days is '90d'; expected a number of days such as 90"),
        (("--apply", "true"), "apply is 'true'; expected yes or no"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(aged, capsys, words, message):
    assert aged.prune(*words) == 2
    assert capsys.readouterr().err == f"narrowgap: {message}\n"
    assert aged.there(aged.old) == [True]


def test_of_another_experiment_there_is_nothing_to_delete_and_empty_options_count_as_not_given(aged, capsys):
    assert main(["prune", "--experiment", "digits", "--keep_days", "", "--apply", "no"]) == 0
    assert capsys.readouterr().out.startswith(
        "prune: nothing of digits older than 90 days may be deleted in sqlite:///"
    )
