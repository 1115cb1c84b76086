"""The tracking store goes away in the middle of a search: nothing that was trained is lost, nothing is trained twice."""

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from mlflow.entities import LoggedModelStatus
from mlflow.tracking import MlflowClient

from pipeline.data.formats import digits
from pipeline.errors import StoreError
from pipeline.serving.model import load, log_model
from pipeline.tracking.registry import Registry
from pipeline.tracking.store import Store
from tests.faults.disks import make_read_only
from tests.faults.search import EACH_ONCE, TRIALS, finished, trial
from tests.faults.servers import Gate, Server
from tests.fixtures.commands import forget
from tests.retraining.samples import SERVING, network

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def gate(server) -> Iterator[Gate]:
    gate = Gate(server)
    yield gate
    gate.shut()
    forget()


def test_a_run_whose_creation_was_answered_by_nobody_is_there_once(server, gate, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", gate.address)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "lost answers")
    store = Store.connect(wait_minutes=1)
    gate.swallow = "runs/create"
    root = store.root(step="search", experiment="one", tags={})
    gate.swallow = "runs/create"
    trial = store.child(root, step="trial", name="first", tags={}, params={"depth": 1})
    assert gate.swallow == ""  # both answers were lost
    client = MlflowClient(server.address)
    found = client.search_runs([root.experiment_id])
    assert {run.info.run_id for run in found} == {root.id, trial.id}
    assert client.get_run(trial.id).data.params == {"depth": "1"}


def test_a_version_whose_creation_was_answered_by_nobody_is_there_once(server, gate, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", gate.address)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "lost versions")
    store = Store.connect(wait_minutes=1)
    root = store.root(step="retrain", experiment="lost", tags={})
    model = MlflowClient(server.address).create_logged_model(root.experiment_id, source_run_id=root.id)
    registry = Registry(store, "lost")
    for gate.swallow in ("registered-models/create", "model-versions/create"):
        version = registry.register(model.model_uri, root.id, {"origin": "1"})
        assert gate.swallow == ""
    assert [each.number for each in registry.versions()] == ["1", "2"]
    assert (version.number, version.tags["origin"]) == ("2", "1")


@pytest.mark.parametrize("lost", ["experiments/get", "logged-models", "runs/outputs", "logged-models/m-"])
def test_a_model_of_which_an_answer_was_lost_is_there_once_and_ready(server, gate, monkeypatch, tensorflow, lost):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", gate.address)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", f"lost {lost}")
    store = Store.connect(wait_minutes=1)
    root = store.root(step="evaluate", experiment="lost", tags={})
    client = MlflowClient(server.address)
    gate.swallow = lost
    address = log_model(root, network(), digits().images_train[:2], SERVING)
    assert gate.swallow == ""
    (model,) = client.search_logged_models([root.experiment_id])
    assert (model.model_uri, model.status) == (address, LoggedModelStatus.READY)
    assert load(address).predict(digits().images_train[:2]).shape[0] == 2


def test_a_version_whose_files_cannot_be_read_for_a_while_is_loaded_when_they_can(
    server, gate, monkeypatch, tensorflow
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", gate.address)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "read later")
    store = Store.connect(wait_minutes=1)
    root = store.root(step="retrain", experiment="later", tags={})
    registry = Registry(store, "later")
    version = registry.register(log_model(root, network(), digits().images_train[:2], SERVING), root.id, {})
    gate.only, gate.status = "mlflow-artifacts", 503
    refusing = threading.Thread(target=gate.refuse, args=(503,), kwargs={"times": 2})
    refusing.start()
    model = registry.read(lambda: load(f"models:/{registry.name}/{version.number}"))
    refusing.join()
    assert model.predict(digits().images_train[:2]).shape[0] == 2


def test_half_an_answer_about_a_run_sends_no_artifact_elsewhere(server, gate, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", gate.address)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "half answers")
    store = Store.connect()
    root = store.root(step="search", experiment="one", tags={})
    gate.change = lambda path, answer: replace(answer, content=b'{"run": null}') if "runs/get" in path else answer
    root.write("deep/trials.csv", b"trial\n")
    with pytest.raises(StoreError, match="its answer is not that of an MLflow server"):
        store.get(root.id)
    gate.change = None
    assert [each.path for each in MlflowClient(server.address).list_artifacts(root.id, "deep")] == ["deep/trials.csv"]


def test_an_experiment_whose_id_was_lost_in_the_answer_is_found_by_its_name(server, gate, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", gate.address)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "lost id")
    gate.change = lambda path, answer: replace(answer, content=b"{}") if "experiments/create" in path else answer
    root = Store.connect(wait_minutes=1).root(step="search", experiment="one", tags={})
    assert root.experiment_id == MlflowClient(server.address).get_experiment_by_name("lost id").experiment_id


def test_training_goes_on_while_the_server_is_away_and_everything_is_written_when_it_is_back(
    server, gate, tmp_path, searching
):
    search = searching(tmp_path, gate.address, "away")
    search.until(trial(2))
    gate.shut()
    search.until(trial(TRIALS))  # the rest is trained meanwhile
    time.sleep(4)
    gate.open()
    assert search.end() == 0, search.screen
    assert "has not answered since " in search.screen
    assert "(connection refused); what is trained is kept and written when it answers again" in search.screen
    assert "answers again, after " in search.screen
    assert finished(server.address, "away") == EACH_ONCE


def test_after_the_longest_wait_it_ends_with_5_and_the_same_command_writes_what_was_trained(
    server, gate, tmp_path, searching
):
    search = searching(tmp_path, gate.address, "for good", "--tracking.wait_minutes", "0.2")
    search.until(trial(2))
    gate.shut()
    assert search.end() == 5, search.screen
    waited = re.search(r"has stopped answering for (\d+) s", search.screen)
    assert waited is not None, search.screen
    assert 12 <= int(waited[1]) < 60
    assert "Traceback" not in search.screen
    gate.open()
    again = searching(tmp_path, gate.address, "for good")
    assert again.end() == 0, again.screen
    trained = [line.split()[1] for line in search.lines + again.lines if line.startswith("trial ")]
    assert trained == [f"{number}/{TRIALS}" for number in range(1, TRIALS + 1)]  # each once
    assert finished(server.address, "for good") == EACH_ONCE


def test_a_driver_that_is_killed_while_the_server_is_away_loses_nothing(server, gate, tmp_path, searching):
    search = searching(tmp_path, gate.address, "killed")
    search.until(trial(2))
    gate.shut()
    search.until(trial(4))
    search.kill()
    gate.open()
    again = searching(tmp_path, gate.address, "killed")
    assert again.end() == 0, again.screen
    trained = [line for line in again.lines if line.startswith("trial ")]
    assert [line.split()[1] for line in trained] == [f"5/{TRIALS}", f"6/{TRIALS}"]
    assert finished(server.address, "killed") == EACH_ONCE


def test_a_search_whose_cache_is_read_only_says_so_and_waits_for_the_server_with_what_it_has_trained(
    server, gate, disk, searching
):
    search = searching(disk, gate.address, "read-only")
    search.until(trial(2))
    make_read_only(disk)
    gate.shut()
    search.until(lambda line: line.startswith("warning: what is trained cannot be kept in "))
    time.sleep(4)
    gate.open()
    assert search.end() == 0, search.screen
    assert search.screen.count("cannot be kept in") == 1
    assert "(Read-only file system); after each trial, training waits until the tracking store has it" in search.screen
    assert finished(server.address, "read-only") == EACH_ONCE


def test_a_proxy_that_answers_errors_for_a_while_and_then_refuses_artifacts_costs_nothing(
    server, gate, tmp_path, searching
):
    search = searching(tmp_path, gate.address, "errors")
    search.until(trial(1))
    for status in (500, 503, 429):
        gate.refuse(status, times=1)
    gate.only = "mlflow-artifacts"
    gate.refuse(403, times=1)
    assert search.end() == 0, search.screen
    assert finished(server.address, "errors") == EACH_ONCE


def test_a_server_that_is_killed_and_started_again_costs_nothing(server, tmp_path, searching):
    search = searching(tmp_path, server.address, "restart")
    search.until(trial(2))
    server.kill()
    time.sleep(4)
    server.start()
    assert search.end() == 0, search.screen
    assert finished(server.address, "restart") == EACH_ONCE
