"""Fits pictures of any size into the frame of a network's input.

A few of the network's own images show what it expects: a light or dark background, and the share of the frame that the
object fills. The background of an image is the median of its border. It is dark in all images of Fashion-MNIST (20,000
checked) and of digits, and light in all their negatives.
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
"""Pixels that differ from the background by at most this share of the range belong to it: JPEG noise, paper."""
Values = NDArray[np.float32]
"""float32 (h, w) or (h, w, 3), on any scale."""


@dataclass(frozen=True)
class Frame:
    """Size, range and layout of the images that a network expects."""

    shape: tuple[int, ...]
    """(h, w), pixels; (h, w, 3) for red, green and blue."""
    pixel_max: int
    light: bool | None
    """Whether the background is light; None if the examples differ."""
    extent: float
    """Share of the frame that the object fills, 0 to 1, in the direction in which it fills more; median of the examples."""


def frame_of(examples: Images, *, pixel_max: int) -> Frame:
    """Measures the frame on one or more of the network's own images."""
    light = {_is_light(image, pixel_max) for image in examples}
    extents = [_extent(image.astype(np.float32), pixel_max) for image in examples]
    return Frame(examples.shape[1:], pixel_max, light.pop() if len(light) == 1 else None, float(np.median(extents)))


def resize(picture: Picture, frame: Frame, *, invert: Invert = "auto") -> Images:
    """Returns the picture as uint8 in the shape of the frame, 0 to `pixel_max`.

    A picture of the frame's size is neither cropped nor scaled. Any other is cropped to its object, scaled to the frame's
    extent with its proportions kept, and centred on its background colour. `auto` inverts a PNG or JPEG if its background is
    light and the network's dark, or the reverse.
    """
    values = picture.pixels.astype(np.float32)
    differs = frame.light is not None and _is_light(picture.pixels, picture.most) != frame.light
    if invert == "yes" or (invert == "auto" and picture.photographed and differs):
        values = picture.most - values
    if values.shape != frame.shape:
        values = _framed(values, frame, picture.most)
    scaled = np.rint(values * (frame.pixel_max / picture.most)).clip(0, frame.pixel_max)
    return np.asarray(scaled, np.uint8)


def _framed(values: Values, frame: Frame, most: int) -> Values:
    rows, columns = _box(values, most)
    object_ = values[rows, columns]
    scale = frame.extent * min(whole / side for whole, side in zip(frame.shape[:2], object_.shape[:2], strict=True))
    height, width = (
        min(whole, max(1, round(side * scale))) for whole, side in zip(frame.shape[:2], object_.shape[:2], strict=True)
    )
    scaled = _resized(object_, width, height)
    result = np.empty(frame.shape, np.float32)
    result[:] = _background(values)
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    result[top : top + height, left : left + width] = scaled
    return result


def _resized(values: Values, width: int, height: int) -> Values:
    if values.ndim == 3:  # each colour by itself
        return np.stack([_resized(values[..., colour], width, height) for colour in range(values.shape[2])], axis=2)
    image = Image.fromarray(np.ascontiguousarray(values))
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def _background(image: Images | Values) -> NDArray[np.float64]:
    """The median of the border, of each colour by itself."""
    border = (image[0], image[-1], image[1:-1, 0], image[1:-1, -1])
    return np.asarray(np.median(np.concatenate(border), axis=0), np.float64)


def _is_light(image: Images | Values, most: int) -> bool:
    return bool(_background(image).mean() > most / 2)


def _box(values: Values, most: int) -> tuple[slice, slice]:
    """Rows and columns of the object; all of them if there is only background."""
    differs = np.asarray(np.abs(values - _background(values)) > FAINT * most)
    if differs.ndim == 3:
        differs = np.asarray(differs.any(axis=2))
    if not differs.any():
        return slice(None), slice(None)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _extent(values: Values, most: int) -> float:
    object_ = values[_box(values, most)]
    return max(float(side / whole) for side, whole in zip(object_.shape[:2], values.shape[:2], strict=True))
