"""The search loop: ask for a proposal, train it, tell the score, until the budget is used up.

The oracle receives scores in the order of proposals, and is asked for the next trial while fewer than `window` trials lack a
score. Proposals therefore depend only on scores and window, not on which worker was faster. A search can be repeated
exactly, and an interrupted one is resumed by the same calls with the recorded scores.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal, Protocol

from pipeline.errors import SearchFailedError
from pipeline.search.deadline import Deadline
from pipeline.search.proposals.proposals import NoProposal, Proposal, Proposals
from pipeline.search.workers.jobs import Job, Outcome, Workers, collected
from pipeline.training.result import TrainingState

MOST_FAILURES_IN_A_ROW = 3


@dataclass(frozen=True)
class TrialScore:
    """The score of an ended trial, as the search uses it."""

    score: float | None
    """Of the objective; None for a trial that failed."""
    failure: str | None
    """Why it failed, one line."""
    rungs: tuple[float, ...] = ()
    """Its scores at the rungs of the pruner that it reached."""


class Journal(Protocol):
    """Records a search, and knows the trials of an earlier part of it."""

    def known(self, proposal: Proposal) -> TrialScore | None:
        """The score of this trial from an earlier part of the search, or None.

        Raises:
            InputError: If another network is recorded at its place.
        """

    def asked(self, proposal: Proposal) -> None:
        """Called when a trial is about to be trained."""

    def ended(self, proposal: Proposal, outcome: Outcome) -> TrialScore:
        """Called when a trial has ended, as a success or a failure."""

    def state(self, number: int) -> TrainingState | None:
        """The state at which the training of an ended trial stopped; None if it is not kept any more. Then a trial that
        continues it is trained from the beginning, with the same seed and therefore the same result.
        """


@dataclass(frozen=True)
class Ending:
    """Why the search ended."""

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
    """Runs a search until `trials` trials are done, the space is exhausted, or the deadline allows no more.

    Args:
        proposals: The oracle.
        workers: Where trials are trained.
        journal: Where they are recorded; it may know the first ones already.
        trials: Maximum number of trials.
        window: Maximum number of trials proposed whose score is not yet reported.
        deadline: No trial starts that would not finish in time, but for the first one: a search has a result.

    Raises:
        SearchFailedError: If three trials in a row fail, or all. The journal ends the trials that are open then.
    """
    return _Loop(proposals, workers, journal, trials, window, deadline).run()


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
        """Scores of ended trials that wait for earlier proposals."""
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

    def _fill(self) -> None:
        """Asks for proposals until the window is full or there are none."""
        while self._over is None and len(self._pending) < self._window and self._asked < self._trials:
            proposal = self._proposals.ask()
            if isinstance(proposal, NoProposal):
                if proposal is NoProposal.EXHAUSTED:
                    self._over = "exhausted"
                return
            known = self._journal.known(proposal)
            if known is None and self._asked and not self._deadline.allows(proposal):
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
        """Collects outcomes until the oldest pending trial has ended."""
        by_number = {proposal.number: proposal for proposal in self._pending}
        while self._pending[0].number not in self._early:
            for outcome in collected(self._workers):
                proposal = by_number[outcome.number]
                self._deadline.ended(proposal, outcome)
                self._early[outcome.number] = self._journal.ended(proposal, outcome)

    def _tell(self) -> None:
        """Tells the score of the oldest pending trial, and counts failures."""
        proposal = self._pending.popleft()
        scored = self._early.pop(proposal.number)
        self._proposals.tell(proposal.trial_id, scored.score, scored.rungs)
        failed = scored.score is None
        if failed:
            self._last_failure = f"the last with: {scored.failure}"
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
        keeps="state" if "tuner/epochs" in proposal.values else "scores",  # Hyperband continues trials
        pruning=proposal.pruning,
    )
