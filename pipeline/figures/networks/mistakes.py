"""A contact sheet of misclassified images."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from pipeline.data.dataset import Images
from pipeline.figures.image_sheet import sheet
from pipeline.figures.style import short
from pipeline.statistics.per_class import Mistake


def mistakes(
    images: Images, found: Sequence[Mistake], class_names: Sequence[str], *, pixel_max: int, part: str
) -> Figure:
    """The most confident errors first, each with predicted and true class."""
    names = [short(name) for name in class_names]
    captions = [
        (f"{names[each.predicted]} ({100 * each.confidence:.1f} %)", f"true: {names[each.label]}") for each in found
    ]
    title = (
        f"Most confident errors on {part}: predicted class with its confidence, and true class"
        if found
        else f"No error on {part}"
    )
    return sheet([images[each.row] for each in found], captions, pixel_max=pixel_max, title=title)
