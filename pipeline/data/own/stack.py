"""Reads many pictures of one size, or scaled to one, into an array per part."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data import formats
from pipeline.data.dataset import Images
from pipeline.data.own.parts import Form, Notes
from pipeline.data.own.pictures import as_grey, as_rgb, read_picture
from pipeline.data.own.sizes import resized
from pipeline.errors import InputError


@dataclass(frozen=True)
class Stored:
    """A picture that is not a file of its own."""

    name: str
    content: bytes

    def __str__(self) -> str:
        return self.name


Source = Path | Stored


def stacked(sources: Mapping[str, Sequence[Source]], form: Form, notes: Notes) -> dict[str, Images]:
    """Returns the pictures of each part, uint8 (n, h, w) or (n, h, w, 3).

    Raises:
        InputError: For a picture that cannot be read, pictures of several sizes without `form.size`, or more than fit.
    """
    every = [source for each in sources.values() for source in each]
    shape = _shape(every, form, notes)
    seen: set[tuple[int, ...]] = set()
    images = {}
    for part, each in sources.items():
        images[part] = np.empty((len(each), *shape), np.uint8)
        for row, source in enumerate(each):
            image = _read(source, form, notes)
            seen.add(image.shape[:2])
            if form.size is None and image.shape[:2] != shape[:2]:
                cure = "name their folder instead" if form.trained else f"-P data.size={_asked(shape)} scales all"
                raise InputError(
                    f"{source} has {_size(image.shape)} pixels and {every[0]} {_size(shape)} (width x height); expected one "
                    f"size: {cure}"
                )
            images[part][row] = shaped(image, shape, notes)
    if form.size is not None and seen != {form.size}:
        sizes = f"{len(seen):,} sizes" if len(seen) > 1 else _size(next(iter(seen)))
        notes.add(f"pictures of {sizes} scaled to {_size(form.size)}")
    return images


def shaped(image: Images, shape: tuple[int, ...], notes: Notes) -> Images:
    """A picture in grey or in colour, in the size of `shape`: (h, w) or (h, w, 3)."""
    if len(shape) == 3:
        if image.ndim == 2:
            notes.add("grey images given three equal channels")
        image = as_rgb(image)
    elif image.ndim == 3:
        notes.add("colour turned grey (data.channels=rgb keeps it)")
        image = as_grey(image)
    return resized(image, (shape[0], shape[1]))


def _shape(every: Sequence[Source], form: Form, notes: Notes) -> tuple[int, ...]:
    """The shape of every image; refuses data that would not fit into memory."""
    size = form.size or _read(every[0], form, notes).shape[:2]
    colour = form.channels == "rgb" or (
        form.channels is None and any(_read(source, form, notes).ndim == 3 for source in every)
    )
    shape = (*size, 3) if colour else size
    if math.prod(shape) * len(every) > formats.LARGEST:
        cure = "give fewer at a time" if form.trained else "scale them down, such as with -P data.size=64"
        raise InputError(
            f"there are {len(every):,} pictures of {_size(size)} pixels (width x height), more than "
            f"{formats.LARGEST / 2**30:g} GiB; {cure}"
        )
    return shape


def _read(source: Source, form: Form, notes: Notes) -> Images:
    if isinstance(source, Stored):
        return read_picture(source.content, name=source.name, background=form.background, notes=notes)
    return read_picture(source, background=form.background, notes=notes)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"


def _asked(shape: tuple[int, ...]) -> str:
    return str(shape[0]) if shape[0] == shape[1] else f"'[{shape[0]}, {shape[1]}]'"
