"""Retrains finalists with fresh seeds: a nested run per refit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Labels
from pipeline.errors import SearchFailedError
from pipeline.evaluation.finalists import Finalist
from pipeline.evaluation.plan import Plan, all_seeds
from pipeline.experiment import Experiment
from pipeline.search import log_trial
from pipeline.search.progress import ProgressDisplay, TrialUpdate
from pipeline.search.seeds import seed_of
from pipeline.search.workers.jobs import Job, Outcome, Workers
from pipeline.session import Session
from pipeline.statistics import trial_metrics
from pipeline.statistics.gaps import gaps
from pipeline.statistics.seed_summary import Summary, summarise_metrics
from pipeline.statistics.selection import Candidate
from pipeline.tracking.names import EXPERIMENT_TAG, ROLE_TAG
from pipeline.tracking.store import Run
from pipeline.training.result import Probabilities, TrialResult

FIRST_SEED = 2**32
"""A number that no trial has."""


@dataclass(frozen=True, eq=False)
class Refit:
    """A finalist trained again with one seed, with the arrays that analyses need."""

    run: Run
    seed: int
    metrics: Mapping[str, float]
    """By their names in the tracking store."""
    validation: Probabilities
    test: Probabilities
    weights: tuple[NDArray[np.float32], ...]
    """Those kept, in the order of `keras.Model.get_weights()`."""
    pictures: Mapping[str, bytes]
    """PNG files by name; none where they could not be drawn."""


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
        outcomes = {refit.seed: refit.validation.argmax(axis=1) == labels for refit in self.refits}
        return Candidate.of_seeds(self.architecture, self.metrics, self.parameters, outcomes)

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
    """Trains every finalist with every seed, as `refit_by_plan`."""
    groups, _ = refit_by_plan(
        session,
        run,
        finalists,
        workers,
        seeds=seeds,
        plan=all_seeds(finalists, len(seeds)),
        following=lambda _, plan: plan,
    )
    return groups


def refit_by_plan(
    session: Session,
    run: Run,
    finalists: Sequence[Finalist],
    workers: Workers,
    *,
    seeds: Sequence[int],
    plan: Plan,
    following: Callable[[Sequence[RefitGroup], Plan], Plan],
) -> tuple[list[RefitGroup], Plan]:
    """Trains finalists with the first of the seeds, the same ones for all, to be compared seed by seed; one run each, below
    `run`. How many each gets says the plan, and what follows it when all its refits have ended.

    A finalist whose training fails with some seed is left out, with a message.

    Args:
        session: What every step is given.
        run: The run of the evaluation.
        finalists: In the order of the groups returned.
        workers: Where the refits are trained.
        seeds: All seeds that a network may get.
        plan: Seeds by role.
        following: The next plan, given the networks that were trained as the last one says; asked until one is final.

    Returns:
        The networks and the last plan.

    Raises:
        SearchFailedError: If no finalist remains that can be chosen.
    """
    under_way = _RefitScheduler(session, run, finalists, seeds)
    with ProgressDisplay(session.console, total=0, objective="val_accuracy", noun="refit") as display:
        while True:
            display.expect(sum(plan.most.values()), at_most=not plan.final)
            under_way.train(workers, display, plan)
            if plan.final:
                break
            decided = following(under_way.groups(plan), plan)
            _say_what_changed(session, plan, decided)
            plan = decided
    groups = under_way.groups(plan)
    under_way.say_who_is_left_out(plan)
    if all(group.finalist.reference for group in groups):
        raise SearchFailedError(f"no finalist could be trained again, the last failed with: {under_way.last_failure}")
    return groups, plan


def _say_what_changed(session: Session, before: Plan, after: Plan) -> None:
    for role, note in after.notes.items():
        if note != before.notes.get(role):
            session.say(f"evaluate: {role}: {after.wanted[role]} seeds; {note}")


class _RefitScheduler:
    """Refits by number: the seeds of the first finalist, then those of the second, and so on."""

    def __init__(self, session: Session, run: Run, finalists: Sequence[Finalist], seeds: Sequence[int]) -> None:
        self._session, self._run, self._finalists, self._seeds = session, run, finalists, seeds
        self._split = session.prepared.split
        self._open: dict[int, Run] = {}
        self._done: dict[int, Refit] = {}
        self._asked: set[int] = set()
        self.last_failure: str | None = None

    def train(self, workers: Workers, display: ProgressDisplay, plan: Plan) -> None:
        """Hands out the jobs that the plan adds, one in hand for each worker, and takes in what they become."""
        new = [number for place in range(len(self._finalists)) for number in self._wanted(place, plan)]
        waiting = iter([number for number in new if number not in self._asked])
        try:
            while True:
                while len(self._open) < 2 * workers.count and (number := next(waiting, None)) is not None:
                    workers.submit(self._job(number))
                if not self._open:
                    return
                for outcome in workers.finished():
                    display.ended(self._ended(outcome))
        except BaseException:
            for unfinished in self._open.values():
                if unfinished.status == "RUNNING":
                    unfinished.give_up("KILLED", "the evaluation was stopped before this refit had ended")
            raise

    def groups(self, plan: Plan) -> list[RefitGroup]:
        """The finalists that were trained with every seed that the plan wants."""
        return [
            RefitGroup(
                finalist,
                self._name(finalist),
                finalist.recipe.spec.parameters(self._split.inputs, self._split.classes),
                [self._done[number] for number in self._wanted(place, plan)],
            )
            for place, finalist in enumerate(self._finalists)
            if not self._failed(place, plan)
        ]

    def say_who_is_left_out(self, plan: Plan) -> None:
        for place, finalist in enumerate(self._finalists):
            if failed := self._failed(place, plan):
                of = len(self._wanted(place, plan))
                self._session.say(f"evaluate: {self._name(finalist)} is left out: {failed} of {of} refits failed")

    def _wanted(self, place: int, plan: Plan) -> range:
        """Numbers of the refits of a finalist."""
        first = place * len(self._seeds)
        return range(first, first + plan.wanted[self._finalists[place].role])

    def _failed(self, place: int, plan: Plan) -> int:
        return sum(number not in self._done for number in self._wanted(place, plan))

    def _job(self, number: int) -> Job:
        finalist, seed = self._of(number)
        self._asked.add(number)
        self._open[number] = self._session.store.child(
            self._run,
            step="refit",
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
        )
        return Job(number, finalist.recipe, finalist.settings, seed, finalist.settings.epochs)

    def _ended(self, outcome: Outcome) -> TrialUpdate:
        run, (finalist, seed) = self._open[outcome.number], self._of(outcome.number)
        name = f"{finalist.role}: {self._name(finalist)}"
        if outcome.result is None:
            self.last_failure = outcome.failure
            run.finish("FAILED", outcome.failure)
            seen = TrialUpdate(name, None, None, outcome.seconds, outcome.failure)
        else:
            log_trial.log_result(run, outcome.result, self._split, outcome.pictures, seconds=outcome.seconds)
            run.finish("FINISHED", outcome.warning)
            self._done[outcome.number] = _kept(run, seed, outcome.result, outcome.pictures)
            validation = outcome.result.validation.accuracy
            gap = gaps(outcome.result).val_accuracy_gap
            seen = TrialUpdate(
                name, validation, gap, outcome.seconds, reference=finalist.reference, warning=outcome.warning
            )
        del self._open[outcome.number]
        return seen

    def _of(self, number: int) -> tuple[Finalist, int]:
        return self._finalists[number // len(self._seeds)], self._seeds[number % len(self._seeds)]

    def _name(self, finalist: Finalist) -> str:
        return finalist.recipe.spec.architecture(self._split.inputs, self._split.classes)


def _kept(run: Run, seed: int, result: TrialResult, pictures: Mapping[str, bytes]) -> Refit:
    probabilities = result.probabilities
    return Refit(
        run,
        seed,
        trial_metrics.trial_metrics(result),
        probabilities["validation"],
        probabilities["test"],
        result.weights,
        pictures,
    )
