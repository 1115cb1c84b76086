"""Decides which trials stop early: `search.pruner`.

Whether a trial stops is decided by what was reported when it was proposed: its job carries, per rung, the score that it
has to reach. The worker stops by itself, and a replay of the same scores makes the same decisions.

A rung is a number of epochs, a share of all the epochs of a trial. The score at a rung is the best so far, since the weights
of the best epoch are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np

PrunerName = Literal["none", "median", "successive_halving"]

FIRST_TRIALS = 5
"""Trials that must have reached a rung before its median stops others; as in Optuna's `MedianPruner`."""
FACTOR = 3
"""Successive halving lets one in so many trials of a rung go on; as Hyperband here."""
SHARES: Mapping[PrunerName, tuple[float, ...]] = {
    "none": (),
    "median": (1 / 4, 1 / 2),
    "successive_halving": (1 / FACTOR**2, 1 / FACTOR),
}
"""Rungs, as shares of the epochs of a trial."""


@dataclass(frozen=True)
class Pruning:
    """The scores that one trial has to reach."""

    metric: str
    """Of an epoch: `val_loss` or `val_accuracy`."""
    scores: Mapping[int, float]
    """By the number of epochs done: a trial whose best value so far is worse stops there; an equal one goes on."""

    def stops(self, values: Sequence[float]) -> bool:
        """Whether a trial with these values of the metric, one per epoch done, has missed a score."""
        return any(
            done <= len(values) and _worse(_best(values[:done], self.metric), score, self.metric)
            for done, score in self.scores.items()
        )


def metric_of(objective: str) -> str:
    """The metric of an epoch by which trials are compared: the objective where epochs have it, validation accuracy for
    `val_balanced_accuracy`, which is measured at the end only.
    """
    return "val_loss" if objective == "val_loss" else "val_accuracy"


def rungs(pruner: PrunerName, epochs: int) -> tuple[int, ...]:
    """The epochs done at each rung of a trial of so many epochs."""
    return tuple(ceil(round(epochs * share, 6)) for share in SHARES[pruner])


def reached(
    pruner: PrunerName, objective: str, history: Mapping[str, Sequence[float]], *, epochs: int, pruned: bool
) -> tuple[float, ...]:
    """The scores of an ended trial at the rungs that it reached, the lowest rung first.

    Args:
        pruner: The pruner.
        objective: `search.objective`.
        history: Metrics per epoch done.
        epochs: Epochs that the trial was to train.
        pruned: Whether it was stopped by the pruner. A trial that stopped by its own patience had all of its chances: it
            reaches every rung with its best value.
    """
    metric = metric_of(objective)
    values = history.get(metric, ())
    return tuple(
        _best(values[:done], metric)
        for done in rungs(pruner, epochs)
        if len(values) and (done <= len(values) or not pruned)
    )


class Pruner:
    """Learns the scores at the rungs from the trials that are reported, in that order."""

    def __init__(self, pruner: PrunerName, objective: str) -> None:
        self._pruner: PrunerName = pruner
        self._metric = metric_of(objective)
        self._told: list[tuple[float, ...]] = []

    def tell(self, scores: Sequence[float]) -> None:
        """Records the scores of a trial at its rungs, as `reached` returns them; none for one that failed."""
        self._told.append(tuple(scores))

    def ask(self, epochs: int) -> Pruning | None:
        """What a trial of so many epochs has to reach, after what is reported by now; None if it cannot be stopped."""
        scores = {}
        for place, done in enumerate(rungs(self._pruner, epochs)):
            known = [each[place] for each in self._told if len(each) > place and np.isfinite(each[place])]
            score = self._score(known)
            if done < epochs and score is not None:
                scores[done] = score
        return Pruning(self._metric, scores) if scores else None

    def _score(self, known: Sequence[float]) -> float | None:
        """The score that a rung asks for, from those of the trials that reached it; None as long as there are too few.

        `successive_halving` is the asynchronous rule of Li et al., A System for Massively Parallel Hyperparameter Tuning
        (2020): a trial goes on if it is among the best 1/`FACTOR` of those that reached the rung, itself included.
        """
        if self._pruner == "median":
            return float(np.median(known)) if len(known) >= FIRST_TRIALS else None
        go_on = (len(known) + 1) // FACTOR
        if go_on == 0:
            return None
        return sorted(known, reverse=self._metric != "val_loss")[go_on - 1]


def _best(values: Sequence[float], metric: str) -> float:
    return min(values) if metric == "val_loss" else max(values)


def _worse(value: float, other: float, metric: str) -> bool:
    return value > other if metric == "val_loss" else value < other
