"""Runs one job, wherever a worker is: trains, draws, and describes what failed."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from pipeline.data.split import Split
from pipeline.errors import InputError
from pipeline.search.workers.jobs import Draw, Job, Keeps, Outcome
from pipeline.statistics.trial_metrics import class_metrics
from pipeline.tracking.connection.masking import masked
from pipeline.training.result import TrialResult
from pipeline.training.runtime import init_tensorflow


class TrialTimeoutError(Exception):
    """A network trains longer than `search.trial_minutes`."""


def run_job(job: Job, split: Split, draw: Draw, minutes: float | None = None) -> Outcome:
    """Trains a job on the split; any error of this network becomes the `failure` of the outcome, any error of its pictures
    the `warning`.

    Args:
        job: The job.
        split: The data.
        draw: Draws the pictures.
        minutes: Longest training; looked at after each epoch. None sets no limit.
    """
    init_tensorflow()
    from pipeline.training import choose_trainer  # noqa: PLC0415 - TensorFlow, only where trials are trained

    start = time.perf_counter()
    result: TrialResult | None = None
    pictures: Mapping[str, bytes] = {}
    failure = warning = None
    pruned = False
    try:
        result = choose_trainer.train(
            job.recipe, job.settings, split, seed=job.seed, until=job.until, state=job.state,
            on_epoch=_checks(job, minutes, start),
        )  # fmt: skip
    except (TrialTimeoutError, InputError) as error:
        failure = masked(str(error))
    except Exception as error:  # noqa: BLE001 - one network's failure is a result, and the search goes on
        failure = describe_error(error)
    if result is not None:
        pruned = _pruned(job, result)
        try:
            pictures = draw(result, split)
        except Exception as error:  # noqa: BLE001 - the network is trained; what is lost is a picture
            warning = f"no pictures: {describe_error(error)}"
        result = replace(reduced(result, job.keeps), class_metrics=class_metrics(result, split))
    return Outcome(job.number, result, pictures, failure, time.perf_counter() - start, warning, pruned)


def _checks(job: Job, minutes: float | None, start: float) -> Callable[[int, Mapping[str, float]], bool] | None:
    """Called after each epoch: an error when the time is up, true where the pruner stops the trial."""
    if minutes is None and job.pruning is None:
        return None
    values: list[float] = []

    def check(epoch: int, metrics: Mapping[str, float]) -> bool:
        if minutes is not None and time.perf_counter() - start > 60 * minutes:
            raise TrialTimeoutError(f"stopped after epoch {epoch + 1}: longer than search.trial_minutes={minutes:g}")
        if job.pruning is None:
            return False
        values.append(metrics[job.pruning.metric])
        return job.pruning.stops(values)

    return check


def _pruned(job: Job, result: TrialResult) -> bool:
    """Whether the pruner stopped the training; not if its patience ended in the same epoch."""
    if job.pruning is None or not job.pruning.stops(result.history[job.pruning.metric]):
        return False
    return result.state is None or not result.state.early.exhausted(job.settings.patience)


def reduced(result: TrialResult, keeps: Keeps) -> TrialResult:
    """The result with the arrays that its job keeps; the others stay where they were computed."""
    model = keeps == "model"
    return replace(
        result,
        probabilities={part: result.probabilities[part] for part in ("validation", "test") if model},
        weights=result.weights if model else (),
        state=result.state if keeps == "state" else None,
    )


def describe_error(error: BaseException) -> str:
    """An exception in one line, its type first, without secrets of this process: a worker has its own."""
    lines = masked(str(error).split("\n", 1)[0].strip())
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return f"out of memory ({type(error).__name__}: {lines[:300]})"
    return f"{type(error).__name__}: {lines[:500]}" if lines else type(error).__name__
