"""Parallel coordinates of all trials: hyperparameters on the left, results on the right."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.figures.style import GREY, canvas
from pipeline.formatting import shortened

Value = float | str
Trials = Sequence[Mapping[str, Value | None]]
"""Values by name, numbers or texts; None for a layer that the network does not have."""
COLOURS = "viridis_r"
"""The best dark and last drawn: yellow is lost on white."""
FEW = 8
"""Largest number of numbers of an axis that is spaced evenly and shows each of them, as an axis of texts does."""
MOST_LETTERS = 16
"""Of a text on an axis."""
ABSENT = -0.12
"""Where a line runs that has no value on an axis: below it."""
FAN = 0.05
"""Share of the axis over which trials with the same value are spread, in the order of their colours."""


def parallel(trials: Trials, names: Sequence[str], *, colour_by: str, log: Collection[str] = ()) -> Figure:
    """A line per trial over the axes `names`; a missing layer (None) is drawn below the axis, at `none`.

    Axes that differ only in a number at the end, such as `dropout_0` and `dropout_1`, share their scale. `colour_by`
    names the value that colours the lines, and `log` the axes of positive numbers that are logarithmic.
    """
    figure, (axes,) = canvas(max(8.0, 0.95 * len(names)), 5.0)
    values = np.array([_number(trial.get(colour_by)) for trial in trials])
    order = np.argsort(values, kind="stable")
    fan = np.empty(len(trials))
    fan[order] = np.linspace(-FAN / 2, FAN / 2, len(trials)) if len(trials) > 1 else 0.0
    heights = np.array([_axis(axes, place, name, trials, fan, log=name in log) for place, name in enumerate(names)])
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


def _axis(
    axes: Axes, place: int, name: str, trials: Trials, fan: NDArray[np.float64], *, log: bool
) -> NDArray[np.float64]:
    """Draws one axis with its values and returns the height of each trial on it, (trials,)."""
    axes.plot([place, place], [0, 1], color=GREY, linewidth=0.8, zorder=0)
    family = [each for each in {key for trial in trials for key in trial} if _stem(each) == _stem(name)]
    texts, numbers = _known([trial.get(each) for trial in trials for each in family])
    few = len(numbers) <= FEW and all(value in {round(value, 3), float(f"{value:.3g}")} for value in numbers)
    shown: list[Value] = [*texts, *(numbers if few else sorted({numbers[0], numbers[-1]}))]
    levels = np.linspace(0, 1, len(shown)) if len(shown) > 1 else np.full(len(shown), 0.5)
    for height, value in zip(levels, shown, strict=True):
        _label(axes, place, height, _text(value, exact=few), "black")
    level: dict[Value | None, float] = dict(zip(shown, levels, strict=True))
    if not few and len(numbers) > 1:  # between the two ends
        scaled = np.log(numbers) if log else np.array(numbers)
        level |= dict(zip(numbers, np.interp(scaled, scaled[[0, -1]], levels[-2:]), strict=True))
    heights = np.array([level.get(trial.get(name), ABSENT) for trial in trials], float)
    absent = heights == ABSENT
    if absent.any():
        _label(axes, place, ABSENT, "none", GREY)
    return heights + fan if few else np.where(absent, heights + fan, heights)


def _known(values: Sequence[Value | None]) -> tuple[list[str], list[float]]:
    """The different texts and finite numbers, each in order."""
    texts = {value for value in values if isinstance(value, str)}
    numbers = {value for value in values if value is not None and not isinstance(value, str) and np.isfinite(value)}
    return sorted(texts), sorted(numbers)


def _text(value: Value, *, exact: bool) -> str:
    if isinstance(value, str):
        return shortened(value, MOST_LETTERS)
    return f"{value:g}" if exact else f"{value:.3g}"


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


def _number(value: Value | None) -> float:
    """A value to colour by; a missing one counts as the lowest."""
    return -np.inf if value is None or isinstance(value, str) or np.isnan(value) else value
