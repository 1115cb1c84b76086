"""The trainer of a user's own Keras model: `_Trainer.epoch` is one epoch, `training_loop.train_epochs` the loop.

An epoch is a few calls of one TensorFlow function that loops over a stack of batches; the last, smaller batch is a call of
its own, since rows that only fill it up would change the statistics of BatchNormalization. XLA compiles the function, but
not that of the last batch, where that pays: on a GPU, and on a CPU for models without convolutions, whose gradients XLA
computes there 40 times as slowly as TensorFlow's own kernels. The same inputs give the same bits on the same machine, and
continuing from a `TrainingState` gives the bits of uninterrupted training.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.data.split import Part, Split
from pipeline.errors import InputError
from pipeline.experiment import Training
from pipeline.models.recipe import Recipe
from pipeline.models.user import network
from pipeline.models.user.network import Built
from pipeline.models.user.spec import UserSpec
from pipeline.training import training_loop
from pipeline.training.call_size import MOST_SCORING_ROWS, MOST_TRAINING_ROWS, rows_per_call
from pipeline.training.program_cache import PROGRAMS
from pipeline.training.result import EarlyStopping, TrainingState, TrialResult
from pipeline.training.training_loop import Clock, OnEpoch, Weights

LEAST = 1e-7
"""Probabilities count as at least this much, as in Keras' own cross-entropy."""
FAST_IN_XLA = (
    "InputLayer", "Functional", "Sequential", "Dense", "Dropout", "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU",
    "Softmax", "BatchNormalization", "LayerNormalization", "Flatten", "Reshape", "Rescaling", "Add", "Concatenate",
    "Multiply", "GaussianNoise", "GaussianDropout",
)  # fmt: skip
"""Kinds of layers that XLA trains fast on a CPU."""


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
    """Trains one network; arguments, result and errors are those of `dense_trainer.train`.

    Raises:
        FloatingPointError: If a loss is NaN or infinite.
        InputError: The user's function cannot be used with these hyperparameters.
    """
    if not isinstance(recipe.spec, UserSpec):
        raise TypeError(f"{type(recipe.spec).__name__} is not a user's own model")
    clock = Clock()
    trainer = _Trainer(recipe.spec, settings, split, seed)
    return training_loop.train_epochs(
        trainer, recipe, settings, split, seed=seed, state=state, until=until, on_epoch=on_epoch, clock=clock
    )


