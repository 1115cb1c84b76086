"""Images that were taken for something else. Enters: images and `Mistake`s. Leaves: a page."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from pipeline.data.dataset import Images
from pipeline.figures.style import TEST, canvas
from pipeline.findings.mistakes import Mistake

COLUMNS = 6


def mistakes(
    images: Images, found: Sequence[Mistake], class_names: Sequence[str], *, pixel_max: int, part: str
) -> Figure:
    """A contact sheet, the surest first, each with what it was taken for and what it is."""
    rows = max(1, -(-len(found) // COLUMNS))
    figure, axes = canvas(1.75 * COLUMNS, 2.15 * rows + 0.5, rows=rows, columns=COLUMNS)
    for axis in axes:
        axis.set_axis_off()
    for axis, mistake in zip(axes, found, strict=False):
        axis.imshow(images[mistake.row], cmap="gray_r", vmin=0, vmax=pixel_max)
        taken = f"{class_names[mistake.predicted]} {100 * mistake.confidence:.1f} %"
        axis.set_title(f"{taken}\nis {class_names[mistake.label]}", fontsize=8, color=TEST)
    title = f"The surest mistakes on {part}: taken for … with so much confidence" if found else f"No mistake on {part}"
    figure.suptitle(title, fontsize=11)
    return figure
