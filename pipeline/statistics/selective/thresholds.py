"""Thresholds on confidence or margin: accuracy on accepted predictions against coverage.

A threshold is chosen on validation (`accuracy_coverage_curve`, `threshold_for`) and checked on test (`evaluate`).
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]  # none of its own

from pipeline.data.dataset import Labels
from pipeline.statistics.selective.policies import answer
from pipeline.training.result import Probabilities

By = Literal["confidence", "margin"]
DOUBT = 0.05
"""A threshold is chosen if an accuracy below the target would have looked as good with at most this probability."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Accuracy against coverage, one point per distinct value of confidence or margin, from the most certain rows to
    all.
    """

    by: By
    values: NDArray[np.float64]
    """(points,): the threshold, descending; a row that reaches it is answered, so equal rows enter together."""
    answered: NDArray[np.int64]
    """(points,): rows that are answered; the last is all of them."""
    right: NDArray[np.int64]
    """(points,): those answered that are right."""

    @property
    def rows(self) -> int:
        return int(self.answered[-1])

    @property
    def coverage(self) -> NDArray[np.float64]:
        """(points,): share of accepted rows, above 0 up to 1."""
        return self.answered / self.rows

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """(points,): share of correct predictions among the accepted ones, 0 to 1."""
        return self.right / self.answered

    @property
    def risk_area(self) -> float:
        """Area under the error rate over coverage, 0 to 1, lower is better; AURC of Geifman et al., Bias-Reduced
        Uncertainty Estimation (2019). Rows that enter together share the risk after all of them.
        """
        return float(np.sum(np.diff(self.coverage, prepend=0.0) * (1 - self.accuracy)))


@dataclass(frozen=True)
class Threshold:
    """What validation shows for a target accuracy. The values are those of `value`, or of the best possible threshold."""

    by: By
    target_accuracy: float
    value: float | None
    """Rows that reach it are accepted; 0 accepts all. None: the target is out of reach."""
    coverage: float
    accuracy: float
    lower: float
    """One-sided 95 % Wilson bound of `accuracy`."""
    reason: str
    """The reason, one sentence."""


@dataclass(frozen=True)
class Evaluation:
    """Results of a threshold on rows that had no part in choosing it."""

    rows: int
    answered: int
    accuracy: float
    """Share of correct predictions among the accepted ones; NaN if none is accepted."""
    low: float
    """Of the 95 % Wilson interval of `accuracy`; 0 where none is answered."""
    high: float
    """1 where none is answered."""
    reached: bool
    """Whether `accuracy` is at least the target."""

    @property
    def coverage(self) -> float:
        """Share of accepted rows, 0 to 1."""
        return self.answered / self.rows


def accuracy_coverage_curve(labels: Labels, probabilities: Probabilities, by: By = "confidence") -> Curve:
    """The curve of rows (n, classes).

    Raises:
        ValueError: Without rows.
    """
    sureness, right = _sureness(labels, probabilities, by)
    values, place = np.unique(-sureness, return_inverse=True)
    entering, of_them_right = np.bincount(place), np.bincount(place, right)
    return Curve(by, -values, entering.cumsum(), of_them_right.astype(np.int64).cumsum())


def threshold_for(curve: Curve, target_accuracy: float) -> Threshold:
    """The smallest threshold, with the greatest coverage, that reaches the target on validation.

    The lower Wilson bound (one-sided, 95 %) of the accuracy must reach the target, to guard against luck with few rows.
    m accepted rows without an error show at most m / (m + 2.71): for .95 it takes 52 of them. The bound holds for each
    threshold, not for the one that is picked among all. In tests/benchmarks/conformal.py validation picks a threshold
    that misses its target in truth in 1 to 8 of 100 draws; without the bound in 48 to 67.

    Raises:
        ValueError: For a target outside (0, 1].
    """
    if not 0 < target_accuracy <= 1:
        raise ValueError(f"target_accuracy is {target_accuracy}; expected more than 0 and at most 1")
    lower, _ = proportion_confint(curve.right, curve.answered, alpha=2 * DOUBT, method="wilson")
    reaching = np.flatnonzero(lower >= target_accuracy)
    point = int(reaching[-1] if len(reaching) else np.argmax(lower))
    value = None if not len(reaching) else 0.0 if point == len(lower) - 1 else float(curve.values[point])
    return Threshold(
        by=curve.by,
        target_accuracy=target_accuracy,
        value=value,
        coverage=float(curve.coverage[point]),
        accuracy=float(curve.accuracy[point]),
        lower=float(lower[point]),
        reason=_reason(curve, target_accuracy, value, point, float(lower[point])),
    )


def evaluate(threshold: Threshold, labels: Labels, probabilities: Probabilities) -> Evaluation:
    """Checks a threshold on test rows (n, classes).

    Raises:
        ValueError: Without rows, or without a threshold.
    """
    if threshold.value is None:
        raise ValueError(f"there is no threshold to check: {threshold.reason}")
    sureness, right = _sureness(labels, probabilities, threshold.by)
    answers = right[sureness >= threshold.value]
    count, good = len(answers), int(answers.sum())
    accuracy = good / count if count else math.nan
    low, high = proportion_confint(good, count, method="wilson") if count else (0.0, 1.0)
    return Evaluation(len(labels), count, accuracy, float(low), float(high), accuracy >= threshold.target_accuracy)


def _sureness(labels: Labels, probabilities: Probabilities, by: By) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The value compared with a threshold, exactly as when served; and whether the most probable class is right."""
    if not len(labels):
        raise ValueError("no rows to measure coverage on; expected at least one")
    answers = answer(probabilities, "argmax")
    return (answers.confidence if by == "confidence" else answers.margin), answers.label == labels


def _reason(curve: Curve, target: float, value: float | None, point: int, lower: float) -> str:
    accuracy, coverage = 100 * curve.accuracy[point], 100 * curve.coverage[point]
    right = f"{accuracy:.2f} % of them are right, at least {100 * lower:.2f} % with 95 % confidence"
    goal = f"The target accuracy of {100 * target:.2f} %"
    if value is None:
        return (
            f"{goal} is not reached on {curve.rows} validation images. The best threshold accepts {curve.answered[point]} "
            f"({coverage:.1f} %): {right}."
        )
    if value == 0:
        return f"{goal} is reached on all {curve.rows} validation images: {right}."
    return (
        f"{goal} is reached on validation at a {curve.by} of {value:.4f} or more, which accepts {coverage:.1f} % of "
        f"{curve.rows} images: {right}."
    )
