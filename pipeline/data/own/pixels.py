"""Turns arrays of images into uint8 (n, h, w) or (n, h, w, 3), all parts alike.

What can be understood is converted and noted. Every problem raises an `InputError` of one line: the array, what was found,
what was expected, the cure.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Images
from pipeline.data.own.parts import Form, Notes
from pipeline.data.own.sizes import resized
from pipeline.errors import InputError

LUMA = np.array([19595, 38470, 7471], np.uint32)
"""Weights of red, green and blue in grey, in 65,536ths: ITU-R 601-2 luma as Pillow rounds it, so that the same colour
images give the same data set out of an array and out of PNG files."""
BLOCK_BYTES = 8 * 2**20
"""Bytes of images that are converted or checked at a time."""
PIXEL_MAX = 255
"""Of the images that are made, and of those that are read unless the experiment says otherwise."""
DIM_SHARE = 0.5
"""Images whose largest pixel is below this share of `PIXEL_MAX` may have another scale."""
ROUNDING = 1e-6
"""A largest value of up to 1 + this still counts as a scale of 0 to 1."""
CHANNELS = (1, 2, 3, 4)
"""Grey, grey and alpha, red green blue, and these with alpha."""
RGB = 3
FIRST = (1, 3, 4)
"""Channels that may come before height and width."""


@dataclass(frozen=True)
class Range:
    """The values of one array."""

    low: float
    high: float
    whole: bool
    """Whether there are no fractions."""
    real: bool
    """Whether the type is floating point or boolean."""


@dataclass(frozen=True)
class Scale:
    """How pixels become whole numbers: rounded after a multiplication."""

    factor: float
    pixel_max: int
    """The largest possible value after it."""


@dataclass(frozen=True, eq=False)
class Made:
    """Converted images of all parts."""

    images: list[Images]
    """In the order of the parts, uint8 (n, h, w) or (n, h, w, 3)."""
    pixel_max: int
    """Their largest possible value."""
    fractions_max: int | None
    """As of `parts.Trained`."""


def uint8_images(given: Mapping[str, NDArray[Any]], form: Form, notes: Notes) -> Made:
    """Converts the images of all parts, by their names for messages."""
    arranged = {name: _arranged(name, array, form, notes) for name, array in given.items()}
    ranges = {name: _range(name, array) for name, array in arranged.items()}
    scales = _scales(arranged, ranges, form, notes)
    colour = _colour(arranged, form, notes)
    pixel_max = next(iter(scales.values())).pixel_max
    images = [_converted(name, array, scales[name], colour=colour) for name, array in arranged.items()]
    _remark_on_dim(form, scales, images, notes)
    if form.size is not None:
        images = [_sized(array, form.size, pixel_max, notes) for array in images]
    factors = [scales[name].factor for name, each in ranges.items() if each.real and form.pixel_max is None]
    return Made(images, pixel_max, round(PIXEL_MAX / factors[0]) if factors else None)


def shape_of_rows(count: int, form: Form) -> tuple[int, ...]:
    """The shape that flat rows of so many pixels are read as: the stated one, or a square. It may not fit."""
    side = math.isqrt(count)
    return form.shape or (side, side)


def shape_text(shape: tuple[int, ...]) -> str:
    """Text such as `60000x28x28`."""
    return "x".join(map(str, shape)) or "no dimension"


def blocks(images: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The images in blocks: copies of all of them may not fit into memory."""
    rows = max(1, BLOCK_BYTES // max(1, images[:1].nbytes))
    return (images[start : start + rows] for start in range(0, len(images), rows))


def _arranged(name: str, given: NDArray[Any], form: Form, notes: Notes) -> NDArray[Any]:
    """A view of the images as (n, h, w), or (n, h, w, c) of one to four channels."""
    if given.dtype.kind not in "iufb":
        raise InputError(f"{name} is of type {given.dtype}; expected numbers: images.astype(np.uint8)")
    if not given.size or not given.ndim:
        raise InputError(f"{name} is {shape_text(given.shape)}: there are no pixels in it; expected at least one image")
    if given.ndim == 2:
        given = _unflattened(name, given, form, notes)
    if given.ndim == 4 and given.shape[3] not in CHANNELS and given.shape[1] in FIRST:
        notes.add("channels first read as channels last")
        given = np.moveaxis(given, 1, 3)
    if given.ndim not in (3, 4) or (given.ndim == 4 and given.shape[3] not in CHANNELS):
        raise InputError(
            f"{name} is {shape_text(given.shape)}; expected (n, h, w), (n, h, w, channels) or (n, channels, h, w) with 1 "
            "channel for grey or 3 for red, green and blue"
        )
    if given.ndim == 4 and given.shape[3] == 1:
        return given[..., 0]
    return given


def _unflattened(name: str, rows: NDArray[Any], form: Form, notes: Notes) -> NDArray[Any]:
    """Flat rows as images, by the stated shape or as squares."""
    count = rows.shape[1]
    shape = shape_of_rows(count, form)
    if math.prod(shape) != count:
        why = f"{shape_text(shape)} has {math.prod(shape):,}" if form.shape else "no square has so many"
        raise InputError(
            f"{name} has flat rows of {count:,} pixels, and {why}; expected data.shape as [height, width] or "
            "[height, width, 3] of as many"
        )
    notes.add(f"flat rows of {count:,} read as {shape_text(shape)}")
    images = rows.reshape(len(rows), *shape)
    return np.moveaxis(images, 1, 3) if len(shape) == 3 and shape[2] != RGB else images  # each colour by itself


def _range(name: str, given: NDArray[Any]) -> Range:
    if given.dtype.kind == "b":
        return Range(0, 1, whole=True, real=True)
    if given.dtype.kind != "f":
        return Range(float(given.min()), float(given.max()), whole=True, real=False)
    low, high, whole = math.inf, -math.inf, True
    for block in blocks(given):
        if not np.isfinite(block).all():
            raise _not_finite(name, given)
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        whole = whole and bool((block == np.rint(block)).all())
    return Range(low, high, whole, real=True)


def _not_finite(name: str, given: NDArray[Any]) -> InputError:
    counts = [int((~np.isfinite(image)).sum()) for image in given]
    first = next(row for row, count in enumerate(counts) if count)
    value = given[first][~np.isfinite(given[first])][0]
    also = f" ({sum(counts):,} such values)" if sum(counts) > 1 else ""
    return InputError(
        f"{name} has {value} in image {first}{also}; expected finite numbers: fill or leave out what is missing"
    )


def _scales(
    given: Mapping[str, NDArray[Any]], ranges: Mapping[str, Range], form: Form, notes: Notes
) -> dict[str, Scale]:
    """The scale of each part: one that is stated, or what its type and the values of all parts of such types say."""
    stated = form.pixel_max
    for name, each in ranges.items():
        _refuse_outside(name, given[name], each, form)
    if stated is not None:
        kept = stated <= PIXEL_MAX and all(each.whole for each in ranges.values())
        made = form.trained.pixel_max if form.trained else stated if kept else PIXEL_MAX
        if made != stated:
            notes.add(f"pixels of 0 to {stated} (data.pixel_max) scaled to 0 to {made}")
        return dict.fromkeys(ranges, Scale(made / stated, made))
    reals = {name: each for name, each in ranges.items() if each.real}
    factor = _factor_of_reals(reals, form, notes) if reals else 1
    return {name: Scale(factor if name in reals else 1, PIXEL_MAX) for name in ranges}


def _factor_of_reals(ranges: Mapping[str, Range], form: Form, notes: Notes) -> float:
    high, whole = max(each.high for each in ranges.values()), all(each.whole for each in ranges.values())
    trained_to_255 = form.trained is not None and form.trained.fractions_max == PIXEL_MAX
    if high <= 1 + ROUNDING:
        if trained_to_255 and high > 0:
            raise InputError(
                f"{next(iter(ranges))} has no pixel above {high:g}; expected 0 to {PIXEL_MAX}, as the model was trained on: "
                f"images * {PIXEL_MAX}, if they go from 0 to 1"
            )
        notes.add(f"pixels of 0 to 1 scaled to 0 to {PIXEL_MAX}")
        return PIXEL_MAX
    if whole:
        return 1
    if high < DIM_SHARE * PIXEL_MAX and not trained_to_255:
        cure = "scale them" if form.trained else "state the largest possible value, such as -P data.pixel_max=16"
        raise InputError(
            f"{next(iter(ranges))} has fractions up to {high:g}; expected 0 to 1 or 0 to {PIXEL_MAX}: {cure}"
        )
    notes.add("fractions of pixels rounded")
    return 1


def _refuse_outside(name: str, given: NDArray[Any], each: Range, form: Form) -> None:
    largest = form.pixel_max or PIXEL_MAX
    if each.low < 0:
        where, value, cure = given.argmin(), each.low, "scale the images"
        if each.real and each.low >= -1 - ROUNDING and each.high <= 1 + ROUNDING:
            cure = "(images + 1) / 2, if they are scaled to -1 to 1"
    elif each.high > largest + ROUNDING:
        where, value, cure = given.argmax(), each.high, "scale the images"
        if form.trained:
            pass  # no key of an experiment changes what the model was trained on
        elif form.pixel_max:
            cure = "raise data.pixel_max"
        elif each.high < 2**16:
            cure = "state the largest possible value, such as -P data.pixel_max=65535"
    else:
        return
    image = int(np.unravel_index(where, given.shape)[0])
    why = " (data.pixel_max)" if not form.trained else ", as the model was trained on" if form.pixel_max else ""
    raise InputError(f"{name} has a pixel of {value:g} in image {image}; expected 0 to {largest}{why}: {cure}")


def _colour(given: Mapping[str, NDArray[Any]], form: Form, notes: Notes) -> bool:
    """Whether images are made with red, green and blue."""
    coloured = [array.ndim == 4 and array.shape[3] > 2 for array in given.values()]
    colour = form.channels == "rgb" or (form.channels is None and any(coloured))
    if colour and not all(coloured):
        notes.add("grey images given three equal channels")
    elif any(coloured) and not colour:
        notes.add("colour turned grey (data.channels=rgb keeps it)")
    return colour


def _converted(name: str, given: NDArray[Any], scale: Scale, *, colour: bool) -> Images:
    channels = given.shape[3] if given.ndim == 4 else 1
    if given.dtype == np.uint8 and scale.factor == 1 and (channels, colour) in {(1, False), (3, True)}:
        return np.ascontiguousarray(given)
    made = np.empty((*given.shape[:3], 3) if colour else given.shape[:3], np.uint8)
    start = 0
    for block in blocks(given):
        values = _whole(block, scale)
        if channels in (2, 4):
            _refuse_transparent(name, values[..., -1], scale.pixel_max, start)
            values = values[..., 0] if channels == 2 else values[..., :3]
        made[start : start + len(block)] = _channels(values, colour=colour)
        start += len(block)
    return made


def _whole(block: NDArray[Any], scale: Scale) -> NDArray[np.uint8]:
    if scale.factor == 1 and block.dtype.kind != "f":
        return block.astype(np.uint8)
    return np.rint(block * np.float64(scale.factor)).clip(0, scale.pixel_max).astype(np.uint8)


def _channels(values: NDArray[np.uint8], *, colour: bool) -> NDArray[np.uint8]:
    if values.ndim == 3:
        return values[..., None] if colour else values
    return values if colour else grey(values)


def grey(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Red, green and blue on the last axis as grey."""
    return np.asarray((values @ LUMA + 0x8000) >> 16, np.uint8)


def _refuse_transparent(name: str, alpha: NDArray[np.uint8], pixel_max: int, start: int) -> None:
    seen_through = (alpha < pixel_max).reshape(len(alpha), -1).any(axis=1)
    if seen_through.any():
        raise InputError(
            f"{name} has transparent pixels in image {start + int(seen_through.argmax())}; expected an alpha of "
            f"{pixel_max}: lay the images on a background"
        )


def _sized(images: Images, size: tuple[int, int], pixel_max: int, notes: Notes) -> Images:
    if images.shape[1:3] == size:
        return images
    notes.add(f"images of {shape_text(images.shape[1:3])} scaled to {shape_text(size)}")
    made = np.empty((len(images), *size, *images.shape[3:]), np.uint8)
    for row, image in enumerate(images):
        made[row] = np.minimum(resized(image, size), pixel_max)  # scaling overshoots at edges
    return made


def _remark_on_dim(form: Form, scales: Mapping[str, Scale], images: list[Images], notes: Notes) -> None:
    found = int(images[0].max())
    if form.pixel_max is None and next(iter(scales.values())).factor == 1 and 0 < found < DIM_SHARE * PIXEL_MAX:
        notes.add(
            f"the largest pixel is {found} of {PIXEL_MAX}; if these images go from 0 to {found}, set "
            f"-P data.pixel_max={found}"
        )
