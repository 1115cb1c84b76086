"""Two models on the same rows. Enters: labels and both models' probabilities. Leaves: differences, with what chance allows.

All differences are first less second. They speak of these two trained models and other rows of the same kind, not of what
another seed would give.
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
from pipeline.statistics.holm import holm
from pipeline.training.result import Probabilities

LEAST = float(np.finfo(np.float32).tiny)
"""Probabilities are raised to this before their logarithm (a row costs 87.3 nats at most): far enough down that losses are
those that the scores report, and still finite where a softmax has underflowed to 0."""
DRAWS = 500_000
"""Rows drawn at a time by the bootstrap; about 12 MB."""


@dataclass(frozen=True)
class Interval:
    """A difference and its two-sided interval: `low` of level .95 is also the one-sided bound of level .975.

    Of accuracy and loss: percentile bootstrap. Its ends are NaN for fewer than two rows, and equal the estimate where no two
    rows differ, for a bootstrap knows nothing but its rows. That happens to recalls, whose rows are few (of 36 rows it holds
    the truth in 67 of 100 cases at a level of 95 %: tests/benchmarks/statistics.py); hence theirs is the adjusted Wald
    interval of a paired difference (Bonett and Price, Journal of Educational and Behavioral Statistics 37, 2012).
    """

    low: float
    estimate: float
    high: float


@dataclass(frozen=True)
class McNemar:
    """Rows that one model got right and the other wrong, and the exact two-sided test that both kinds are as frequent."""

    only_first: int
    only_second: int
    p: float
    """Two-sided binomial: 1 without such rows, NaN without any rows."""


@dataclass(frozen=True)
class ClassComparison:
    """The rows of one class. Without rows all figures are NaN and the counts 0."""

    rows: int
    recall: Interval
    """Difference of the shares recognised."""
    test: McNemar
    p_holm: float
    """Corrected over the classes with rows: the chance of any false alarm among them stays below the level."""


@dataclass(frozen=True)
class Comparison:
    """First less second model on the same rows."""

    rows: int
    level: float
    """Of each interval."""
    accuracy: Interval
    """Positive where the first is better."""
    loss: Interval
    """Of mean cross-entropy, nats. Negative where the first is better."""
    test: McNemar
    """Of accuracy."""
    classes: tuple[ClassComparison, ...]
    """By label."""


def compare(
    labels: Labels,
    first: Probabilities,
    second: Probabilities,
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> Comparison:
    """Accuracy, loss and recalls of two models on the rows (n,), probabilities (n, classes) each.

    A resample of the bootstrap draws rows, both models' answers together (Efron and Tibshirani, An Introduction to the
    Bootstrap, 1993, section 13.3). Tests are exact (McNemar, 1947), those of the classes corrected by Holm (1979). The same
    seed gives the same figures. Raises ValueError for no rows, for shapes that do not fit, for labels without a column, and
    for numbers that are no probabilities.
    """
    _check(labels, first, second)
    if resamples < 2 or not 0 < level < 1:
        raise ValueError(f"resamples is {resamples}, level {level}; expected 2 or more, and a share between 0 and 1")
    right_first, right_second = first.argmax(axis=1) == labels, second.argmax(axis=1) == labels
    correct = right_first.astype(float) - right_second
    losses = _cross_entropy(labels, first) - _cross_entropy(labels, second)
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
    """One line for accuracy, loss, and the recall of each class, NaN where a figure has no meaning.

    Columns: `measure`, `class` ("all" but for recalls), `rows`, `difference`, `low`, `high`, `only_first`, `only_second`,
    `p`, `p_holm`.

    Raises ValueError where there is not one name per class.
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


def sentence(comparison: Comparison, first_name: str, second_name: str) -> str:
    """The result in plain words; "more" and "less" only where the test or the interval says so at the comparison's level."""
    test, accuracy, loss, level = comparison.test, comparison.accuracy, comparison.loss, f"{100 * comparison.level:g} %"
    alpha = 1 - comparison.level
    if test.p < alpha:
        verdict = f"{first_name} is {'more' if accuracy.estimate > 0 else 'less'} accurate than {second_name}"
    else:
        verdict = f"{first_name} and {second_name} cannot be told apart by accuracy"
    if loss.low <= 0 <= loss.high or math.isnan(loss.low):
        other = "Their losses cannot be told apart"
    else:
        other = f"The loss of {first_name} is {'lower' if loss.estimate < 0 else 'higher'}"
    apart = sum(each.p_holm < alpha for each in comparison.classes)
    known = sum(each.rows > 0 for each in comparison.classes)
    return (
        f"On the same {comparison.rows:,} images, {verdict}: {100 * accuracy.estimate:+.2f} points ({level} interval "
        f"{100 * accuracy.low:+.2f} to {100 * accuracy.high:+.2f}); {test.only_first} images only {first_name} got right, "
        f"{test.only_second} only {second_name} (exact McNemar p = {test.p:.2g}). {other}: {loss.estimate:+.4f} ({level} "
        f"interval {loss.low:+.4f} to {loss.high:+.4f}). Recall differs in {apart} of {known} classes (Holm-corrected)."
    )


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


def _cross_entropy(labels: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """(n,): nats per row."""
    of_label = probabilities[np.arange(len(labels)), labels].astype(float)
    return np.asarray(-np.log(np.maximum(of_label, LEAST)))


def _bootstrap(differences: NDArray[np.float64], seed: int, resamples: int, level: float) -> Interval:
    """Of the mean over rows (n,); each call starts from the seed anew, so that measures share their resamples."""
    if len(differences) < 2:
        return Interval(math.nan, float(differences[0]) if len(differences) else math.nan, math.nan)
    ends = bootstrap(
        (differences,), np.mean, vectorized=True, method="percentile", n_resamples=resamples, confidence_level=level,
        batch=max(1, DRAWS // len(differences)), rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return Interval(float(ends.low), float(differences.mean()), float(ends.high))


def _wald(rows: int, test: McNemar, level: float) -> Interval:
    """Of a difference of recalls, with one row more of either kind that the test counts; cut to -1 and 1."""
    if not rows:
        return Interval(math.nan, math.nan, math.nan)
    one, other = (test.only_first + 1) / (rows + 2), (test.only_second + 1) / (rows + 2)
    reach = float(norm.ppf((1 + level) / 2)) * math.sqrt((one + other - (one - other) ** 2) / (rows + 2))
    estimate = (test.only_first - test.only_second) / rows
    return Interval(max(one - other - reach, -1.0), estimate, min(one - other + reach, 1.0))


def _mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """Of the rows (n,) that each got right; those on which both agree bear on nothing."""
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    p = float(mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue) if len(first) else math.nan
    return McNemar(only_first, only_second, p)


def _line(interval: Interval, test: McNemar | None) -> dict[str, float]:
    counts = {} if test is None else {"only_first": test.only_first, "only_second": test.only_second, "p": test.p}
    return {"difference": interval.estimate, "low": interval.low, "high": interval.high, **counts}
