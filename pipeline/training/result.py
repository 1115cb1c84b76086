"""What a trial leaves: records of plain numbers and arrays. Knows nothing of Keras."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.models.recipe import Recipe

Probabilities = NDArray[np.float32]
"""float32, (n, classes): one softmax row per image, each summing to 1."""


@dataclass(frozen=True, eq=False)
class EarlyStopping:
    """What early stopping remembers between epochs."""

    best: float | None = None
    """The best value of the monitored metric so far; None before the first epoch."""
    best_epoch: int = -1
    """Where it was reached; the first of equals."""
    waited: int = 0
    """Epochs since then."""
    weights: tuple[NDArray[np.float32], ...] = ()
    """Of the best epoch, in the order of `keras.Model.get_weights()`."""

    def exhausted(self, patience: int | None) -> bool:
        """Whether training is to stop."""
        return patience is not None and self.waited >= patience


@dataclass(frozen=True, eq=False)
class TrainingState:
    """All that training needs to go on as if it had not been interrupted."""

    epoch: int
    """Epochs done."""
    weights: tuple[NDArray[np.float32], ...]
    """In the order of `keras.Model.get_weights()`."""
    optimizer: tuple[NDArray[np.generic], ...]
    """The optimizer's variables, in its own order (step count, moments)."""
    early: EarlyStopping
    history: Mapping[str, tuple[float, ...]]
    """Of the epochs done, as in `TrialResult`."""


@dataclass(frozen=True)
class Score:
    """How one set of weights does on one part, with dropout off."""

    loss: float
    """Mean cross-entropy, nats."""
    accuracy: float
    """Share of images whose most probable class is the label, 0 to 1."""


@dataclass(frozen=True, eq=False)
class TrialResult:
    """One trained network and everything measured on it."""

    recipe: Recipe
    seed: int
    history: Mapping[str, tuple[float, ...]]
    """Per epoch from 0, those of a trial that was continued included: `loss`, `accuracy` (as training reports them:
    dropout on, while the weights move), `train_loss`, `train_accuracy` (dropout off, on a fixed probe of the training
    images as large as the validation set), `val_loss`, `val_accuracy`."""
    best_epoch: int
    """The epoch (from 0) whose weights were kept."""
    epochs_run: int
    """Epochs trained in all, those of a trial that was continued included."""
    train: Score
    validation: Score
    test: Score
    probabilities: Mapping[str, Probabilities]
    """Of the weights kept, under `train`, `validation` and `test`."""
    weights: tuple[NDArray[np.float32], ...]
    """The weights kept, in the order of `keras.Model.get_weights()`."""
    state: TrainingState
    """Where training stopped (not the weights kept): what a continuing trial starts from."""
    seconds: Mapping[str, float]
    """Wall clock by phase: `build`, `compile` (with the first epoch's call), `train`, `score`."""
