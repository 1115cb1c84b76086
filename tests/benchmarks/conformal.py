"""Whether sets and thresholds keep their word, by simulation: `python -m tests.benchmarks.conformal [--quick]`.

A population of made-up rows stands for all images that a network may meet. Again and again a validation set is drawn from
it, candidates and thresholds are fitted on that, and what they do to the whole population is counted. Prints two tables;
exit code 1 when a stated coverage is missed by more than the simulation's own noise.

- Sets: mean coverage over the draws. Split conformal states at least `stated` and, where no two scores are equal, at most
  1 / (n + 1) more. As served, with the most probable class in the place of an empty set, it can only be more.
- Thresholds: in what share of the draws validation finds one, and in what share it finds one whose accuracy in truth is
  below the target; with the guard (lower Wilson bound) and without it.
"""

import argparse
import sys

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Labels
from pipeline.statistics.selective import conformal, thresholds
from pipeline.statistics.selective.policies import answer, conformal_set
from pipeline.training.result import Probabilities
from tests.figures.samples import labels_and_probabilities

STATED = (0.8, 0.9, 0.95, 0.99)
TARGETS = (0.92, 0.95, 0.98)
NOISE = 1.0
"""Of the made-up network: about 89 % right."""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="fewer draws")
    draws = 60 if options.parse_args().quick else 300
    labels, probabilities = labels_and_probabilities(100_000, noise=NOISE)
    right = (probabilities.argmax(axis=1) == labels).mean()
    print(f"{len(labels):,} made-up rows, {100 * right:.1f} % right; {draws} validation sets of each size\n")
    generator = np.random.default_rng(1)
    missed = _sets(labels, probabilities, draws, generator)
    _thresholds(labels, probabilities, draws, generator)
    return 1 if missed else 0


def _sets(labels: Labels, probabilities: Probabilities, draws: int, generator: np.random.Generator) -> int:
    """Prints the table of sets; returns how many of its lines miss what they state."""
    print("| stated | validation rows | mean coverage | standard error | as served | size | verdict |")
    print("|---|---|---|---|---|---|---|", flush=True)
    missed = 0
    for stated in STATED:
        for size in (50, 1000):
            found = np.array([_set(labels, probabilities, stated, size, generator) for _ in range(draws)])
            mean, error = found[:, 0].mean(), found[:, 0].std(ddof=1) / np.sqrt(draws)
            holds = stated - 3 * error <= mean <= stated + 1 / (size + 1) + 3 * error
            missed += not holds
            cells = f"{mean:.4f} | {error:.4f} | {found[:, 1].mean():.4f} | {found[:, 2].mean():.2f}"
            print(f"| {stated} | {size} | {cells} | {'holds' if holds else 'MISSED'} |", flush=True)
    return missed


def _set(
    labels: Labels, probabilities: Probabilities, stated: float, size: int, generator: np.random.Generator
) -> tuple[float, float, float]:
    """Coverage of the rule, coverage as served, mean size: of one draw, on 5,000 rows that it has not seen."""
    rows = generator.choice(len(labels), size + 5000, replace=False)
    seen, fresh = rows[:size], rows[size:]
    fitted = conformal.calibrate(labels[seen], probabilities[seen], coverage=stated)
    checked = conformal.evaluate(fitted, labels[fresh], probabilities[fresh])
    kept = conformal_set(probabilities[fresh], fitted.quantile)[np.arange(len(fresh)), labels[fresh]]
    return float(kept.mean()), checked.coverage, checked.size


def _thresholds(labels: Labels, probabilities: Probabilities, draws: int, generator: np.random.Generator) -> None:
    answers = answer(probabilities, "argmax")
    order = np.argsort(-answers.confidence)
    sureness, right = answers.confidence[order], (answers.label == labels)[order]
    truth = right.cumsum() / np.arange(1, len(right) + 1)
    print("\n| target | validation rows | found | found and false | no guard: found | no guard: found and false |")
    print("|---|---|---|---|---|---|", flush=True)
    for target in TARGETS:
        for size in (200, 1000, 10_000):
            guarded, bare = [], []
            for _ in range(draws):
                rows = generator.integers(len(labels), size=size)  # with replacement: as independent as fresh images
                curve = thresholds.accuracy_coverage_curve(labels[rows], probabilities[rows])
                guarded.append(thresholds.threshold_for(curve, target).value)
                reaching = np.flatnonzero(curve.accuracy >= target)
                bare.append(float(curve.values[reaching[-1]]) if len(reaching) else None)
            cells = " | ".join(_told(values, sureness, truth, target) for values in (guarded, bare))
            print(f"| {target} | {size} | {cells} |", flush=True)


def _told(values: list[float | None], sureness: NDArray[np.float64], truth: NDArray[np.float64], target: float) -> str:
    """Two cells, shares of all draws: with a threshold, and with one whose accuracy in truth is below the target."""
    found = np.array([value for value in values if value is not None])
    if not len(found):
        return "0.000 | 0.000"
    answered = np.searchsorted(-sureness, -found, side="right")
    below = truth[np.maximum(answered, 1) - 1] < target
    return f"{len(found) / len(values):.3f} | {below.sum() / len(values):.3f}"


if __name__ == "__main__":
    sys.exit(main())
