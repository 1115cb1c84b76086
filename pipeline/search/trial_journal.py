"""The journal of a search in the tracking store: one nested run per trial.

A journal of a search that already has trials knows their results.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.errors import DAMAGED, InputError
from pipeline.experiment import Experiment
from pipeline.search import log_trial, pruning
from pipeline.search.loop import TrialScore
from pipeline.search.progress import TrialUpdate
from pipeline.search.proposals.proposals import Proposal
from pipeline.search.recording.outbox import TrialRecord
from pipeline.search.recording.run_journal import RunJournal
from pipeline.search.workers.jobs import Outcome
from pipeline.session import PreparedData
from pipeline.statistics.gaps import gaps
from pipeline.tracking import deletion
from pipeline.tracking.names import (
    ASKED_TAG,
    EXPERIMENT_TAG,
    PROPOSAL_TAG,
    PRUNED_TAG,
    REASON_TAG,
    RUNGS_TAG,
    STATE,
    STEP_TAG,
)
from pipeline.tracking.store import Run, Store
from pipeline.training import state_file
from pipeline.training.result import TrainingState

STOPPED = "the search was stopped before this trial was recorded"


@dataclass(frozen=True, slots=True)
class _Past:
    """A trial that ended before this process started: what a replay needs of its run."""

    run_id: str
    values: str
    """The hyperparameters, as JSON."""
    outcome: TrialScore
    accuracy: float | None
    """On validation."""
    accuracy_gap: float | None
    seconds: float
    pruned: bool


class TrialJournal:
    """Creates the run of a trial when it is proposed, and completes and ends it when the trial has ended.

    Used as a context: at its end everything is in the store.

    Args:
        store: The store.
        search: Run of the search.
        experiment: The experiment.
        prepared: Its data.
        seen: Shows an ended trial on the screen.
        say: Prints a line.
        folder: Where records wait for the store; a folder below it belongs to this search.

    Raises:
        StoreError: By any method: the store is away for longer than `tracking.wait_minutes`.
    """

    def __init__(
        self,
        store: Store,
        search: Run,
        experiment: Experiment,
        prepared: PreparedData,
        seen: Callable[[TrialUpdate], None],
        *,
        say: Callable[[str], None],
        folder: Path,
    ) -> None:
        self._store, self._search, self._experiment, self._prepared = store, search, experiment, prepared
        self._seen = seen
        self._keeps_states = experiment.search.tuner == "hyperband"
        self._past: dict[int, _Past] = {}
        self._states: dict[int, str] = {}
        """Ids of the runs that keep where the training of a trial stopped, which ended before this process started."""
        self._unfinished: list[str] = []
        """Ids of runs of earlier processes that were stopped, maybe after their state was written."""
        for run in store.children(search):
            self._remember(run)
        self._runs = RunJournal(store, search, step="trial", stopped=STOPPED, folder=folder, say=say)
        self._runs.recover(lambda record: record.number in self._past, self._remember)

    def __enter__(self) -> Self:
        self._runs.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._runs.__exit__(kind, error, traceback)

    def _remember(self, run: Run) -> None:
        if run.tags.get(STEP_TAG) != "trial":
            return
        if run.status in {"FINISHED", "FAILED"}:
            self._past.setdefault(int(run.tags[ASKED_TAG]), self._as_past(run))
            return
        if run.status == "RUNNING":
            run.finish("KILLED", "its driver was gone; the trial was trained again")
        if self._keeps_states:
            self._unfinished.append(run.id)

    def _as_past(self, run: Run) -> _Past:
        failed = run.status == "FAILED"
        outcome = TrialScore(
            None if failed else run.metrics[self._experiment.search.objective],
            run.tags.get(REASON_TAG) if failed else None,
            tuple(json.loads(run.tags.get(RUNGS_TAG, "[]"))),
        )
        accuracy, gap = run.metrics.get("val_accuracy"), run.metrics.get("val_accuracy_gap")
        seconds, pruned = run.metrics.get("seconds", 0.0), PRUNED_TAG in run.tags
        return _Past(run.id, run.tags[PROPOSAL_TAG], outcome, accuracy, gap, seconds, pruned)

    def known(self, proposal: Proposal) -> TrialScore | None:
        past = self._past.pop(proposal.number, None)
        if past is None:
            return None
        recorded = json.loads(past.values)
        if recorded != dict(proposal.values):
            raise InputError(
                f"trial {proposal.number} of search {self._search.id} was {_shown(recorded)}, and would now be "
                f"{_shown(proposal.values)}: the search has changed; start a new one with -P search.resume=never"
            )
        outcome = past.outcome
        name = self._name(proposal)
        self._seen(
            TrialUpdate(
                name,
                outcome.score,
                past.accuracy_gap,
                past.seconds,
                outcome.failure,
                accuracy=past.accuracy,
                earlier=True,
                pruned=past.pruned,
            )
        )
        if self._keeps_states:
            self._states[proposal.number] = past.run_id
        return outcome

    def asked(self, proposal: Proposal) -> None:
        self._runs.begin(self._record(proposal))

    def ended(self, proposal: Proposal, outcome: Outcome) -> TrialScore:
        record, result = self._record(proposal, outcome), outcome.result
        score = None if result is None else record.metrics[self._experiment.search.objective]
        update = TrialUpdate(
            self._name(proposal),
            score,
            None if result is None else gaps(result).val_accuracy_gap,
            outcome.seconds,
            outcome.failure,
            accuracy=None if result is None else result.validation.accuracy,
            warning=outcome.warning,
            pruned=outcome.pruned,
        )
        try:
            self._runs.end(record)
        finally:  # it is kept, and the next process does not show it again, even if the store is away for too long
            self._seen(update)
        return TrialScore(score, outcome.failure, self._rungs(proposal, outcome))

    def state(self, number: int) -> TrainingState | None:
        kept = self._runs.waiting(number, STATE)  # the store may be away, and training goes on
        if kept is not None:
            return state_file.from_bytes(kept)
        self._runs.drain()
        try:
            content = self._store.get(self._state_runs()[number]).read(STATE)
        except InputError:
            return None
        try:
            return state_file.from_bytes(content)
        except DAMAGED:
            return None

    def drop_states(self) -> None:
        """Deletes the states of all trials, when the search has ended and nothing continues them."""
        for run_id in [*self._state_runs().values(), *self._unfinished]:
            deletion.drop_artifact(self._store, self._store.get(run_id), STATE)

    def _state_runs(self) -> dict[int, str]:
        """Ids of the runs that keep where a trial's training stopped."""
        return self._states | {number: run.id for number, run in self._runs.ended.items() if self._keeps_states}

    def _rungs(self, proposal: Proposal, outcome: Outcome) -> tuple[float, ...]:
        """Scores at the rungs of the pruner."""
        if outcome.result is None:
            return ()
        asked, history = self._experiment.search, outcome.result.history
        return pruning.reached(
            asked.pruner, asked.objective, history, epochs=proposal.settings.epochs, pruned=outcome.pruned
        )

    def _end_tags(self, proposal: Proposal, outcome: Outcome | None) -> dict[str, str]:
        """What a resumed search and readers need to know of the pruner; empty without one."""
        if outcome is None or outcome.result is None or self._experiment.search.pruner == "none":
            return {}
        rungs = {RUNGS_TAG: json.dumps(self._rungs(proposal, outcome))}
        return rungs | ({PRUNED_TAG: "true"} if outcome.pruned else {})

    def _record(self, proposal: Proposal, outcome: Outcome | None = None) -> TrialRecord:
        """Everything that the run of a trial holds, as far as it is known."""
        split = self._prepared.split
        result = outcome.result if outcome is not None else None
        logged = (
            log_trial.logged(result, split, outcome.pictures, seconds=outcome.seconds) if outcome and result else None
        )
        artifacts = dict(logged.artifacts) if logged else {}
        if result is not None and result.state is not None and self._keeps_states:
            artifacts[STATE] = state_file.to_bytes(result.state)
        return TrialRecord(
            number=proposal.number,
            name=f"{proposal.number:02d} {self._name(proposal)}",
            tags={
                EXPERIMENT_TAG: self._experiment.name,
                **self._prepared.tags,
                **proposal.recipe.tags(),
                ASKED_TAG: str(proposal.number),
                PROPOSAL_TAG: json.dumps(dict(proposal.values)),
            },
            params=proposal.recipe.params(
                proposal.settings, seed=proposal.seed, inputs=split.inputs, classes=split.classes
            ),
            metrics=logged.metrics if logged else {},
            series=logged.series if logged else (),
            artifacts=artifacts,
            failure=outcome.failure if outcome is not None else None,
            warning=outcome.warning if outcome is not None else None,
            end_tags=self._end_tags(proposal, outcome),
        )

    def _name(self, proposal: Proposal) -> str:
        return proposal.recipe.name(self._prepared.split.inputs, self._prepared.split.classes)


def _shown(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
