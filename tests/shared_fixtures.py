"""Fixtures that several rooms share: a store with refits, and stores after one and two retraining runs.

Everything heavy is imported inside the fixtures: a test that needs none of them waits for none of it.
"""

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.data.split import Split

if TYPE_CHECKING:
    from pipeline.session import Session
    from tests.evaluation.refitted import Refitted
    from tests.retraining.loop import Loop


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB of its own."""
    from tests.faults.disks import mounted

    yield from mounted(tmp_path / "disk")


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory, digits_split: Split) -> "Session":
    from rich.console import Console

    from pipeline.data.formats import digits
    from pipeline.experiment import load
    from pipeline.session import PreparedData, Session
    from pipeline.tracking.store import Store

    folder = tmp_path_factory.mktemp("steps")
    with pytest.MonkeyPatch.context() as patch:
        # What an earlier test has said to MLflow itself counts more than the environment.
        patch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        store = Store.connect()
    store.client.create_experiment("smoke", artifact_location=f"{folder}/artifacts")
    return Session(load("smoke"), store, Console(file=io.StringIO(), width=200), PreparedData(digits(), digits_split))


@pytest.fixture(scope="session")
def refitted(session: "Session", tensorflow: object) -> "Refitted":
    from pipeline.evaluation.refits import fresh_seeds, refit
    from pipeline.search.trial_figures import draw_trial
    from pipeline.search.workers import run_job
    from pipeline.search.workers.jobs import InProcess
    from tests.evaluation.refitted import DIVERGING, PLAIN, SMALL, Refitted

    run = session.store.root(step="evaluate", experiment="smoke", tags={})
    workers = InProcess(partial(run_job.run_job, split=session.prepared.split, draw=draw_trial))
    seeds = fresh_seeds(session.experiment)
    groups = refit(session, run, [SMALL, DIVERGING, PLAIN], workers, seeds=seeds)
    assert isinstance(session.console.file, io.StringIO)
    return Refitted(session, run, seeds, groups, session.console.file.getvalue())


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory, tensorflow: object) -> "Loop":
    """A registry after its first retraining run: 700 images, version 1 is champion."""
    from tests.retraining.loop import Loop

    with pytest.MonkeyPatch.context() as patch:
        loop = Loop(tmp_path_factory.mktemp("first"), patch)
        loop.write(700)
        assert loop.retrain() == 0
    return loop


@pytest.fixture(scope="session")
def second_run(tmp_path_factory: pytest.TempPathFactory, first_run: "Loop") -> "Loop":
    """The same after a better recipe: version 2 is champion."""
    from tests.retraining.loop import BETTER, Loop

    with pytest.MonkeyPatch.context() as patch:
        loop = Loop(tmp_path_factory.mktemp("second"), patch, after=first_run)
        assert loop.retrain(*BETTER) == 0
    return loop


@pytest.fixture
def loop(first_run: "Loop", tmp_path: Path) -> "Iterator[Loop]":
    """A copy of `first_run`, to go on from."""
    from tests.retraining.loop import Loop

    with pytest.MonkeyPatch.context() as patch:
        yield Loop(tmp_path, patch, after=first_run)


@pytest.fixture
def promoted(second_run: "Loop", tmp_path: Path) -> "Iterator[Loop]":
    """A copy of `second_run`, to go on from."""
    from tests.retraining.loop import Loop

    with pytest.MonkeyPatch.context() as patch:
        yield Loop(tmp_path, patch, after=second_run)
