"""The mistakes that a network is surest of. Enters: labels and probabilities. Leaves: rows."""

from dataclasses import dataclass

import numpy as np

from pipeline.data.dataset import Labels
from pipeline.network.result import Probabilities


@dataclass(frozen=True)
class Mistake:
    """One image that was taken for something else."""

    row: int
    label: int
    predicted: int
    confidence: float
    """Probability of the predicted class."""


def surest(labels: Labels, probabilities: Probabilities, *, most: int) -> list[Mistake]:
    """At most `most` mistakes, the surest first, equals by row."""
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    order = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return [Mistake(int(row), int(labels[row]), int(predicted[row]), float(confidence[row])) for row in order]
