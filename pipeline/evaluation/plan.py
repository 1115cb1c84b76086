"""How many seeds each network of an evaluation is trained with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.evaluation.finalists import Finalist
from pipeline.statistics.selection import Candidate


@dataclass(frozen=True)
class Plan:
    """Numbers of seeds by role."""

    wanted: Mapping[str, int]
    """Seeds until the next decision."""
    most: Mapping[str, int]
    """Seeds that it can become; the same as `wanted` if nothing is left to decide."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Why so many, where that is decided."""
    chosen: str | None = None
    """The network that was chosen before it had all its seeds."""
    reason: str = ""
    """Why it was chosen."""
    left_out: str = ""
    """The seeds that there was no time for, one clause."""

    @property
    def final(self) -> bool:
        """Whether nothing is left to decide."""
        return self.wanted == self.most


@dataclass(frozen=True)
class Racer:
    """What a race may know of a network: validation results only."""

    role: str
    candidate: Candidate
    metrics: Sequence[Mapping[str, float]]
    """One mapping per seed so far."""
    seconds: float = 0.0
    """Mean time of a refit; what a race decides does not depend on it."""


def all_seeds(finalists: Sequence[Finalist], seeds: int) -> Plan:
    """Every network gets every seed."""
    wanted = {finalist.role: seeds for finalist in finalists}
    return Plan(wanted, wanted)
