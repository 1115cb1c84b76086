"""Common style of all pictures: colours and sizes. No pyplot, no global state.

The colours are those of Okabe and Ito, which colour-blind readers can distinguish.
"""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

TRAIN, TEST, FIT, MARK, GREY = "#0072B2", "#D55E00", "#56B4E9", "#009E73", "#767676"
"""Train, validation or test, as training reports it, the chosen one, all that is background."""
SEQUENTIAL = "viridis"
DPI = 110
LETTERS = 40
"""Of a class name: a longer one would leave no room for the picture."""


def canvas(
    width: float, height: float, rows: int = 1, columns: int = 1, *, heights: Sequence[float] | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure of that size in inches, and its axes row by row; rows are of equal height by default."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    axes = figure.subplots(rows, columns, squeeze=False, height_ratios=heights)
    flat = [axis for row in axes for axis in row]
    for axis in flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=9)
    return figure, flat


def drawable(image: NDArray[np.uint8], pixel_max: int) -> NDArray[Any]:
    """An image for Matplotlib: (h, w) as it is, for `vmax=pixel_max`; red, green and blue as shares of `pixel_max`."""
    return image if image.ndim == 2 else image / np.float64(max(1, pixel_max))


def short(name: str) -> str:
    """A class name, cut after `LETTERS` letters."""
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    # Not savefig: for its layout that draws all of it a first time, in vain.
    FigureCanvasAgg(figure).print_png(buffer)  # type: ignore[no-untyped-call]  # Matplotlib's stubs lack it
    return buffer.getvalue()
