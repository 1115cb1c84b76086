"""Jobs, their outcomes, and what workers do. A worker that dies: see `dask/workers.py`.

A trial is a pure function of its job and the split; it does not matter where it runs.
"""

from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from pipeline import stop_request
from pipeline.data.split import Split
from pipeline.experiment import Training
from pipeline.models.recipe import Recipe
from pipeline.search.pruning import Pruning
from pipeline.tracking.connection.masking import masked
from pipeline.training.program_cache import program_key
from pipeline.training.result import TrainingState, TrialResult

Draw = Callable[[TrialResult, Split], Mapping[str, bytes]]
"""Draws pictures of a trained network, PNG files by name; called where the trial was trained, next to its arrays."""

Keeps = Literal["scores", "state", "model"]
"""What the outcome of a job carries besides scores and pictures: nothing more; the state, from which Hyperband continues; or
the kept weights and the probabilities of validation and test, which an evaluation needs."""


@dataclass(frozen=True, eq=False)
class Job:
    """One network to train, in full."""

    number: int
    """Number of the proposal or the refit."""
    recipe: Recipe
    settings: Training
    """The recipe's training settings, resolved with the experiment's."""
    seed: int
    until: int
    """Epoch to train to."""
    state: TrainingState | None = None
    """State to continue from; None starts anew."""
    keeps: Keeps = "model"
    pruning: Pruning | None = None
    """What the trial has to reach to go on; None trains it to the end."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of a job, or the reason why there is none."""

    number: int
    result: TrialResult | None
    pictures: Mapping[str, bytes]
    failure: str | None
    """The reason, one line; None if there is a result."""
    seconds: float
    """Wall-clock seconds from start to end, pictures included."""
    warning: str | None = None
    """Why a trained network has no pictures, one line."""
    pruned: bool = False
    """Whether the trial missed a score of `Job.pruning`; the result is that of the epochs trained."""


class Workers(Protocol):
    """Trains jobs, one or many at a time."""

    @property
    def count(self) -> int:
        """Number of jobs that are trained at the same time."""

    def submit(self, job: Job) -> None:
        """Accepts a job; it starts when a worker is free."""

    def finished(self) -> list[Outcome]:
        """Outcomes since the last call; waits a moment for one, and may return none."""

    def close(self) -> None:
        """Stops running jobs, without results."""


class InProcess:
    """Trains in this process, one job at a time, when `finished` is called: a single worker of this machine is the driver.
    If it dies, the search is interrupted, and the same command resumes it.
    """

    count = 1

    def __init__(self, train: Callable[[Job], Outcome]) -> None:
        self._train = train
        self._jobs: deque[Job] = deque()

    def submit(self, job: Job) -> None:
        self._jobs.append(job)

    def finished(self) -> list[Outcome]:
        return [self._train(self._jobs.popleft())] if self._jobs else []

    def close(self) -> None:
        self._jobs.clear()


def collected(workers: Workers) -> Iterator[Outcome]:
    """Outcomes, to be shown and recorded one by one: without secrets of this process, which a network's error may have in
    its text. A failure after a request to stop is not the network's fault: the request is raised instead.

    Raises:
        KeyboardInterrupt, SystemExit: This process was asked to stop, and somebody has taken the exception.
    """
    for outcome in workers.finished():
        if outcome.result is None:
            stop_request.raise_again()
        yield replace(outcome, failure=_masked(outcome.failure), warning=_masked(outcome.warning))
    stop_request.raise_again()


def _masked(text: str | None) -> str | None:
    return None if text is None else masked(text)


def match(
    waiting: Sequence[Job], idle: Collection[str], programs: Mapping[str, Collection[Hashable]]
) -> tuple[Job, str]:
    """The job that is handed out next, and its worker: a job whose program an idle worker has; else the first job whose
    program no worker has; else the first. It decides how often a network is compiled, and no result.

    Args:
        waiting: Jobs, at least one.
        idle: Addresses, at least one.
        programs: Compiled programs by address.
    """
    keys = [program_key(job.recipe.spec, job.settings) for job in waiting]
    for job, key in zip(waiting, keys, strict=True):
        for address in sorted(idle):
            if key in programs.get(address, ()):
                return job, address
    known = set[Hashable]().union(*programs.values())
    new = next((job for job, key in zip(waiting, keys, strict=True) if key not in known), waiting[0])
    return new, min(idle, key=lambda address: (len(programs.get(address, ())), address))
