"""A contact sheet of predicted images, as the network saw them."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipeline.data.dataset import Images
from pipeline.figures.style import TEST, canvas, drawable

COLUMNS = 8
MOST = 96
"""Images on a sheet; a picture of more is no help."""
CELL = 1.6
"""Width of an image with its margin, inches."""
CAPTION = 0.36
"""Height of the two lines above an image, in widths of a cell."""
LETTERS = 22
"""That fit above an image."""


@dataclass(frozen=True)
class Answer:
    """The caption of an image."""

    name: str
    """File or row."""
    answer: str
    """The name of the class."""
    confidence: float
    """0 to 1."""
    accepted: bool


def sheet(images: Images, answers: Sequence[Answer], *, pixel_max: int, light: bool, title: str, total: int) -> Figure:
    """Draws the first `MOST` of images, each with its class, confidence and name. A rejected prediction is
    framed, with a question mark.

    Args:
        images: (n, h, w), or (n, h, w, 3).
        answers: One caption per image.
        pixel_max: Largest pixel value.
        light: Whether the background of the images is light.
        title: Title of the sheet.
        total: Number of images in all.
    """
    shown = answers[:MOST]
    rows, pitch = -(-len(shown) // COLUMNS), 1 + CAPTION
    # One set of axes for all: laying out a set for each image takes seconds.
    figure, (axes,) = canvas(CELL * COLUMNS, CELL * pitch * rows + 0.6)
    axes.set_axis_off()
    for place, answer in enumerate(shown):
        left, top = place % COLUMNS, place // COLUMNS * pitch
        _image(axes, images[place], (left + 0.5, top + CAPTION + 0.5), pixel_max, light=light, accepted=answer.accepted)
        for text, size, line in ((_told(answer), 8.0, 0.13), (_end(answer.name), 6.5, 0.27)):
            axes.text(
                left + 0.5, top + line, text, fontsize=size, color="black" if answer.accepted else TEST,
                ha="center", va="center", in_layout=False, parse_math=False,
            )  # fmt: skip
    axes.set_xlim(0, COLUMNS)
    axes.set_ylim(rows * pitch, 0)
    axes.set_aspect("equal")
    first = f" (the first {len(shown):,} of {total:,})" if total > len(shown) else ""
    figure.suptitle(f"{title}{first}; framed: not accepted", fontsize=11, parse_math=False)
    return figure


def _image(
    axes: Axes, image: Images, middle: tuple[float, float], pixel_max: int, *, light: bool, accepted: bool
) -> None:
    """One image around a point, its longer side as long as a cell allows."""
    height, width = image.shape[:2]
    across, down = 0.46 * width / max(height, width), 0.46 * height / max(height, width)
    extent = (middle[0] - across, middle[0] + across, middle[1] + down, middle[1] - down)
    tones = "gray" if light else "gray_r"
    axes.imshow(drawable(image, pixel_max), cmap=tones, vmin=0, vmax=pixel_max, extent=extent, interpolation="nearest")
    if not accepted:
        corner = (middle[0] - across, middle[1] - down)
        axes.add_patch(Rectangle(corner, 2 * across, 2 * down, fill=False, edgecolor=TEST, linewidth=2))


def _told(answer: Answer) -> str:
    share = f" {100 * answer.confidence:.0f} %{'' if answer.accepted else ' ?'}"
    room = LETTERS - len(share)
    name = answer.answer if len(answer.answer) <= room else answer.answer[: room - 1] + "…"
    return name + share


def _end(name: str) -> str:
    """The end of a file name, which says more than its start."""
    return name if len(name) <= LETTERS + 4 else "…" + name[-LETTERS - 3 :]
