"""A layer of the compiled program: its variables, product and normalization, in training and in scoring.

Batch normalization is that of Ioffe and Szegedy (2015), layer normalization that of Ba et al. (2016), both as in Keras.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.models.dense import EPSILON, MOMENTUM

Arrays = Sequence[NDArray[np.float32]]


class DenseLayer:
    """Kernel (inputs, units) and bias (units,) are one variable (inputs + 1, units), the bias last: half as many
    variables to update, and a quarter less time to compile. With batch normalization there is no bias. Gain and offset
    are one variable too, and so are the moving mean and variance.
    """

    def __init__(self, inputs: int, units: int, normalization: str) -> None:
        """Args:
        inputs: Numbers that come in per image.
        units: Numbers that go out.
        normalization: Of the product; a name of `pipeline.experiment.sections.space.Normalization`.
        """
        self._normalization = normalization
        self._biased = normalization != "batch"
        self._inputs = inputs
        self._kernel = keras.Variable(np.zeros((inputs + self._biased, units), np.float32))
        pairs = {"none": 0, "layer": 1, "batch": 2}[normalization]
        self._pairs = [keras.Variable(np.zeros((2, units), np.float32)) for _ in range(pairs)]
        """Gain and offset; then moving mean and variance, which are not trained."""

    @property
    def trained(self) -> list[tuple[keras.Variable, int]]:
        """Variables that the optimizer changes, each with the number of its first rows that weight decay shrinks: biases and
        what normalization learns are left alone.
        """
        return [(self._kernel, self._inputs)] + [(scale, 0) for scale in self._pairs[:1]]

    @property
    def arrays(self) -> list[NDArray[np.float32]]:
        """A copy of its weights, in the order of `keras.Model.get_weights()`."""
        kernel = self._kernel.numpy()
        return [
            *((kernel[:-1], kernel[-1]) if self._biased else (kernel,)),
            *(row for each in self._pairs for row in each.numpy()),
        ]

    def assign(self, arrays: Arrays) -> None:
        """Sets the weights, in the order of `arrays`."""
        kernel, *rest = arrays
        if self._biased:
            bias, *rest = rest
            kernel = np.concatenate((kernel, bias[None]))
        self._kernel.assign(kernel)
        for pair, first, second in zip(self._pairs, rest[::2], rest[1::2], strict=True):
            pair.assign(np.stack((first, second)))

    @property
    def count(self) -> int:
        """Number of its arrays."""
        return 1 + self._biased + 2 * len(self._pairs)

    def train(self, rows: tf.Tensor, weight: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
        """The layer before its activation, in a training step; moves the averages of batch normalization.

        Args:
            rows: (batch, inputs).
            weight: (batch,): 1 for rows that count, 0 for padding.
            counted: Number of rows that count, at least 1.
        """
        if self._normalization == "batch":
            return self._by_batch(tf.matmul(rows, self._kernel.value), weight, counted)
        return self._alone(tf.matmul(tf.pad(rows, [[0, 0], [0, 1]], constant_values=1.0), self._kernel.value))

    def score(self, rows: tf.Tensor) -> tf.Tensor:
        """The layer before its activation, for rows (n, inputs); batch normalization uses the moving averages."""
        if self._normalization == "batch":
            mean, variance = self._pairs[1].value[0], self._pairs[1].value[1]
            return self._scaled(tf.matmul(rows, self._kernel.value) - mean, variance)
        return self._alone(tf.matmul(rows, self._kernel.value[:-1]) + self._kernel.value[-1])

    def _by_batch(self, product: tf.Tensor, weight: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
        share = (weight / tf.cast(counted, tf.float32))[:, None]
        mean = tf.reduce_sum(product * share, axis=0)
        centred = product - mean
        variance = tf.reduce_sum(tf.square(centred) * share, axis=0)
        seen = tf.stop_gradient(tf.stack((mean, variance)))
        moving = self._pairs[1]
        moving.assign(moving.value * MOMENTUM + seen * (1 - MOMENTUM))
        return self._scaled(centred, variance)

    def _alone(self, product: tf.Tensor) -> tf.Tensor:
        """Each row by itself, the same in training and in scoring."""
        if self._normalization == "none":
            return product
        centred = product - tf.reduce_mean(product, axis=1, keepdims=True)
        return self._scaled(centred, tf.reduce_mean(tf.square(centred), axis=1, keepdims=True))

    def _scaled(self, centred: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
        gain, offset = self._pairs[0].value[0], self._pairs[0].value[1]
        return centred * (tf.math.rsqrt(variance + EPSILON) * gain) + offset
