"""The training of one network, of any kind: `train_epochs` loops over the epochs, stops early, and scores the kept weights.

`run_job` on a worker calls `choose_trainer.train`; that calls `train` in `dense_trainer.py` (dense networks) or
`keras_trainer.py` (a user's own model), which makes a `Trainer` and calls `train_epochs`. A trainer
knows how to train one epoch.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.data.split import Part, Split
from pipeline.experiment import Training
from pipeline.models.recipe import Recipe
from pipeline.training.result import EarlyStopping, TrainingState, TrialResult
from pipeline.training.scoring import score

OnEpoch = Callable[[int, Mapping[str, float]], bool | None]
"""Called with the number of an epoch (from 0) and its metrics; true ends the training there."""
Weights = tuple[NDArray[np.float32], ...]


class Trainer(Protocol):
    """One network in training."""

    @property
    def layers(self) -> str:
        """The network as a text table of its layers; empty for a dense network, whose table the search writes."""

    def compile(self) -> None:
        """Compiles what is not compiled yet, so that no epoch pays for it."""

    def start(self) -> TrainingState:
        """The state before the first epoch."""

    def resume(self, state: TrainingState) -> TrainingState:
        """Puts a state in place."""

    def epoch(self, number: int) -> dict[str, float]:
        """Trains one epoch; returns `loss` and `accuracy` as training reports them."""

    def log_probabilities(self, part: Part) -> NDArray[np.float32]:
        """Of the current weights, dropout off: (n, classes)."""

    def weights(self) -> Weights:
        """The current weights, in the order of `keras.Model.get_weights()`."""

    def set_weights(self, weights: Weights) -> None:
        """Puts weights in place."""

    def optimizer_state(self) -> tuple[NDArray[np.generic], ...]:
        """The optimizer's variables, and other arrays that the next epoch starts from."""


def train_epochs(  # noqa: PLR0913 - those of `dense_trainer.train`, and its trainer
    trainer: Trainer,
    recipe: Recipe,
    settings: Training,
    split: Split,
    *,
    seed: int,
    state: TrainingState | None,
    until: int | None,
    on_epoch: OnEpoch | None,
    clock: "Clock",
) -> TrialResult:
    """Trains epoch by epoch with early stopping, and scores the kept weights.

    Args:
        trainer: Trains one epoch.
        recipe: What is trained; part of the result.
        settings: The resolved training settings.
        split: The data.
        seed: Of the sample of training images that is scored after each epoch.
        state: Where to go on; None starts.
        until: Epoch to stop at; all epochs if None.
        on_epoch: Called after each epoch with its number and metrics; training ends there if it returns true.
        clock: Takes the seconds of each phase.

    Raises:
        FloatingPointError: If a loss is NaN or infinite.
    """
    state = trainer.start() if state is None else trainer.resume(state)
    sample = probe(split, seed)
    clock.lap("build")
    trainer.compile()
    clock.lap("compile")
    last = min(settings.epochs, until or settings.epochs)
    while state.epoch < last and not state.early.exhausted(settings.patience):
        fit = trainer.epoch(state.epoch)
        clock.lap("train")
        measured = fit | _scores(trainer, {"train": sample, "val": split.validation})
        clock.lap("score")
        refuse_nan(measured, state.epoch)
        state = after(trainer, settings, state, measured)
        if on_epoch is not None and on_epoch(state.epoch - 1, measured):
            break
    if settings.restore_best:
        trainer.set_weights(state.early.weights)
    logs = {name: trainer.log_probabilities(part) for name, part in split.parts()}
    scores = {name: score(logs[name], part.labels) for name, part in split.parts()}
    clock.lap("score")
    return TrialResult(
        recipe=recipe,
        seed=seed,
        history=state.history,
        best_epoch=state.early.best_epoch if settings.restore_best else state.epoch - 1,
        epochs_run=state.epoch,
        train=scores["train"],
        validation=scores["validation"],
        test=scores["test"],
        probabilities={name: np.exp(rows) for name, rows in logs.items()},
        weights=state.early.weights if settings.restore_best else state.weights,
        state=state,
        layers=trainer.layers,
        seconds=clock.seconds,
    )


def _scores(trainer: Trainer, parts: Mapping[str, Part]) -> dict[str, float]:
    measured: dict[str, float] = {}
    for name, part in parts.items():
        scored = score(trainer.log_probabilities(part), part.labels)
        measured |= {f"{name}_loss": scored.loss, f"{name}_accuracy": scored.accuracy}
    return measured


def after(trainer: Trainer, settings: Training, state: TrainingState, measured: Mapping[str, float]) -> TrainingState:
    """The state after one more epoch, with early stopping as in Keras: any improvement counts, however small."""
    weights = trainer.weights()
    value, best = measured[settings.monitor], state.early.best
    better = best is None or (value > best if settings.monitor == "val_accuracy" else value < best)
    early = (
        EarlyStopping(value, state.epoch, 0, weights) if better else replace(state.early, waited=state.early.waited + 1)
    )
    history = {name: (*state.history.get(name, ()), each) for name, each in measured.items()}
    return TrainingState(state.epoch + 1, weights, trainer.optimizer_state(), early, history)


def probe(split: Split, seed: int) -> Part:
    """A fixed sample of the training images, as large as the validation set."""
    size = min(len(split.validation), len(split.train))
    rows = np.random.Generator(np.random.Philox([seed, 2**32])).permutation(len(split.train))[:size]
    return Part(split.train.images[rows], split.train.labels[rows])


def class_weights(settings: Training, split: Split) -> tuple[float, ...] | None:
    """What the loss of an image of each class is multiplied by: images / (classes x images of the class), as scikit-learn
    defines `balanced`; None if every image counts alike.
    """
    if settings.class_weight == "none":
        return None
    counts = np.bincount(split.train.labels, minlength=split.classes)
    return tuple((len(split.train) / (split.classes * np.maximum(1, counts))).tolist())


def order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The order of the training images in an epoch."""
    return np.random.Generator(np.random.Philox([seed, epoch])).permutation(count)


def refuse_nan(measured: Mapping[str, float], epoch: int) -> None:
    """Raises FloatingPointError for a metric that is not finite."""
    for name, value in measured.items():
        if not math.isfinite(value):
            raise FloatingPointError(f"{name} is {value} in epoch {epoch}: training diverged")


class Clock:
    """Wall clock by phase, seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, phase: str) -> None:
        """Adds the time since the last lap to `phase`."""
        now = time.perf_counter()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._last
        self._last = now
