"""Networks as rows of numbers, for a linear model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

CENTRE = 128
"""Sizes are relative to this number of units, the middle of 32 to 512 in doublings."""

WIDE = 4
"""A positive number of three values or more whose largest is so many times its smallest is modelled by its doublings."""
FACTORS = ("dropout", "size", "range", "choice")
"""Kinds of columns of a factor; such a column is called `kind:factor`."""


@dataclass(frozen=True)
class Factor:
    """A hyperparameter of a user's own model, or what a search of dense networks varies besides their layers."""

    log: bool | None = None
    """Whether its numbers count in doublings; None: if they are positive, three or more, and their range is
    wide. Two numbers are a step from the lower to the higher one.
    """
    first: str | None = None
    """The text that its other texts are compared with; None, or one that no network has: the first in the alphabet."""


def design(trials: pd.DataFrame, factors: Mapping[str, Factor] | None = None, *, layers: bool = True) -> pd.DataFrame:
    """The columns of the model: the constant, rates and sizes of the `layers` of dense networks, the factors, and depths.

    Where a network lacks a factor, it counts as no dropout, or as the mean of the others. A factor with `dropout` in its
    name is a rate, in tenths. Numbers count in doublings, or from 0 at the lowest to 1 at the highest. Of texts, each but
    the first has a column. A factor that no network has is a column of zeros.
    """
    columns = {"constant": pd.Series(1.0, trials.index)}
    if layers:
        columns |= {name: trials[name].fillna(0) / 0.1 for name in numbered(trials, "dropout")}
        columns |= {name: np.log2(trials[name].fillna(CENTRE) / CENTRE) for name in numbered(trials, "hidden")}
    for name, factor in (factors or {}).items():
        columns |= dict(_columns(name, factor, trials[name]))
    if layers:
        columns |= {f"depth_{depth}": trials["depth"] == depth for depth in sorted(trials["depth"].unique())[1:]}
    return pd.DataFrame(columns, index=trials.index).astype(float)


def _columns(name: str, factor: Factor, given: pd.Series) -> Iterator[tuple[str, pd.Series]]:
    present = given.dropna()
    if any(isinstance(each, str) for each in present):
        texts = sorted(set(present), key=lambda each: (each != factor.first, each))
        for other in texts[1:]:
            yield f"choice:{name}={other}, not {texts[0]}", given == other
        return
    if present.empty:
        yield f"range:{name}", pd.Series(0.0, given.index)
        return
    values = given.astype(float)
    low, high = values.min(), values.max()
    if "dropout" in name.lower() and 0 <= low <= high < 1:
        yield f"dropout:{name}", values.fillna(0) / 0.1
        return
    wide = present.nunique() > 2 and low > 0 and high >= WIDE * low
    if factor.log if factor.log is not None else wide:
        scaled = values.map(np.log2)
        yield f"size:{name}", scaled.fillna(scaled.mean())
        return
    scaled = (values - low) / ((high - low) or 1)
    yield f"range:{name} {low:g}" + (f" to {high:g}" if high > low else ""), scaled.fillna(scaled.mean())


def numbered(table: pd.DataFrame, stem: str) -> list[str]:
    """The columns such as `dropout_0`, by their number."""
    found = [
        name for name in map(str, table.columns) if name.startswith(f"{stem}_") and name[len(stem) + 1 :].isdigit()
    ]
    return sorted(found, key=lambda name: int(name[len(stem) + 1 :]))
