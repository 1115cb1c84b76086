"""Reads the images to predict, one `Picture` at a time: a folder of photographs may not fit into memory."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.data import formats
from pipeline.data.dataset import Images
from pipeline.data.own import archive, pictures, pixels, tables
from pipeline.data.own.parts import Form, Notes
from pipeline.data.own.tree import is_leftover
from pipeline.errors import InputError, as_utf8

ZIP, NPY = b"PK\x03\x04", b"\x93NUM"
"""First bytes of these file types; the name of the file does not count."""
EXPECTED = "an npz, npy, IDX, CSV or Parquet file, a picture (PNG, JPEG, BMP, GIF, WebP, TIFF), or a folder of pictures"


@dataclass(frozen=True, eq=False)
class Picture:
    """One image as read from its file."""

    name: str
    """Path of its file below the given folder; in a file of many images: its number, from 0."""
    pixels: Images
    """uint8 (h, w), or (h, w, 3) if the network sees colour."""
    most: int
    """Largest possible pixel value: 255, or the network's `pixel_max`."""
    photographed: bool
    """True for a picture file, whose background may be light or dark; False for a file of a data set."""


@dataclass(frozen=True)
class Unreadable:
    """A picture of a folder that cannot be read."""

    name: str
    """As of a `Picture`."""
    reason: str
    """One line with the path and the cure."""


def read(
    path: Path, *, image_shape: tuple[int, ...], pixel_max: int, background: pictures.Background = "white"
) -> Iterator[Picture | Unreadable]:
    """Yields the pictures of an npz, npy, IDX, CSV or Parquet file (gzipped or not), a picture file, or a folder of picture
    files. One that cannot be read is an `Unreadable` if it is in a folder, and an error by itself.

    Whole numbers that do not exceed `pixel_max` are on the network's scale; all others range from 0 to 255, fractions
    that do not exceed 1 from 0 to 1. Flat rows are accepted if they have as many pixels as the network's images.

    Raises:
        InputError: The file is of another type, or damaged.
    """
    form = Form(shape=image_shape, background=background, channels="rgb" if len(image_shape) == 3 else "grey")
    try:
        if path.is_dir():
            yield from _of_folder(path, form)
            return
        if path.exists() and not path.is_file():
            raise InputError(f"input is {path}: not a regular file; expected {EXPECTED}")
        with path.open("rb") as file:
            start = file.read(4)
        if start.startswith(pictures.STARTS):
            yield _picture(path, path.name, form)
            return
        images = _array(path, start, form)
    except OSError as error:
        raise InputError(f"input is {path}: cannot be read ({error.strerror or error})") from error
    most = pixel_max if images.max() <= pixel_max else 255
    for row, image in enumerate(images):
        yield Picture(str(row), image, most, photographed=False)


def _of_folder(folder: Path, form: Form) -> Iterator[Picture | Unreadable]:
    """Every picture in the folder and below, sorted by name; hidden and other files are skipped."""
    paths: list[Path] = []
    closed: dict[Path, OSError] = {}  # folders below that cannot be listed
    for parent, folders, files in os.walk(folder, onerror=lambda error: closed.update({Path(error.filename): error})):
        folders[:] = [name for name in folders if not is_leftover(Path(parent, name))]
        shown = [Path(parent, name) for name in files if not name.startswith(".")]
        paths += [path for path in shown if path.suffix.lower() in pictures.SUFFIXES]
    if not paths and not closed:
        raise InputError(
            f"input is {folder}: it contains no picture; expected at least one PNG, JPEG, BMP, GIF, WebP or TIFF file"
        )
    for path in sorted([*paths, *closed]):
        yield _of_file(path, as_utf8(path.relative_to(folder).as_posix()), closed.get(path), form)


def _of_file(path: Path, name: str, problem: OSError | None, form: Form) -> Picture | Unreadable:
    try:
        if problem is not None:
            raise problem
        return _picture(path, name, form)
    except OSError as error:
        return Unreadable(name, as_utf8(f"{path} cannot be read ({error.strerror}); make it readable or leave it out"))
    except InputError as error:
        return Unreadable(name, str(error))


def _picture(path: Path, name: str, form: Form) -> Picture:
    shown = pictures.read_picture(path, background=form.background)
    return Picture(
        as_utf8(name), (pictures.as_rgb if form.channels == "rgb" else pictures.as_grey)(shown), 255, photographed=True
    )


def _array(path: Path, start: bytes, form: Form) -> Images:
    """All images of a data set file, 0 to 255."""
    if tables.is_table(path):
        name, images = tables.read_images(path, form)
    elif start in (ZIP, NPY):
        name, images = archive.read_images(path)
    else:
        name, images = path.name, _read_idx(path)
    shape = form.shape or ()
    if images.ndim == 2 and images.shape[1] != math.prod(shape):
        raise InputError(
            f"input is {path}: flat rows of {images.shape[1]:,} pixels; the model takes {pixels.shape_text(shape)}; "
            f"expected rows of {math.prod(shape):,}"
        )
    (converted,), _ = pixels.uint8_images({name: images}, form, Notes())
    return converted


def _read_idx(path: Path) -> Images:
    content = formats.inflate(path.name, formats.read_file(path))
    if content[:3] != bytes([0, 0, formats.UNSIGNED_BYTE]):
        raise InputError(f"input is {path}: not a file of images; expected {EXPECTED}")
    return formats.read_idx(path.name, content, dimensions=3)
