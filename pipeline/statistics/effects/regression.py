"""Ordinary least squares that reports which coefficients the rows determine.

Errors are heteroscedasticity-robust, HC3: MacKinnon and White, Some heteroskedasticity-consistent covariance matrix
estimators with improved finite sample properties (1985). Tests and intervals use Student's t with the residual degrees
of freedom.
"""

from dataclasses import dataclass

import numpy as np
import statsmodels.api as sm  # type: ignore[import-untyped]  # has no types
from numpy.typing import NDArray
from scipy import linalg, stats

Array = NDArray[np.float64]

TOLERANCE = 1e-8
"""Numbers of order 1 below this count as 0."""
LEAST_FREEDOM = 5
"""Minimum residual degrees of freedom: with fewer, HC3 is unreliable (tests/benchmarks/effects.py)."""


@dataclass(frozen=True, eq=False)
class Regression:
    """Coefficients of the columns of a design, (columns,); NaN for those that the rows do not determine."""

    estimate: Array
    low: Array
    """Lower end of the 95 % interval."""
    high: Array
    p: Array
    """Two-sided, of no effect; one comparison at a time."""
    covariance: Array
    """(columns, columns)."""
    rows: int
    """Rows that determine more than themselves."""
    freedom: int
    """Residual degrees of freedom."""
    r_squared: float
    adjusted_r_squared: float
    residual_sd: float
    """In the outcome's unit."""

    def difference_p(self, one: int, other: int) -> float:
        """Two-sided, of two coefficients being equal."""
        of_one, of_other, shared = (self.covariance[pair] for pair in ((one, one), (other, other), (one, other)))
        ratio = abs(self.estimate[one] - self.estimate[other]) / np.sqrt(of_one + of_other - 2 * shared)
        return float(2 * stats.t.sf(ratio, self.freedom))


def regress(design: Array, outcome: Array) -> Regression:
    """Fits `outcome` (rows,) on `design` (rows, columns), which includes a constant and no NaN.

    A column that is a combination of others cannot be estimated, and neither can they; the rest can. A row of leverage
    1 (such as the only network of four layers) determines a coefficient alone and has no residual: it is left out,
    which changes no other coefficient.
    """
    design, outcome = _without_lone_rows(design, outcome)
    rows, columns = design.shape
    basis = _basis(design)
    freedom = rows - len(basis)
    if freedom < LEAST_FREEDOM or np.ptp(outcome) == 0:
        return _nothing(columns, rows, max(freedom, 0))
    fitted = sm.OLS(outcome, design[:, basis]).fit(cov_type="HC3", use_t=True)
    columns_known = np.flatnonzero(estimable(design))
    places = np.searchsorted(basis, columns_known)
    intervals = fitted.conf_int(alpha=0.05)[places]
    covariance = np.full((columns, columns), np.nan)
    covariance[np.ix_(columns_known, columns_known)] = fitted.cov_params()[np.ix_(places, places)]
    return Regression(
        estimate=_spread(fitted.params[places], columns_known, columns),
        low=_spread(intervals[:, 0], columns_known, columns),
        high=_spread(intervals[:, 1], columns_known, columns),
        p=_spread(fitted.pvalues[places], columns_known, columns),
        covariance=covariance,
        rows=rows,
        freedom=freedom,
        r_squared=float(fitted.rsquared),
        adjusted_r_squared=float(fitted.rsquared_adj),
        residual_sd=float(np.sqrt(fitted.mse_resid)),
    )


def estimable(design: Array) -> NDArray[np.bool_]:
    """(columns,): which coefficients are equal in every least-squares solution."""
    if not len(design):
        return np.zeros(design.shape[1], bool)
    return np.asarray(np.all(np.abs(linalg.null_space(design, rcond=TOLERANCE)) < TOLERANCE, axis=1))


def _basis(design: Array) -> NDArray[np.int64]:
    """Columns that span all of them, in order."""
    if not len(design):
        return np.empty(0, np.int64)
    rank = int(np.linalg.matrix_rank(design, rtol=TOLERANCE))
    _, _, order = linalg.qr(design, mode="economic", pivoting=True)
    return np.sort(np.asarray(order[:rank], np.int64))


def _without_lone_rows(design: Array, outcome: Array) -> tuple[Array, Array]:
    if not len(design):
        return design, outcome
    shared = np.sum(linalg.orth(design, rcond=TOLERANCE) ** 2, axis=1) < 1 - TOLERANCE
    return design[shared], outcome[shared]


def _spread(values: Array, places: NDArray[np.int64], columns: int) -> Array:
    """`values` at `places` among NaN, (columns,)."""
    spread = np.full(columns, np.nan)
    spread[places] = values
    return spread


def _nothing(columns: int, rows: int, freedom: int) -> Regression:
    unknown = np.full(columns, np.nan)
    nan = float("nan")
    return Regression(
        unknown, unknown, unknown, unknown, np.full((columns, columns), np.nan), rows, freedom, nan, nan, nan
    )
