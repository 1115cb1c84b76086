"""Hyperband's states are kept as long as something may continue them, and no longer."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.search.trial_journal import TrialJournal
from pipeline.tracking import deletion
from pipeline.tracking.store import Run, Store
from tests.fixtures.commands import Commands

pytestmark = pytest.mark.tensorflow

SMOKE = Path(__file__).parents[2] / "experiments" / "smoke.yaml"
HYPERBAND = ("--search.tuner", "hyperband", "--training.epochs", "3")
"""Three networks for one epoch, of which one goes on to three; then two for three epochs."""
COMPARED = ("val_loss", "test_loss", "train_accuracy", "best_epoch", "epochs_run")


class Searches:
    """One store, and searches in it."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        self._call = Commands(folder, f"sqlite:///{folder}/mlflow.db", patch)
        self.store = Store.connect()
        self.store.client.create_experiment("smoke", f"{folder}/artifacts")

    def __call__(self, *words: str) -> int:
        found = self._call("search", SMOKE, *HYPERBAND, *words)
        self.said = found.said
        return found.code

    def trials(self) -> list[Run]:
        found = self.store.runs(step="trial", experiment="smoke", status=None)
        return sorted(found, key=lambda run: int(run.tags["narrowgap.asked"]))

    def states(self) -> int:
        return sum(kept(run) for run in self.trials())

    def scores(self) -> list[tuple[float, ...]]:
        return [tuple(run.metrics[name] for name in COMPARED) for run in self.trials() if run.status == "FINISHED"]


def kept(run: Run) -> bool:
    try:
        return bool(run.read("state.npz"))
    except InputError:
        return False


@pytest.fixture
def searches(tmp_path, tensorflow) -> Iterator[Searches]:
    with pytest.MonkeyPatch.context() as patch:
        yield Searches(tmp_path / "one", patch)


def stops_after(trials: int, patch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at the end of a trial."""
    real, ended = TrialJournal.ended, []

    def interrupted(self: TrialJournal, *arguments: Any) -> Any:
        ended.append(real(self, *arguments))
        if len(ended) == trials:
            raise KeyboardInterrupt
        return ended[-1]

    patch.setattr(TrialJournal, "ended", interrupted)


def test_a_killed_search_keeps_its_states_and_a_finished_one_has_none(searches, monkeypatch):
    with monkeypatch.context() as patch:
        stops_after(3, patch)
        assert searches("--search.trials", "99") == 130
    assert searches.states() == 3
    assert searches("--search.trials", "99") == 0, searches.said
    assert searches.states() == 0
    assert len(searches.scores()) > 3


def test_a_search_that_is_extended_without_states_gets_the_scores_of_one_that_was_never_stopped(searches, tmp_path):
    assert searches("--search.trials", "3") == 0, searches.said
    assert searches.states() == 0
    assert searches("--search.trials", "99") == 0, searches.said
    with pytest.MonkeyPatch.context() as patch:
        at_once = Searches(tmp_path / "two", patch)
        assert at_once("--search.trials", "99") == 0, at_once.said
    assert searches.scores() == at_once.scores()
    continued = [run for run in searches.trials() if '"tuner/trial_id"' in run.tags["narrowgap.proposal"]]
    assert continued, "no trial was continued, so nothing was tested"


def test_a_search_out_of_time_keeps_its_states(searches, monkeypatch):
    from pipeline.search.deadline import Deadline

    with monkeypatch.context() as patch:
        patch.setattr(Deadline, "allows", lambda _self, proposal: proposal.number < 2)
        assert searches("--search.trials", "99", "--search.minutes", "60") == 0, searches.said
    assert "left out for time: " in searches.said
    assert searches.states() == 2


def test_a_search_that_failed_for_good_has_no_states(searches, monkeypatch):
    from pipeline.training import dense_trainer

    real, trained = dense_trainer.train, []

    def fails(*arguments: Any, **named: Any) -> Any:
        trained.append(1)
        if len(trained) > 1:
            raise FloatingPointError("loss is nan")
        return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(dense_trainer, "train", fails)
        assert searches("--search.trials", "99") == 1
    assert "3 trials in a row failed" in searches.said
    assert searches.states() == 0


@contextlib.contextmanager
def server(status: int) -> Iterator[tuple[str, list[str]]]:
    """An artifact server that answers every DELETE with this status; its address, and what was to be deleted."""
    asked: list[str] = []

    class Artifacts(http.server.BaseHTTPRequestHandler):
        def do_DELETE(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_arguments: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Artifacts) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}", asked
        found.shutdown()


@pytest.mark.parametrize(("status", "dropped"), [(200, True), (403, False)])
def test_an_artifact_behind_a_server_is_dropped_through_mlflows_api(searches, status, dropped):
    with server(status) as (address, asked):
        store = Store(searches.store.client, address)
        run = store.root(step="trial", experiment="smoke", tags={})
        run.artifact_uri = f"mlflow-artifacts:/7/{run.id}/artifacts"
        assert deletion.drop_artifact(store, run, "state.npz") is dropped
    assert asked == [f"/api/2.0/mlflow-artifacts/artifacts/7/{run.id}/artifacts/state.npz"]


def test_an_artifact_that_is_not_there_is_no_failure(searches):
    run = searches.store.root(step="trial", experiment="smoke", tags={})
    assert deletion.drop_artifact(searches.store, run, "state.npz")
