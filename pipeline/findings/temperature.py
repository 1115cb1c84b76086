"""Probabilities made as sure as they are right, by one number. Enters: labels and probabilities. Leaves: a temperature.

Guo et al., On Calibration of Modern Neural Networks (2017), section 4.2. Their logits and our log-probabilities differ by a
constant per row, which softmax does not see.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from pipeline.data.dataset import Labels
from pipeline.findings.policies import verified
from pipeline.network.result import Probabilities

BOUNDS = (0.01, 100.0)
"""Temperatures that are tried. A network worse than chance ends at the upper one: as good as equal shares."""
LEAST = float(np.finfo(np.float32).tiny)
"""A probability of 0 is taken for the smallest normal float32, about 1e-38: a network cannot say less."""


def fit(labels: Labels, probabilities: Probabilities) -> float:
    """The temperature with the least cross-entropy on validation rows (n, classes); above 1 where a network was too sure.

    Where every label is the most probable class, each lower temperature is better and none is best: 1, nothing to
    correct. Raises ValueError without rows.
    """
    if not len(labels):
        raise ValueError("no rows to fit a temperature on; expected at least one")
    logs = _logs(probabilities)
    rows = np.arange(len(labels))
    if np.all(logs[rows, labels] >= logs.max(axis=1)):
        return 1.0

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(logs / np.exp(log_temperature), axis=1)[rows, labels].mean())

    # Convex in 1 / temperature, so with a single valley in its logarithm too.
    found = minimize_scalar(loss, bounds=np.log(BOUNDS), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def scaled(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Rows (n, classes) at that temperature: the order of the classes stays, up to ties that float32 rounds into.

    Raises ValueError unless the temperature is finite and more than 0.
    """
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature is {temperature}; expected a finite number above 0")
    return np.asarray(softmax(_logs(probabilities) / temperature, axis=1), np.float32)


def _logs(probabilities: Probabilities) -> NDArray[np.float64]:
    return np.log(np.maximum(verified(probabilities), LEAST))
