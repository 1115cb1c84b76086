"""Whether a confidence of 80 % is right in 80 of 100 cases. Enters: labels and probabilities. Leaves: bins and an error."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Labels
from pipeline.network.result import Probabilities

BINS = 15


@dataclass(frozen=True, eq=False)
class Reliability:
    """Equal bins of confidence, the highest probability of a row. NaN in the bins that hold nothing."""

    edges: NDArray[np.float64]
    """(bins + 1,), 0 to 1."""
    confidence: NDArray[np.float64]
    """(bins,): mean confidence."""
    accuracy: NDArray[np.float64]
    """(bins,): share that was right."""
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
    """Sorts rows (n, classes) into bins that include their upper edge. Raises ValueError without rows."""
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
