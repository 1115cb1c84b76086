"""Which workers of a scheduler have enough memory for the data."""

from collections.abc import Mapping
from typing import Any

from pipeline.errors import InputError
from pipeline.search.workers.memory_need import MemoryNeed, gib

MORE_MEMORY = (
    "expected room for the data: start workers with more memory (--memory-limit), or take fewer or smaller images "
    "(data.path)"
)
"""The cure for data that do not fit."""


class MemoryLimits:
    """The workers that are too small for the data; without a need, none is.

    Args:
        need: What a worker needs.
        address: Of the scheduler, for messages.
    """

    def __init__(self, need: MemoryNeed | None, address: str) -> None:
        self.need, self._address = need, address
        self.small: dict[str, int] = {}
        """Workers with too little memory for the data, with their limits in bytes; they are given no jobs."""
        self._found = False
        """Whether there has been a worker with enough memory."""

    def is_enough(self, worker: Mapping[str, Any]) -> bool:
        """Whether a worker can hold the data and train; one without a limit can."""
        limit: int = worker["memory_limit"] or 0
        return self.need is None or not 0 < limit < self.need.least

    def addresses(self, ready: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """Those of the workers that have enough memory; remembers the others."""
        self.small = {address: each["memory_limit"] for address, each in ready.items() if not self.is_enough(each)}
        self._found = self._found or len(ready) > len(self.small)
        return set(ready) - set(self.small)

    def refuse_if_none_fits(self) -> None:
        """Refuses data for which all workers so far have had too little memory.

        Raises:
            InputError: With the figures and the cure.
        """
        if self.small and not self._found and self.need is not None:
            most = gib(max(self.small.values()))
            raise InputError(
                f"training needs {self.need.text()}, and the {len(self.small)} workers of the Dask scheduler "
                f"{self._address} have at most {most}; {MORE_MEMORY}"
            )

    def missing(self) -> str:
        """For a message: what is missing where there are workers and all are too small; empty where there are none."""
        if not self.small or self.need is None:
            return ""
        most = gib(max(self.small.values()))
        return f"with enough memory (training needs {self.need.text()}, those that are there have at most {most}) "
