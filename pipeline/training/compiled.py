"""The compiled trainer of dense networks.

An epoch is a few calls of one compiled function that loops over a stack of batches. The last, smaller batch is padded
with rows of weight 0, and a stack may hold fewer batches than it has room for, so one compilation is enough. The same
inputs give the same bits on the same machine, and continuing from a `TrainingState` gives the bits of uninterrupted
training.
"""

import functools
import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.data.split import Part, Split
from pipeline.experiment import Training
from pipeline.models.dense import DenseSpec, dense
from pipeline.models.keras_model import build
from pipeline.models.recipe import Recipe
from pipeline.training import scoring
from pipeline.training.call_size import MOST_TRAINING_ROWS, rows_per_call
from pipeline.training.dropout import DropoutMasks
from pipeline.training.result import EarlyStopping, TrainingState, TrialResult

OnEpoch = Callable[[int, Mapping[str, float]], None]
Weights = tuple[NDArray[np.float32], ...]


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
        on_epoch: Called after each epoch with its number and metrics.

    Raises:
        FloatingPointError: If a loss is NaN or infinite.
    """
    clock = _Clock()
    trainer = _Trainer(dense(recipe.spec), settings, split, seed)
    state = trainer.start() if state is None else trainer.resume(state)
    clock.lap("build")
    last = min(settings.epochs, until or settings.epochs)
    while state.epoch < last and not state.early.exhausted(settings.patience):
        fit = trainer.epoch(state.epoch)
        clock.lap("train" if "compile" in clock.seconds else "compile")
        measured = fit | trainer.probe()
        clock.lap("score")
        _refuse_nan(measured, state.epoch)
        state = trainer.after(state, measured)
        if on_epoch is not None:
            on_epoch(state.epoch - 1, measured)
    if settings.restore_best:
        trainer.model.set_weights(state.early.weights)
    logs = {
        name: scoring.log_probabilities(trainer.model, part.images, split.pixel_max) for name, part in split.parts()
    }
    scores = {name: scoring.score(logs[name], part.labels) for name, part in split.parts()}
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
        seconds=clock.seconds,
    )


class _Trainer:
    """A model with its optimizer and its compiled epoch."""

    def __init__(self, spec: DenseSpec, settings: Training, split: Split, seed: int) -> None:
        _freeze_gc_once()
        keras.backend.clear_session()  # what earlier networks of this process left in Keras' global state
        self._settings, self._split, self._seed = settings, split, seed
        height, width = split.train.images.shape[1:]
        self.model = build(
            spec, image_shape=(height, width), classes=split.classes, pixel_max=split.pixel_max, seed=seed
        )
        count = len(split.train)
        self._batch = min(settings.batch_size, count)
        self._steps = math.ceil(count / self._batch)
        self._kernels = [keras.Variable(each) for each in _joined(tuple(self.model.get_weights()))]
        self._optimizer = keras.optimizers.Adam(_learning_rate(settings, self._steps))
        self._optimizer.build(self._kernels)
        self._probe = _probe(split, seed)
        self._flat = split.train.images.reshape(count, -1)
        self._masks = DropoutMasks(spec, split.inputs, seed)
        activations = [keras.activations.get(name) for name in spec.activations]
        self._run = _compiled(self._kernels, activations, self._optimizer, self._masks, split.pixel_max)

    def start(self) -> TrainingState:
        weights = tuple(self.model.get_weights())
        return TrainingState(0, weights, self._optimizer_state(), EarlyStopping(), {})

    def resume(self, state: TrainingState) -> TrainingState:
        for kernel, joined in zip(self._kernels, _joined(state.weights), strict=True):
            kernel.assign(joined)
        self.model.set_weights(state.weights)
        for variable, value in zip(self._optimizer.variables, state.optimizer, strict=True):
            variable.assign(value)
        return state

    def epoch(self, number: int) -> dict[str, float]:
        """Trains one epoch and returns loss and accuracy as training reports them: dropout on, while the weights
        change.
        """
        count = len(self._flat)
        order = np.random.Generator(np.random.Philox([self._seed, number])).permutation(count)
        loss = right = 0.0
        rows_in_call = rows_per_call(MOST_TRAINING_ROWS, self._split.inputs)
        steps = max(1, min(rows_in_call // self._batch, self._steps))
        per_call = steps * self._batch
        for call, start in enumerate(range(0, count, per_call)):
            rows = order[start : start + per_call]
            padded = np.concatenate((rows, np.broadcast_to(rows[:1], per_call - len(rows))))
            shape = (steps, self._batch)
            masks = self._masks.draw(number, call, shape)
            summed, hits = self._run(
                self._flat[padded].reshape(*shape, -1),
                self._split.train.labels[padded].reshape(shape).astype(np.int32),
                np.int32(len(rows)),
                *masks,
            )
            loss += float(summed)
            right += float(hits)
        self.model.set_weights(_parted(self._kernels))
        return {"loss": loss / count, "accuracy": right / count}

    def probe(self) -> dict[str, float]:
        """Scores of the current weights, dropout off."""
        measured: dict[str, float] = {}
        for name, part in (("train", self._probe), ("val", self._split.validation)):
            logs = scoring.log_probabilities(self.model, part.images, self._split.pixel_max)
            score = scoring.score(logs, part.labels)
            measured |= {f"{name}_loss": score.loss, f"{name}_accuracy": score.accuracy}
        return measured

    def after(self, state: TrainingState, measured: Mapping[str, float]) -> TrainingState:
        """The state after one more epoch, with early stopping as in Keras: any improvement counts, however small."""
        weights = tuple(self.model.get_weights())
        value, best = measured[self._settings.monitor], state.early.best
        better = best is None or (value > best if self._settings.monitor == "val_accuracy" else value < best)
        early = (
            EarlyStopping(value, state.epoch, 0, weights)
            if better
            else replace(state.early, waited=state.early.waited + 1)
        )
        history = {name: (*state.history.get(name, ()), each) for name, each in measured.items()}
        return TrainingState(state.epoch + 1, weights, self._optimizer_state(), early, history)

    def _optimizer_state(self) -> tuple[NDArray[np.generic], ...]:
        return tuple(variable.numpy() for variable in self._optimizer.variables)


def _joined(weights: Weights) -> list[NDArray[np.float32]]:
    """A model's weights with kernel (inputs, units) and bias (units,) of each layer joined into one array (inputs + 1,
    units), the bias last: half as many variables to update, and a quarter less time to compile.
    """
    pairs = zip(weights[::2], weights[1::2], strict=True)
    return [np.concatenate((kernel, bias[None])) for kernel, bias in pairs]


def _parted(kernels: Sequence[keras.Variable]) -> list[NDArray[np.float32]]:
    """The inverse of `_joined`."""
    arrays = [kernel.numpy() for kernel in kernels]
    return [part for each in arrays for part in (each[:-1], each[-1])]


def _compiled(
    kernels: Sequence[keras.Variable],
    activations: Sequence[Callable[[tf.Tensor], tf.Tensor]],
    optimizer: keras.optimizers.Optimizer,
    masks: DropoutMasks,
    pixel_max: int,
) -> tf.types.experimental.PolymorphicFunction:
    """Compiles a function that takes one optimizer step per batch.

    Its arguments are images uint8 (steps, batch, pixels), labels int32 (steps, batch), the number of rows that count,
    and random numbers per dropout place. It returns the sums of the cross-entropy and of the correct answers over the
    rows that count. The kernels are as `_joined` makes them, one per layer.
    """
    values = [kernel.value for kernel in kernels]

    def affine(rows: tf.Tensor, kernel: keras.Variable) -> tf.Tensor:
        return tf.matmul(tf.pad(rows, [[0, 0], [0, 1]], constant_values=1.0), kernel.value)

    def forward(rows: tf.Tensor, drawn: Mapping[int, tf.Tensor]) -> tf.Tensor:
        rows = masks.applied(rows, 0, drawn)
        for place, (kernel, activation) in enumerate(zip(kernels, activations, strict=False), start=1):
            rows = masks.applied(activation(affine(rows, kernel)), place, drawn)
        return affine(rows, kernels[-1])

    @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]  # TensorFlow is untyped
    def steps(images: tf.Tensor, labels: tf.Tensor, count: tf.Tensor, *drawn: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = images.shape[1]

        def step(number: tf.Tensor, loss_sum: tf.Tensor, right: tf.Tensor) -> tuple[tf.Tensor, ...]:
            counted = tf.minimum(count - number * batch, batch)
            weight = tf.cast(tf.range(batch) < counted, tf.float32)
            rows = tf.cast(images[number], tf.float32) * (1 / pixel_max)
            here = {place: each[number] for place, each in zip(masks.places, drawn, strict=True)}
            with tf.GradientTape() as tape:
                answers = forward(rows, here)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels[number], answers)
                total = tf.reduce_sum(losses * weight)
                loss = total / tf.cast(counted, tf.float32)
            # Not `optimizer.apply`: it sums over replicas by a custom gradient, which TensorFlow registers for ever and
            # the whole graph with it (6 MB per network).
            rate = optimizer.learning_rate
            for gradient, kernel in zip(tape.gradient(loss, values), kernels, strict=True):
                optimizer.update_step(gradient, kernel, rate)
            optimizer.iterations.assign_add(1)
            hits = tf.cast(tf.argmax(answers, axis=1, output_type=tf.int32) == labels[number], tf.float32)
            return number + 1, loss_sum + total, right + tf.reduce_sum(hits * weight)

        start = tf.constant(0), tf.constant(0.0), tf.constant(0.0)
        _, loss_sum, right = tf.while_loop(lambda number, *_: number * batch < count, step, start)
        return loss_sum, right

    return steps


@functools.cache
def _freeze_gc_once() -> None:
    """Excludes everything imported so far from Python's garbage collection: `clear_session` collects, 0.2 s per network
    for the libraries alone.
    """
    gc.freeze()


def _learning_rate(settings: Training, steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if settings.schedule == "constant":
        return settings.learning_rate
    return keras.optimizers.schedules.CosineDecay(settings.learning_rate, settings.epochs * steps)


def _probe(split: Split, seed: int) -> Part:
    """A fixed sample of the training images, as large as the validation set."""
    size = min(len(split.validation), len(split.train))
    rows = np.random.Generator(np.random.Philox([seed, 2**32])).permutation(len(split.train))[:size]
    return Part(split.train.images[rows], split.train.labels[rows])


def _refuse_nan(measured: Mapping[str, float], epoch: int) -> None:
    for name, value in measured.items():
        if not math.isfinite(value):
            raise FloatingPointError(f"{name} is {value} in epoch {epoch}: training diverged")


class _Clock:
    """Wall clock by phase, seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, phase: str) -> None:
        """Adds the time since the last lap to `phase`."""
        now = time.perf_counter()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._last
        self._last = now
