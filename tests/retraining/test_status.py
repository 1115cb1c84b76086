"""The table of `status`, in a store whose path has brackets and colons too, and what it says of the cost of runs."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.__main__ import main
from pipeline.experiment import load
from pipeline.retraining.status import cost_line, status
from pipeline.tracking.store import Store
from tests.retraining.aged import Aged

MIB = 2**20
ODD = "[old] :bug: [/old]"


@pytest.fixture
def store(tmp_path, monkeypatch):
    folder = tmp_path / ODD
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    return Store.connect()


def register(store, **tags):
    run = store.root(step="evaluate", experiment="smoke", tags={})
    store.client.create_registered_model("narrowgap-smoke")
    store.client.create_model_version("narrowgap-smoke", f"{run.artifact_uri}/model", run.id, tags=tags)


@pytest.mark.parametrize("versions", [True, False])
def test_brackets_and_colons_in_the_path_of_the_store_are_shown_as_they_are(store, versions, capsys):
    if versions:
        register(store)
    assert main(["status", "--experiment", "smoke"]) == 0
    assert f"/{ODD}/mlflow.db" in capsys.readouterr().out.splitlines()[0]


def test_brackets_in_a_tag_are_no_markup_on_any_console(store):
    register(store, **{"narrowgap.architecture": "784-[/x]-10", "narrowgap.decision": "[red]kept"})
    console = Console(file=io.StringIO(), width=300)
    status(load("smoke"), console=console)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "784-[/x]-10" in shown
    assert "[red]kept" in shown
    assert shown.splitlines()[0] == f"narrowgap-smoke in {store.shown}"


def test_a_champion_by_rollback_is_told_with_the_version_it_replaced_and_the_reason(store, capsys):
    register(
        store,
        **{
            "narrowgap.rolled_back_from": "version 5", "narrowgap.rolled_back_by": "ana",
            "narrowgap.rolled_back_at": "2026-11-29T22:31:00+0000", "narrowgap.rolled_back_why": "confuses sevens",
        },
    )  # fmt: skip
    assert main(["status", "--experiment", "smoke"]) == 0
    assert "by a rollback" not in capsys.readouterr().out  # it is not the champion any more
    store.client.set_registered_model_alias("narrowgap-smoke", "champion", "1")
    assert main(["status", "--experiment", "smoke"]) == 0
    assert (
        "Version 1 is champion by a rollback from version 5 (2026-11-29T22:31:00+0000, ana); reason: confuses sevens\n"
    ) in capsys.readouterr().out


@pytest.fixture
def aged(tmp_path, monkeypatch) -> Aged:
    """An empty store."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return Aged(tmp_path)


def test_the_newest_trial_search_and_retraining_run_are_measured_in_mib_of_files(aged, capsys):
    older = aged.root("search", age=3)
    older.write("large", b"x" * 9 * MIB)
    search = aged.root("search", age=2)
    search.write("trials.csv", b"x" * MIB)
    for size in (1, 3):
        trial = aged.child(search, "trial", age=2)
        trial.write("curves.png", b"x" * size * MIB)
    run, _ = aged.night(age=1)  # 1 KiB, and a model of 100
    (refit,) = aged.store.children(run)
    refit.write("curves.png", b"x" * 2 * MIB)
    database = (aged.folder / "mlflow.db").stat().st_size / MIB
    line = (
        "The newest in the store: a trial 2.0 MiB; a search 5.0 MiB in 3 runs; a retraining run 2.1 MiB in 2 runs. "
        f"The database has {database:.1f} MiB. What may be deleted: "
        "mlflow run . -e prune --env-manager local -P experiment=smoke"
    )
    assert cost_line(aged.store, "smoke") == line
    capsys.readouterr()
    assert aged.call("status") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1].startswith("The newest in the store: a trial 2.0 MiB; a search 5.0 MiB in 3 runs;")
    assert len([line for line in printed if line.startswith("│")]) == 1  # one row per version


def test_artifacts_on_another_machine_are_counted_in_runs(aged):
    aged.night(age=1)
    search = aged.root("search", age=2)
    aged.child(search, "trial", age=2)
    aged.sql("UPDATE runs SET artifact_uri = 's3://bucket/' || run_uuid")
    line = cost_line(aged.store, "smoke")
    assert line.startswith("The newest in the store: a search 2 runs; a retraining run 2 runs.")


def test_a_night_of_a_search_counts_its_trials_and_refits(aged):
    night = aged.root("retrain", age=1, mode="search")
    search = aged.child(night, "search", age=1)
    evaluation = aged.child(night, "evaluate", age=1)
    for below, step in ((search, "trial"), (evaluation, "refit")):
        aged.child(below, step, age=1)
    assert "a search 0.0 MiB in 2 runs; a retraining run 0.0 MiB in 5 runs." in cost_line(aged.store, "smoke")


def test_nights_that_found_nothing_new_are_not_measured(aged):
    run, _ = aged.night(age=2)
    aged.root("retrain", age=1, decision="nothing new")
    assert "a retraining run 0.1 MiB in 2 runs" in cost_line(aged.store, "smoke")
    # A model whose files somebody deleted counts nothing.
    aged.store.client.delete_logged_model(run.tags["narrowgap.model"].removeprefix("models:/"))
    assert "a retraining run 0.0 MiB in 2 runs" in cost_line(aged.store, "smoke")


def test_of_an_empty_store_there_is_nothing_to_say(aged, capsys):
    assert cost_line(aged.store, "smoke") == ""
    assert aged.call("status") == 0
    assert "The newest in the store" not in capsys.readouterr().out


def test_a_folder_that_is_gone_counts_nothing(aged):
    search = aged.root("search", age=1)
    (Path(search.artifact_uri) / "experiment.yaml").unlink()
    assert "a search 0.0 MiB in 1 run." in cost_line(aged.store, "smoke")
