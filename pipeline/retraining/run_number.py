"""The number of a retraining run, which decides its seeds: no two runs have the same, even if old runs are deleted."""

from collections.abc import Sequence
from typing import Protocol

from pipeline.tracking.names import RUN_NUMBER_TAG


class Tagged(Protocol):
    """A run as far as its number is concerned."""

    @property
    def tags(self) -> dict[str, str]: ...


def next_number(completed: Sequence[Tagged]) -> int:
    """The number after those of the completed runs, oldest first. Runs of earlier versions have no number: they count."""
    last = 0
    for run in completed:
        last = max(last + 1, int(run.tags.get(RUN_NUMBER_TAG, 0)))
    return last + 1
