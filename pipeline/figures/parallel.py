"""Parallel coordinates of every trial: the space on the left, what came of it on the right. Leaves: a picture."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pipeline.figures.style import GREY, SEQUENTIAL, canvas

BEHIND = {"fc": "white", "ec": "none", "pad": 0.6, "alpha": 0.75}
ABSENT = -0.12
"""Where a line runs that has no value on an axis: below it."""


def parallel(trials: Sequence[Mapping[str, float | None]], names: Sequence[str], *, colour_by: str) -> Figure:
    """A line per trial over the axes `names`; a layer that a trial lacks (None) is drawn below the axis, at `none`.

    An axis of few different values is spaced evenly, one of many by value. Colour is the value of `colour_by`.
    """
    figure, (axes,) = canvas(max(8.0, 0.95 * len(names)), 5.0)
    heights = [_axis(axes, place, name, trials) for place, name in enumerate(names)]
    values = [_number(trial.get(colour_by)) for trial in trials]
    shade = _shading(values)
    for index in sorted(range(len(trials)), key=lambda each: values[each]):
        colour = colormaps[SEQUENTIAL](shade(values[index]))
        axes.plot(range(len(names)), [height[index] for height in heights], color=colour, alpha=0.75, linewidth=1.3)
    axes.set_xlim(-0.3, len(names) - 0.7 + 0.4)
    axes.set_ylim(-0.2, 1.1)
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_xticks(range(len(names)), [name.replace("_", "\n", 1) for name in names], fontsize=9)
    axes.tick_params(axis="x", length=0)
    bar = figure.colorbar(ScalarMappable(shade, SEQUENTIAL), ax=axes, fraction=0.025, pad=0.02)
    bar.set_label(colour_by.replace("_", " "), fontsize=9)
    return figure


def _axis(axes: Axes, place: int, name: str, trials: Sequence[Mapping[str, float | None]]) -> list[float]:
    """Draws one axis with its values and returns the height of each trial on it."""
    values = [trial.get(name) for trial in trials]
    known = sorted({value for value in values if value is not None and np.isfinite(value)})
    axes.plot([place, place], [0, 1], color=GREY, linewidth=0.8, zorder=0)
    few = len(known) <= 8 and all(value == round(value, 3) for value in known)
    if few:
        at = {value: rank / max(len(known) - 1, 1) if len(known) > 1 else 0.5 for rank, value in enumerate(known)}
        ticks = [(at[value], f"{value:g}") for value in known]
    else:
        low, high = known[0], known[-1]
        at = {value: (value - low) / (high - low) if high > low else 0.5 for value in known}
        ticks = [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")]
    for height, label in ticks:
        axes.text(
            place + 0.06,
            height,
            label,
            fontsize=8,
            va="center",
            bbox={"fc": "white", "ec": "none", "pad": 0.6, "alpha": 0.75},
        )
    if any(value is None for value in values):
        axes.text(place + 0.06, ABSENT, "none", fontsize=8, va="center", color=GREY)
    return [ABSENT if value is None or value not in at else at[value] for value in values]


def _shading(values: Sequence[float]) -> Normalize:
    known = [value for value in values if np.isfinite(value)] or [0.0]
    # The weakest trials would take all the colour from the differences among the good ones.
    return Normalize(float(np.percentile(known, 20)), max(known), clip=True)


def _number(value: float | None) -> float:
    """A value to colour by; one that is missing counts as the lowest."""
    return -np.inf if value is None or np.isnan(value) else value
