"""The champion's data beside the current data."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.figures.style import GREY, SEQUENTIAL, TEST, TRAIN, canvas, short
from pipeline.statistics.monitoring.drift import SIZES, Drift

DIVERGING = "RdBu_r"
LEAST = 0.01
"""Smallest scale of the difference of two mean images, as a share of the largest pixel: noise stays pale."""


def drift(found: Drift) -> Figure:
    """Class shares then and now above; below, both mean images and where the current one is brighter."""
    figure, axes = canvas(9.0, 7.2, rows=2, columns=3, heights=(1.15, 1))
    # The upper row is one wide picture.
    grid = axes[0].get_gridspec()
    for each in axes[:3]:
        each.remove()
    upper = figure.add_subplot(grid[0, :] if grid is not None else 211)
    upper.spines[["top", "right"]].set_visible(False)
    _shares(upper, found)
    before, now = found.before.mean_image, found.now.mean_image
    largest = float(max(before.max(), now.max()))
    reach = max(LEAST, float(np.abs(_over_colours(now - before)).max()))
    _image(figure, axes[3], before, "mean image then (0 to 1)", (0, largest), SEQUENTIAL)
    _image(figure, axes[4], now, "mean image now (0 to 1)", (0, largest), SEQUENTIAL)
    _image(figure, axes[5], _over_colours(now - before), "now minus then", (-reach, reach), DIVERGING)
    figure.suptitle(_heading(found), fontsize=11, ha="left", x=0.01)
    return figure


def _shares(axes: Axes, found: Drift) -> None:
    places = np.arange(len(found.class_names))
    for side, offset, colour, name in (
        (found.before, -0.2, TRAIN, "the champion's data"),
        (found.now, 0.2, TEST, "now"),
    ):
        axes.bar(places + offset, 100 * side.shares, 0.38, color=colour, label=f"{name}: {side.images:,} images")
    names = [short(name) for name in found.class_names]
    if max(map(len, names)) > 3:
        axes.set_xticks(places, names, rotation=30, ha="right")
    else:
        axes.set_xticks(places, names)
    axes.tick_params(labelsize=9)
    axes.set_ylabel("share of the images (%)", fontsize=9)
    axes.grid(axis="y", color=GREY, alpha=0.2, linewidth=0.6)
    axes.margins(y=0.2)
    axes.legend(fontsize=9, frameon=False, loc="upper right", ncols=2)


def _image(
    figure: Figure, axes: Axes, image: NDArray[np.float64], title: str, limits: tuple[float, float], colours: str
) -> None:
    shown = axes.imshow(image, cmap=colours, vmin=limits[0], vmax=limits[1])
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.03).ax.tick_params(labelsize=8)


def _over_colours(image: NDArray[np.float64]) -> NDArray[np.float64]:
    return image.mean(axis=2) if image.ndim == 3 else image


def _heading(found: Drift) -> str:
    """The verdict, then each size with its threshold."""
    verdict = (
        "Data drift since the champion was trained" if found.warning else "No data drift since the champion was trained"
    )
    shown = [
        f"{each.what} {each.size:.2f} ({'drift, ' if each.warning else ''}limit {SIZES[each.what]:g})"
        for each in found.tests
    ]
    return f"{verdict}\n{',  '.join(shown)}"
