"""Simulated trials whose effects are known: made by a seeded generator, no network was trained."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SIZES, RATES, INPUT_RATES = (32, 64, 128, 256, 512), (0.0, 0.1, 0.2, 0.3, 0.4, 0.5), (0.0, 0.1, 0.2)
"""Those of experiments/fashion_mnist."""
TRUTH = {
    "test_accuracy": {"dropout_0": -0.1, "dropout_1": -0.15, "hidden_1": 0.3},
    "accuracy_gap": {"dropout_0": -0.5, "dropout_1": -0.3, "hidden_1": 0.4, "depth": 0.25},
    "loss_gap": {"dropout_0": -1.5, "dropout_1": -0.9, "hidden_1": 1.2, "depth": 0.75},
}
"""Points (losses: hundredths of a nat) per 0.1 of rate, per doubling, and per layer beyond the first; else nothing."""
START = {"test_accuracy": 88.0, "accuracy_gap": 4.0, "loss_gap": 12.0}


def networks(
    count: int, generator: np.random.Generator, depths: tuple[int, int] = (1, 4)
) -> pd.DataFrame:  # fmt: skip
    """`count` networks, every choice as likely as any other; absent layers are NaN."""
    depth = generator.integers(depths[0], depths[1] + 1, count)
    columns: dict[str, NDArray[np.generic]] = {"depth": depth, "dropout_0": generator.choice(INPUT_RATES, count)}
    for layer in range(1, depths[1] + 1):
        absent = depth < layer
        columns[f"hidden_{layer}"] = np.where(absent, np.nan, generator.choice(SIZES, count))
        columns[f"dropout_{layer}"] = np.where(absent, np.nan, generator.choice(RATES, count))
    return pd.DataFrame(columns)


def known(count: int, *, seed: int = 1, depths: tuple[int, int] = (1, 4)) -> pd.DataFrame:
    """Rows as in trials.csv, shares from 0 to 1; errors of .3 points, wider the more dropout follows the input."""
    generator = np.random.default_rng(seed)
    drawn = networks(count, generator, depths)
    for outcome, truth in TRUTH.items():
        value = np.full(count, START[outcome])
        for column, step in truth.items():
            value = value + step * _steps(drawn, column)
        spread = 0.3 * (0.75 + 2.5 * drawn["dropout_0"])
        drawn[outcome] = (value + spread * generator.normal(size=count)) / 100
    return drawn


def _steps(drawn: pd.DataFrame, column: str) -> NDArray[np.float64]:
    values = drawn[column].to_numpy(float)
    if column == "depth":
        return values - 1
    steps = values / 0.1 if column.startswith("dropout") else np.log2(values / 128)
    return np.nan_to_num(steps)
