"""Confusion matrices of train and test."""

import functools
import io
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from pipeline.figures.style import DPI, Layout, canvas, head, layout_of, place, short

Counts = NDArray[np.int64]
"""(classes, classes): rows are labels, columns predictions."""
SMALLEST = 0.005
"""Smaller shares are left to the colour: they hide the pattern, and text is what the time goes into."""


FEW = 16
"""Classes that the picture has room for; with more it grows, to `MOST` times its size."""
MOST = 2.5
READABLE = 4.0
"""Points: smaller numbers are left to the colour."""


def confusion(train: Counts, test: Counts, class_names: Sequence[str], *, title: str = "") -> Figure:
    """Both matrices side by side; number and colour of a cell are its share of the row's images in percent."""
    figure = _drawn(train, test, tuple(short(name) for name in class_names), title)
    place(figure, _layout(tuple(short(name) for name in class_names), bool(title)))
    return figure


@functools.lru_cache(maxsize=8)
def _layout(class_names: tuple[str, ...], titled: bool) -> Layout:  # noqa: FBT001 - a key
    """It depends on the names alone, so the trials of a search share it."""
    nothing = np.zeros((len(class_names),) * 2, np.int64)
    return layout_of(_drawn(nothing, nothing, class_names, "title" if titled else ""))


def _drawn(train: Counts, test: Counts, class_names: tuple[str, ...], title: str) -> Figure:
    scale = min(max(1.0, len(class_names) / FEW), MOST)
    longest = max(map(len, class_names))
    # Ten slanted names of eleven letters have their room below; the layout reckons with too little for more or longer ones.
    below = 0.6 + 0.1 * max(0, longest - 11) if longest > 11 or len(class_names) > 10 else 0
    figure, axes = canvas(11.8 * scale, 6.1 * scale + below, columns=2)
    for axis, counts, part in zip(axes, (train, test), ("Train", "Test"), strict=True):
        _draw(axis, counts, class_names, part, scale=scale)
    if title:
        head(figure, title)
    return figure


class Number(Text):
    """A number in the middle of a cell, as text that is drawn once per process and copied to all cells that show it: half
    of the picture's time went into shaping the same few numbers again.
    """

    def __init__(self, column: int, row: int, text: str, *, fontsize: float, color: str) -> None:
        super().__init__(column, row, text, fontsize=fontsize, color=color, ha="center", va="center")
        self.set_in_layout(False)  # inside its cell anyway

    def draw(self, renderer: RendererBase) -> None:
        x, y = self.get_transform().transform(self.get_position())
        stamp = _stamp(self.get_text(), self.get_fontsize(), str(self.get_color()))
        height, width = stamp.shape[:2]
        renderer.draw_image(renderer.new_gc(), round(x - width / 2), round(y - height / 2), stamp)


@functools.lru_cache(maxsize=1024)
def _stamp(text: str, size: float, color: str) -> NDArray[np.uint8]:
    """The text as RGBA (height, width, 4) from the lowest row up, as Agg draws images; transparent around it."""
    figure = Figure(dpi=DPI, facecolor="none")
    drawn = figure.text(0.5, 0.5, text, fontsize=size, color=color, ha="center", va="center")
    box = drawn.get_window_extent(RendererAgg(1, 1, DPI))  # type: ignore[no-untyped-call]  # Matplotlib's stubs lack it
    figure.set_size_inches((math.ceil(box.width) + 2) / DPI, (math.ceil(box.height) + 2) / DPI)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="raw", dpi=DPI)
    width, height = figure.canvas.get_width_height()
    return np.frombuffer(buffer.getvalue(), np.uint8).reshape(height, width, 4)[::-1].copy()


def _draw(axes: Axes, counts: Counts, class_names: Sequence[str], part: str, *, scale: float) -> None:
    rows = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, rows, out=np.zeros(counts.shape), where=rows > 0)
    total = int(counts.sum())
    right = f"{100 * np.trace(counts) / total:.2f} % right" if total else "no images"
    size = min(9, scale * 90 / len(class_names))
    # The root lifts the few mistakes out of the white.
    axes.imshow(shares**0.5, cmap="Blues", vmin=0, vmax=1, interpolation="none")
    for row, column in zip(*np.nonzero(shares >= SMALLEST), strict=True) if size >= READABLE else ():
        share = shares[row, column]
        shown = f"{100 * share:.0f}" if share >= 0.095 else f"{100 * share:.1f}"
        color = "white" if share > 0.35 else "black"
        axes.add_artist(Number(column, row, shown, fontsize=size, color=color))
    places = range(len(class_names))
    slanted = max(map(len, class_names)) > 3
    axes.set_xticks(places, class_names, rotation=45 if slanted else 0, ha="right" if slanted else "center")
    axes.set_yticks(*((places, class_names) if part == "Train" else ((),)))
    axes.tick_params(labelsize=min(9, scale * 290 / len(class_names)))
    axes.set_xlabel(f"predicted, % of the row ({100 * SMALLEST:g} and more)", fontsize=9)
    axes.set_ylabel("label" if part == "Train" else "", fontsize=9)
    axes.set_title(f"{part}: {total:,} images, {right}", fontsize=10, loc="left", y=1)
    axes.spines[:].set_visible(False)
