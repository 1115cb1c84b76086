"""`make serve` up to the moment in which MLflow's server takes over."""

import os
import socket
import sys

import pytest

from pipeline.__main__ import main
from pipeline.tracking.names import CHAMPION
from pipeline.tracking.store import Store


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return Store.connect()


@pytest.fixture
def executed(monkeypatch):
    """The command lines that this process would have become."""
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _file, command: commands.append(command))
    return commands


def register(store, *, alias=None):
    run = store.root(step="evaluate", experiment="smoke", tags={})
    store.client.create_registered_model("narrowgap-smoke")
    store.client.create_model_version("narrowgap-smoke", f"{run.artifact_uri}/model", run.id)
    if alias:
        store.client.set_registered_model_alias("narrowgap-smoke", alias, "1")


@pytest.mark.parametrize("versions", [False, True])
def test_without_a_champion_one_line_names_the_command_that_makes_one(store, executed, capsys, versions):
    if versions:
        register(store)
    assert main(["serve", "--experiment", "smoke"]) == 2
    assert capsys.readouterr().err == (
        f"narrowgap: narrowgap-smoke has no champion in {store.uri}; train one with: mlflow run . -e retrain "
        "--env-manager local -P experiment=smoke\n"
    )
    assert executed == []


def test_the_process_becomes_mlflows_server_of_the_champion_on_loopback(store, executed):
    register(store, alias=CHAMPION)
    assert main(["serve", "--experiment", "smoke", "--port", "8123"]) == 0
    assert executed == [
        [
            sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", "models:/narrowgap-smoke@champion",
            "--env-manager", "local", "--host", "127.0.0.1", "--port", "8123",
        ]
    ]  # fmt: skip


def test_a_port_that_another_program_listens_on_is_refused_in_one_line(store, executed, capsys):
    register(store, alias=CHAMPION)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["serve", "--experiment", "smoke", "--port", str(port)]) == 2
    assert capsys.readouterr().err == (
        f"narrowgap: port {port} cannot be used (Address already in use); expected a free one: PORT=…\n"
    )
    assert executed == []


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "²"])
def test_what_is_no_port_is_refused(port, capsys):
    assert main(["serve", "--port", port]) == 2
    assert f"--port is '{port}'; expected a number from 1 to 65535" in capsys.readouterr().err
