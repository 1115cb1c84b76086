"""Decides whether there is time for another trial: by `search.minutes`, and by `minutes`, which also bounds the refits.

The seconds of a trial are estimated as a + b x parameters x epochs, fitted to finished trials by non-negative least
squares. A refit is expected to take as long as a trial of mean size with all epochs.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import nnls

from pipeline.search.trials import Trial
from pipeline.search.workers.jobs import Outcome
from pipeline.time_limit import TimeLimit

if TYPE_CHECKING:
    from pipeline.search.proposals.proposals import Proposal  # imports Keras Tuner

MILLION = 1e6
MOST_FOR_REFITS = 0.5
"""Largest share of the search's whole time that is kept for refits beyond the fewest."""


@dataclass(frozen=True)
class Refits:
    """What is trained after a search."""

    fewest: int
    """Trained in any case."""
    most: int
    """Trained if there is time."""
    seconds_after: float
    """Expected time of what follows them: analyses, report, model."""


class Deadline:
    """The time budget of one search. Without limits there is always time. Trials are allowed while nothing is known of their
    cost, the time is not over, and more is left than what follows the search needs.

    Args:
        minutes: `search.minutes`.
        workers: How many trials are trained at a time.
        inputs: Values of an image.
        classes: Number of classes.
        clock: Seconds.
        whole: The experiment's `minutes`, by the same clock.
        refits: What follows a search of so many trials; None if nothing does.
    """

    def __init__(
        self,
        minutes: float | None,
        *,
        workers: int,
        inputs: int,
        classes: int,
        clock: Callable[[], float] = time.monotonic,
        whole: TimeLimit | None = None,
        refits: Callable[[int], Refits] | None = None,
    ) -> None:
        self._clock, self._workers, self._inputs, self._classes = clock, workers, inputs, classes
        self._whole, self._refits = whole or TimeLimit(clock=clock), refits
        self._minutes, self._start = minutes, clock()
        self._end = math.inf if minutes is None else self._start + 60 * minutes
        self._open: dict[int, Proposal] = {}
        self._work: list[float] = []
        self._full: list[float] = []
        """Work of the same networks with all epochs."""
        self._seconds: list[float] = []
        self.why = ""
        """Why a trial was refused."""

    @property
    def left(self) -> float:
        """Seconds until the nearer of both ends; infinite without limits."""
        return min(self._end, self._whole.end) - self._clock()

    def allows(self, proposal: "Proposal") -> bool:
        """Whether this trial would finish in time if it started after those that are running."""
        self.why = ""
        if self.left == math.inf:
            return True
        needed, later = self._needed(proposal), self._later(proposal.number + 1)
        if self.left <= 0 or self._clock() + needed > min(self._end, self._whole.end - later):
            self.why = self._reason(needed, later)
        return not self.why

    def started(self, proposal: "Proposal") -> None:
        """Records that a trial is running."""
        self._open[proposal.number] = proposal

    def ended(self, proposal: "Proposal", outcome: Outcome) -> None:
        """Records that a trial has ended, and its time for the next estimate."""
        self._open.pop(proposal.number, None)
        if outcome.result is not None:
            done = min(proposal.until, outcome.result.epochs_run) if outcome.pruned else proposal.until
            parameters = proposal.recipe.spec.parameters(self._inputs, self._classes)
            self._learn(parameters, done - proposal.begins, proposal.settings.epochs, outcome.seconds)

    def resume(self, trial: Trial, epochs: int) -> None:
        """Records the time of a trial of an earlier part of the search; `epochs` is the number of a full training."""
        self._learn(trial.parameters, trial.epochs_trained(epochs), epochs, trial.run.metrics["seconds"])

    def _learn(self, parameters: int, epochs: float, full: int, seconds: float) -> None:
        self._work.append(parameters * epochs / MILLION)
        self._full.append(parameters * full / MILLION)
        self._seconds.append(seconds)

    def _needed(self, proposal: "Proposal") -> float:
        """Seconds until this trial would have ended; 0 while nothing is known."""
        if not self._seconds:
            return 0.0
        queued = sum(self._estimate(self._size(each)) for each in self._open.values()) / self._workers
        return queued + self._estimate(self._size(proposal))

    def _later(self, trials: int) -> float:
        """Seconds of `minutes` that the search leaves for what follows, if it ends after so many trials."""
        if self._refits is None or self._whole.minutes is None:
            return 0.0
        refits = self._refits(trials)
        if not self._seconds:
            return refits.seconds_after
        each = self._estimate(fmean(self._full)) / self._workers
        share = MOST_FOR_REFITS * (self._whole.end - self._start)
        return max(refits.fewest * each, min(refits.most * each, share)) + refits.seconds_after

    def _reason(self, needed: float, later: float) -> str:
        """Which of the two limits allows no more."""
        now = self._clock()
        if now + needed > self._end or now >= self._end:
            return f"the next would not have been finished within search.minutes={self._minutes:g}"
        if self._whole.left <= 0:
            return f"{self._whole} was over"
        if later:
            return f"the rest of {self._whole} is for the refits"
        return f"the next would not have been finished within {self._whole}"

    def _estimate(self, size: float) -> float:
        rows = np.column_stack((np.ones(len(self._work)), self._work))
        (fixed, per_size), _ = nnls(rows, np.array(self._seconds))
        return float(fixed + per_size * size)

    def _size(self, proposal: "Proposal") -> float:
        """Millions of parameters times epochs; a trial that may stop early counts fully."""
        epochs = proposal.until - proposal.begins
        return proposal.recipe.spec.parameters(self._inputs, self._classes) * epochs / MILLION
