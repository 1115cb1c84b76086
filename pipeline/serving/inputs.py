"""Reads the images to predict, one `Picture` at a time: a folder of photographs may not fit into memory."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pipeline.data import formats
from pipeline.data.dataset import Images
from pipeline.data.own import archive, pictures, pixels, stack, tables
from pipeline.data.own.class_folders import is_leftover
from pipeline.data.own.parts import Form, Notes, RawImages, Trained
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
    path: Path,
    *,
    image_shape: tuple[int, ...],
    pixel_max: int,
    background: pictures.Background = "white",
    read_as: Form | None = None,
) -> Iterator[Picture | Unreadable]:
    """Yields the pictures of an npz, npy, IDX, CSV or Parquet file (gzipped or not), a picture file, or a folder of picture
    files. One that cannot be read is an `Unreadable` if it is in a folder, and an error by itself.

    With `read_as`, the form of the user's own data that the network was trained on, all images have the pixels that
    training would give them, and their shape is `image_shape`.

    Without it, pictures have any size. Whole numbers that do not exceed `pixel_max` are on the network's scale; all others
    range from 0 to 255, fractions that do not exceed 1 from 0 to 1. Flat rows are accepted if they have as many pixels as
    the network's images.

    Args:
        path: The file or folder.
        image_shape: (h, w) or (h, w, 3) of the network's images.
        pixel_max: Their largest possible pixel value.
        background: What is behind transparent pixels, without `read_as`.
        read_as: As of `Serving`.

    Raises:
        InputError: The file is of another type, or damaged.
    """
    if read_as is None:
        colours: Literal["rgb", "grey"] = "rgb" if len(image_shape) == 3 else "grey"
        form = Form(shape=image_shape, background=background, channels=colours, trained=Trained())
    else:
        form = replace(read_as, size=(image_shape[0], image_shape[1]))
    squares = read_as is not None and read_as.size is not None and _is_square(read_as.shape)
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
        images, most = _array(path, start, form, image_shape, squares=squares)
    except OSError as error:
        raise InputError(f"input is {path}: cannot be read ({error.strerror or error})") from error
    if read_as is None and images.max() <= pixel_max:
        most = pixel_max
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
    image = pictures.read_picture(path, background=form.background)
    size = form.size or image.shape[:2]
    shaped = stack.shaped(image, (*size, 3) if form.channels == "rgb" else size, Notes())
    made = pixels.uint8_images({str(path): shaped[None]}, _of_pictures(form), Notes())
    return Picture(as_utf8(name), made.images[0][0], made.pixel_max, photographed=True)


def _of_pictures(form: Form) -> Form:
    """The form for pictures, which go from 0 to 255 if the stated range is that of arrays."""
    return form if form.trained is None or form.trained.pictures else replace(form, pixel_max=None)


def _is_square(shape: tuple[int, ...] | None) -> bool:
    """Whether training reads flat rows as squares of any size: if their shape is not stated, or is a square."""
    return shape is None or (len(shape) == 2 and shape[0] == shape[1])


def _array(path: Path, start: bytes, form: Form, image_shape: tuple[int, ...], *, squares: bool) -> tuple[Images, int]:
    """All images of a data set file, and their largest possible pixel value."""
    if tables.is_table(path):
        raw = tables.read_images(path, form if form.shape else replace(form, shape=image_shape))
    elif start in (ZIP, NPY):
        raw = archive.read_images(path)
    else:
        raw = RawImages(_read_idx(path), path.name)
    if raw.pictures:
        form = _of_pictures(form)
    if raw.images.ndim == 2:
        form = replace(form, shape=_shape_of_rows(path, raw.images.shape[1], form, image_shape, squares=squares))
    made = pixels.uint8_images({raw.name: raw.images}, form, Notes())
    return made.images[0], made.pixel_max


def _shape_of_rows(
    path: Path, count: int, form: Form, image_shape: tuple[int, ...], *, squares: bool
) -> tuple[int, ...]:
    """The shape of flat rows: that of the rows that the network was trained on, or of its images with their colours stored
    as there, or a square.
    """
    by_colour = form.shape is not None and len(form.shape) == 3 and form.shape[2] != pixels.RGB
    of_images = (pixels.RGB, *image_shape[:2]) if by_colour and len(image_shape) == 3 else image_shape
    known = [shape for shape in (form.shape, of_images) if shape is not None]
    if squares:
        known.append(pixels.shape_of_rows(count, Form()))
    found = next((shape for shape in known if math.prod(shape) == count), None)
    if found is None:
        expected = " or ".join(dict.fromkeys(f"{math.prod(shape):,}" for shape in known[:2]))
        raise InputError(
            f"input is {path}: flat rows of {count:,} pixels; the model takes {pixels.shape_text(image_shape)}; "
            f"expected rows of {expected}"
        )
    return found


def _read_idx(path: Path) -> Images:
    content = formats.inflate(path.name, formats.read_file(path))
    if content[:3] != bytes([0, 0, formats.UNSIGNED_BYTE]):
        raise InputError(f"input is {path}: not a file of images; expected {EXPECTED}")
    return formats.read_idx(path.name, content, dimensions=3)
