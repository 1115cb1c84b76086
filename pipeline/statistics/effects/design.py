"""Networks as rows of numbers, for a linear model."""

import numpy as np
import pandas as pd

CENTRE = 128
"""Sizes are relative to this number of units, the middle of 32 to 512 in doublings."""


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
