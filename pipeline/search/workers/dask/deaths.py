"""Counts workers that died: of a job that they trained, or of the data before a job had begun."""

from collections import Counter
from collections.abc import Iterable

from pipeline.errors import InputError
from pipeline.search.workers.dask.memory_limits import MORE_MEMORY
from pipeline.search.workers.jobs import Outcome
from pipeline.search.workers.memory_need import MemoryNeed, gib

DEATHS = 3
"""At this many deaths of workers, the job that they trained has failed; on a cluster, at this many in a row before their job
began, the run ends."""


class Deaths:
    """How many workers each job has killed, and how many in a row died before their job began."""

    def __init__(self, need: MemoryNeed | None) -> None:
        self._need = need
        self._of_jobs: Counter[int] = Counter()
        self.of_data = 0
        """Workers that died before their job began, since the last job that ended."""

    def __bool__(self) -> bool:
        return bool(self._of_jobs)

    def of(self, number: int) -> int:
        """Workers that died of the job with this number."""
        return self._of_jobs[number]

    def forget(self, number: int) -> None:
        """A job is submitted: a refit counts from 0, though a trial had the same number."""
        self._of_jobs.pop(number, None)

    def count(self, number: int, times: int = 1) -> Outcome | None:
        """Counts deaths of a job; the job's failure once there are too many."""
        self._of_jobs[number] += times
        if self._of_jobs[number] < DEATHS:
            return None
        died = self._of_jobs[number]
        failure = f"killed its worker {died} times (out of memory, a crash, or ended from outside)"
        return Outcome(number, None, {}, failure, 0.0)

    def count_before_training(self, times: int, limits: Iterable[int]) -> None:
        """Counts deaths that came before training.

        Args:
            times: How many more.
            limits: Memory of the workers that are there, in bytes.

        Raises:
            InputError: Once there are too many in a row; with the figures and the cure.
        """
        self.of_data += times
        if self._need is None or self.of_data < DEATHS:
            return
        most = max(limits, default=0)
        have = f", and the workers have at most {gib(most)}" if most else ""
        raise InputError(
            f"the data killed their workers {self.of_data} times before training began (out of memory, a crash, or ended "
            f"from outside): training needs {self._need.text()}{have}; {MORE_MEMORY}"
        )
