"""The table of `status` in a store whose path has brackets and colons."""

import io

import pytest
from rich.console import Console

from pipeline.__main__ import main
from pipeline.experiment import load
from pipeline.retraining.status import status
from pipeline.tracking.store import Store

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
