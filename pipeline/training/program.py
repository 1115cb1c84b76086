"""The compiled program of dense networks: their weights, the optimizer, one step per batch, and scores.

Everything that differs between networks of one shape is an input: weights, random numbers, dropout rates, learning rates,
weight decay, label smoothing. The last, smaller batch is padded with rows of weight 0, and a stack may hold fewer batches
than it has room for, so one compilation is enough.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.training.layers.dense import DenseLayer
from pipeline.training.layers.dropout import dropped
from pipeline.training.program_cache import ProgramKey

Weights = tuple[NDArray[np.float32], ...]


class Rates(NamedTuple):
    """Numbers that a program takes as inputs."""

    first: np.float32 = np.float32(0)
    """The first learning rate."""
    phase: np.float32 = np.float32(0)
    """Radians per step of the half cosine by which the learning rate falls; 0 leaves it constant."""
    decay: np.float32 = np.float32(0)
    """Weight decay, a share of the learning rate."""
    smoothing: np.float32 = np.float32(0)
    """Share of a label that is spread over all classes."""


class Program:
    """Trains and scores, one at a time, dense networks of one size, activation, normalization and placement of dropout."""

    def __init__(
        self,
        key: ProgramKey,
        *,
        inputs: int,
        classes: int,
        pixel_max: int,
        stack: tuple[int, int],
        class_weights: tuple[float, ...] | None = None,
    ) -> None:
        """Args:
        key: What it is compiled for.
        inputs: Pixels per image.
        classes: Number of outputs.
        pixel_max: Largest pixel value.
        stack: Batches per call, and images per batch.
        class_weights: What the loss of an image of each class is multiplied by; None leaves it as it is.
        """
        keras.backend.clear_session()  # what other programs of this process left in Keras' global state
        sizes = (inputs, *key.hidden, classes)
        normalizations = (*(key.normalization for _ in key.hidden), "none")
        self._layers = [
            DenseLayer(before, after, normalization)
            for (before, after), normalization in zip(itertools.pairwise(sizes), normalizations, strict=True)
        ]
        self._trained = [each for layer in self._layers for each in layer.trained]
        self._activations = [keras.activations.get(name) for name in key.activations]
        self._places = key.places
        self._class_weights, self._decays, self._smooths = class_weights, key.decays, key.smooths
        self._widths, self._stack, self._pixel_max = sizes[:-1], stack, pixel_max
        # The rate is an input. As a function here it is not a variable, which would be part of the state.
        self._optimizer = keras.optimizers.Adam(lambda: 0.0)
        self._optimizer.build([variable for variable, _ in self._trained])
        self._compiled = False
        self._steps = tf.function(self._train_batches, jit_compile=True, autograph=False)
        pixels = tf.TensorSpec((None, inputs), tf.uint8)
        self.score = tf.function(self._log_softmax, autograph=False, input_signature=[pixels])
        """Log-softmax rows (n, classes) of images uint8 (n, pixels), dropout off."""

    def compile(self) -> None:
        """Compiles the training step by a call that holds no image; the second time it does nothing."""
        if not self._compiled:
            steps, batch = self._stack
            random = [np.zeros((*self._stack, self._widths[place]), np.uint16) for place in self._places]
            images = np.zeros((*self._stack, self._widths[0]), np.uint8)
            self.run(
                images, np.zeros((steps, batch), np.int32), 0, Rates(), random,
                np.zeros(len(self._places), np.int32),
            )  # fmt: skip
        self._compiled = True

    def reset(self, weights: Weights, optimizer: Sequence[NDArray[np.generic]] | None = None) -> None:
        """Sets the weights, in the order of `keras.Model.get_weights()`, and the optimizer's state: that of a new one by
        default.
        """
        self.set_weights(weights)
        variables = self._optimizer.variables
        if optimizer is None:
            optimizer = [np.zeros(each.shape, each.dtype) for each in variables]
        if len(optimizer) > len(variables):  # of an earlier version, with the learning rate as the second variable
            optimizer = [optimizer[0], *optimizer[2:]]
        for variable, value in zip(variables, optimizer, strict=True):
            variable.assign(value)

    def set_weights(self, weights: Weights) -> None:
        """Sets the weights, in the order of `keras.Model.get_weights()`."""
        rest = iter(weights)
        for layer in self._layers:
            layer.assign(list(itertools.islice(rest, layer.count)))

    def weights(self) -> Weights:
        """A copy of the weights, in the order of `keras.Model.get_weights()`."""
        return tuple(array for layer in self._layers for array in layer.arrays)

    def optimizer_state(self) -> tuple[NDArray[np.generic], ...]:
        """A copy of the optimizer's variables: step count, then moments."""
        return tuple(variable.numpy() for variable in self._optimizer.variables)

    def run(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int32],
        count: int,
        rates: Rates,
        random: Sequence[NDArray[np.uint16]],
        thresholds: NDArray[np.int32],
    ) -> tuple[float, float]:
        """Takes one optimizer step per batch and returns the sums of the cross-entropy and of the correct answers.

        Args:
            images: (steps, batch, pixels).
            labels: (steps, batch).
            count: Rows that count; those after them are padding.
            rates: Of learning, weight decay and label smoothing.
            random: (steps, batch, width) per position with dropout.
            thresholds: (positions,); a unit whose random number is below it is dropped.
        """
        loss, right = self._steps(images, labels, np.int32(count), rates, thresholds, *random)
        return float(loss), float(right)

    def _train_batches(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        count: tf.Tensor,
        rates: Rates,
        thresholds: tf.Tensor,
        *random: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        batch = images.shape[1]

        def step(number: tf.Tensor, loss_sum: tf.Tensor, right: tf.Tensor) -> tuple[tf.Tensor, ...]:
            counted = tf.minimum(count - number * batch, batch)
            mask = tf.cast(tf.range(batch) < counted, tf.float32)
            row_weights = mask if self._class_weights is None else mask * self._weights_of(labels[number])
            rows = tf.cast(images[number], tf.float32) * (1 / self._pixel_max)
            here = {
                place: (each[number], thresholds[index])
                for index, (place, each) in enumerate(zip(self._places, random, strict=True))
            }
            with tf.GradientTape() as tape:
                logits = self._forward(rows, here, mask, counted)
                losses = self._losses(labels[number], logits, rates.smoothing)
                total = tf.reduce_sum(losses * row_weights)
                loss = total / tf.cast(counted, tf.float32)
            # Not `optimizer.apply`: it sums over replicas by a custom gradient, which TensorFlow registers for ever and
            # the whole graph with it (6 MB per network).
            gradients = tape.gradient(loss, [variable.value for variable, _ in self._trained])
            done = tf.cast(self._optimizer.iterations.value, tf.float32)
            rate = rates.first * (0.5 * (1.0 + tf.cos(done * rates.phase)))
            for gradient, (variable, decayed) in zip(gradients, self._trained, strict=True):
                if self._decays and decayed:
                    shrunk = variable.value[:decayed] * (rates.decay * rate)
                    variable.assign_sub(tf.pad(shrunk, [[0, variable.shape[0] - decayed], [0, 0]]))
                self._optimizer.update_step(gradient, variable, rate)
            self._optimizer.iterations.assign_add(1)
            hits = tf.cast(tf.argmax(logits, axis=1, output_type=tf.int32) == labels[number], tf.float32)
            return number + 1, loss_sum + total, right + tf.reduce_sum(hits * mask)

        start = tf.constant(0), tf.constant(0.0), tf.constant(0.0)
        _, loss_sum, right = tf.while_loop(lambda number, *_: number * batch < count, step, start)
        return loss_sum, right

    def _losses(self, labels: tf.Tensor, logits: tf.Tensor, smoothing: tf.Tensor) -> tf.Tensor:
        """Cross-entropy per image; with label smoothing, that share of it is the mean over all classes as labels."""
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        if not self._smooths:
            return losses
        even = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=1)
        return losses + smoothing * (even - losses)

    def _weights_of(self, labels: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.constant(self._class_weights, tf.float32), labels)

    def _forward(
        self,
        rows: tf.Tensor,
        drawn: Mapping[int, tuple[tf.Tensor, tf.Tensor]],
        mask: tf.Tensor,
        counted: tf.Tensor,
    ) -> tf.Tensor:
        """Outputs before softmax, with the dropout of `drawn`: random numbers and threshold by position. `mask` and
        `counted` are those of `DenseLayer.train`.
        """

        def with_dropout(rows: tf.Tensor, place: int) -> tf.Tensor:
            return dropped(rows, *drawn[place]) if place in drawn else rows

        rows = with_dropout(rows, 0)
        for place, (layer, activation) in enumerate(zip(self._layers, self._activations, strict=False), start=1):
            rows = with_dropout(activation(layer.train(rows, mask, counted)), place)
        return self._layers[-1].train(rows, mask, counted)

    def _log_softmax(self, images: tf.Tensor) -> tf.Tensor:
        rows = tf.cast(images, tf.float32) * (1 / self._pixel_max)
        linear = keras.activations.linear
        for layer, activation in zip(self._layers, (*self._activations, linear), strict=True):
            rows = activation(layer.score(rows))
        return tf.nn.log_softmax(rows)
