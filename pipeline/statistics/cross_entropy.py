"""Cross-entropy of predicted probabilities, finite also for a probability of 0."""

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Labels
from pipeline.training.result import Probabilities

LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)
"""Smaller probabilities are raised to it, the smallest normal float32 (about 1e-38), before their logarithm is taken. A row
costs 87.3 nats at most: losses stay those of the scores, and finite where a softmax has underflowed to 0."""


def log_probabilities(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Natural logarithms, in the shape given."""
    return np.asarray(np.log(np.maximum(probabilities.astype(np.float64), LEAST_PROBABILITY)))


def cross_entropy(labels: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """(n,): nats per row of probabilities (n, classes)."""
    return -log_probabilities(probabilities[np.arange(len(labels)), labels])