class _Trainer:
    """A user's model with its optimizer and its compiled epoch."""

    def __init__(self, spec: UserSpec, settings: Training, split: Split, seed: int) -> None:
        self._split, self._seed = split, seed
        shape = tuple(split.train.images.shape[1:])
        built = network.build(spec.code, spec.values, image_shape=shape, classes=split.classes, seed=seed)
        network.refuse_unsaved(spec.code, built.model)
        self._spec, self._built, self._model = spec, built, built.model
        self._batch = min(settings.batch_size, len(split.train))
        self._optimizer = _optimizer(built, settings, math.ceil(len(split.train) / self._batch))
        self._optimizer.build(self._model.trainable_variables)
        _keep_no_graph(self._optimizer)
        kept = {id(each) for each in self._model.weights}
        self._seeds = [each for each in self._model.non_trainable_variables if id(each) not in kept]
        PROGRAMS.compiled += 1  # a worker is renewed after so many: TensorFlow keeps memory of each
        self._xla = _xla_pays(self._model)
        weights = training_loop.class_weights(settings, split)
        made = partial(_compiled, built, self._optimizer, _loss(spec, built, settings), split, class_weights=weights)
        self._run = made(xla=self._xla)
        # XLA keeps for ever what it has compiled: it gets one shape, and not that of the last batch too.
        self._run_last = made(xla=False) if self._xla else self._run
        self._answer = _answers(built, split.pixel_max)
        self._scoring_rows = rows_per_call(MOST_SCORING_ROWS, max(split.inputs, built.activation_count))

    @property
    def layers(self) -> str:
        lines: list[str] = []
        self._model.summary(print_fn=lambda line, *_, **__: lines.append(str(line)), line_length=100)
        way = "compiled by XLA" if self._xla else "TensorFlow's own kernels, many steps per call"
        own = "of its own" if self._built.compiled else "Adam"
        return f"{self._spec.architecture(0, 0)}\n\n" + "\n".join(lines) + f"\nTrained with: {way}; optimizer: {own}\n"

    def compile(self) -> None:
        """Traces the functions. What XLA compiles, it compiles in the first epoch: it needs the shapes of the calls."""
        if not self._xla:
            self._run.get_concrete_function()
        self._answer.get_concrete_function()

    def start(self) -> TrainingState:
        return TrainingState(0, self.weights(), self.optimizer_state(), EarlyStopping(), {})

    def resume(self, state: TrainingState) -> TrainingState:
        self.set_weights(state.weights)
        for variable, value in zip([*self._optimizer.variables, *self._seeds], state.optimizer, strict=True):
            variable.assign(value)
        return state

    def epoch(self, number: int) -> dict[str, float]:
        """Trains one epoch: loss without penalties, and accuracy, as training reports them."""
        count, batch = len(self._split.train), self._batch
        order = training_loop.order(self._seed, number, count)
        steps = max(1, rows_per_call(MOST_TRAINING_ROWS, self._split.inputs) // batch)
        whole = count - count % batch
        loss = right = 0.0
        for start in range(0, whole, steps * batch):
            rows = order[start : min(start + steps * batch, whole)]
            summed, hits = self._step(rows, steps, batch)
            loss, right = loss + summed, right + hits
        if whole < count:
            summed, hits = self._step(order[whole:], 1, count - whole)
            loss, right = loss + summed, right + hits
        return {"loss": loss / count, "accuracy": right / count}

    def _step(self, rows: NDArray[np.int64], steps: int, batch: int) -> tuple[float, float]:
        """Trains on some rows, a whole number of batches; a stack for XLA has room for `steps` of them."""
        filled = len(rows) // batch
        if self._xla and filled < steps:
            rows = np.concatenate((rows, np.broadcast_to(rows[:1], (steps - filled) * batch)))
        images, labels = self._split.train.images[rows], self._split.train.labels[rows]
        stack = images.reshape(-1, batch, *images.shape[1:])
        run = self._run if batch == self._batch else self._run_last
        loss, right = run(stack, labels.astype(np.int32).reshape(-1, batch), np.int32(filled))
        return float(loss), float(right)

    def log_probabilities(self, part: Part) -> NDArray[np.float32]:
        rows = self._scoring_rows
        pieces = [
            self._answer(np.ascontiguousarray(part.images[start : start + rows])).numpy()
            for start in range(0, len(part), rows)
        ]
        return np.concatenate(pieces)

    def weights(self) -> Weights:
        return tuple(self._model.get_weights())

    def set_weights(self, weights: Weights) -> None:
        self._model.set_weights(list(weights))

    def optimizer_state(self) -> tuple[NDArray[np.generic], ...]:
        """The optimizer's variables, then the states of the model's random numbers."""
        return tuple(np.asarray(each) for each in [*self._optimizer.variables, *self._seeds])


def _optimizer(built: Built, settings: Training, steps: int) -> keras.optimizers.Optimizer:
    """That of a model that comes compiled; otherwise Adam with the experiment's settings."""
    if built.compiled:
        return built.model.optimizer
    rate: Any = settings.learning_rate
    if settings.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, settings.epochs * steps)
    adam = keras.optimizers.Adam(rate, weight_decay=settings.weight_decay or None)
    if settings.weight_decay:
        adam.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return adam


def _keep_no_graph(optimizer: keras.optimizers.Optimizer) -> None:
    """Skips the sum of gradients over replicas: there is one, and TensorFlow registers the custom gradient of that sum
    for ever, and with it the whole graph of the network.
    """
    optimizer._all_reduce_sum_gradients = list  # noqa: SLF001 - Keras has no switch for it
    inner = getattr(optimizer, "inner_optimizer", None)  # of a LossScaleOptimizer
    if inner is not None:
        _keep_no_graph(inner)


def _loss(spec: UserSpec, built: Built, settings: Training) -> tuple[Any, bool]:
    """The loss of labels and outputs, and whether its labels are one-hot rows.

    Raises:
        InputError: A model that comes compiled has a loss that does not fit its outputs.
    """
    given = built.model.loss if built.compiled else None
    if given is None and settings.label_smoothing and not built.compiled:
        smooth = settings.label_smoothing
        return keras.losses.CategoricalCrossentropy(from_logits=built.logits, label_smoothing=smooth), True
    if given is None:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=built.logits), False
    if isinstance(given, dict | list | tuple):
        raise InputError(f"model is {spec.code.name}: it comes compiled with several losses; expected one")
    loss = keras.losses.get(given)
    name = getattr(loss, "__name__", type(loss).__name__).lower()
    if built.logits and "crossentropy" in name.replace("_", "") and not getattr(loss, "from_logits", False):
        raise InputError(
            f"model is {spec.code.name}: its outputs are logits, and its loss expects probabilities; expected "
            "from_logits=True in the loss, or softmax in the last layer"
        )
    return loss, "sparse" not in name


