"""Effects of dropout at each position, of each size, of the depth and of whatever else is searched, over all trials.

The model, one per outcome: outcome = constant + a_i (rate after position i / 0.1) + b_j log2(size of hidden layer j /
128) + c_d (depth is d) + d_k (column k of the factors, design.py), by least squares with HC3 errors (regression.py). A
missing layer counts as rate 0 and size 128, so c_d is the effect of d layers of 128. a_i and b_j do not depend on that
128. A user's own model has factors only.

Intervals have a level of 95 % each. Verdicts are corrected within a family (Holm, 5 % for any false claim in it), so an
interval can exclude 0 while the verdict is "cannot tell". A family is all effects of one kind (`STEPS`) on one outcome.
Networks without finite values, and those below half of the best test accuracy, are left out and counted: one of them
outweighs fifty others in a sum of squares. A search that learns (Bayesian, Hyperband) draws networks near its best ones;
effects describe that region, and what was hardly varied cannot be estimated.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import pandas as pd

from pipeline.formatting import position
from pipeline.statistics.effects.design import FACTORS, Factor, design
from pipeline.statistics.effects.importance import importance
from pipeline.statistics.effects.regression import LEAST_FREEDOM, Array, Regression, regress
from pipeline.statistics.holm import holm

UNITS = {"test_accuracy": "points", "accuracy_gap": "points", "loss_gap": "hundredths of a nat"}
"""Outcomes and the unit of their effects: a hundredth of the outcome's own."""
FLOOR = 0.5
"""Share of the best test accuracy that a network must reach to count."""
LEVEL = 0.05
NEVER = "never varied"
"""Why there is no effect of a column that has one value."""
STEPS = {
    "dropout": "per 0.1 of rate",
    "hidden": "per doubling",
    "depth": "instead of the fewest layers",
    "size": "per doubling",
    "range": "from the lowest to the highest",
    "choice": "instead of the first",
}
"""What one unit of an estimate is, by kind of effect."""
COLUMNS = [
    "outcome", "effect", "column", "per", "unit", "estimate", "low", "high", "p", "p_holm", "verdict", "why",
    "importance", "importance_sd",
]  # fmt: skip
Verdict = Literal["raises", "lowers", "cannot tell"]


@dataclass(frozen=True)
class Effect:
    """The effect of one column on one outcome, in the unit of `UNITS`; NaN if it cannot be estimated."""

    column: str
    """`dropout_0`…, `hidden_1`… or `depth_2`…; of a factor `dropout:NAME`, `size:NAME`, `range:NAME LOW to HIGH` or
    `choice:NAME=VALUE, not FIRST`.
    """
    estimate: float
    """Per 0.1 of rate, per doubling of the size, or for that depth instead of the smallest one."""
    low: float
    high: float
    p: float
    p_holm: float
    """Corrected for all effects of its kind on the outcome."""
    verdict: Verdict
    why: str
    """Why there is no estimate; empty if there is one."""
    importance: float
    """By how much a forest's mean absolute error on held-out networks grows without the column (depth: as a whole)."""
    importance_sd: float

    @property
    def kind(self) -> str:
        """A key of `STEPS`."""
        return kind_of(self.column)

    @property
    def label(self) -> str:
        """Name for people."""
        if self.kind in FACTORS and ":" in self.column:
            name = self.column.partition(":")[2]
            return f"at {name}" if self.kind == "dropout" else name
        kind, number = self.column.split("_")
        if kind == "dropout":
            return position(int(number))
        return f"hidden layer {number}" if kind == "hidden" else f"{number} hidden layers"


@dataclass(frozen=True, eq=False)
class Fit:
    """The model of one outcome."""

    outcome: str
    effects: tuple[Effect, ...]
    """Dropout by position, sizes by layer, factors, depths."""
    regression: Regression
    """Of the constant and then `effects`, in order, in the unit of `UNITS`."""
    forest_r_squared: float
    """Of the forest, on held-out networks."""

    @property
    def unit(self) -> str:
        return UNITS[self.outcome]

    def effect(self, column: str) -> Effect:
        """By its column. Raises KeyError."""
        return {effect.column: effect for effect in self.effects}[column]

    def apart(self, one: Effect, others: Sequence[Effect]) -> list[bool]:
        """Which of `others` differ significantly from `one`, corrected for their number."""
        names = [effect.column for effect in self.effects]
        pairs = [
            self.regression.difference_p(1 + names.index(one.column), 1 + names.index(each.column)) for each in others
        ]
        return [bool(p < LEVEL) for p in holm(pairs)]


