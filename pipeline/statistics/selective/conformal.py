"""Conformal prediction sets: sets of classes that contain the label in a stated share of cases.

Split conformal prediction (Vovk et al., Algorithmic Learning in a Random World, 2005): validation determines how
improbable a label may be, `policies.answer` keeps every class that is at least as probable, and test checks the
coverage.

The score of a class is 1 minus its probability (Sadinle et al., Least Ambiguous Set-Valued Classifiers, 2019): of all
scores it gives the smallest sets on average, and one number to serve. Adaptive sets (Romano et al., 2020) spread the
errors more evenly between easy and hard images, but are larger, and need a random draw per row to be exact.
"""

import math
from dataclasses import dataclass

import numpy as np
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]  # none of its own

from pipeline.data.dataset import Labels
from pipeline.statistics.selective.policies import answer, conformal_set, verified
from pipeline.training.result import Probabilities

COVERAGE = 0.95
ROUNDING = 1e-9
"""A rank this close to a whole number is that number: (n + 1) coverage is computed in floating point."""


@dataclass(frozen=True)
class Calibration:
    """What the policy `candidates` needs."""

    coverage: float
    """Stated share of labels that the sets contain, over draws of validation and new rows like it; 0 to 1. It is a mean
    over all classes: hard ones are covered less often, easy ones more.
    """
    quantile: float
    """A class is kept if 1 minus its probability is at most this; 1 keeps all."""
    rows: int
    """Number of validation rows."""


@dataclass(frozen=True)
class Evaluation:
    """Results of the served sets on rows that had no part in the calibration. All but `size` are 0 to 1."""

    stated: float
    coverage: float
    """Share of rows whose set contains the label."""
    low: float
    """Of the 95 % Wilson interval of `coverage`."""
    high: float
    size: float
    """Mean number of classes in a set; 1 or more."""
    singletons: float
    """Share of rows with a set of exactly one class."""
    accepted: float
    """Share of rows where exactly one class is probable enough."""
    without_class: float
    """Share of rows where no class is probable enough, and the set is the most probable one."""


def calibrate(labels: Labels, probabilities: Probabilities, *, coverage: float = COVERAGE) -> Calibration:
    """Finds the quantile on validation rows (n, classes): the ceil((n + 1) coverage)-th smallest score of the labels.

    With fewer than coverage / (1 - coverage) rows nothing can be guaranteed, and all classes are kept.

    Raises:
        ValueError: Without rows, or for a coverage outside (0, 1).
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage is {coverage}; expected more than 0 and less than 1")
    _check_rows(labels)
    scores = 1.0 - verified(probabilities)[np.arange(len(labels)), labels]
    rank = math.ceil((len(scores) + 1) * coverage - ROUNDING)
    quantile = 1.0 if rank > len(scores) else min(float(np.sort(scores)[rank - 1]), 1.0)
    return Calibration(coverage, quantile, len(labels))


def evaluate(calibration: Calibration, labels: Labels, probabilities: Probabilities) -> Evaluation:
    """Checks the sets on test rows (n, classes).

    Raises:
        ValueError: Without rows.
    """
    _check_rows(labels)
    answers = answer(probabilities, "candidates", quantile=calibration.quantile)
    held = answers.candidates[np.arange(len(labels)), labels]
    low, high = proportion_confint(int(held.sum()), len(held), method="wilson")
    return Evaluation(
        stated=calibration.coverage,
        coverage=float(held.mean()),
        low=float(low),
        high=float(high),
        size=float(answers.candidates.sum(axis=1).mean()),
        singletons=float((answers.candidates.sum(axis=1) == 1).mean()),
        accepted=float(answers.accepted.mean()),
        without_class=float((~conformal_set(probabilities, calibration.quantile).any(axis=1)).mean()),
    )


def _check_rows(labels: Labels) -> None:
    if not len(labels):
        raise ValueError("no rows to calibrate or check candidates on; expected at least one")
