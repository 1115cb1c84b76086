"""The journal of a search in the tracking store: one nested run per trial.

A journal of a search that already has trials knows their results. A search has no other state.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import InputError
from pipeline.experiment import Experiment
from pipeline.search import log_trial
from pipeline.search.loop import TrialScore
from pipeline.search.progress import TrialUpdate
from pipeline.search.proposals.ask_tell import Proposal
from pipeline.search.workers.jobs import Outcome
from pipeline.session import PreparedData
from pipeline.statistics.gaps import gaps
from pipeline.tracking import deletion
from pipeline.tracking.names import ASKED_TAG, EXPERIMENT_TAG, PROPOSAL_TAG, REASON_TAG, STATE, STEP_TAG
from pipeline.tracking.store import Run, Store
from pipeline.training import state
from pipeline.training.result import TrainingState


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
    """Creates the run of a trial when it is proposed, and completes and ends it when the trial has ended."""

    def __init__(
        self,
        store: Store,
        search: Run,
        experiment: Experiment,
        prepared: PreparedData,
        seen: Callable[[TrialUpdate], None],
    ) -> None:
        self._store, self._search, self._experiment, self._prepared = store, search, experiment, prepared
        self._seen = seen
        self._keeps_states = experiment.search.tuner == "hyperband"
        self._open: dict[int, Run] = {}
        self._past: dict[int, _Past] = {}
        self._states: dict[int, str] = {}
        """Ids of the runs that keep where a trial's training stopped."""
        for run in store.children(search):
            self._remember(run)

    def _remember(self, run: Run) -> None:
        if run.tags.get(STEP_TAG) != "trial":
            return
        if run.status in {"FINISHED", "FAILED"}:
            self._past.setdefault(int(run.tags[ASKED_TAG]), self._as_past(run))
        elif run.status == "RUNNING":
            run.finish("KILLED", "its driver was gone; the trial was trained again")

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
        split = self._prepared.split
        self._open[proposal.number] = self._store.child(
            self._search,
            step="trial",
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
        )

    def ended(self, proposal: Proposal, outcome: Outcome) -> TrialScore:
        run, result = self._open[proposal.number], outcome.result
        if result is None:
            run.finish("FAILED", outcome.failure)
            del self._open[proposal.number]
            self._seen(TrialUpdate(self._name(proposal), None, None, outcome.seconds, outcome.failure))
            return TrialScore(None, outcome.failure)
        log_trial.log_result(run, result, self._prepared.split, outcome.pictures, seconds=outcome.seconds)
        if self._keeps_states:
            run.write(STATE, state.to_bytes(result.state))
            self._states[proposal.number] = run.id
        run.finish("FINISHED")
        del self._open[proposal.number]
        score = run.metrics[self._experiment.search.objective]
        self._seen(TrialUpdate(self._name(proposal), score, gaps(result).val_accuracy_gap, outcome.seconds))
        return TrialScore(score, None)

    def state(self, number: int) -> TrainingState | None:
        try:
            content = self._store.get(self._states[number]).read(STATE)
        except InputError:
            return None
        return state.from_bytes(content)

    def drop_states(self) -> None:
        """Deletes the states of all trials, when the search has ended and nothing continues them."""
        for run_id in self._states.values():
            deletion.drop_artifact(self._store, self._store.get(run_id), STATE)

    def abandoned(self, proposal: Proposal) -> None:
        run = self._open.pop(proposal.number, None)
        if run is not None:
            run.give_up("KILLED", "the search was stopped before this trial had ended")

    def _name(self, proposal: Proposal) -> str:
        return proposal.recipe.name(self._prepared.split.inputs, self._prepared.split.classes)


def _shown(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
