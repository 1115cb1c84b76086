"""Any picture into the frame of a network. Enters: a picture of any size. Leaves: uint8 as the network was trained on.

What the network expects is seen from a few of its own images: whether they are bright on dark, and how much of the frame
the thing on them fills. The background of an image is the median of its border. On Fashion-MNIST (20,000 images) and on
digits (all) it is dark without exception, and light in the negatives of all.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.data.dataset import Images
from pipeline.serving.inputs import Picture

Invert = Literal["auto", "yes", "no"]
FAINT = 0.1
"""What differs from the background by no more than this share of the range belongs to it: JPEG's noise, paper."""
Values = NDArray[np.float32]
"""float32 (h, w), on whatever scale."""


@dataclass(frozen=True)
class Frame:
    """How the images of a network look."""

    shape: tuple[int, int]
    """Height and width, pixels."""
    pixel_max: int
    light: bool | None
    """Whether the background is light; None where the examples differ, so that nothing can be said."""
    extent: float
    """The side of the thing on an image that is longer in proportion to the frame, as a share of the frame, 0 to 1."""


def frame_of(examples: Images, *, pixel_max: int) -> Frame:
    """TrialUpdate from one or more of the network's own images."""
    light = {bool(_background(image) > pixel_max / 2) for image in examples}
    extents = [_extent(image.astype(np.float32), pixel_max) for image in examples]
    height, width = examples.shape[1:]
    return Frame((height, width), pixel_max, light.pop() if len(light) == 1 else None, float(np.median(extents)))


def fitted(picture: Picture, frame: Frame, *, invert: Invert = "auto") -> Images:
    """The picture as uint8 of the frame's shape, 0 to `pixel_max`.

    A picture of the frame's size is neither cropped nor scaled. Any other is cropped to what differs from its background,
    scaled in proportion to the frame's extent, and put in the middle of its background. `auto` inverts a PNG or JPEG
    whose background is light where the network's is dark, or the other way round.
    """
    values = picture.pixels.astype(np.float32)
    differs = frame.light is not None and bool(_background(picture.pixels) > picture.most / 2) != frame.light
    if invert == "yes" or (invert == "auto" and picture.photographed and differs):
        values = picture.most - values
    if values.shape != frame.shape:
        values = _framed(values, frame, picture.most)
    scaled = np.rint(values * (frame.pixel_max / picture.most)).clip(0, frame.pixel_max)
    return np.asarray(scaled, np.uint8)


def _framed(values: Values, frame: Frame, most: int) -> Values:
    rows, columns = _box(values, most)
    thing = values[rows, columns]
    scale = frame.extent * min(whole / side for whole, side in zip(frame.shape, thing.shape, strict=True))
    height, width = (
        min(whole, max(1, round(side * scale))) for whole, side in zip(frame.shape, thing.shape, strict=True)
    )
    scaled = np.asarray(Image.fromarray(thing).resize((width, height), Image.Resampling.LANCZOS))
    result = np.full(frame.shape, _background(values), np.float32)
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    result[top : top + height, left : left + width] = scaled
    return result


def _background(image: Images | Values) -> float:
    border = (image[0], image[-1], image[1:-1, 0], image[1:-1, -1])
    return float(np.median(np.concatenate(border)))


def _box(values: Values, most: int) -> tuple[slice, slice]:
    """Rows and columns of the thing; all of them where there is nothing but background."""
    differs = np.abs(values - _background(values)) > FAINT * most
    if not differs.any():
        return slice(None), slice(None)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _extent(values: Values, most: int) -> float:
    thing = values[_box(values, most)]
    return max(float(side / whole) for side, whole in zip(thing.shape, values.shape, strict=True))
