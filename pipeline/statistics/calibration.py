"""Calibration: whether predictions with a confidence of 80 % are right in 80 % of cases; temperature scaling.

Guo et al., On Calibration of Modern Neural Networks (2017), section 4.2. Their logits and our log-probabilities differ
by a constant per row, which softmax ignores.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from pipeline.data.dataset import Labels
from pipeline.statistics.cross_entropy import log_probabilities
from pipeline.statistics.selective.policies import verified
from pipeline.training.result import Probabilities

BINS = 15


@dataclass(frozen=True, eq=False)
class Reliability:
    """Equal bins of confidence, the highest probability of a row. NaN in empty bins."""

    edges: NDArray[np.float64]
    """(bins + 1,), 0 to 1."""
    confidence: NDArray[np.float64]
    """(bins,): mean confidence."""
    accuracy: NDArray[np.float64]
    """(bins,): share of correct predictions."""
    share: NDArray[np.float64]
    """(bins,): share of all rows; adds up to 1."""

    @property
    def expected_calibration_error(self) -> float:
        """Mean distance of accuracy from confidence, weighted by share; 0 to 1.

        Guo et al., On Calibration of Modern Neural Networks (2017), equation 3.
        """
        filled = self.share > 0
        return float(np.sum(self.share[filled] * np.abs(self.accuracy[filled] - self.confidence[filled])))


def reliability(labels: Labels, probabilities: Probabilities, *, bins: int = BINS) -> Reliability:
    """Sorts rows (n, classes) into bins that include their upper edge.

    Raises:
        ValueError: Without rows.
    """
    if not len(labels):
        raise ValueError("no rows to measure calibration on; expected at least one")
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        return Reliability(
            edges=edges,
            confidence=np.bincount(place, confidence, bins) / count,
            accuracy=np.bincount(place, right, bins) / count,
            share=count / len(labels),
        )


BOUNDS = (0.01, 100.0)
"""Range of temperatures. A network worse than chance ends at the upper bound, which is as good as equal probabilities.
"""


def fit_temperature(labels: Labels, probabilities: Probabilities) -> float:
    """The temperature with the smallest cross-entropy on validation rows (n, classes); above 1 if the network is
    overconfident.

    If every label is the most probable class, each lower temperature is better and none is best; the result is then 1.

    Raises:
        ValueError: Without rows.
    """
    if not len(labels):
        raise ValueError("no rows to fit a temperature on; expected at least one")
    logs = log_probabilities(verified(probabilities))
    rows = np.arange(len(labels))
    if np.all(logs[rows, labels] >= logs.max(axis=1)):
        return 1.0

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(logs / np.exp(log_temperature), axis=1)[rows, labels].mean())

    # Convex in 1 / temperature, so with a single valley in its logarithm too.
    found = minimize_scalar(loss, bounds=np.log(BOUNDS), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def apply_temperature(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Rescales rows (n, classes); the order of the classes stays, up to ties that float32 rounding creates.

    Raises:
        ValueError: Unless the temperature is finite and positive.
    """
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature is {temperature}; expected a finite number above 0")
    return np.asarray(softmax(log_probabilities(verified(probabilities)) / temperature, axis=1), np.float32)
