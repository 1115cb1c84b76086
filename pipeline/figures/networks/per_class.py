"""Precision and recall per class."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from pipeline.figures.style import GREY, TEST, TRAIN, canvas, short


def classes(table: pd.DataFrame, *, part: str) -> Figure:
    """Two bars per class, the lowest F1 first."""
    ordered = table.sort_values("f1", kind="stable").reset_index(drop=True)
    figure, (axes,) = canvas(7.6, 1.2 + 0.42 * len(ordered))
    places = np.arange(len(ordered))
    for column, colour, shift in (("precision", TRAIN, -0.2), ("recall", TEST, 0.2)):
        axes.barh(places + shift, ordered[column], 0.38, color=colour, label=column)
        for place, value in zip(places + shift, ordered[column], strict=True):
            axes.text(value + 0.008, place, f"{100 * value:.1f}", fontsize=8, va="center")
    axes.set_yticks(places, [short(str(name)) for name in ordered["class"]])
    axes.margins(y=0.02)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.08)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="x", color=GREY, alpha=0.2, linewidth=0.6)
    axes.set_title(f"Class by class on {part}, the weakest first", fontsize=11, loc="left")
    figure.legend(loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return figure
