"""Compares two models on the same rows: differences with intervals and tests.

All differences are first minus second. They generalise to other rows of the same kind for these two trained models, not
to other seeds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import bootstrap, norm
from statsmodels.stats.contingency_tables import mcnemar  # type: ignore[import-untyped]  # has no types

from pipeline.data.dataset import Labels
from pipeline.statistics.cross_entropy import cross_entropy
from pipeline.statistics.holm import holm
from pipeline.training.result import Probabilities

MOST_NAMED = 3
"""Classes whose recall differs are named in the sentence up to this number."""
DRAWS = 500_000
"""Rows drawn at a time by the bootstrap; about 12 MB."""


@dataclass(frozen=True)
class Interval:
    """A difference with its two-sided interval: `low` of level .95 is also the one-sided bound of level .975.

    For accuracy and loss: percentile bootstrap. Its ends are NaN for fewer than two rows, and equal the estimate if no
    two rows differ, since a bootstrap knows only its rows. That happens to recalls, which have few rows (for 36 rows it
    contains the truth in 67 of 100 cases at a level of 95 %: tests/benchmarks/statistics.py). Recalls therefore use the
    adjusted Wald interval of a paired difference (Bonett and Price, Journal of Educational and Behavioral Statistics
    37, 2012).
    """

    low: float
    estimate: float
    high: float


@dataclass(frozen=True)
class McNemar:
    """Rows that only one of the models got right, and the exact two-sided test that both kinds are equally frequent."""

    only_first: int
    only_second: int
    p: float
    """Two-sided binomial p: 1 without such rows, NaN without any rows."""


@dataclass(frozen=True)
class ClassComparison:
    """The rows of one class. Without rows, all values are NaN and the counts 0."""

    rows: int
    recall: Interval
    """Difference of recalls."""
    test: McNemar
    p_holm: float
    """p corrected over the classes with rows: the probability of any false alarm stays below the level."""


@dataclass(frozen=True)
class Comparison:
    """Differences of the first minus the second model on the same rows."""

    rows: int
    level: float
    """Level of each interval."""
    accuracy: Interval
    """Positive if the first model is better."""
    loss: Interval
    """Difference of mean cross-entropy, nats. Negative if the first model is better."""
    test: McNemar
    """Of accuracy."""
    classes: tuple[ClassComparison, ...]
    """One per label."""


def compare(
    labels: Labels,
    first: Probabilities,
    second: Probabilities,
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> Comparison:
    """Compares accuracy, loss and recalls of two models on rows (n,) with probabilities (n, classes).

    A bootstrap resample draws rows, with both models' predictions together (Efron and Tibshirani, An Introduction to
    the Bootstrap, 1993, section 13.3). Tests are exact (McNemar, 1947); those of the classes are corrected by Holm
    (1979). The same seed gives the same result.

    Raises:
        ValueError: For no rows, shapes that do not match, labels without a column, or numbers that are not
            probabilities.
    """
    _check(labels, first, second)
    if resamples < 2 or not 0 < level < 1:
        raise ValueError(f"resamples is {resamples}, level {level}; expected 2 or more, and a share between 0 and 1")
    right_first, right_second = first.argmax(axis=1) == labels, second.argmax(axis=1) == labels
    correct = right_first.astype(float) - right_second
    losses = cross_entropy(labels, first) - cross_entropy(labels, second)
    members = [labels == label for label in range(first.shape[1])]
    tests = [_mcnemar(right_first[own], right_second[own]) for own in members]
    return Comparison(
        rows=len(labels),
        level=level,
        accuracy=_bootstrap(correct, seed, resamples, level),
        loss=_bootstrap(losses, seed, resamples, level),
        test=_mcnemar(right_first, right_second),
        classes=tuple(
            ClassComparison(int(own.sum()), _wald(int(own.sum()), test, level), test, p_holm)
            for own, test, p_holm in zip(members, tests, map(float, holm([test.p for test in tests])), strict=True)
        ),
    )


def table(comparison: Comparison, class_names: Sequence[str]) -> pd.DataFrame:
    """One row for accuracy, one for loss, and one for the recall of each class; NaN where a value has no meaning.

    Columns: `measure`, `class` ("all" except for recalls), `rows`, `difference`, `low`, `high`, `only_first`,
    `only_second`, `p`, `p_holm`.

    Raises:
        ValueError: Unless there is one name per class.
    """
    if len(class_names) != len(comparison.classes):
        raise ValueError(f"{len(class_names)} class names for {len(comparison.classes)} classes; expected one each")
    rows = [
        {"measure": "accuracy", "class": "all", "rows": comparison.rows, **_line(comparison.accuracy, comparison.test)},
        {"measure": "loss", "class": "all", "rows": comparison.rows, **_line(comparison.loss, None)},
    ]
    rows += [
        {"measure": "recall", "class": name, "rows": each.rows, **_line(each.recall, each.test), "p_holm": each.p_holm}
        for name, each in zip(class_names, comparison.classes, strict=True)
    ]
    return pd.DataFrame(rows)


def sentence(comparison: Comparison, first_name: str, second_name: str, class_names: Sequence[str]) -> str:
    """The result in words; "more" and "less" only if the test or the interval is significant at the level of the
    comparison. Classes are named, of `class_names`, if they are few.
    """
    test, accuracy, loss, level = comparison.test, comparison.accuracy, comparison.loss, f"{100 * comparison.level:g} %"
    alpha = 1 - comparison.level
    if test.p < alpha:
        verdict = f"{first_name} is {'more' if accuracy.estimate > 0 else 'less'} accurate than {second_name}"
    else:
        verdict = f"{first_name} and {second_name} do not differ significantly in accuracy"
    if loss.low <= 0 <= loss.high or math.isnan(loss.low):
        other = "Their losses do not differ significantly"
    else:
        other = f"The loss of {first_name} is {'lower' if loss.estimate < 0 else 'higher'}"
    apart = [name for name, each in zip(class_names, comparison.classes, strict=True) if each.p_holm < alpha]
    named = f": {', '.join(apart)}" if 0 < len(apart) <= MOST_NAMED else ""
    known = sum(each.rows > 0 for each in comparison.classes)
    return (
        f"On the same {comparison.rows:,} images, {verdict}: {100 * accuracy.estimate:+z.2f} points ({level} interval "
        f"{100 * accuracy.low:+z.2f} to {100 * accuracy.high:+z.2f}). On {test.only_first} image{_s(test.only_first)} only "
        f"{first_name} is right, on {test.only_second} only {second_name} (exact McNemar p = {test.p:.2g}). {other}: "
        f"{loss.estimate:+z.4f} ({level} interval {loss.low:+z.4f} to {loss.high:+z.4f}). Recall differs "
        f"significantly in {len(apart) or 'none'} of {known} classes (Holm-corrected){named}."
    )


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _check(labels: Labels, first: Probabilities, second: Probabilities) -> None:
    if not len(labels):
        raise ValueError("no rows to compare two models on; expected at least one")
    if first.ndim != 2 or first.shape != second.shape or len(first) != len(labels):
        raise ValueError(
            f"{len(labels)} labels for probabilities of shapes {first.shape} and {second.shape}; expected one row per label "
            "and one column per class in both"
        )
    if labels.min() < 0 or labels.max() >= first.shape[1]:
        raise ValueError(f"labels are {labels.min()} to {labels.max()}; expected 0 to {first.shape[1] - 1}")
    for name, values in (("first", first), ("second", second)):
        if not np.all(values >= 0) or not np.all(np.abs(values.sum(axis=1, dtype=float) - 1) < 1e-3):  # NaN fails both
            raise ValueError(f"the {name} model's rows are no probabilities; expected 0 or more, adding up to 1")


def _bootstrap(differences: NDArray[np.float64], seed: int, resamples: int, level: float) -> Interval:
    """Bootstrap interval of the mean over rows (n,). Each call starts from the seed, so measures share their resamples."""
    if len(differences) < 2:
        return Interval(math.nan, float(differences[0]) if len(differences) else math.nan, math.nan)
    ends = bootstrap(
        (differences,), np.mean, vectorized=True, method="percentile", n_resamples=resamples, confidence_level=level,
        batch=max(1, DRAWS // len(differences)), rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return Interval(float(ends.low), float(differences.mean()), float(ends.high))


def _wald(rows: int, test: McNemar, level: float) -> Interval:
    """Interval of a difference of recalls, with one more row of each kind that the test counts; clipped to -1 and 1."""
    if not rows:
        return Interval(math.nan, math.nan, math.nan)
    one, other = (test.only_first + 1) / (rows + 2), (test.only_second + 1) / (rows + 2)
    reach = float(norm.ppf((1 + level) / 2)) * math.sqrt((one + other - (one - other) ** 2) / (rows + 2))
    estimate = (test.only_first - test.only_second) / rows
    return Interval(max(one - other - reach, -1.0), estimate, min(one - other + reach, 1.0))


def _mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """Test for the rows (n,) that each model got right; rows on which both agree do not matter."""
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    p = float(mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue) if len(first) else math.nan
    return McNemar(only_first, only_second, p)


def _line(interval: Interval, test: McNemar | None) -> dict[str, float]:
    counts = {} if test is None else {"only_first": test.only_first, "only_second": test.only_second, "p": test.p}
    return {"difference": interval.estimate, "low": interval.low, "high": interval.high, **counts}
