"""Says when no outcome has come for much longer than any job took: a worker may hang."""

import time
from collections.abc import Callable

from pipeline.formatting import duration

LEAST_SECONDS = 600
TIMES = 5
"""How much longer than the longest job so far."""


class StallNotice:
    """Says once that no outcome has come for unusually long, and again after twice that time. Time that the driver itself
    was busy between two looks does not count: it may wait for the tracking store.

    Args:
        say: Prints a line.
        clock: Seconds; of `time.monotonic`, but for tests.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._since, self._longest, self._said = clock(), 0.0, 0.0
        self._looked = self._since

    def came(self, seconds: float) -> None:
        """An outcome came, of a job that took so many seconds."""
        self._longest = max(self._longest, seconds)
        self._begin_anew()

    def handed_out(self) -> None:
        """A worker was given a job; also one that had begun on a worker or a scheduler that was lost."""
        self._begin_anew()

    def idle(self) -> None:
        """No job is open."""
        self._begin_anew()

    def resume(self) -> None:
        """The driver looks again, after something else."""
        self._since += self._clock() - self._looked

    def _begin_anew(self) -> None:
        self._since, self._said = self._clock(), 0.0
        self._looked = self._since

    def look(self, jobs: int) -> None:
        """Says what is unusual while so many jobs are open."""
        self._looked = self._clock()
        silent = self._looked - self._since
        if silent < max(LEAST_SECONDS, TIMES * self._longest, 2 * self._said):
            return
        self._said = silent
        when = time.strftime("%H:%M", time.localtime(time.time() - silent))
        longest = f", the longest training took {duration(self._longest)}" if self._longest else ""
        self._say(
            f"no result has come since {when} ({duration(silent)}) of {jobs} jobs that train{longest}; a worker may hang: "
            "search.trial_minutes limits a training"
        )
