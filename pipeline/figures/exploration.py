"""Pictures of a data set."""

import numpy as np
from matplotlib.figure import Figure

from pipeline.data.dataset import Images
from pipeline.data.exploration import Exploration
from pipeline.figures.style import GREY, SEQUENTIAL, TEST, TRAIN, canvas, drawable, short

GRID = 10
"""Samples per side of a class's grid."""
SAMPLES = GRID * GRID
"""Samples of a class."""


def pixel_range(exploration: Exploration) -> Figure:
    """Minimum and maximum of each pixel."""
    figure, axes = canvas(9.0, 4.2, columns=2)
    largest = int(exploration.pixel_max.max())
    for axis, values, name in zip(
        axes, (exploration.pixel_min, exploration.pixel_max), ("Minimum", "Maximum"), strict=True
    ):
        shown = axis.imshow(drawable(values, largest), cmap=SEQUENTIAL, vmin=0, vmax=largest)
        axis.set_title(f"{name} of each pixel: {int(values.min())} to {int(values.max())}", fontsize=10, loc="left")
        axis.set_xticks([])
        axis.set_yticks([])
    if exploration.pixel_max.ndim == 2:
        figure.colorbar(shown, ax=axes, fraction=0.03, pad=0.02)
    return figure


def intensities(exploration: Exploration) -> Figure:
    """Histogram of the pixel values, without zeros."""
    figure, (axes,) = canvas(8.0, 4.0)
    counts = exploration.intensities[1:]
    axes.bar(np.arange(1, len(counts) + 1), counts, width=1.0, color=TRAIN)
    zeros = 100 * exploration.intensities[0] / exploration.intensities.sum()
    axes.set_title(
        f"Pixel values of the training images, without the zeros ({zeros:.1f} % of all)", fontsize=11, loc="left"
    )
    axes.set_xlabel("pixel value", fontsize=9)
    axes.set_ylabel("pixels", fontsize=9)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(axis="y", color=GREY, alpha=0.2, linewidth=0.6)
    return figure


def class_counts(exploration: Exploration) -> Figure:
    """Images per class and part."""
    counts = exploration.class_counts
    figure, (axes,) = canvas(max(9.0, 0.45 * len(counts)), 4.2)
    places = np.arange(len(counts))
    for index, (part, colour) in enumerate(zip(counts, (TRAIN, GREY, TEST), strict=True)):
        bars = axes.bar(
            places + 0.27 * (index - 1), counts[part], 0.25, color=colour, label=f"{part}: {counts[part].sum():,}"
        )
        axes.bar_label(bars, fontsize=7, fmt="{:,.0f}", rotation=90, padding=2)
    names = [short(str(name)) for name in counts.index]
    if max(map(len, names)) > 3:
        axes.set_xticks(places, names, rotation=30, ha="right")
    else:
        axes.set_xticks(places, names)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_title("Images per class", fontsize=11, loc="left")
    axes.margins(y=0.18)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def samples(images: Images, name: str, *, pixel_max: int, count: int | None = None) -> Figure:
    """The first 10 x 10 images of one class, with its name and number of images: all that are given, or `count`."""
    height, width = images.shape[1:3]
    page = (GRID * (height + 1), GRID * (width + 1), *images.shape[3:])
    sheet = np.full(page, pixel_max if images.ndim == 4 else 0, np.uint8)  # white: grey images are drawn as ink
    for place, image in enumerate(images[:SAMPLES]):
        row, column = divmod(place, GRID)
        sheet[row * (height + 1) : row * (height + 1) + height, column * (width + 1) : column * (width + 1) + width] = (
            image
        )
    figure, (axes,) = canvas(6.0, 6.4)
    axes.imshow(drawable(sheet, pixel_max), cmap="gray_r", vmin=0, vmax=pixel_max, interpolation="nearest")
    axes.set_axis_off()
    shown, of = min(len(images), SAMPLES), len(images) if count is None else count
    axes.set_title(f"{short(name)}: {shown} of {of:,} training images", fontsize=11, loc="left")
    return figure
