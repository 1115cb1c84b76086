"""Dropout for the compiled trainer.

The random numbers are drawn by NumPy outside the compiled function. Drawn inside, by XLA on a CPU, dropout at every
place took as long as the rest of an epoch.
"""

import math

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.models.dense import DenseSpec

LEVELS = 2**16
"""Resolution of a rate: the random numbers are uint16."""


class DropoutMasks:
    """The dropout of one network: draws its random numbers."""

    def __init__(self, spec: DenseSpec, inputs: int, seed: int) -> None:
        widths = (inputs, *spec.hidden)
        self.places = [place for place, rate in enumerate(spec.dropout) if rate]
        """Positions with dropout: 0 after the input, i after hidden layer i."""
        self._rates = spec.dropout
        self._widths = [widths[place] for place in self.places]
        self._seed = seed

    def draw(self, epoch: int, call: int, shape: tuple[int, int]) -> list[NDArray[np.uint16]]:
        """uint16 (steps, batch, width) per place, the same for the same epoch and call."""
        bits = np.random.SFC64(np.random.SeedSequence([self._seed, epoch, call]))
        counts = [math.prod(shape) * width for width in self._widths]
        return [
            # Whole words, four numbers each: nine times as fast as `Generator.bytes`, for the same numbers.
            bits.random_raw(math.ceil(count / 4)).view(np.uint16)[:count].reshape(*shape, width)
            for count, width in zip(counts, self._widths, strict=True)
        ]

    def threshold(self, place: int) -> int:
        """The threshold: random numbers below it are dropped. Never all of them, however close to 1 the rate is."""
        return min(round(self._rates[place] * LEVELS), LEVELS - 1)

    def thresholds(self) -> NDArray[np.int32]:
        """The threshold of each place with dropout."""
        return np.array([self.threshold(place) for place in self.places], np.int32)


def dropped(rows: tf.Tensor, random: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    """Applies dropout to rows (batch, width): zero where `random` (uint16, the same shape) is below the threshold, the rest
    scaled up to keep the expectation.
    """
    scale = LEVELS / tf.cast(LEVELS - threshold, tf.float32)
    return tf.where(tf.cast(random, tf.int32) >= threshold, rows * scale, 0.0)
