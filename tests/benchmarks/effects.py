"""Whether the intervals of the effects hold what they promise. Run: `python -m tests.benchmarks.effects [--quick]`.

Networks are drawn evenly from the project's own space (experiments/fashion_mnist). Known effects and errors of known spread
make their outcomes; errors are normal, either even or three times as wide for the smallest first layer as for the largest.
Printed per number of trials: the share of 95 % intervals that hold the true effect, by kind of effect; their mean half-width
in units of the error's spread; how many effects were told; and, where no column does anything, how often at least one
verdict of a family claims that one does (promised: 5 % at most). Exits with 1 where coverage falls short of what it claims.
"""

import argparse
import sys

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import experiment
from pipeline.statistics.effects.design import design
from pipeline.statistics.effects.model import STEPS, judged
from pipeline.statistics.effects.regression import regress

SPACE = experiment.load("fashion_mnist").space
TRIALS = (24, 100, 300)
SPREAD = 0.3
"""Points: the error's standard deviation, about that of a test accuracy of 10,000 images."""
TRUTH = {"dropout": -0.2, "hidden": 0.3, "depth": 0.1}
"""Points per step, of every column of a kind."""
CLAIM = 0.93
"""Intervals of 95 % hold the truth at least so often, in every cell of the table."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the repeats")
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--trials", type=int, nargs="+", default=TRIALS)
    given = parser.parse_args()
    repeats = given.repeats // 10 if given.quick else given.repeats
    print(
        f"{repeats} searches each; Monte Carlo error of a share: up to {100 * np.sqrt(0.05 * 0.95 / repeats):.1f} points\n"
    )
    heads = [f"{kind} holds | ± / error" for kind in STEPS] + [f"false claim, {kind}" for kind in STEPS]
    print("| trials | errors | told | " + " | ".join(heads) + " |\n|" + "---|" * (3 + 3 * len(STEPS)))
    lowest = min(_row(trials, repeats, uneven=uneven) for trials in given.trials for uneven in (False, True))
    print(f"\nlowest coverage {lowest:.3f}; claimed: {CLAIM:g} or more")
    return 0 if lowest >= CLAIM else 1


def _row(trials: int, repeats: int, *, uneven: bool) -> float:
    """Simulates and prints one line; returns its lowest coverage."""
    generator = np.random.default_rng(trials + uneven)
    held: dict[str, list[bool]] = {kind: [] for kind in STEPS}
    widths: dict[str, list[float]] = {kind: [] for kind in STEPS}
    false: dict[str, list[bool]] = {kind: [] for kind in STEPS}
    for _ in range(repeats):
        networks = drawn(trials, generator)
        columns = design(networks)
        kinds = [name.split("_")[0] for name in map(str, columns.columns)]
        truth = np.array([TRUTH.get(kind, 90.0) for kind in kinds])
        error = errors(networks, generator, uneven=uneven)
        found = regress(columns.to_numpy(), columns.to_numpy() @ truth + error)
        verdicts, _ = judged(regress(columns.to_numpy(), 90 + error), kinds)
        for kind in STEPS:
            told = np.isfinite(found.estimate) & (np.array(kinds) == kind)
            held[kind] += list((found.low <= truth)[told] & (truth <= found.high)[told])
            widths[kind] += list((found.high - found.low)[told] / 2 / SPREAD)
            mine = [verdict for verdict, each in zip(verdicts, kinds, strict=True) if each == kind]
            false[kind].append(any(verdict != "cannot tell" for verdict in mine))
    coverage = {kind: float(np.mean(held[kind])) for kind in STEPS}
    told_share = sum(map(len, held.values())) / (repeats * 12)
    figures = [f"{coverage[kind]:.3f} | {np.median(widths[kind]):.2f}" for kind in STEPS]
    figures += [f"{np.mean(false[kind]):.3f}" for kind in STEPS]
    print(
        f"| {trials} | {'uneven' if uneven else 'even'} | {told_share:.2f} | " + " | ".join(figures) + " |", flush=True
    )
    return min(coverage.values())


def drawn(trials: int, generator: np.random.Generator) -> pd.DataFrame:
    """So many networks of the space, every choice as likely as any other, in the columns of trials.csv."""
    fewest, deepest = SPACE.depth
    depth = generator.integers(fewest, deepest + 1, trials)
    columns: dict[str, NDArray[np.generic]] = {
        "depth": depth,
        "dropout_0": generator.choice(SPACE.input_dropout, trials),
    }
    for layer in range(1, deepest + 1):
        absent = depth < layer
        columns[f"hidden_{layer}"] = np.where(absent, np.nan, generator.choice(SPACE.hidden, trials))
        columns[f"dropout_{layer}"] = np.where(absent, np.nan, generator.choice(SPACE.dropout, trials))
    return pd.DataFrame(columns)


def errors(networks: pd.DataFrame, generator: np.random.Generator, *, uneven: bool) -> NDArray[np.float64]:
    """(trials,), points; of spread SPREAD on the whole."""
    size = np.log2(networks["hidden_1"].to_numpy(float))
    share = (size - size.min()) / max(np.ptp(size), 1e-9)
    spread = 3 - 2 * share if uneven else np.ones(len(networks))
    return np.asarray(SPREAD * spread / np.sqrt(np.mean(spread**2)) * generator.normal(size=len(networks)))


if __name__ == "__main__":
    sys.exit(main())
