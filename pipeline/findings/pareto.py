"""Which networks no other beats on both accuracy and gap. Enters: two arrays. Leaves: positions."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def front(accuracy: ArrayLike, gap: ArrayLike) -> NDArray[np.int64]:
    """int64: positions on the front of high accuracy (n,) and low gap (n,), by ascending gap.

    A position is on it when no other is at least as good on both and better on one; equals are on it together, NaN never.
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
