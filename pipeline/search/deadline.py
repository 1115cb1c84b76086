"""Whether there is still time for a trial. Enters: proposals and outcomes. Leaves: yes or no.

Seconds of a trial are estimated as a + b x parameters x epochs, fitted to those done (non-negative least squares).
"""

import time
from collections.abc import Callable

import numpy as np
from scipy.optimize import nnls

from pipeline.search.proposals.ask_tell import Proposal
from pipeline.search.workers.jobs import Outcome

MILLION = 1e6


class Deadline:
    """Keeps the time of one search. Without `minutes` there is always time; the first trials, of which nothing is known
    yet, are always allowed.
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
        """Whether this trial, started behind those under way, would be finished in time."""
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
        """A trial is under way."""
        self._open[proposal.number] = proposal

    def ended(self, proposal: Proposal, outcome: Outcome) -> None:
        """It no longer is; its time teaches the next estimate."""
        self._open.pop(proposal.number, None)
        if self._end is not None and outcome.result is not None:
            self._work.append(self._size(proposal))
            self._seconds.append(outcome.seconds)

    def _estimate(self, proposal: Proposal) -> float:
        rows = np.column_stack((np.ones(len(self._work)), self._work))
        (fixed, per_size), _ = nnls(rows, np.array(self._seconds))
        return float(fixed + per_size * self._size(proposal))

    def _size(self, proposal: Proposal) -> float:
        """Millions of parameters times epochs; a trial that may stop early counts in full."""
        return proposal.recipe.spec.parameters(self._inputs, self._classes) * proposal.until / MILLION
