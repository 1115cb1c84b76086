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
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

TRAIN, TEST, FIT, MARK, GREY = "#0072B2", "#D55E00", "#56B4E9", "#009E73", "#767676"
"""Train, validation or test, train as `model.fit` reports it, the chosen one, all that is background."""
SEQUENTIAL = "viridis"
DPI = 110
TITLE_INCHES = 0.04
"""Space above a figure's title."""
INCHES_PER_LETTER = 0.105
"""Of a title at 11 points, on the safe side."""
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


Layout = tuple[Bbox, ...]
"""Places of a figure's axes, as shares of its size."""


def layout_of(figure: Figure) -> Layout:
    """Where constrained layout places the axes; a third of the time that a picture takes."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    return tuple(axes.get_position(original=True).frozen() for axes in figure.axes)


def place(figure: Figure, layout: Layout) -> None:
    """Places the axes as `layout` says, without measuring texts."""
    figure.set_layout_engine("none")
    for axes, box in zip(figure.axes, layout, strict=True):
        axes.set_position(box)
    if figure.get_suptitle():
        head(figure, figure.get_suptitle(), y=1 - TITLE_INCHES / figure.get_figheight())


def head(figure: Figure, title: str, **options: Any) -> None:
    """A figure's title in one line; smaller letters if there are many."""
    room = figure.get_figwidth() / (INCHES_PER_LETTER * max(1, len(title)))
    figure.suptitle(title, fontsize=max(5.0, min(11.0, 11 * room)), **options)


def short(name: str) -> str:
    """A class name, cut after `LETTERS` letters."""
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    # Not savefig: for its layout that draws all of it a first time, in vain.
    FigureCanvasAgg(figure).print_png(buffer, pil_kwargs={"compress_level": 3})  # type: ignore[no-untyped-call]  # Matplotlib's stubs lack it
    return buffer.getvalue()
