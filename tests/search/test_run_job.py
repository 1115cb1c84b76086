"""One job, wherever it runs: what is lost when a part of it fails, and what its outcome carries."""

import dataclasses
import errno
import io
import pickle
from functools import partial

import pytest
from rich.console import Console

from pipeline.data.split import Split
from pipeline.experiment import Training, load
from pipeline.models.dense import DenseSpec
from pipeline.models.recipe import Recipe
from pipeline.search.pruning import Pruning
from pipeline.search.workers import run_job
from pipeline.search.workers.jobs import InProcess, Job, Keeps
from pipeline.session import Session

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("tensorflow")]

SETTINGS = Training(epochs=1, batch_size=32, learning_rate=0.01, patience=None)
JOB = Job(0, Recipe(DenseSpec((8,), (0, 0.2), ("relu",))), SETTINGS, 5, 1)
FULL = "no pictures: OSError: [Errno 28] No space left on device"


def full(_result, _split):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_picture_that_fails_costs_the_picture_and_not_the_trained_network(digits_split: Split) -> None:
    outcome = run_job.run_job(JOB, digits_split, full)
    assert outcome.result is not None
    assert (outcome.failure, outcome.warning, dict(outcome.pictures)) == (None, FULL, {})


def test_a_network_that_takes_too_long_is_stopped_after_its_epoch_with_the_key_that_says_so(
    digits_split: Split,
) -> None:
    outcome = run_job.run_job(JOB, digits_split, full, minutes=1e-9)
    assert outcome.result is None
    assert outcome.failure == "stopped after epoch 1: longer than search.trial_minutes=1e-09"


def test_a_network_that_misses_a_score_stops_there_with_the_scores_of_the_weights_it_had(digits_split: Split) -> None:
    job = dataclasses.replace(
        JOB, settings=SETTINGS.model_copy(update={"epochs": 4}), until=4, pruning=Pruning("val_loss", {2: 0.0})
    )
    outcome = run_job.run_job(job, digits_split, full)
    assert outcome.result is not None
    assert (outcome.pruned, outcome.failure, outcome.result.epochs_run) == (True, None, 2)
    assert len(outcome.result.history["val_loss"]) == 2
    kept = run_job.run_job(dataclasses.replace(job, pruning=Pruning("val_loss", {2: 9.9})), digits_split, full)
    assert kept.result is not None
    assert (kept.pruned, kept.result.epochs_run) == (False, 4)
    assert kept.result.history["val_loss"][:2] == outcome.result.history["val_loss"]
    assert outcome.result.validation.loss == pytest.approx(min(outcome.result.history["val_loss"]), abs=1e-6)


def test_a_network_that_fails_is_a_failure_and_nothing_is_drawn(digits_split: Split) -> None:
    broken = Training.model_construct(**{**SETTINGS.model_dump(), "learning_rate": 1e38})
    outcome = run_job.run_job(dataclasses.replace(JOB, settings=broken), digits_split, full)
    assert outcome.result is None
    assert outcome.warning is None
    assert outcome.failure == "FloatingPointError: loss is nan in epoch 0: training diverged"


def test_three_trials_without_pictures_are_finished_each_with_the_reason_on_the_screen_and_in_its_tag(
    session: Session,
) -> None:
    """Three failures in a row would have ended the search. Balanced accuracy is logged and may be the objective."""
    from pipeline.search.step import search

    screen = io.StringIO()
    session = dataclasses.replace(
        session,
        experiment=load("smoke", {"training.epochs": "1", "search.objective": "val_balanced_accuracy"}),
        console=Console(file=screen, width=200),
    )
    run = session.store.root(step="search", experiment="smoke", tags={})
    search(session, run, InProcess(partial(run_job.run_job, split=session.prepared.split, draw=full)))
    trials = list(session.store.children(run))
    assert [(trial.status, trial.tags["narrowgap.reason"]) for trial in trials] == [("FINISHED", FULL)] * 3
    assert all({"val_balanced_accuracy", "train_macro_f1", "test_recall/9"} <= trial.metrics.keys() for trial in trials)
    assert screen.getvalue().count(f": {FULL}\n") == 3
    assert "warning: trial 1, 64-" in screen.getvalue()


WIDE = dataclasses.replace(JOB, recipe=Recipe(DenseSpec((512, 512), (0, 0, 0), ("relu", "relu"))))
"""301,066 parameters on 8x8 images and ten classes: 1,204,264 bytes."""


@pytest.mark.parametrize(
    ("keeps", "least", "most"),
    [
        ("scores", 0, 20_000),
        ("model", 1_204_264 + 4 * 10 * (162 + 180), 1_250_000),  # weights, and rows of validation and test
        ("state", 3 * 1_204_264, 3_700_000),  # weights, which are the best after one epoch, and two moments
    ],
)
def test_an_outcome_carries_no_more_than_its_job_keeps(
    digits_split: Split, keeps: Keeps, least: int, most: int
) -> None:
    outcome = run_job.run_job(dataclasses.replace(WIDE, keeps=keeps), digits_split, lambda *_: {})
    assert least <= len(pickle.dumps(outcome)) <= most
    result = outcome.result
    assert result is not None
    assert sorted(result.probabilities) == (["test", "validation"] if keeps == "model" else [])
    assert bool(result.weights) == (keeps == "model")
    assert (result.state is not None) == (keeps == "state")


def test_pictures_are_drawn_from_all_probabilities_whatever_is_kept(digits_split: Split) -> None:
    seen: list[str] = []

    def draw(result, _split):
        seen.extend(result.probabilities)
        return {}

    assert run_job.run_job(dataclasses.replace(JOB, keeps="scores"), digits_split, draw).failure is None
    assert sorted(seen) == ["test", "train", "validation"]
