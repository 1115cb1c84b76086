"""The Pareto front of high accuracy and low gap, and its hypervolume."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

REFERENCE = (0.8, 0.15)
"""Accuracy and gap that any useful network beats; fixed, so that runs compare. A network with accuracy 1 and gap 0
alone has the hypervolume .03.
"""


def front(accuracy: ArrayLike, gap: ArrayLike) -> NDArray[np.int64]:
    """Positions (int64) on the front of high accuracy (n,) and low gap (n,), by ascending gap.

    A network is on the front if no other is at least as good in both and better in one. Equal ones are on it together;
    NaN never is.
    """
    accuracies, gaps = np.asarray(accuracy, float), np.asarray(gap, float)
    sound = np.flatnonzero(np.isfinite(accuracies) & np.isfinite(gaps))
    kept = [
        each
        for each in sound
        if not np.any(
            (accuracies[sound] >= accuracies[each])
            & (gaps[sound] <= gaps[each])
            & ((accuracies[sound] > accuracies[each]) | (gaps[sound] < gaps[each]))
        )
    ]
    return np.array(sorted(kept, key=lambda each: (gaps[each], each)), dtype=np.int64)


def hypervolume(accuracy: ArrayLike, gap: ArrayLike, *, reference: tuple[float, float] = REFERENCE) -> float:
    """Area between the front and a reference point (accuracy, gap), in units of accuracy times gap; 0 or more. Larger
    is better.

    Networks that do not beat the reference in both, and those without finite values, add nothing. Zitzler and Thiele,
    Multiobjective Evolutionary Algorithms, IEEE Transactions on Evolutionary Computation 3 (1999); in two dimensions a
    sum over steps.
    """
    accuracies, gaps = np.asarray(accuracy, float), np.asarray(gap, float)
    best = front(accuracies, gaps)
    least, most = reference
    inside = best[(accuracies[best] > least) & (gaps[best] < most)]
    widths = np.diff(gaps[inside], append=most)
    return float(np.sum(widths * (accuracies[inside] - least)))
