"""A real store, and real refits on digits, made once."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.data.formats import digits
from pipeline.data.split import Split
from pipeline.evaluation.finalists import BASELINE, Finalist
from pipeline.evaluation.refits import RefitGroup, fresh_seeds, refit
from pipeline.experiment import Training, load
from pipeline.models.dense import DenseSpec, notebook_network
from pipeline.models.recipe import Recipe
from pipeline.search.trial_figures import draw_trial
from pipeline.search.workers import run_job
from pipeline.search.workers.jobs import InProcess
from pipeline.session import PreparedData, Session
from pipeline.tracking.store import Run, Store
from tests.evaluation.samples import SETTINGS, relu
from tests.retraining.loop import BETTER, Loop

DIVERGING = Finalist(
    "finalist 2",
    Recipe(DenseSpec((64,) * 20, (0.0,) * 21, ("linear",) * 20)),
    Training(epochs=1, batch_size=512, learning_rate=10.0, schedule="constant"),
    0.9,
)
"""Twenty linear layers of weights that jump by 10 with every step: its loss is no number any more after a few."""
SMALL = Finalist("finalist 1", Recipe(relu(16, dropout=(0.0, 0.2))), SETTINGS, 0.9)
PLAIN = Finalist(BASELINE, Recipe(notebook_network()), SETTINGS, reference=True)


@dataclass(frozen=True)
class Refitted:
    """What `refit` made of three finalists and two seeds, of which one finalist diverges."""

    session: Session
    run: Run
    seeds: list[int]
    groups: list[RefitGroup]
    said: str


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory, digits_split: Split) -> Session:
    folder = tmp_path_factory.mktemp("steps")
    with pytest.MonkeyPatch.context() as patch:
        # What an earlier test has said to MLflow itself counts more than the environment.
        patch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        store = Store.connect()
    store.client.create_experiment("smoke", artifact_location=f"{folder}/artifacts")
    return Session(load("smoke"), store, Console(file=io.StringIO(), width=200), PreparedData(digits(), digits_split))


@pytest.fixture(scope="session")
def refitted(session: Session, tensorflow: object) -> Refitted:
    run = session.store.root(step="evaluate", experiment="smoke", tags={})
    workers = InProcess(partial(run_job.run_job, split=session.prepared.split, draw=draw_trial))
    seeds = fresh_seeds(session.experiment)
    groups = refit(session, run, [SMALL, DIVERGING, PLAIN], workers, seeds=seeds)
    assert isinstance(session.console.file, io.StringIO)
    return Refitted(session, run, seeds, groups, session.console.file.getvalue())


@pytest.fixture(scope="session")
def first_night(tmp_path_factory: pytest.TempPathFactory, tensorflow: object) -> Loop:
    """A registry after its first night: 700 images, version 1 is champion."""
    with pytest.MonkeyPatch.context() as patch:
        loop = Loop(tmp_path_factory.mktemp("first"), patch)
        loop.write(700)
        assert loop.night() == 0
    return loop


@pytest.fixture(scope="session")
def second_night(tmp_path_factory: pytest.TempPathFactory, first_night: Loop) -> Loop:
    """The same after a better recipe: version 2 is champion."""
    with pytest.MonkeyPatch.context() as patch:
        loop = Loop(tmp_path_factory.mktemp("second"), patch, after=first_night)
        assert loop.night(*BETTER) == 0
    return loop


@pytest.fixture
def loop(first_night: Loop, tmp_path: Path) -> Iterator[Loop]:
    """A copy of `first_night`, to go on from."""
    with pytest.MonkeyPatch.context() as patch:
        yield Loop(tmp_path, patch, after=first_night)


@pytest.fixture
def promoted(second_night: Loop, tmp_path: Path) -> Iterator[Loop]:
    """A copy of `second_night`, to go on from."""
    with pytest.MonkeyPatch.context() as patch:
        yield Loop(tmp_path, patch, after=second_night)
