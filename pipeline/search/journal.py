"""The journal of a search in the tracking store: one nested run per trial.

A journal of a search that already has trials knows their results. It writes in the background: while the store is away,
training goes on, and what is trained waits in the outbox.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.errors import InputError, NarrowgapError
from pipeline.experiment import Experiment
from pipeline.search import log_trial
from pipeline.search.loop import TrialScore
from pipeline.search.outbox import Outbox, TrialRecord
from pipeline.search.progress import TrialUpdate
from pipeline.search.proposals.ask_tell import Proposal
from pipeline.search.recorder import Recorder
from pipeline.search.workers.jobs import Outcome
from pipeline.session import PreparedData
from pipeline.statistics.gaps import gaps
from pipeline.tracking import deletion
from pipeline.tracking.connection.patience import away
from pipeline.tracking.names import ASKED_TAG, EXPERIMENT_TAG, PROPOSAL_TAG, REASON_TAG, STATE, STEP_TAG
from pipeline.tracking.store import Run, Store
from pipeline.training import state
from pipeline.training.result import TrainingState

JOIN_SECONDS = 10
"""How long a search that is stopped writes what has ended; the rest waits in the outbox."""
STOPPED = "the search was stopped before this trial had ended"


@dataclass(frozen=True, slots=True)
class _Past:
    """A trial that ended before this process started: what a replay needs of its run."""

    run_id: str
    values: str
    """The hyperparameters, as JSON."""
    outcome: TrialScore
    accuracy_gap: float | None
    seconds: float


class StoreJournal:
    """Creates the run of a trial when it is proposed, and completes and ends it when the trial has ended.

    Used as a context: at its end everything is in the store.

    Args:
        store: The store.
        search: Run of the search.
        experiment: The experiment.
        prepared: Its data.
        seen: Shows an ended trial on the screen.
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
        folder: Path,
    ) -> None:
        self._store, self._search, self._experiment, self._prepared = store, search, experiment, prepared
        self._seen = seen
        self._keeps_states = experiment.search.tuner == "hyperband"
        self._open: dict[int, Run] = {}
        """Runs that nobody ends yet. Who ends one takes it out first: a run is never ended twice."""
        self._lock, self._closed = threading.Lock(), False
        self._past: dict[int, _Past] = {}
        self._states: dict[int, str] = {}
        """Ids of the runs that keep where a trial's training stopped."""
        for run in store.children(search):
            self._remember(run)
        self._outbox, self._recorder = Outbox(folder / search.id), Recorder()
        for record in self._outbox.kept():
            self._recover(record)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        if kind is None:
            self._recorder.drain()
            self._recorder.close(seconds=JOIN_SECONDS)
            return
        # What cannot be written within seconds stays in the outbox.
        self._recorder.close(seconds=0 if self._store.client.waiting else JOIN_SECONDS)
        with self._lock:
            self._closed = True
            unfinished = [self._open.pop(number) for number in list(self._open)]
        # A run that the recorder is just ending is not among them: its record waits in the outbox if that fails.
        for run in unfinished:
            run.give_up("KILLED", STOPPED)

    def _remember(self, run: Run) -> None:
        if run.tags.get(STEP_TAG) != "trial":
            return
        if run.status in {"FINISHED", "FAILED"}:
            self._past.setdefault(int(run.tags[ASKED_TAG]), self._as_past(run))
        elif run.status == "RUNNING":
            run.finish("KILLED", "its driver was gone; the trial was trained again")

    def _recover(self, record: TrialRecord) -> None:
        """Writes a trial that an earlier process trained and could not record."""
        if record.number not in self._past:
            run = self._create(record)
            try:
                record.write(run)
            except Exception as error:
                if away(error) or isinstance(error, NarrowgapError):
                    raise
                # The store has answered that it does not take it, and would do so at every call: it is trained again.
                run.give_up("KILLED", f"its record cannot be written: {error}")
            else:
                self._remember(run)
        self._outbox.drop(record.number)

    def _as_past(self, run: Run) -> _Past:
        failed = run.status == "FAILED"
        outcome = TrialScore(
            None if failed else run.metrics[self._experiment.search.objective],
            run.tags.get(REASON_TAG) if failed else None,
        )
        gap, seconds = run.metrics.get("val_accuracy_gap"), run.metrics.get("seconds", 0.0)
        return _Past(run.id, run.tags[PROPOSAL_TAG], outcome, gap, seconds)

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
        self._seen(TrialUpdate(name, outcome.score, past.accuracy_gap, past.seconds, outcome.failure, earlier=True))
        if self._keeps_states:
            self._states[proposal.number] = past.run_id
        return outcome

    def asked(self, proposal: Proposal) -> None:
        blank = self._record(proposal)

        self._recorder.submit(lambda: self._leave_open(proposal.number, self._create(blank)))

    def ended(self, proposal: Proposal, outcome: Outcome) -> TrialScore:
        record, result = self._record(proposal, outcome), outcome.result
        with contextlib.suppress(OSError):  # a full disk: the trial is still written to the store, or trained again
            self._outbox.keep(record)
        self._recorder.submit(lambda: self._write(record))
        if self._outbox.full:
            self._recorder.drain()
        score = None if result is None else record.metrics[self._experiment.search.objective]
        gap = None if result is None else gaps(result).val_accuracy_gap
        name, warning = self._name(proposal), outcome.warning
        self._seen(TrialUpdate(name, score, gap, outcome.seconds, outcome.failure, warning=warning))
        return TrialScore(score, outcome.failure)

    def state(self, number: int) -> TrainingState | None:
        kept = self._outbox.artifact(number, STATE)  # the store may be away, and training goes on
        if kept is not None:
            return state.from_bytes(kept)
        self._recorder.drain()
        try:
            content = self._store.get(self._states[number]).read(STATE)
        except InputError:
            return None
        return state.from_bytes(content)

    def drop_states(self) -> None:
        """Deletes the states of all trials, when the search has ended and nothing continues them."""
        for run_id in self._states.values():
            deletion.drop_artifact(self._store, self._store.get(run_id), STATE)

    def _create(self, record: TrialRecord) -> Run:
        return self._store.child(self._search, step="trial", name=record.name, tags=record.tags, params=record.params)

    def _write(self, record: TrialRecord) -> None:
        """Completes and ends the run of a trial, unless the search was stopped: then the record waits in the outbox."""
        with self._lock:
            run = self._open.pop(record.number, None)
        if run is None:
            return
        try:
            record.write(run)
        except BaseException:
            self._leave_open(record.number, run)
            raise
        if self._keeps_states:
            self._states[record.number] = run.id
        self._outbox.drop(record.number)

    def _leave_open(self, number: int, run: Run) -> None:
        """Keeps a run that is to be ended later; at once if the search was stopped."""
        with self._lock:
            if not self._closed:
                self._open[number] = run
                return
        run.give_up("KILLED", STOPPED)

    def _record(self, proposal: Proposal, outcome: Outcome | None = None) -> TrialRecord:
        """Everything that the run of a trial holds, as far as it is known."""
        split = self._prepared.split
        result = outcome.result if outcome is not None else None
        logged = (
            log_trial.logged(result, split, outcome.pictures, seconds=outcome.seconds) if outcome and result else None
        )
        artifacts = dict(logged.artifacts) if logged else {}
        if result is not None and result.state is not None and self._keeps_states:
            artifacts[STATE] = state.to_bytes(result.state)
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
        )

    def _name(self, proposal: Proposal) -> str:
        return proposal.recipe.name(self._prepared.split.inputs, self._prepared.split.classes)


def _shown(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
