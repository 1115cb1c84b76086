"""Decides whether there is time for another trial.

The seconds of a trial are estimated as a + b x parameters x epochs, fitted to finished trials by non-negative least
squares.
"""

import time
from collections.abc import Callable

import numpy as np
from scipy.optimize import nnls

from pipeline.search.proposals.ask_tell import Proposal
from pipeline.search.workers.jobs import Outcome

MILLION = 1e6


class Deadline:
    """The time budget of one search. Without `minutes` there is always time. The first trials are always allowed, since
    nothing is known yet.
    """

    def __init__(
        self,
        minutes: float | None,
        *,
        workers: int,
        inputs: int,
        classes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock, self._workers, self._inputs, self._classes = clock, workers, inputs, classes
        self._end = None if minutes is None else clock() + 60 * minutes
        self._open: dict[int, Proposal] = {}
        self._work: list[float] = []
        self._seconds: list[float] = []

    def allows(self, proposal: Proposal) -> bool:
        """Whether this trial would finish in time if it started after those that are running."""
        if self._end is None:
            return True
        now = self._clock()
        if now >= self._end:
            return False
        if not self._seconds:
            return True
        queued = sum(self._estimate(each) for each in self._open.values()) / self._workers
        return now + queued + self._estimate(proposal) <= self._end

    def started(self, proposal: Proposal) -> None:
        """Records that a trial is running."""
        self._open[proposal.number] = proposal

    def ended(self, proposal: Proposal, outcome: Outcome) -> None:
        """Records that a trial has ended, and its time for the next estimate."""
        self._open.pop(proposal.number, None)
        if self._end is not None and outcome.result is not None:
            done = min(proposal.until, outcome.result.epochs_run) if outcome.pruned else proposal.until
            self._work.append(self._size(proposal) * done / proposal.until)
            self._seconds.append(outcome.seconds)

    def _estimate(self, proposal: Proposal) -> float:
        rows = np.column_stack((np.ones(len(self._work)), self._work))
        (fixed, per_size), _ = nnls(rows, np.array(self._seconds))
        return float(fixed + per_size * self._size(proposal))

    def _size(self, proposal: Proposal) -> float:
        """Millions of parameters times epochs; a trial that may stop early counts fully."""
        return proposal.recipe.spec.parameters(self._inputs, self._classes) * proposal.until / MILLION
