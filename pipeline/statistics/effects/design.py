"""Networks as rows of numbers, for a linear model."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

CENTRE = 128
"""Sizes are relative to this number of units, the middle of 32 to 512 in doublings."""

WIDE = 4
"""A positive number whose largest value is so many times its smallest is modelled by its doublings."""
OWN = ("dropout", "size", "range", "choice")
"""Kinds of columns of a user's own model; such a column is called `kind:hyperparameter`."""


def own_design(trials: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The columns of the model for the hyperparameters `names` of a user's own model, the constant first. Where a network
    lacks one, it counts as no dropout, or as the mean of the others.

    A hyperparameter with `dropout` in its name is a rate, in tenths. A wide range of positive numbers counts in doublings,
    any other from 0 at its lowest value to 1 at its highest. Of a choice of texts, each but the first has a column. One that
    no network has is a column of zeros.
    """
    columns = {"constant": pd.Series(1.0, trials.index)}
    for name in names:
        columns |= dict(_own_columns(name, trials[name]))
    return pd.DataFrame(columns, index=trials.index).astype(float)


def _own_columns(name: str, given: pd.Series) -> Iterator[tuple[str, pd.Series]]:
    present = given.dropna()
    if any(isinstance(each, str) for each in present):
        for first, other in itertools.product(sorted(set(present))[:1], sorted(set(present))[1:]):
            yield f"choice:{name}={other}, not {first}", given == other
        return
    if present.empty:
        yield f"range:{name}", pd.Series(0.0, given.index)
        return
    values = given.astype(float)
    low, high = values.min(), values.max()
    if "dropout" in name.lower() and 0 <= low <= high < 1:
        yield f"dropout:{name}", values.fillna(0) / 0.1
        return
    if low > 0 and high >= WIDE * low:
        scaled = values.map(np.log2)
        yield f"size:{name}", scaled.fillna(scaled.mean())
        return
    scaled = (values - low) / ((high - low) or 1)
    yield f"range:{name} {low:g}" + (f" to {high:g}" if high > low else ""), scaled.fillna(scaled.mean())


def design(trials: pd.DataFrame) -> pd.DataFrame:
    """The columns of the model, the constant first."""
    rates = {name: trials[name].fillna(0) / 0.1 for name in numbered(trials, "dropout")}
    sizes = {name: np.log2(trials[name].fillna(CENTRE) / CENTRE) for name in numbered(trials, "hidden")}
    depths = {f"depth_{depth}": trials["depth"] == depth for depth in sorted(trials["depth"].unique())[1:]}
    columns = {"constant": 1.0, **rates, **sizes, **depths}
    return pd.DataFrame(columns, index=trials.index).astype(float)


def numbered(table: pd.DataFrame, stem: str) -> list[str]:
    """The columns such as `dropout_0`, by their number."""
    found = [
        name for name in map(str, table.columns) if name.startswith(f"{stem}_") and name[len(stem) + 1 :].isdigit()
    ]
    return sorted(found, key=lambda name: int(name[len(stem) + 1 :]))
