"""Holm's correction for many comparisons. Enters: p values. Leaves: corrected ones, 5 % of a false claim among them all.

Holm, A simple sequentially rejective multiple test procedure (1979). Not statsmodels' `multipletests`, which collects all of
the process's garbage at every call (0.1 s, measured); a test holds the two together.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def holm(p: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,), in the order given, 1 at most; NaN, which is no comparison, stays NaN and does not count."""
    given = np.asarray(p, float)
    corrected = np.full(given.shape, np.nan)
    known = np.flatnonzero(np.isfinite(given))
    order = known[np.argsort(given[known], kind="stable")]
    grown = np.maximum.accumulate(given[order] * np.arange(len(order), 0, -1))
    corrected[order] = np.minimum(grown, 1.0)
    return corrected
