"""A rollback that is killed between any two of its writes is completed or withdrawn by the next call."""

import io
import itertools
import json

import pytest
from mlflow.tracking import MlflowClient
from rich.console import Console

from pipeline import experiment
from pipeline.errors import BusyError
from pipeline.retraining import rollback as step
from pipeline.retraining.status import status
from pipeline.tracking import run_lock
from pipeline.tracking.names import CHAMPION, PREVIOUS_CHAMPION, ROLLBACK_TAG
from pipeline.tracking.registry import Registry
from pipeline.tracking.store import Store

pytestmark = pytest.mark.tensorflow
"""A rollback loads the version that it goes back to."""

WRITES = (
    "set_registered_model_alias",
    "delete_registered_model_alias",
    "set_model_version_tag",
    "delete_model_version_tag",
)


class Power(BaseException):
    """Stands for a power cut."""


class Model:
    """A registered model with three versions: 3 is champion, 2 was before, and 1 before that. None can be loaded."""

    def __init__(self, name: str) -> None:
        self.asked = experiment.load("smoke").model_copy(update={"name": name})
        self.store = Store.connect()
        self.registry = Registry(self.store, name)
        root = self.store.root(step="retrain", experiment=name, tags={})
        source = self.store.client.create_logged_model(root.experiment_id, source_run_id=root.id).model_uri
        before = None
        for _ in range(3):
            version = self.registry.register(source, root.id, {})
            assert self.registry.promote(version, instead_of=before)
            before = version
        root.finish("FINISHED")

    def roll_back(self, version: str | None = None) -> str:
        said = io.StringIO()
        step.rollback(self.asked, version=version, why="it mistakes sevens", console=Console(file=said, width=200))
        return said.getvalue()

    def state(self) -> tuple[str | None, str | None]:
        champion, previous = self.registry.by_alias(CHAMPION), self.registry.by_alias(PREVIOUS_CHAMPION)
        return None if champion is None else champion.number, None if previous is None else previous.number

    def status(self) -> str:
        said = io.StringIO()
        status(self.asked, console=Console(file=said, width=200))
        return said.getvalue()


@pytest.fixture(scope="module")
def numbers():
    return itertools.count()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("registry")


@pytest.fixture
def model(place, numbers, monkeypatch) -> Model:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}/mlflow.db")
    monkeypatch.chdir(place)
    monkeypatch.setattr(step, "init_tensorflow", lambda: None)
    monkeypatch.setattr("pipeline.serving.model.load", lambda _address: None)
    return Model(f"model-{next(numbers)}")


def dies_at(number: int, monkeypatch: pytest.MonkeyPatch, store_of: Model) -> None:
    """Ends the process, as a power cut does, instead of a rollback's write of this number, from 1."""
    written = itertools.count(1)

    def cut(real):
        def write(*words, **named):
            if next(written) == number:
                raise Power
            return real(*words, **named)

        return write

    with monkeypatch.context() as patch:
        for name in WRITES:
            patch.setattr(MlflowClient, name, cut(getattr(MlflowClient, name)))
        patch.setattr("pipeline.tracking.run.Run.give_up", lambda *_words: None)  # nobody ends its run
        with pytest.raises(Power):
            store_of.roll_back()
    for run in store_of.store.runs(step="rollback", experiment=store_of.asked.name, status="RUNNING"):
        gone = run_lock.holder_of(run) | {"ticks": 0}  # its process is dead
        run.log(tags={"narrowgap.holder": json.dumps(gone)})


ALL = ("3", "2"), ("2", "1")
"""Champion and previous champion before a rollback and after it."""


@pytest.mark.parametrize("number", range(1, 9))
def test_a_rollback_killed_at_any_write_is_completed_by_the_same_command_and_goes_no_further(
    model, monkeypatch, number
):
    dies_at(number, monkeypatch, model)
    assert model.state() in {*ALL, ("2", "2")}
    said = model.roll_back()
    assert model.state() == ("2", "1")
    assert "champion of narrowgap-model-" in said
    assert "is now version 2, before: version 3; why: it mistakes sevens" in said
    tags = model.registry.get("2").tags
    assert (tags["narrowgap.rolled_back_from"], tags["narrowgap.rolled_back_why"]) == (
        "version 3",
        "it mistakes sevens",
    )
    assert ROLLBACK_TAG not in tags
    left = model.store.runs(step="rollback", experiment=model.asked.name, status="RUNNING")
    assert len(left) == (number == 1)  # it had written nothing yet; the next retraining run ends its run
    model.roll_back()
    assert model.state() == ("1", None)


def test_status_says_what_was_interrupted_and_how_it_is_completed(model, monkeypatch):
    dies_at(2, monkeypatch, model)
    assert (
        "a rollback to version 2 was interrupted before it had moved the champion; the next rollback or"
        in model.status()
    )
    model.roll_back()
    assert "interrupted" not in model.status()


def test_after_the_champion_was_moved_status_says_so_and_a_named_version_is_still_taken(model, monkeypatch):
    dies_at(3, monkeypatch, model)
    assert model.state() == ("2", "2")
    assert "a rollback to version 2 was interrupted after it had moved the champion" in model.status()
    said = model.roll_back("1")
    assert "a rollback to version 2 was interrupted after it had moved the champion; it is completed now" in said
    assert model.state() == ("1", "2")


def test_two_rollbacks_at_the_same_time_are_one(model):
    root = model.store.root(step="rollback", experiment=model.asked.name, tags=run_lock.owner_tag())
    model.registry.tag(model.registry.get("2"), {ROLLBACK_TAG: json.dumps({"run": root.id, "tags": {}})})
    with pytest.raises(BusyError, match="a rollback to version 2 is under way"):
        model.roll_back()
    assert model.state() == ("3", "2")
    assert "a rollback to version 2 is under way\n" in model.status()
