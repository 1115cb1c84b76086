"""Proposals by ask and tell: the only part of the search that uses Keras Tuner's oracles.

A fresh `Proposals` of the same experiment that is given the same scores in the same order proposes the same networks; a
search is resumed that way.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import keras_tuner
import numpy as np

from pipeline.errors import InputError
from pipeline.experiment import Experiment, Training
from pipeline.models.recipe import Recipe
from pipeline.models.spaces import DenseSpace, SearchSpace
from pipeline.search.proposals import oracles
from pipeline.search.pruning import Pruner, Pruning
from pipeline.search.seeds import seed_of

MOST_IN_GRID = 10**9
"""Networks in a grid: of a larger one, no search sees more than a corner."""
HYPERBAND_FACTOR = 3
"""One in so many trials of a rung continues to the next, with so many times the epochs."""


@dataclass(frozen=True)
class Proposal:
    """One network to train."""

    number: int
    """Position in the order of proposals, from 0."""
    trial_id: str
    """Keras Tuner's id of the trial."""
    values: Mapping[str, Any]
    """Hyperparameters as the oracle gave them, active ones only; Hyperband's own under `tuner/…`."""
    recipe: Recipe
    settings: Training
    """The recipe's training settings, resolved with the experiment's."""
    seed: int
    """Of the weights, the order of images and dropout."""
    until: int
    """Epoch to train to; `settings.epochs` unless Hyperband stops the trial on a lower rung."""
    parent: int | None
    """Number of the trial that this one continues (Hyperband)."""
    pruning: Pruning | None
    """The scores that it has to reach to go on (`search.pruner`)."""

    @property
    def begins(self) -> int:
        """Epochs of the trial that it continues, which are not trained again (Hyperband)."""
        return int(self.values.get("tuner/initial_epoch", 0))


class NoProposal(Enum):
    """Why there is no proposal."""

    WAIT = auto()
    """Ask again after the next tell."""
    EXHAUSTED = auto()
    """The space is exhausted."""


class Proposals:
    """One oracle and its pruner: ask for a network, report its score. The score of every proposed trial must be reported, in
    any order.
    """

    def __init__(self, experiment: Experiment, space: SearchSpace | None = None) -> None:
        """`space` is that of the experiment; None that of its dense networks."""
        self._experiment, self._space = experiment, space or DenseSpace(experiment.space, experiment.training)
        self._oracle = _ORACLES[experiment.search.tuner](experiment, self._space)
        self._pruner = Pruner(experiment.search.pruner, experiment.search.objective)
        self._numbers: dict[str, int] = {}
        self._seeds: list[int] = []

    def ask(self) -> Proposal | NoProposal:
        """The next network to train, or why there is none now."""
        number = len(self._seeds)
        trial = self._oracle.create_trial(f"worker-{number}")
        if trial.status == "IDLE":
            return NoProposal.WAIT
        if trial.status == "STOPPED":
            return NoProposal.EXHAUSTED
        values = dict(trial.hyperparameters.values)
        parent = self._numbers[values["tuner/trial_id"]] if "tuner/trial_id" in values else None
        seed = self._seeds[parent] if parent is not None else seed_of(self._experiment.search.seed, number)
        self._numbers[trial.trial_id] = number
        self._seeds.append(seed)
        asked = self._experiment
        recipe = self._space.recipe(values)
        settings = recipe.settings(asked.training)
        return Proposal(
            number=number,
            trial_id=trial.trial_id,
            values=values,
            recipe=recipe,
            settings=settings,
            seed=seed,
            until=values.get("tuner/epochs", settings.epochs),
            parent=parent,
            pruning=self._pruner.ask(settings.epochs),
        )

    def tell(self, trial_id: str, score: float | None, rungs: Sequence[float] = ()) -> None:
        """Records the objective value of a trial, None if it failed, and its scores at the rungs of the pruner. The value of
        a pruned trial is that of the weights it had when it was stopped.
        """
        self._pruner.tell(rungs)
        trial = self._oracle.trials[trial_id]
        if score is None or not np.isfinite(score):
            trial.status = "FAILED"
        else:
            self._oracle.update_trial(trial_id, {self._oracle.objective.name: score})
            trial.status = "COMPLETED"
        self._oracle.end_trial(trial)


def _common(experiment: Experiment, space: SearchSpace) -> dict[str, Any]:
    direction = "min" if experiment.search.objective == "val_loss" else "max"
    return {
        "objective": keras_tuner.Objective(experiment.search.objective, direction),
        "hyperparameters": space.hyperparameters(),
        # Keras Tuner counts its seed up by one per draw: of 100 networks, the seeds 1 and 3 would share 98.
        "seed": seed_of(experiment.search.seed),
        "allow_new_entries": False,
        "tune_new_entries": True,
    }


def _grid(experiment: Experiment, space: SearchSpace) -> keras_tuner.Oracle:
    if space.size() > MOST_IN_GRID:
        raise InputError(
            f"the grid holds {space.size():,} networks; search.tuner=grid takes {MOST_IN_GRID:,} at most: give ranges fewer "
            "values (step), or take search.tuner=bayesian or random"
        )
    return oracles.GridOracle(max_trials=None, **_common(experiment, space))


def _hyperband(experiment: Experiment, space: SearchSpace) -> keras_tuner.Oracle:
    oracle = oracles.HyperbandOracle(
        max_epochs=experiment.training.epochs, factor=HYPERBAND_FACTOR, **_common(experiment, space)
    )
    available = space.size()
    if available < oracle.networks:
        raise InputError(
            f"the space holds {available} networks; hyperband starts {oracle.networks} different ones for "
            f"training.epochs={experiment.training.epochs}: widen the space, or take search.tuner=grid"
        )
    return oracle


# `max_trials` stays open: the loop counts, and a search that is extended later keeps its trials' names.
_ORACLES: Mapping[str, Callable[[Experiment, SearchSpace], keras_tuner.Oracle]] = {
    "random": lambda *given: oracles.RandomOracle(max_trials=None, **_common(*given)),
    "grid": _grid,
    "bayesian": lambda *given: oracles.BayesianOracle(max_trials=None, **_common(*given)),
    "bayesian_stock": lambda *given: oracles.StockBayesianOracle(max_trials=None, **_common(*given)),
    "hyperband": _hyperband,
}
