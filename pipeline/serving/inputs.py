"""Reads the images to predict, one `Picture` at a time: a folder of photographs may not fit into memory."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pipeline.data import archive, formats, pictures, validation
from pipeline.data.dataset import Images
from pipeline.errors import InputError, as_utf8

ZIP, PNG, JPEG = b"PK\x03\x04", b"\x89PNG", b"\xff\xd8\xff"
"""First bytes of these file types; the name of the file does not count."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One image as read from its file."""

    name: str
    """Path of its file below the given folder; in a file of many images: its number, from 0."""
    pixels: Images
    """uint8 (h, w), grey."""
    most: int
    """Largest possible pixel value: 255, or the network's `pixel_max`."""
    photographed: bool
    """True for PNG and JPEG, whose background may be light or dark; False for a file of a data set."""


@dataclass(frozen=True)
class Unreadable:
    """A picture of a folder that cannot be read."""

    name: str
    """As of a `Picture`."""
    reason: str
    """One line with the path and the cure."""


def read(path: Path, *, image_shape: tuple[int, int], pixel_max: int) -> Iterator[Picture | Unreadable]:
    """Yields the pictures of an npz or IDX file (gzipped or not), a PNG, a JPEG, or a folder of PNG and JPEG files. One
    that cannot be read is an `Unreadable` if it is in a folder, and an error by itself.

    Arrays whose pixels do not exceed `pixel_max` are on the network's scale; all others range from 0 to 255. Flat rows of an
    npz file are accepted if they have as many pixels as the network's images.

    Raises:
        InputError: The file is of another type, or damaged.
    """
    try:
        if path.is_dir():
            yield from _of_folder(path)
            return
        if path.exists() and not path.is_file():
            raise InputError(
                f"input is {path}: not a regular file; expected an npz, IDX, PNG or JPEG file, or a folder"
            )
        with path.open("rb") as file:
            start = file.read(4)
        if start == PNG or start[:3] == JPEG:
            yield Picture(as_utf8(path.name), pictures.read_picture(path), 255, photographed=True)
            return
        images = _array(path, zipped=start == ZIP, image_shape=image_shape)
    except OSError as error:
        raise InputError(f"input is {path}: cannot be read ({error.strerror or error})") from error
    most = pixel_max if images.max() <= pixel_max else 255
    for row, pixels in enumerate(images):
        yield Picture(str(row), pixels, most, photographed=False)


def _of_folder(folder: Path) -> Iterator[Picture | Unreadable]:
    """Every PNG and JPEG in the folder and below, sorted by name; hidden and other files are skipped."""
    paths: list[Path] = []
    closed: dict[Path, OSError] = {}  # folders below that cannot be listed
    for parent, folders, files in os.walk(folder, onerror=lambda error: closed.update({Path(error.filename): error})):
        folders[:] = [name for name in folders if not name.startswith(".")]
        shown = [Path(parent, name) for name in files if not name.startswith(".")]
        paths += [path for path in shown if path.suffix.lower() in pictures.SUFFIXES]
    if not paths and not closed:
        raise InputError(f"input is {folder}: it contains no PNG or JPEG file; expected at least one")
    for path in sorted([*paths, *closed]):
        yield _of_file(path, as_utf8(path.relative_to(folder).as_posix()), closed.get(path))


def _of_file(path: Path, name: str, problem: OSError | None) -> Picture | Unreadable:
    try:
        if problem is not None:
            raise problem
        return Picture(name, pictures.read_picture(path), 255, photographed=True)
    except OSError as error:
        return Unreadable(name, as_utf8(f"{path} cannot be read ({error.strerror}); make it readable or leave it out"))
    except InputError as error:
        return Unreadable(name, str(error))


def _array(path: Path, *, zipped: bool, image_shape: tuple[int, int]) -> Images:
    """All images of a data set file, 0 to 255."""
    if zipped:
        name, images = archive.read_images(path)
        images = _unflattened(images, image_shape)
    else:
        name = path.name
        images = _read_idx(path)
    return validation.pixels(name, images, pixel_max=255)


def _read_idx(path: Path) -> Images:
    content = formats.inflate(path.name, formats.read_file(path))
    if content[:3] != bytes([0, 0, formats.UNSIGNED_BYTE]):
        raise InputError(
            f"input is {path}: not an npz, IDX, PNG or JPEG file; expected one of these, or a folder of PNG and JPEG files"
        )
    return formats.read_idx(path.name, content, dimensions=3)


def _unflattened(images: NDArray[Any], image_shape: tuple[int, int]) -> NDArray[Any]:
    height, width = image_shape
    if images.ndim == 2 and images.shape[1] == height * width:
        return images.reshape(-1, height, width)
    return images