def _xla_pays(model: keras.Model) -> bool:
    """Whether XLA compiles the training of a model, fast: on a GPU where its layers can be, on a CPU for simple layers."""
    kinds = network.layers(model)
    if not all(getattr(each, "supports_jit", True) for each in kinds):
        return False
    if tf.config.list_physical_devices("GPU"):
        return True
    return all(type(each).__module__.startswith("keras.") and type(each).__name__ in FAST_IN_XLA for each in kinds)


def _scaled(images: tf.Tensor, shape: Sequence[int], pixel_max: int) -> tf.Tensor:
    """Pixels as the user's model takes them: 0 to 1, float32, in its shape."""
    rows = tf.cast(images, tf.float32) * (1 / pixel_max)
    return tf.reshape(rows, (-1, *shape))


def _compiled(
    built: Built,
    optimizer: keras.optimizers.Optimizer,
    loss: tuple[Any, bool],
    split: Split,
    *,
    class_weights: tuple[float, ...] | None,
    xla: bool,
) -> tf.types.experimental.PolymorphicFunction:
    """A function that takes one optimizer step per batch.

    Its arguments are images uint8 (steps, batch, *shape), labels int32 (steps, batch), and how many batches count. It
    returns the sums over rows of the loss, without penalties of the model, and of the correct answers.
    """
    model, (of_labels, one_hot), shape = built.model, loss, built.input_shape
    variables = model.trainable_variables

    def steps(images: tf.Tensor, labels: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        rows = tf.cast(tf.shape(labels)[1], tf.float32)

        def step(number: tf.Tensor, loss_sum: tf.Tensor, right: tf.Tensor) -> tuple[tf.Tensor, ...]:
            here = labels[number]
            truth = tf.one_hot(here, split.classes) if one_hot else here
            with tf.GradientTape() as tape:
                answers = model(_scaled(images[number], shape, split.pixel_max), training=True)
                fitted = _mean_loss(of_labels, truth, answers, class_weights and tf.gather(class_weights, here))
                total = tf.add_n([fitted, *(tf.cast(tf.reduce_sum(each), tf.float32) for each in model.losses)])
            optimizer.apply(tape.gradient(total, variables), variables)
            hits = tf.cast(tf.argmax(answers, axis=1, output_type=tf.int32) == here, tf.float32)
            return number + 1, loss_sum + rows * fitted, right + tf.reduce_sum(hits)

        start = tf.constant(0), tf.constant(0.0), tf.constant(0.0)
        _, loss_sum, right = tf.while_loop(lambda number, *_: number < count, step, start, parallel_iterations=1)
        return loss_sum, right

    if xla:
        # fixed shapes, which XLA needs
        return tf.function(steps, jit_compile=True, autograph=False)
    image = split.train.images.shape[1:]
    signature = [
        tf.TensorSpec((None, None, *image), tf.uint8),
        tf.TensorSpec((None, None), tf.int32),
        tf.TensorSpec((), tf.int32),
    ]
    return tf.function(steps, input_signature=signature, autograph=False)


def _mean_loss(of_labels: Any, truth: tf.Tensor, answers: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
    """The mean loss of some rows, each multiplied by its weight."""
    if weights is None:
        return tf.reduce_mean(of_labels(truth, answers))
    if isinstance(of_labels, keras.losses.Loss):
        return tf.reduce_mean(of_labels(truth, answers, sample_weight=weights))
    return tf.reduce_mean(of_labels(truth, answers) * weights)


def _answers(built: Built, pixel_max: int) -> tf.types.experimental.PolymorphicFunction:
    """A function from images uint8 (n, *shape) to log-probabilities (n, classes), dropout off."""
    signature = [tf.TensorSpec((None, *built.image_shape), tf.uint8)]

    @tf.function(input_signature=signature, autograph=False)  # type: ignore[untyped-decorator]  # TensorFlow is untyped
    def answer(images: tf.Tensor) -> tf.Tensor:
        answers = built.model(_scaled(images, built.input_shape, pixel_max), training=False)
        return tf.nn.log_softmax(answers) if built.logits else tf.math.log(tf.maximum(answers, LEAST))

    return answer
