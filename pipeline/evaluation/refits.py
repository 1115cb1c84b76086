"""Retrains finalists with fresh seeds: a nested run per refit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean

from pipeline.data.dataset import Labels
from pipeline.data.sources import cache_folder
from pipeline.errors import SearchFailedError
from pipeline.evaluation.finalists import Finalist, in_sentence, label
from pipeline.evaluation.kept_refits import EarlierRefits, KeptRefit
from pipeline.evaluation.plan import Plan, Plans, Racer, all_seeds, opening
from pipeline.evaluation.seeds_in_time import in_time
from pipeline.experiment import Experiment
from pipeline.search import log_trial
from pipeline.search.progress import ProgressDisplay, TrialUpdate
from pipeline.search.recording.outbox import TrialRecord
from pipeline.search.recording.run_journal import RunJournal
from pipeline.search.seeds import seed_of
from pipeline.search.workers.jobs import Job, Outcome, Workers, collected
from pipeline.session import Session
from pipeline.statistics.gaps import gaps
from pipeline.statistics.seed_summary import Summary, summarise_metrics
from pipeline.statistics.selection import Candidate
from pipeline.tracking.names import EXPERIMENT_TAG, KEEPS_REFITS_TAG, KEPT_REFIT, LEFT_OUT_TAG, ROLE_TAG
from pipeline.tracking.store import Run

FIRST_SEED = 2**32
"""A number that no trial has."""
STOPPED = "the evaluation was stopped before this refit was recorded"


@dataclass(frozen=True, eq=False)
class Refit(KeptRefit):
    """A finalist trained again with one seed, and its run."""

    run: Run


@dataclass(frozen=True, eq=False)
class RefitGroup:
    """A finalist with its refits, by seed: the first of the evaluation's seeds."""

    finalist: Finalist
    architecture: str
    parameters: int
    refits: Sequence[Refit]

    @property
    def metrics(self) -> list[Mapping[str, float]]:
        """One mapping per seed."""
        return [refit.metrics for refit in self.refits]

    def candidate(self, labels: Labels) -> Candidate:
        """What a selection may know: validation results over the seeds, given the labels (n,) of the validation images."""
        return _candidate(self.finalist, self.architecture, self.parameters, self.refits, labels)

    @cached_property
    def summaries(self) -> dict[str, Summary]:
        """Summaries over the seeds, by metric."""
        return summarise_metrics(self.architecture, self.metrics)

    @property
    def median_refit(self) -> Refit:
        """The refit with the median validation loss (the lower of two), which is shown and logged as the model: no
        lucky seed is picked.
        """
        ordered = sorted(self.refits, key=lambda refit: refit.metrics["val_loss"])
        return ordered[(len(ordered) - 1) // 2]


def fresh_seeds(experiment: Experiment) -> list[int]:
    """`evaluation.seeds` seeds that no trial of the search has used; a larger number begins with the same ones."""
    return [seed_of(experiment.search.seed, FIRST_SEED + number) for number in range(experiment.evaluation.seeds)]


def refit(
    session: Session, run: Run, finalists: Sequence[Finalist], workers: Workers, *, seeds: Sequence[int]
) -> list[RefitGroup]:
    """Trains every finalist with every seed that there is time for, as `refit_by_plan`."""
    plans = Plans(all_seeds(finalists, len(seeds)), lambda _, plan: plan)
    groups, _ = refit_by_plan(session, run, finalists, workers, seeds=seeds, plans=plans)
    return groups


def refit_by_plan(
    session: Session,
    run: Run,
    finalists: Sequence[Finalist],
    workers: Workers,
    *,
    seeds: Sequence[int],
    plans: Plans,
) -> tuple[list[RefitGroup], Plan]:
    """Trains finalists with the first of the seeds, the same ones for all, to be compared seed by seed; one run each, below
    `run`. A plan says how many each gets; when all its refits have ended, the next one is asked for. A refit of a run of
    the same step that was stopped is used again, not trained again.

    A finalist whose training fails with some seed is left out, with a message. With a time limit, the plans are cut.

    Args:
        session: What every step is given.
        run: The run of the evaluation.
        finalists: In the order of the groups returned.
        workers: Where the refits are trained.
        seeds: All seeds that a network may get.
        plans: Seeds by role; finalists without any are left out.

    Returns:
        The networks and the last plan.

    Raises:
        SearchFailedError: If no finalist remains that can be chosen.
    """
    run.log(tags={KEEPS_REFITS_TAG: "yes"})
    folder = cache_folder() / "outbox"
    earlier = EarlierRefits(session, run, folder)
    with (
        ProgressDisplay(
            session.console,
            total=0,
            objective="val_accuracy",
            noun="refit",
            workers=workers.count,
            limit=lambda: session.limit.left,
        ) as display,
        RunJournal(session.store, run, step="refit", stopped=STOPPED, folder=folder, say=session.say) as journal,
    ):
        under_way = _RefitScheduler(session, finalists, seeds, journal, earlier)
        plans = in_time(session, workers, plans, on_hand=under_way.on_hand)
        plan = plans.first
        if len(finalists) > 1:
            session.say(f"evaluate: {opening(plan, workers.count)}")
        while True:
            display.expect(sum(plan.most.values()), at_most=not plan.final)
            under_way.train(workers, display, plan)
            if plan.final:
                break
            decided = plans.following(under_way.racers(plan), plan)
            _say_what_changed(session, plan, decided)
            plan = decided
        journal.drain()
        groups = under_way.groups(plan)
    if plan.left_out:
        session.say(f"evaluate: left out for time: {plan.left_out}")
        run.log(tags={LEFT_OUT_TAG: plan.left_out})
    if all(group.finalist.reference for group in groups):
        raise SearchFailedError(f"no finalist could be trained again, the last failed with: {under_way.last_failure}")
    return groups, plan


def _say_what_changed(session: Session, before: Plan, after: Plan) -> None:
    for role, note in after.notes.items():
        if note != before.notes.get(role):
            more = after.wanted[role] - before.wanted[role]
            gets = (
                f"{more} more seed{'' if more == 1 else 's'}, {after.wanted[role]} in all" if more else "no more seeds"
            )
            session.say(f"evaluate: {label(role)} gets {gets} ({note})")


class _RefitScheduler:
    """Refits by number: the seeds of the first finalist, then those of the second, and so on."""

    def __init__(
        self,
        session: Session,
        finalists: Sequence[Finalist],
        seeds: Sequence[int],
        journal: RunJournal,
        earlier: EarlierRefits,
    ) -> None:
        self._session, self._finalists, self._seeds = session, finalists, seeds
        self._journal, self._earlier = journal, earlier
        self._split = session.prepared.split
        self._open: set[int] = set()
        self._asked: set[int] = set()
        self._done: dict[int, KeptRefit] = {}
        self._seconds: dict[int, float] = {}
        """What refits took, by number."""
        self._runs: dict[int, Run] = {}
        """Of refits that were not trained now."""
        self.last_failure: str | None = None

    def train(self, workers: Workers, display: ProgressDisplay, plan: Plan) -> None:
        """Hands out the jobs that the plan adds, one in hand for each worker, and takes in what they become."""
        wanted = [number for place in range(len(self._finalists)) for number in self._wanted(place, plan)]
        waiting = iter([number for number in wanted if number not in self._asked])
        self._asked.update(wanted)
        while True:
            while len(self._open) < 2 * workers.count and (number := next(waiting, None)) is not None:
                if (seen := self._taken(number)) is not None:
                    display.ended(seen)
                else:
                    workers.submit(self._job(number))
            if not self._open:
                return
            for outcome in collected(workers):
                display.ended(self._ended(outcome))

    def on_hand(self, role: str, place: int) -> bool:
        """Whether a refit with the seed at a place was trained by an earlier run, and none has to be trained."""
        finalist = next(number for number, each in enumerate(self._finalists) if each.role == role)
        return self._earlier.has(self._record(finalist * len(self._seeds) + place))

    def racers(self, plan: Plan) -> list[Racer]:
        """What a race may know of the finalists that were trained with every seed that the plan wants."""
        labels, found = self._split.validation.labels, []
        for place, finalist in enumerate(self._finalists):
            if self._wanted(place, plan) and not self._failed(place, plan):
                refits = [self._done[number] for number in self._wanted(place, plan)]
                candidate = _candidate(finalist, self._name(finalist), self._parameters(finalist), refits, labels)
                seconds = fmean(self._seconds[number] for number in self._wanted(place, plan))
                found.append(Racer(finalist.role, candidate, [each.metrics for each in refits], seconds))
        return found

    def groups(self, plan: Plan) -> list[RefitGroup]:
        """The finalists that were trained with every seed that the plan wants; says who is left out."""
        found = []
        for place, finalist in enumerate(self._finalists):
            numbers, name = self._wanted(place, plan), self._name(finalist)
            if not numbers:
                continue
            if failed := self._failed(place, plan):
                self._session.say(f"evaluate: {name} is left out: {failed} of {len(numbers)} refits failed")
            else:
                refits = [self._refit(number) for number in numbers]
                found.append(RefitGroup(finalist, name, self._parameters(finalist), refits))
        return found

    def _wanted(self, place: int, plan: Plan) -> range:
        """Numbers of the refits of a finalist."""
        first = place * len(self._seeds)
        return range(first, first + plan.wanted.get(self._finalists[place].role, 0))

    def _failed(self, place: int, plan: Plan) -> int:
        return sum(number not in self._done for number in self._wanted(place, plan))

    def _refit(self, number: int) -> Refit:
        kept = self._done[number]
        run = self._runs.get(number) or self._journal.ended[number]
        return Refit(**vars(kept), run=run)

    def _taken(self, number: int) -> TrialUpdate | None:
        """Takes over a refit that was trained earlier, if there is one, and returns what the screen shows of it."""
        found = self._earlier.take(self._record(number))
        if found is None:
            return None
        self._runs[number], self._done[number] = found
        finalist, _ = self._of(number)
        metrics, self._seconds[number] = self._done[number].metrics, self._runs[number].metrics["seconds"]
        return TrialUpdate(
            f"{label(finalist.role)}: {self._name(finalist)}",
            metrics["val_accuracy"],
            metrics["val_accuracy_gap"],
            self._seconds[number],
            accuracy=metrics["val_accuracy"],
            ranked=False,
            earlier=True,
        )

    def _job(self, number: int) -> Job:
        finalist, seed = self._of(number)
        self._open.add(number)
        self._journal.begin(self._record(number))
        return Job(number, finalist.recipe, finalist.settings, seed, finalist.settings.epochs)

    def _record(self, number: int) -> TrialRecord:
        """What the run of a refit holds before it is trained."""
        finalist, seed = self._of(number)
        return TrialRecord(
            number=number,
            name=f"refit {finalist.role}, seed {number % len(self._seeds) + 1}",
            tags={
                EXPERIMENT_TAG: self._session.experiment.name,
                ROLE_TAG: finalist.role,
                **self._session.prepared.tags,
                **finalist.recipe.tags(),
            },
            params=finalist.recipe.params(
                finalist.settings, seed=seed, inputs=self._split.inputs, classes=self._split.classes
            ),
            metrics={},
            series=(),
            artifacts={},
            failure=None,
            warning=None,
        )

    def _ended(self, outcome: Outcome) -> TrialUpdate:
        finalist, seed = self._of(outcome.number)
        name, record = f"{label(finalist.role)}: {self._name(finalist)}", self._record(outcome.number)
        self._open.remove(outcome.number)
        if outcome.result is None:
            self.last_failure = outcome.failure
            self._journal.end(replace(record, failure=outcome.failure))
            return TrialUpdate(name, None, None, outcome.seconds, outcome.failure)
        kept = self._done[outcome.number] = KeptRefit.of(outcome.result, seed, outcome.pictures)
        self._seconds[outcome.number] = outcome.seconds
        logged = log_trial.logged(outcome.result, self._split, outcome.pictures, seconds=outcome.seconds)
        self._journal.end(
            replace(
                record,
                metrics=logged.metrics,
                series=logged.series,
                artifacts={**logged.artifacts, KEPT_REFIT: kept.to_bytes()},
                warning=outcome.warning,
            )
        )
        validation = outcome.result.validation.accuracy
        gap = gaps(outcome.result).val_accuracy_gap
        return TrialUpdate(
            name, validation, gap, outcome.seconds, accuracy=validation, ranked=False, warning=outcome.warning
        )

    def _of(self, number: int) -> tuple[Finalist, int]:
        return self._finalists[number // len(self._seeds)], self._seeds[number % len(self._seeds)]

    def _name(self, finalist: Finalist) -> str:
        return finalist.recipe.architecture(self._split.inputs, self._split.classes)

    def _parameters(self, finalist: Finalist) -> int:
        return finalist.recipe.spec.parameters(self._split.inputs, self._split.classes)


def _candidate(
    finalist: Finalist, name: str, parameters: int, refits: Sequence[Refit | KeptRefit], labels: Labels
) -> Candidate:
    outcomes = {refit.seed: refit.validation.argmax(axis=1) == labels for refit in refits}
    metrics = [refit.metrics for refit in refits]
    return Candidate.of_seeds(name, metrics, parameters, outcomes, kind=finalist.kind, role=in_sentence(finalist.role))
