"""Dropout for the compiled trainer. Enters: a spec and a seed. Leaves: random numbers per call, and how they are applied.

The numbers are drawn by NumPy, outside of the compiled function: drawn inside, by XLA on a CPU, dropout in every position
took as long as the rest of an epoch.
"""

import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.models.dense import DenseSpec

LEVELS = 2**16
"""A rate is met to one part in so many: its numbers are uint16."""


class Noise:
    """The dropout of one network."""

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

    def lost(self, place: int) -> int:
        """Numbers below this one are dropped; never all of them, however close to 1 the rate is."""
        return min(round(self._rates[place] * LEVELS), LEVELS - 1)

    def applied(self, rows: tf.Tensor, place: int, drawn: Mapping[int, tf.Tensor]) -> tf.Tensor:
        """Rows (batch, width) with what `drawn` (uint16, the same shape, per place) says lost, and the rest scaled up
        so that the expectation stays; as they are where the place has no dropout.
        """
        if place not in drawn:
            return rows
        lost = self.lost(place)
        kept = tf.cast(drawn[place], tf.int32) >= lost
        return tf.where(kept, rows * (LEVELS / (LEVELS - lost)), 0.0)
