"""The result of a trial: records of plain numbers and arrays. Knows nothing of Keras."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.models.recipe import Recipe

Probabilities = NDArray[np.float32]
"""float32, (n, classes): one softmax row per image, each summing to 1."""


@dataclass(frozen=True, eq=False)
class EarlyStopping:
    """The state of early stopping between epochs."""

    best: float | None = None
    """The best value of the monitored metric so far; None before the first epoch."""
    best_epoch: int = -1
    """Epoch of the best value; the first of equals."""
    waited: int = 0
    """Epochs since the best one."""
    weights: tuple[NDArray[np.float32], ...] = ()
    """Of the best epoch, in the order of `keras.Model.get_weights()`."""

    def exhausted(self, patience: int | None) -> bool:
        """Whether the patience is used up."""
        return patience is not None and self.waited >= patience


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Everything needed to continue training as if it had not been interrupted."""

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
    """Loss and accuracy of one set of weights on one part, dropout off."""

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
    """Metrics per epoch from 0, including those of a trial that this one continues: `loss`, `accuracy` (as training
    reports them: dropout on, while the weights change), `train_loss`, `train_accuracy` (dropout off, on a fixed sample
    of the training images as large as the validation set), `val_loss`, `val_accuracy`.
    """
    best_epoch: int
    """The epoch (from 0) whose weights were kept."""
    epochs_run: int
    """Epochs trained in total, including those of a trial that this one continues."""
    train: Score
    validation: Score
    test: Score
    probabilities: Mapping[str, Probabilities]
    """Softmax rows of the kept weights, under `train`, `validation` and `test`; those that were kept."""
    weights: tuple[NDArray[np.float32], ...]
    """The kept weights, in the order of `keras.Model.get_weights()`; none where only scores were kept."""
    state: TrainingState | None
    """The state at which training stopped (not the kept weights); another trial can continue from it. None where it was not
    kept.
    """
    layers: str = field(default="", kw_only=True)
    """The network as a text table of its layers, where its trainer made one."""
    seconds: Mapping[str, float]
    """Wall-clock seconds by phase: `build`, `compile` (nearly 0 with a kept program), `train`, `score`."""
    class_metrics: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    """What counts every class alike, by its names in the tracking store: computed where the probabilities are."""
