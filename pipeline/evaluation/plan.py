"""How many seeds each network of an evaluation is trained with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.evaluation.finalists import Finalist, label
from pipeline.formatting import listed
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


@dataclass(frozen=True)
class Plans:
    """The plans of an evaluation, one after the other."""

    first: Plan
    following: Callable[[Sequence[Racer], Plan], Plan]
    """The next one, given the networks that were trained as the last one says; asked until one is final."""
    seconds: float = 0.0
    """Expected time of a refit."""


def all_seeds(finalists: Sequence[Finalist], seeds: int) -> Plan:
    """Every network gets every seed."""
    wanted = {finalist.role: seeds for finalist in finalists}
    return Plan(wanted, wanted)


def opening(plan: Plan, at_a_time: int) -> str:
    """What is about to be trained, for the screen."""
    together = f", {at_a_time} at a time" if at_a_time > 1 else ""
    text = (
        f"training {len(plan.wanted)} networks again{together}, with fresh seeds, the same for all: {_with_seeds(plan)}"
    )
    later = [role for role, seeds in plan.wanted.items() if seeds < plan.most[role]]
    if not later:
        return text
    racing = plan.notes and any(role not in plan.notes for role in later)
    compared = [label(role) for role in later if not racing or role in plan.notes]
    who = [*compared, *(["finalists that are then still likely to be chosen"] if racing else [])]
    in_time = " if there is time" if compared else ""  # who does not race gets all seeds at once, but for the time
    return f"{text}; {listed(who)} get up to {max(plan.most.values())}{in_time}"


def _with_seeds(plan: Plan) -> str:
    """Who is trained with how many seeds, such as `3 for finalist 1 and finalist 2, 5 for baseline`."""
    counts = dict.fromkeys(plan.wanted.values())
    named = {count: [label(role) for role, each in plan.wanted.items() if each == count] for count in counts}
    return ", ".join(f"{count} for {listed(roles)}" for count, roles in named.items())
