"""Reads a user's own images: an npz file, IDX files, or a folder of pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.data import archive, download, formats, pictures, validation
from pipeline.data.dataset import Dataset
from pipeline.data.download import Say, UnavailableError
from pipeline.data.validation import RawPart
from pipeline.errors import InputError, as_utf8
from pipeline.paths import user_path

PIXEL_MAX = 255
"""Unless the experiment says otherwise."""
DIM_SHARE = 0.5
"""If the largest pixel is below this share of `pixel_max`, the images may have another scale, and a note is printed."""


def load(given: str, *, pixel_max: int | None, say: Say) -> Dataset:
    """Returns the checked data set at a path.

    Raises:
        InputError: One line with what was found, what was expected and the cure.
    """
    path = user_path(given, name="data.path")
    try:
        parts, class_names = _read(path)
    except OSError as error:
        raise InputError(f"data.path is {given}: {error.filename} cannot be read ({error.strerror})") from error
    return _dataset(parts, class_names, pixel_max=pixel_max, source=as_utf8(str(path)), say=say)


def _read(path: Path) -> tuple[list[RawPart], Sequence[str] | None]:
    """Reads a path by what is there: a file, IDX files or folders of pictures."""
    if path.is_file():
        return archive.read(path)
    if not path.is_dir():
        raise InputError(
            f"data.path is {path}: there is no such file or folder; expected an npz file or a folder of images"
        )
    if any(path.glob("train-*-ubyte*")):
        parts = ["train"] + ["t10k"] * any(path.glob("t10k-*-ubyte*"))
        return [_read_idx(path, part) for part in parts], None
    return pictures.read_tree(path), None


def _read_idx(folder: Path, part: str) -> RawPart:
    """Reads one part from its two IDX files, gzipped or not."""
    names = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
    try:
        raw = download.from_folder(folder, names)
    except UnavailableError as error:
        raise InputError(f"{error}; expected {names[0]} and {names[1]}") from error
    images, labels = (
        formats.read_idx(name, formats.inflate(name, raw[name]), dimensions=dimensions)
        for name, dimensions in zip(names, (3, 1), strict=True)
    )
    return RawPart(images, labels, *names)


def _dataset(
    parts: list[RawPart], class_names: Sequence[str] | None, *, pixel_max: int | None, source: str, say: Say
) -> Dataset:
    largest = pixel_max or PIXEL_MAX
    images = [validation.pixels(part.images_name, part.images, pixel_max=largest) for part in parts]
    if images[-1].shape[1:] != images[0].shape[1:]:
        sizes = ["x".join(map(str, each.shape[1:])) for each in images]
        raise InputError(
            f"{parts[0].images_name} has images of {sizes[0]} and {parts[1].images_name} of {sizes[1]} (height x width); "
            "expected one size"
        )
    found = int(images[0].max())
    if not found:
        raise InputError(f"{parts[0].images_name} is blank: every pixel is 0; expected images that differ")
    if pixel_max is None and found < DIM_SHARE * largest:
        say(
            f"the largest pixel is {found} of {largest}; if these images go from 0 to {found}, set -P data.pixel_max={found}"
        )
    train, test = parts[0], parts[1] if len(parts) > 1 else None
    labels_train, labels_test, names = validation.classes(train, test, class_names)
    images_test = images[1] if test else np.empty((0, *images[0].shape[1:]), np.uint8)
    return Dataset("own", images[0], labels_train, images_test, labels_test, names, pixel_max=largest, source=source)
