"""A sheet of images with two lines above each."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.data.dataset import Images
from pipeline.figures.style import TEST, canvas, drawable

COLUMNS = 6
CELL = 1.75
"""Width of an image with its margin, inches."""
CAPTION = 0.3
"""Height of the two lines above an image, in widths of a cell."""


def sheet(
    images: Sequence[Images], captions: Sequence[tuple[str, str]], *, pixel_max: int, title: str | None = None
) -> Figure:
    """Images in rows, each below two lines: the upper one in colour."""
    rows, pitch = max(1, -(-len(images) // COLUMNS)), 1 + CAPTION
    # One set of axes for all: laying out a set for each image takes seconds.
    figure, (axes,) = canvas(CELL * COLUMNS, CELL * pitch * rows + (0.5 if title else 0.2))
    axes.set_axis_off()
    for place, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left, top = place % COLUMNS, place // COLUMNS * pitch
        _image(axes, image, (left + 0.5, top + CAPTION + 0.5), pixel_max)
        for text, colour, line in zip(caption, (TEST, "black"), (0.1, 0.23), strict=True):
            axes.text(
                left + 0.5, top + line, text, fontsize=8.5, color=colour, ha="center", va="center",
                in_layout=False, parse_math=False,
            )  # fmt: skip
    axes.set_xlim(0, COLUMNS)
    axes.set_ylim(rows * pitch, 0)
    axes.set_aspect("equal")
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def pairs(images: Sequence[tuple[Images, Images]], captions: Sequence[tuple[str, str]], *, pixel_max: int) -> Figure:
    """Two images side by side, with two lines above."""
    joined = [np.concatenate(pair, axis=1) for pair in images]
    return sheet(joined, captions, pixel_max=pixel_max)


def _image(axes: Axes, image: Images, middle: tuple[float, float], pixel_max: int) -> None:
    """One image around a point, its longer side as long as a cell allows."""
    height, width = image.shape[:2]
    across, down = 0.46 * width / max(height, width), 0.46 * height / max(height, width)
    extent = (middle[0] - across, middle[0] + across, middle[1] + down, middle[1] - down)
    axes.imshow(
        drawable(image, pixel_max), cmap="gray_r", vmin=0, vmax=pixel_max, extent=extent, interpolation="nearest"
    )  # fmt: skip
