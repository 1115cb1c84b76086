"""The compiled trainer of dense networks: `_Trainer.epoch` is one epoch, `training_loop.train_epochs` the loop.

An epoch is a few calls of one compiled program that loops over a stack of batches (`program`). A process keeps its
programs: networks that differ in seed, dropout rates, learning rate or schedule alone use the same one. The same inputs
give the same bits on the same machine, with a new program or a kept one, and continuing from a `TrainingState` gives the
bits of uninterrupted training.
"""

import functools
import gc
import math

import numpy as np
from numpy.typing import NDArray

from pipeline.data.split import Part, Split
from pipeline.experiment import Training
from pipeline.models.dense import DenseSpec, dense
from pipeline.models.dense_keras import initial_weights
from pipeline.models.recipe import Recipe
from pipeline.training import scoring, training_loop
from pipeline.training.call_size import MOST_TRAINING_ROWS, rows_per_call
from pipeline.training.layers.dropout import DropoutMasks
from pipeline.training.program import Program, Rates
from pipeline.training.program_cache import PROGRAMS, dense_key
from pipeline.training.result import EarlyStopping, TrainingState, TrialResult
from pipeline.training.training_loop import Clock, OnEpoch, Weights


def train(
    recipe: Recipe,
    settings: Training,
    split: Split,
    *,
    seed: int,
    state: TrainingState | None = None,
    until: int | None = None,
    on_epoch: OnEpoch | None = None,
) -> TrialResult:
    """Trains one network and scores the kept weights on train, validation and test, with dropout off.

    Args:
        recipe: The network.
        settings: The resolved training settings; `settings.epochs` is also the length of the learning rate
            schedule.
        split: The data.
        seed: Of the weights, the order of images and dropout.
        state: Continues another trial of the same recipe, settings, split and seed, with its best epoch and
            patience.
        until: Epoch to stop at; all epochs if None. Early stopping can end training sooner.
        on_epoch: Called after each epoch with its number and metrics; training ends there if it returns true.

    Raises:
        FloatingPointError: If a loss is NaN or infinite.
    """
    clock = Clock()
    trainer = _Trainer(dense(recipe.spec), settings, split, seed)
    return training_loop.train_epochs(
        trainer, recipe, settings, split, seed=seed, state=state, until=until, on_epoch=on_epoch, clock=clock
    )


class _Trainer:
    """A network with the program that trains it."""

    layers = ""

    def __init__(self, spec: DenseSpec, settings: Training, split: Split, seed: int) -> None:
        _freeze_gc_once()
        self._settings, self._split, self._seed, self._spec = settings, split, seed, spec
        count = len(split.train)
        self._batch = min(settings.batch_size, count)
        self._steps = math.ceil(count / self._batch)
        self._stack = max(1, min(rows_per_call(MOST_TRAINING_ROWS, split.inputs) // self._batch, self._steps))
        self._flat = split.train.images.reshape(count, -1)
        self._masks = DropoutMasks(spec, split.inputs, seed)
        self._class_weights = training_loop.class_weights(settings, split)
        self._rates = Rates(
            np.float32(settings.learning_rate),
            phase_per_step(settings, self._steps),
            np.float32(settings.weight_decay),
            np.float32(settings.label_smoothing),
        )
        sizes = (self._batch, self._stack, split.inputs, split.classes, split.pixel_max)
        key = (dense_key(spec, settings), *sizes, self._class_weights)
        self._program = PROGRAMS.get(key, spec.parameters(split.inputs, split.classes), self._new_program)

    def _new_program(self) -> Program:
        return Program(
            dense_key(self._spec, self._settings),
            inputs=self._split.inputs,
            classes=self._split.classes,
            pixel_max=self._split.pixel_max,
            stack=(self._stack, self._batch),
            class_weights=self._class_weights,
        )

    def compile(self) -> None:
        """Compiles the program unless it is compiled already."""
        self._program.compile()

    def start(self) -> TrainingState:
        weights = initial_weights(self._spec, inputs=self._split.inputs, classes=self._split.classes, seed=self._seed)
        self._program.reset(weights)
        return TrainingState(0, weights, self._program.optimizer_state(), EarlyStopping(), {})

    def resume(self, state: TrainingState) -> TrainingState:
        self._program.reset(state.weights, state.optimizer)
        return state

    def set_weights(self, weights: Weights) -> None:
        self._program.set_weights(weights)

    def epoch(self, number: int) -> dict[str, float]:
        """Trains one epoch and returns loss and accuracy as training reports them: dropout on, while the weights
        change.
        """
        count = len(self._flat)
        order = training_loop.order(self._seed, number, count)
        loss = right = 0.0
        shape = (self._stack, self._batch)
        per_call = self._stack * self._batch
        for call, start in enumerate(range(0, count, per_call)):
            rows = order[start : start + per_call]
            padded = np.concatenate((rows, np.broadcast_to(rows[:1], per_call - len(rows))))
            summed, hits = self._program.run(
                self._flat[padded].reshape(*shape, -1),
                self._split.train.labels[padded].reshape(shape).astype(np.int32),
                len(rows),
                self._rates,
                self._masks.draw(number, call, shape),
                self._masks.thresholds(),
            )
            loss += summed
            right += hits
        return {"loss": loss / count, "accuracy": right / count}

    def log_probabilities(self, part: Part) -> NDArray[np.float32]:
        """Log-softmax rows of the current weights, dropout off."""
        return scoring.log_probabilities(self._program.score, part.images)

    def weights(self) -> Weights:
        return self._program.weights()

    def optimizer_state(self) -> tuple[NDArray[np.generic], ...]:
        return self._program.optimizer_state()


def phase_per_step(settings: Training, steps: int) -> np.float32:
    """Radians by which the cosine of the learning rate advances per optimizer step, with `steps` per epoch; 0 leaves the
    rate constant.
    """
    if settings.schedule == "constant":
        return np.float32(0)
    # One factor after the other in float32: the figures of earlier versions, bit by bit.
    return np.float32(math.pi) * np.float32(1 / (settings.epochs * steps))


@functools.cache
def _freeze_gc_once() -> None:
    """Excludes everything imported so far from Python's garbage collection: `clear_session` collects, 0.2 s per network
    for the libraries alone.
    """
    gc.freeze()
