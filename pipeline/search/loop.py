"""Ask, train, tell, until the budget ends.

Enters: proposals, workers and a journal. Leaves: why the search ended; every trial is in the journal by then.

Results are told in the order in which their trials were asked for, and trial n is asked for when n - `window` results
are told. So the proposals depend on the results and the window alone, not on which worker was quicker: a search can be
repeated, and one that was interrupted goes on by making the same calls with the results that the journal knows.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal, Protocol

from pipeline.errors import SearchFailedError
from pipeline.search.deadline import Deadline
from pipeline.search.proposals.ask_tell import NoProposal, Proposal, Proposals
from pipeline.search.workers.jobs import Job, Outcome, Workers
from pipeline.training.result import TrainingState

MOST_FAILURES_IN_A_ROW = 3


@dataclass(frozen=True)
class TrialScore:
    """How an ended trial counts for the search."""

    score: float | None
    """Of the objective; None for a trial that failed."""
    failure: str | None
    """Why it failed, one line."""


class Journal(Protocol):
    """Where the search is recorded, and what it remembers of an earlier part of it."""

    def known(self, proposal: Proposal) -> TrialScore | None:
        """How this trial ended earlier, or None. Raises InputError when another network is recorded at its place."""

    def asked(self, proposal: Proposal) -> None:
        """A trial is about to be trained."""

    def ended(self, proposal: Proposal, outcome: Outcome) -> TrialScore:
        """A trial has ended, as a success or a failure."""

    def state(self, number: int) -> TrainingState:
        """Where the training of an ended trial stopped."""

    def abandoned(self, proposal: Proposal) -> None:
        """The search stops before this trial has ended."""


@dataclass(frozen=True)
class Ending:
    """Why there are no more trials."""

    reason: Literal["trials", "exhausted", "minutes"]
    trials: int
    """Told in all, failures included."""
    failed: int


def search(
    proposals: Proposals,
    workers: Workers,
    journal: Journal,
    *,
    trials: int,
    window: int,
    deadline: Deadline,
) -> Ending:
    """Runs a search of at most `trials` trials, with at most `window` of them asked and not told, and none started
    that would not be finished by the deadline.

    Raises SearchFailedError when three trials in a row fail, or all. Whatever stops it, no trial is left open.
    """
    loop = _Loop(proposals, workers, journal, trials, window, deadline)
    try:
        return loop.run()
    except BaseException:
        loop.abandon()
        raise


class _Loop:
    def __init__(
        self,
        proposals: Proposals,
        workers: Workers,
        journal: Journal,
        trials: int,
        window: int,
        deadline: Deadline,
    ) -> None:
        self._proposals, self._workers, self._journal = proposals, workers, journal
        self._trials, self._window, self._deadline = trials, window, deadline
        self._pending: deque[Proposal] = deque()
        self._early: dict[int, TrialScore] = {}
        """Ended, but not yet their turn to be told."""
        self._asked = self._failed = self._in_a_row = 0
        self._over: Literal["exhausted", "minutes"] | None = None
        """Why nothing more is asked for."""
        self._last_failure = ""

    def run(self) -> Ending:
        self._fill()
        while self._pending:
            self._collect()
            self._tell()
            self._fill()
        if self._asked and self._failed == self._asked:
            raise SearchFailedError(f"every trial failed ({self._failed} of {self._asked}), {self._last_failure}")
        return Ending(self._over or "trials", self._asked, self._failed)

    def abandon(self) -> None:
        for proposal in self._pending:
            if proposal.number not in self._early:
                self._journal.abandoned(proposal)

    def _fill(self) -> None:
        """Asks until the window is full or there is nothing to ask for."""
        while self._over is None and len(self._pending) < self._window and self._asked < self._trials:
            proposal = self._proposals.ask()
            if isinstance(proposal, NoProposal):
                if proposal is NoProposal.EXHAUSTED:
                    self._over = "exhausted"
                return
            known = self._journal.known(proposal)
            if known is None and not self._deadline.allows(proposal):
                self._over = "minutes"
                return
            self._asked += 1
            self._pending.append(proposal)
            if known is not None:
                self._early[proposal.number] = known
            else:
                self._deadline.started(proposal)
                self._journal.asked(proposal)
                self._workers.submit(_job(proposal, self._journal))

    def _collect(self) -> None:
        """Takes in outcomes until the oldest pending trial has ended."""
        by_number = {proposal.number: proposal for proposal in self._pending}
        while self._pending[0].number not in self._early:
            for outcome in self._workers.finished():
                proposal = by_number[outcome.number]
                self._deadline.ended(proposal, outcome)
                self._early[outcome.number] = self._journal.ended(proposal, outcome)

    def _tell(self) -> None:
        """Tells the oldest pending trial, and counts failures."""
        proposal = self._pending.popleft()
        told = self._early.pop(proposal.number)
        self._proposals.tell(proposal.trial_id, told.score)
        failed = told.score is None
        if failed:
            self._last_failure = f"the last with: {told.failure}"
        self._failed += failed
        self._in_a_row = self._in_a_row + 1 if failed else 0
        if self._in_a_row == MOST_FAILURES_IN_A_ROW:
            raise SearchFailedError(f"{self._in_a_row} trials in a row failed, {self._last_failure}")


def _job(proposal: Proposal, journal: Journal) -> Job:
    return Job(
        number=proposal.number,
        recipe=proposal.recipe,
        settings=proposal.settings,
        seed=proposal.seed,
        until=proposal.until,
        state=journal.state(proposal.parent) if proposal.parent is not None else None,
    )
