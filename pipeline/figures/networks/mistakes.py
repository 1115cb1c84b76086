"""A contact sheet of misclassified images."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from pipeline.data.dataset import Images
from pipeline.figures.style import TEST, canvas, drawable, short
from pipeline.statistics.per_class import Mistake

COLUMNS = 6
CELL = 1.75
"""Width of an image with its margin, inches."""
CAPTION = 0.3
"""Height of the two lines above an image, in widths of a cell."""


def mistakes(
    images: Images, found: Sequence[Mistake], class_names: Sequence[str], *, pixel_max: int, part: str
) -> Figure:
    """The most confident errors first, each with predicted and true class."""
    rows, pitch = -(-len(found) // COLUMNS), 1 + CAPTION
    # One set of axes for all: laying out a set for each image takes seconds.
    figure, (axes,) = canvas(CELL * COLUMNS, CELL * pitch * rows + 0.5)
    axes.set_axis_off()
    names = [short(name) for name in class_names]
    for place, mistake in enumerate(found):
        left, top = place % COLUMNS, place // COLUMNS * pitch
        height, width = images[mistake.row].shape[:2]
        # The longer side fills the cell.
        across, down = 0.46 * width / max(height, width), 0.46 * height / max(height, width)
        middle = top + CAPTION + 0.5
        extent = (left + 0.5 - across, left + 0.5 + across, middle + down, middle - down)
        image = drawable(images[mistake.row], pixel_max)
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=pixel_max, extent=extent, interpolation="nearest")
        taken = f"{names[mistake.predicted]} ({100 * mistake.confidence:.1f} %)"
        for text, colour, line in ((taken, TEST, 0.1), (f"is {names[mistake.label]}", "black", 0.23)):
            axes.text(
                left + 0.5, top + line, text, fontsize=8.5, color=colour, ha="center", va="center", in_layout=False
            )  # fmt: skip
    axes.set_xlim(0, COLUMNS)
    axes.set_ylim(max(rows, 1) * pitch, 0)
    axes.set_aspect("equal")
    title = f"Most confident errors on {part}: predicted and true class" if found else f"No error on {part}"
    figure.suptitle(title, fontsize=11)
    return figure
