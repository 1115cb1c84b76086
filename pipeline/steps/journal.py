"""The search's journal in the tracking store: one nested run per trial.

Enters: proposals and outcomes from the loop. Leaves: runs, and for the display what was seen.
"""

import json
from collections.abc import Callable

from pipeline.experiment import Experiment
from pipeline.findings.gaps import gaps
from pipeline.network.result import TrainingState
from pipeline.search.loop import Told
from pipeline.search.proposals import Proposal
from pipeline.search.workers import Outcome
from pipeline.steps import record
from pipeline.steps.display import Seen
from pipeline.steps.session import Prepared
from pipeline.tracking.store import Run, Store

ASKED_TAG = "narrowgap.asked"
"""A trial's place in the order of asking, from 0."""
PROPOSAL_TAG = "narrowgap.proposal"
"""The hyperparameters as the oracle gave them, as JSON."""


class StoreJournal:
    """Writes a trial's run when it is asked for, and fills and ends it when the trial has ended."""

    def __init__(
        self, store: Store, search: Run, experiment: Experiment, prepared: Prepared, seen: Callable[[Seen], None]
    ) -> None:
        self._store, self._search, self._experiment, self._prepared = store, search, experiment, prepared
        self._seen = seen
        self._open: dict[int, Run] = {}
        self._states: dict[int, TrainingState] = {}

    def known(self, proposal: Proposal) -> Told | None:  # noqa: ARG002 - nothing is remembered yet
        return None

    def asked(self, proposal: Proposal) -> None:
        split = self._prepared.split
        run = self._store.child(
            self._search,
            step="trial",
            name=f"trial {proposal.number:02d}",
            tags={
                "narrowgap.experiment": self._experiment.name,
                **self._prepared.tags,
                **record.network_tag(proposal.spec),
                ASKED_TAG: str(proposal.number),
                PROPOSAL_TAG: json.dumps(dict(proposal.values)),
            },
            params=record.trial_params(proposal.spec, proposal.settings, proposal.seed, split),
        )
        self._open[proposal.number] = run

    def ended(self, proposal: Proposal, outcome: Outcome) -> Told:
        run = self._open.pop(proposal.number)
        name = proposal.spec.architecture(self._prepared.split.inputs, self._prepared.split.classes)
        if outcome.result is None:
            run.finish("FAILED", outcome.failure)
            self._seen(Seen(name, None, None, outcome.seconds, outcome.failure))
            return Told(None, outcome.failure)
        record.trained(run, outcome.result, self._prepared.split, outcome.pictures)
        run.finish("FINISHED")
        if self._experiment.search.tuner == "hyperband":
            self._states[proposal.number] = outcome.result.state
        validation = outcome.result.validation
        score = validation.loss if self._experiment.search.objective == "val_loss" else validation.accuracy
        self._seen(Seen(name, score, gaps(outcome.result).val_accuracy_gap, outcome.seconds))
        return Told(score, None)

    def state(self, number: int) -> TrainingState:
        return self._states[number]

    def abandoned(self, proposal: Proposal) -> None:
        run = self._open.pop(proposal.number, None)
        if run is not None:
            run.finish("KILLED", "the search was stopped before this trial had ended")
