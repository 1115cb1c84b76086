"""As many seeds as there is time for: cuts the plans of an evaluation to what is left of `minutes`.

The first finalist and the baseline get the fewest seeds in any case, for their intervals; the other networks if there is
time. In each further part, every network that goes on gets equally many seeds: as many as are expected to end in time.
The baseline gets no more than the others: seeds are compared in pairs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from pipeline.evaluation.finalists import BASELINE, label
from pipeline.evaluation.plan import Plan, Plans, Racer
from pipeline.experiment import Experiment
from pipeline.formatting import duration, few, listed
from pipeline.search.deadline import Refits
from pipeline.search.workers.jobs import Workers
from pipeline.session import Session
from pipeline.statistics.selection.race import rounds
from pipeline.time_limit import TimeLimit

OnHand = Callable[[str, int], bool]
"""Whether the refit of a role with the seed at a place, from 0, was trained by an earlier run that was stopped."""
REFERENCES = 2
"""Networks that are trained beside the finalists of a search."""
MOST_NAMES = 5
SECONDS_AFTER = 10.0
"""What is left for analyses, report and model; with 10,000 test images they took 5 s on two busy cores."""


def refits_to_come(experiment: Experiment, trials: int) -> Refits:
    """The refits of the evaluation that follows a search of so many trials."""
    asked, fixed = experiment.evaluation, experiment.space.networks is not None
    networks = trials if fixed else min(trials, asked.finalists) + REFERENCES
    return Refits(networks * rounds(asked.seeds)[0], networks * asked.seeds, SECONDS_AFTER)


def in_time(session: Session, workers: Workers, plans: Plans, *, on_hand: OnHand) -> Plans:
    """The plans, cut to what there is time for; as they are without a time limit."""
    if session.limit.minutes is None:
        return plans
    session.say(f"evaluate: {duration(max(session.limit.left, 0))} of {session.limit} are left")
    cut = SeedsInTime(plans, limit=session.limit, workers=workers.count, on_hand=on_hand)
    return Plans(cut.first(), cut.following)


class SeedsInTime:
    """Gives the plans of an evaluation in parts for which there is time.

    Args:
        plans: The first one has its networks in the order in which they are wanted; the next is asked for when the last one
            is trained in full.
        limit: The experiment's `minutes`.
        workers: How many refits are trained at a time.
        on_hand: Which refits take no time.
    """

    def __init__(
        self, plans: Plans, *, limit: TimeLimit, workers: int, on_hand: OnHand = lambda _role, _place: False
    ) -> None:
        plan, self._following = plans.first, plans.following
        self._limit, self._workers, self._on_hand = limit, workers, on_hand
        self._each = rounds(max(plan.most.values()))[0]
        """Seeds of each network so far, where the plan does not want fewer."""
        self._dropped = self._too_many(list(plan.wanted), plans.seconds)
        kept = [role for role in plan.wanted if role not in self._dropped]
        self._asked = replace(
            plan,
            wanted={role: plan.wanted[role] for role in kept},
            most={role: plan.most[role] for role in kept},
            notes={role: note for role, note in plan.notes.items() if role in kept},
        )

    def first(self) -> Plan:
        """The fewest seeds."""
        return self._part(self._each)

    def following(self, racers: Sequence[Racer], _plan: Plan) -> Plan:
        """The next part; the last one if there is no time for more. A network whose training failed gets no more seeds."""
        self._freeze({racer.role for racer in racers})
        if self._each >= _goal(self._asked):
            self._asked = self._following(racers, self._asked)
        each = self._affordable({racer.role: racer.seconds for racer in racers})
        part = self._part(each)
        if each == self._each and not part.final:
            return self._last()
        self._each = each
        return part

    @property
    def _left(self) -> float:
        return self._limit.left - SECONDS_AFTER

    def _too_many(self, roles: Sequence[str], seconds: float) -> list[str]:
        """The networks that there is no time for, given the seconds of a refit. The first one, the baseline, and those whose
        refits are on hand are trained in any case.
        """
        trained, dropped = 0, []
        for role in sorted(roles, key=lambda each: each not in {roles[0], BASELINE}):
            more = self._to_train(role, 0, self._each)
            needed = makespan([seconds] * (trained + more), self._workers)
            if not more or role in {roles[0], BASELINE} or needed <= self._left:
                trained += more
            else:
                dropped.append(role)
        return dropped

    def _to_train(self, role: str, start: int, end: int) -> int:
        """Refits that are not on hand, of those with the seeds at these places."""
        return sum(not self._on_hand(role, place) for place in range(start, end))

    def _freeze(self, going_on: AbstractSet[str]) -> None:
        """Keeps the seeds of all other networks as they are."""
        have = {role: count for role, count in _counts(self._asked, self._each).items() if role not in going_on}
        self._asked = replace(self._asked, wanted={**self._asked.wanted, **have}, most={**self._asked.most, **have})

    def _part(self, each: int) -> Plan:
        part = replace(self._asked, wanted=_counts(self._asked, each))
        return replace(part, left_out=self._left_out(part)) if part.final else part

    def _affordable(self, seconds: Mapping[str, float]) -> int:
        """The most seeds for each whose refits would end in time, given the seconds of a refit by role."""
        left, done, affordable = self._left, _counts(self._asked, self._each), self._each
        for each in range(self._each + 1, _goal(self._asked) + 1):
            wanted = _counts(self._asked, each)
            jobs = [
                cost for role, cost in seconds.items() for _ in range(self._to_train(role, done[role], wanted[role]))
            ]
            if jobs and makespan(jobs, self._workers) > left:
                break
            affordable = each
        return affordable

    def _last(self) -> Plan:
        """What is trained so far, and a word on the rest."""
        part = self._part(self._each)
        notes = {
            role: f"{note}; no time for more" if part.wanted[role] < part.most[role] else note
            for role, note in part.notes.items()
        }
        return replace(part, most=part.wanted, notes=notes, left_out=self._left_out(part))

    def _left_out(self, part: Plan) -> str:
        """What of a part is not trained, one clause."""
        found = [f"{_names(self._dropped, 'was', 'were')} not trained"] if self._dropped else []
        if cut := [role for role, most in part.most.items() if part.wanted[role] < most]:
            most = max(part.most[role] for role in cut)
            found.append(f"{_names(cut, 'has', 'have')} {self._each} of up to {most} seeds")
        return f"{'; '.join(found)}, since more would not have been finished within {self._limit}" if found else ""


def makespan(jobs: Iterable[float], workers: int) -> float:
    """Seconds until all jobs have ended, the longest first, each on the worker that is free first."""
    ends = [0.0] * max(workers, 1)
    for job in sorted(jobs, reverse=True):
        ends[ends.index(min(ends))] += job
    return max(ends)


def _counts(plan: Plan, each: int) -> dict[str, int]:
    return {role: min(wanted, each) for role, wanted in plan.wanted.items()}


def _goal(plan: Plan) -> int:
    """The most seeds that a network needs before the next decision."""
    deciding = [wanted for role, wanted in plan.wanted.items() if wanted < plan.most[role]]
    return max(deciding or plan.wanted.values())


def _names(roles: Sequence[str], one: str, more: str) -> str:
    """The networks with their verb."""
    labels = [label(role) for role in roles]
    names = listed(labels) if len(labels) <= MOST_NAMES else few(labels)
    return f"{names} {one if len(roles) == 1 else more}"
