"""Sets of candidates that hold the label in a stated share of cases. Enters: labels and probabilities. Leaves: a quantile.

Split conformal prediction (Vovk et al., Algorithmic Learning in a Random World, 2005; here by crepes): validation says how
improbable a label may look, `policies.answer` keeps every class that looks no worse, and test says whether that holds.

A class looks as bad as 1 - its probability (Sadinle et al., Least Ambiguous Set-Valued Classifiers, 2019): of all scores
it leaves the smallest sets on average, and a single number to serve. Adaptive sets (Romano et al., 2020) share the errors
out more evenly between easy and hard images, but are larger, and need a draw per row to be exact.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]  # none of its own

from pipeline.data.dataset import Labels
from pipeline.statistics.selective.policies import answer, conformal_set, verified
from pipeline.training.result import Probabilities

with warnings.catch_warnings():  # on import crepes would have the whole process repeat every UserWarning
    from crepes import ConformalClassifier  # type: ignore[import-untyped]  # none of its own

COVERAGE = 0.95
HAIR = 1e-12


@dataclass(frozen=True)
class Calibration:
    """What the policy `candidates` needs."""

    coverage: float
    """Stated: the share of labels that the sets hold, over draws of validation and of new rows like it; 0 to 1. A mean
    over all classes: hard ones are held less often, easy ones more."""
    quantile: float
    """A class whose probability falls short of 1 by at most so much is kept; 1 keeps all."""
    rows: int
    """Validation rows that it was found on."""


@dataclass(frozen=True)
class Checked:
    """How the sets, as they are served, do on rows that had no part in the calibration. All but the size: 0 to 1."""

    stated: float
    coverage: float
    """Share of rows whose set holds the label."""
    low: float
    """Of the 95 % Wilson interval of `coverage`."""
    high: float
    size: float
    """Mean number of classes in a set; 1 or more."""
    singletons: float
    """Share of rows with exactly one class left: those that are accepted."""
    empty: float
    """Share of rows with no class left, whose set is then the most probable class."""


def fit(labels: Labels, probabilities: Probabilities, *, coverage: float = COVERAGE) -> Calibration:
    """Finds the quantile on validation rows (n, classes). Raises ValueError without rows or for a coverage out of (0, 1).

    It is the largest score of a validation label that crepes keeps (of n the ceil((n + 1) coverage)-th smallest). With
    fewer than coverage / (1 - coverage) rows nothing can be promised, and all classes are kept.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage is {coverage}; expected more than 0 and less than 1")
    _check_rows(labels)
    scores = 1.0 - verified(probabilities)[np.arange(len(labels)), labels]
    # A candidate quantile per row; the last is worse than all that was seen, kept where validation is too small.
    tried = np.append(np.unique(scores), 2.0)
    fitted = ConformalClassifier().fit(scores)
    # A hair less, so that a p-value of exactly 1 - coverage is left out however that is rounded.
    kept = fitted.predict_set(tried[:, None], confidence=coverage - HAIR, smoothing=False)[:, 0].astype(bool)
    return Calibration(coverage, min(float(tried[kept].max()), 1.0), len(labels))


def checked(calibration: Calibration, labels: Labels, probabilities: Probabilities) -> Checked:
    """On test rows (n, classes). Raises ValueError without any."""
    _check_rows(labels)
    answers = answer(probabilities, "candidates", quantile=calibration.quantile)
    held = answers.candidates[np.arange(len(labels)), labels]
    low, high = proportion_confint(int(held.sum()), len(held), method="wilson")
    return Checked(
        stated=calibration.coverage,
        coverage=float(held.mean()),
        low=float(low),
        high=float(high),
        size=float(answers.candidates.sum(axis=1).mean()),
        singletons=float(answers.accepted.mean()),
        empty=float((~conformal_set(probabilities, calibration.quantile).any(axis=1)).mean()),
    )


def _check_rows(labels: Labels) -> None:
    if not len(labels):
        raise ValueError("no rows to calibrate or check candidates on; expected at least one")
