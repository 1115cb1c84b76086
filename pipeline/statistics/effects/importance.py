"""Permutation importance by random forests: a check that assumes no linearity.

Measured on rows that the forest has not seen. Breiman, Random forests (2001), section 10.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold

FOLDS, SHUFFLES, TREES = 5, 3, 40
FEWEST_ROWS = 10
"""Below it a fold would hold a single row, whose column cannot be shuffled."""


@dataclass(frozen=True, eq=False)
class Importance:
    """Importance of each column; NaN if there are too few rows."""

    mean: NDArray[np.float64]
    """(columns,): by how much the mean absolute error on held-out rows grows when the column is shuffled."""
    sd: NDArray[np.float64]
    """(columns,): its standard deviation over folds and shuffles."""
    r_squared: float
    """Of the predictions for held-out rows; below 0 when the outcome's mean would predict better."""


def importance(columns: NDArray[np.float64], outcome: NDArray[np.float64], *, seed: int) -> Importance:
    """Trains forests on four fifths of `columns` (rows, columns) and permutes the other fifth, in turn."""
    rows, count = columns.shape
    if rows < FEWEST_ROWS or not count:
        return Importance(np.full(count, np.nan), np.full(count, np.nan), float("nan"))
    grown, predicted = [], np.empty(rows)
    for kept, held in KFold(FOLDS, shuffle=True, random_state=seed).split(columns):
        forest = RandomForestRegressor(TREES, random_state=seed, n_jobs=1).fit(columns[kept], outcome[kept])
        predicted[held] = forest.predict(columns[held])
        shuffled = permutation_importance(
            forest,
            columns[held],
            outcome[held],
            scoring="neg_mean_absolute_error",
            n_repeats=SHUFFLES,
            random_state=seed,
            n_jobs=1,
        )
        grown.append(shuffled.importances)
    all_grown = np.concatenate(grown, axis=1)
    return Importance(all_grown.mean(axis=1), all_grown.std(axis=1, ddof=1), float(r2_score(outcome, predicted)))