@dataclass(frozen=True, eq=False)
class Effects:
    """Effects of all that is searched over the trials of a search."""

    fits: tuple[Fit, ...]
    """One per outcome of `UNITS`."""
    trials: int
    """Rows given."""
    failed: int
    """Rows left out: not finite, or hardly anything learned."""
    fewest_layers: float
    """Hidden layers of the shallowest networks, with which the other depths are compared; NaN without any."""

    def fit(self, outcome: str) -> Fit:
        """By the outcome. Raises KeyError."""
        return {fit.outcome: fit for fit in self.fits}[outcome]


def kind_of(column: str) -> str:
    """The kind of a column: a key of `STEPS`, or `constant`."""
    kind, colon, _ = column.partition(":")
    return kind if colon and kind in FACTORS else column.split("_", maxsplit=1)[0]


def effects(
    trials: pd.DataFrame, factors: Mapping[str, Factor] | None = None, *, layers: bool = True, seed: int = 1
) -> Effects:
    """Estimates the effects.

    Args:
        trials: One row per trial with `depth`, `hidden_1`…, `dropout_0`… (NaN for missing layers), the factors and
            the outcomes, as in `trials.csv`.
        factors: All hyperparameters of a user's own model, or what is searched besides layers, by their columns.
        layers: Whether the trials are dense networks.
        seed: Seed of the forests.

    Raises:
        ValueError: For missing columns.
    """
    missing = [name for name in (*(["depth"] if layers else []), *(factors or {}), *UNITS) if name not in trials]
    if missing:
        raise ValueError(f"the trials lack {', '.join(missing)}; expected the columns of trials.csv")
    outcomes = trials[list(UNITS)].to_numpy(float)
    accuracy = trials["test_accuracy"].to_numpy(float)
    sound = np.isfinite(outcomes).all(axis=1)
    sound &= accuracy >= FLOOR * max(accuracy[sound], default=0.0)
    kept = trials[sound]
    columns = design(kept, factors, layers=layers)
    fits = tuple(_fit(kept, columns, outcome, seed) for outcome in UNITS)
    fewest = float(kept["depth"].min()) if layers else math.nan
    return Effects(fits, len(trials), int(len(trials) - sound.sum()), fewest)


def _fit(trials: pd.DataFrame, columns: pd.DataFrame, outcome: str, seed: int) -> Fit:
    names = list(map(str, columns.columns))
    values = 100 * trials[outcome].to_numpy(float)
    regression = regress(columns.to_numpy(), values)
    verdicts, corrected = judged(regression, [kind_of(name) for name in names])
    features = [name for name in names if kind_of(name) not in {"constant", "depth"}]
    depth = trials[["depth"]] if any(kind_of(name) == "depth" for name in names) else trials[[]]
    seen = np.column_stack((columns[features].to_numpy(float), depth.to_numpy(float)))
    # The depths, last in the model, share the forest's last column.
    forest = importance(seen, values, seed=seed)
    found = tuple(
        Effect(
            column=name,
            estimate=float(regression.estimate[place]),
            low=float(regression.low[place]),
            high=float(regression.high[place]),
            p=float(regression.p[place]),
            p_holm=float(corrected[place]),
            verdict=verdicts[place],
            why=_why(columns[name], regression.estimate[place], values, regression.freedom),
            importance=float(forest.mean[min(place - 1, len(features))]),
            importance_sd=float(forest.sd[min(place - 1, len(features))]),
        )
        for place, name in enumerate(names[1:], start=1)
    )
    return Fit(outcome, found, regression, forest.r_squared)


def judged(regression: Regression, families: Sequence[str]) -> tuple[list[Verdict], Array]:
    """Verdict and Holm-corrected p of every column, (columns,), each within its family."""
    corrected = np.full(len(regression.p), np.nan)
    for family in set(families):
        own = np.array(families) == family
        corrected[own] = holm(regression.p[own])
    signs: list[Verdict] = ["raises" if estimate > 0 else "lowers" for estimate in regression.estimate]
    return [sign if p < LEVEL else "cannot tell" for sign, p in zip(signs, corrected, strict=True)], corrected


def _why(column: pd.Series, estimate: float, outcome: Array, freedom: int) -> str:
    """Why the data give no estimate; empty if there is one."""
    if np.isfinite(estimate):
        return ""
    if column.nunique() < 2:
        return NEVER
    if freedom < LEAST_FREEDOM:
        return "too few networks"
    if np.ptp(outcome) == 0:
        return "the outcome never varied"
    return "not separable from other effects"


def table(found: Effects) -> pd.DataFrame:
    """One row per outcome and effect, in the `unit` of the row."""
    rows = [
        {**asdict(effect), "outcome": fit.outcome, "effect": effect.label, "per": STEPS[effect.kind], "unit": fit.unit}
        for fit in found.fits
        for effect in fit.effects
    ]
    return pd.DataFrame(rows, columns=COLUMNS)
