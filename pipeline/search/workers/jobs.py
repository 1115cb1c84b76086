"""Where trials are trained. Enters: `Job`s. Leaves: `Outcome`s, in the order in which they finish.

A trial is a pure function of its job and the split, so that it does not matter where it runs.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pipeline.data.split import Split
from pipeline.experiment import Training
from pipeline.models.recipe import Recipe
from pipeline.training.result import TrainingState, TrialResult

Draw = Callable[[TrialResult, Split], Mapping[str, bytes]]
"""Pictures of a trained network, PNG files by name; called where the trial was trained, next to its arrays."""


@dataclass(frozen=True, eq=False)
class Job:
    """One network to train, in full."""

    number: int
    """Whose result this is: the number of the proposal, or of the refit."""
    recipe: Recipe
    settings: Training
    """The recipe's, resolved with the experiment's."""
    seed: int
    until: int
    """The epoch to train to."""
    state: TrainingState | None = None
    """Where to go on from; None starts anew."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of a job: a result, or the reason why there is none."""

    number: int
    result: TrialResult | None
    pictures: Mapping[str, bytes]
    failure: str | None
    """One line for people; None when there is a result."""
    seconds: float
    """Wall clock from start to end, pictures included."""


class Workers(Protocol):
    """Trains jobs, one or many at a time."""

    @property
    def count(self) -> int:
        """How many jobs are trained at the same time."""

    def submit(self, job: Job) -> None:
        """Takes a job; it starts when a worker is free."""

    def finished(self) -> list[Outcome]:
        """What has finished since the last call; waits a moment for something, and may return nothing."""

    def close(self) -> None:
        """Ends what is under way, without its results."""


class InProcess:
    """Trains in this process, one job at a time, when `finished` is called."""

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
