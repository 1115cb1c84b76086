"""The compiled program of dense networks: their weights, the optimizer, one step per batch, and scores.

Everything that differs between networks of one shape is an input: weights, seed, dropout rates, learning rates. The last,
smaller batch is padded with rows of weight 0, and a stack may hold fewer batches than it has room for, so one compilation
is enough.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.training.dropout import dropped
from pipeline.training.programs import ProgramKey

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
    """Trains and scores dense networks with the same sizes, activations and positions with dropout, one at a time."""

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
        self._kernels = [
            keras.Variable(np.zeros((before + 1, after), np.float32)) for before, after in itertools.pairwise(sizes)
        ]
        self._activations = [keras.activations.get(name) for name in key.activations]
        self._places = key.places
        self._class_weights, self._decays, self._smooths = class_weights, key.decays, key.smooths
        self._widths, self._stack, self._pixel_max = sizes[:-1], stack, pixel_max
        # The rate is an input. As a function here it is not a variable, which would be part of the state.
        self._optimizer = keras.optimizers.Adam(lambda: 0.0)
        self._optimizer.build(self._kernels)
        self._compiled = False
        self._steps = tf.function(self._train_stack, jit_compile=True, autograph=False)
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
        """Sets the weights, in the order of `keras.Model.get_weights()`. Kernel (inputs, units) and bias (units,) of a layer
        are one array (inputs + 1, units) here, the bias last: half as many variables to update, and a quarter less time
        to compile.
        """
        pairs = zip(weights[::2], weights[1::2], strict=True)
        for variable, (kernel, bias) in zip(self._kernels, pairs, strict=True):
            variable.assign(np.concatenate((kernel, bias[None])))

    def weights(self) -> Weights:
        """A copy of the weights, in the order of `keras.Model.get_weights()`."""
        arrays = [kernel.numpy() for kernel in self._kernels]
        return tuple(part for each in arrays for part in (each[:-1], each[-1]))

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
            thresholds: (positions,); random numbers below it are dropped.
        """
        loss, right = self._steps(images, labels, np.int32(count), rates, thresholds, *random)
        return float(loss), float(right)

    def _train_stack(
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
            weight = tf.cast(tf.range(batch) < counted, tf.float32)
            importance = weight if self._class_weights is None else weight * self._weights_of(labels[number])
            rows = tf.cast(images[number], tf.float32) * (1 / self._pixel_max)
            here = {
                place: (each[number], thresholds[index])
                for index, (place, each) in enumerate(zip(self._places, random, strict=True))
            }
            with tf.GradientTape() as tape:
                answers = self._forward(rows, here)
                losses = self._losses(labels[number], answers, rates.smoothing)
                total = tf.reduce_sum(losses * importance)
                loss = total / tf.cast(counted, tf.float32)
            # Not `optimizer.apply`: it sums over replicas by a custom gradient, which TensorFlow registers for ever and
            # the whole graph with it (6 MB per network).
            gradients = tape.gradient(loss, [kernel.value for kernel in self._kernels])
            done = tf.cast(self._optimizer.iterations.value, tf.float32)
            rate = rates.first * (0.5 * (1.0 + tf.cos(done * rates.phase)))
            for gradient, kernel in zip(gradients, self._kernels, strict=True):
                if self._decays:
                    shrunk = kernel.value[:-1] * (rates.decay * rate)
                    kernel.assign_sub(tf.pad(shrunk, [[0, 1], [0, 0]]))  # the last row is the bias
                self._optimizer.update_step(gradient, kernel, rate)
            self._optimizer.iterations.assign_add(1)
            hits = tf.cast(tf.argmax(answers, axis=1, output_type=tf.int32) == labels[number], tf.float32)
            return number + 1, loss_sum + total, right + tf.reduce_sum(hits * weight)

        start = tf.constant(0), tf.constant(0.0), tf.constant(0.0)
        _, loss_sum, right = tf.while_loop(lambda number, *_: number * batch < count, step, start)
        return loss_sum, right

    def _losses(self, labels: tf.Tensor, answers: tf.Tensor, smoothing: tf.Tensor) -> tf.Tensor:
        """Cross-entropy per image; with label smoothing, that share of it is the mean over all classes as labels."""
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, answers)
        if not self._smooths:
            return losses
        even = -tf.reduce_mean(tf.nn.log_softmax(answers), axis=1)
        return losses + smoothing * (even - losses)

    def _weights_of(self, labels: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.constant(self._class_weights, tf.float32), labels)

    def _forward(self, rows: tf.Tensor, drawn: Mapping[int, tuple[tf.Tensor, tf.Tensor]]) -> tf.Tensor:
        """Outputs before softmax, with the dropout of `drawn`: random numbers and threshold by position."""

        def affine(rows: tf.Tensor, kernel: keras.Variable) -> tf.Tensor:
            return tf.matmul(tf.pad(rows, [[0, 0], [0, 1]], constant_values=1.0), kernel.value)

        def lossy(rows: tf.Tensor, place: int) -> tf.Tensor:
            return dropped(rows, *drawn[place]) if place in drawn else rows

        rows = lossy(rows, 0)
        for place, (kernel, activation) in enumerate(zip(self._kernels, self._activations, strict=False), start=1):
            rows = lossy(activation(affine(rows, kernel)), place)
        return affine(rows, self._kernels[-1])

    def _log_softmax(self, images: tf.Tensor) -> tf.Tensor:
        rows = tf.cast(images, tf.float32) * (1 / self._pixel_max)
        linear = keras.activations.linear
        for kernel, activation in zip(self._kernels, (*self._activations, linear), strict=True):
            rows = activation(tf.matmul(rows, kernel.value[:-1]) + kernel.value[-1])
        return tf.nn.log_softmax(rows)
