"""Confusion matrices of train and test."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.figures.style import canvas, short

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
    class_names = [short(name) for name in class_names]
    scale = min(max(1.0, len(class_names) / FEW), MOST)
    longest = max(map(len, class_names))
    # Ten slanted names of eleven letters have their room below; the layout reckons with too little for more or longer ones.
    below = 0.6 + 0.1 * max(0, longest - 11) if longest > 11 or len(class_names) > 10 else 0
    figure, axes = canvas(11.8 * scale, 6.1 * scale + below, columns=2)
    for axis, counts, part in zip(axes, (train, test), ("Train", "Test"), strict=True):
        _draw(axis, counts, class_names, part, scale=scale)
    axes[1].set_yticklabels([])
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _draw(axes: Axes, counts: Counts, class_names: Sequence[str], part: str, *, scale: float) -> None:
    rows = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, rows, out=np.zeros(counts.shape), where=rows > 0)
    total = int(counts.sum())
    right = f"{100 * np.trace(counts) / total:.2f} % right" if total else "no images"
    size = min(9, scale * 90 / len(class_names))
    # The root lifts the few mistakes out of the white.
    axes.imshow(shares**0.5, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(shares >= SMALLEST), strict=True) if size >= READABLE else ():
        share = shares[row, column]
        shown = f"{100 * share:.0f}" if share >= 0.095 else f"{100 * share:.1f}"
        # Inside its cell anyway: the layout need not measure it, which halves the time.
        axes.text(
            column, row, shown, ha="center", va="center", fontsize=size, in_layout=False,
            color="white" if share > 0.35 else "black",
        )  # fmt: skip
    places = range(len(class_names))
    slanted = max(map(len, class_names)) > 3
    axes.set_xticks(places, class_names, rotation=45 if slanted else 0, ha="right" if slanted else "center")
    axes.set_yticks(places, class_names)
    axes.tick_params(labelsize=min(9, scale * 290 / len(class_names)))
    axes.set_xlabel(f"predicted, % of the row ({100 * SMALLEST:g} and more)", fontsize=9)
    axes.set_ylabel("label" if part == "Train" else "", fontsize=9)
    axes.set_title(f"{part}: {total:,} images, {right}", fontsize=10, loc="left")
    axes.spines[:].set_visible(False)
