"""Parallel coordinates of all trials: hyperparameters on the left, results on the right."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.figures.style import GREY, canvas

Trials = Sequence[Mapping[str, float | None]]
"""Values by name; None for a layer that the network does not have."""
COLOURS = "viridis_r"
"""The best dark and last drawn: yellow is lost on white."""
FEW = 8
"""Largest number of values of an axis that is spaced evenly and shows each of them."""
ABSENT = -0.12
"""Where a line runs that has no value on an axis: below it."""
FAN = 0.05
"""Share of the axis over which trials with the same value are spread, in the order of their colours."""


def parallel(trials: Trials, names: Sequence[str], *, colour_by: str) -> Figure:
    """A line per trial over the axes `names`; a missing layer (None) is drawn below the axis, at `none`.

    Axes that differ only in a number at the end, such as `dropout_0` and `dropout_1`, share their scale. `colour_by`
    names the value that colours the lines.
    """
    figure, (axes,) = canvas(max(8.0, 0.95 * len(names)), 5.0)
    values = np.array([_number(trial.get(colour_by)) for trial in trials])
    order = np.argsort(values, kind="stable")
    fan = np.empty(len(trials))
    fan[order] = np.linspace(-FAN / 2, FAN / 2, len(trials)) if len(trials) > 1 else 0.0
    heights = np.array([_axis(axes, place, name, trials, fan) for place, name in enumerate(names)])
    shade = _shading(values)
    for index in order:
        colour = colormaps[COLOURS](shade(values[index]))
        axes.plot(range(len(names)), heights[:, index], color=colour, alpha=0.8, linewidth=1.2)
    axes.set_xlim(-0.3, len(names) - 0.3)
    axes.set_ylim(-0.2, 1.1)
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_xticks(range(len(names)), [name.replace("_", "\n", 1) for name in names], fontsize=9)
    axes.tick_params(axis="x", length=0)
    bar = figure.colorbar(ScalarMappable(shade, COLOURS), ax=axes, fraction=0.025, pad=0.02, extend="min")
    bar.set_label(colour_by.replace("_", " "), fontsize=9)
    return figure


def _axis(axes: Axes, place: int, name: str, trials: Trials, fan: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draws one axis with its values and returns the height of each trial on it, (trials,)."""
    axes.plot([place, place], [0, 1], color=GREY, linewidth=0.8, zorder=0)
    family = [each for each in {key for trial in trials for key in trial} if _stem(each) == _stem(name)]
    known = sorted({value for each in family for trial in trials if (value := trial.get(each)) is not None})
    known = [value for value in known if np.isfinite(value)]
    few = len(known) <= FEW and all(value == round(value, 3) for value in known)
    scale = known if few or len(known) == 1 else [known[0], known[-1]]
    levels = np.linspace(0, 1, len(scale)) if len(scale) > 1 else np.full(len(scale), 0.5)
    for height, value in zip(levels, scale, strict=True):
        _label(axes, place, height, f"{value:g}" if few else f"{value:.3g}", "black")
    given = [trial.get(name) for trial in trials]
    absent = np.array([value is None or not np.isfinite(value) for value in given], bool)
    if absent.any():
        _label(axes, place, ABSENT, "none", GREY)
    heights = np.full(len(trials), ABSENT)
    if scale:
        present = [value for value in given if value is not None and np.isfinite(value)]
        heights[~absent] = np.interp(present, scale, levels)
    return heights + fan if few else np.where(absent, heights + fan, heights)


def _label(axes: Axes, place: int, height: float, text: str, colour: str) -> None:
    behind = {"fc": "white", "ec": "none", "pad": 0.6, "alpha": 0.8}
    axes.text(
        place + 0.07, height, text, fontsize=8, va="center", color=colour, bbox=behind, zorder=4, in_layout=False
    )  # fmt: skip


def _stem(name: str) -> str:
    """The name without the number at its end: axes of one stem share a scale."""
    return name.rstrip("0123456789") if name[-1:].isdigit() else name


def _shading(values: NDArray[np.float64]) -> Normalize:
    known = values[np.isfinite(values)]
    if not len(known):
        return Normalize(0, 1, clip=True)
    # The weakest trials would take all the colour from the differences among the good ones.
    low, high = float(np.percentile(known, 20)), float(known.max())
    return Normalize(low if low < high else high - 0.01, high, clip=True)


def _number(value: float | None) -> float:
    """A value to colour by; a missing one counts as the lowest."""
    return -np.inf if value is None or np.isnan(value) else value
