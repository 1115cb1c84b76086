"""Reads the images to predict, one `Picture` at a time: a folder of photographs may not fit into memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pipeline.data import archive, formats, pictures, validation
from pipeline.data.dataset import Images
from pipeline.errors import InputError

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


def read(path: Path, *, image_shape: tuple[int, int], pixel_max: int) -> Iterator[Picture]:
    """Yields the pictures of an npz or IDX file (gzipped or not), a PNG, a JPEG, or a folder of PNG and JPEG files.

    Arrays whose pixels do not exceed `pixel_max` are on the network's scale; all others range from 0 to 255. Flat rows of an
    npz file are accepted if they have as many pixels as the network's images.

    Raises:
        InputError: The file is of another type, or damaged.
    """
    try:
        if path.is_dir():
            yield from _of_folder(path)
            return
        with path.open("rb") as file:
            start = file.read(4)
        if start == PNG or start[:3] == JPEG:
            yield Picture(path.name, pictures.read_picture(path), 255, photographed=True)
            return
        images = _array(path, zipped=start == ZIP, image_shape=image_shape)
    except OSError as error:
        raise InputError(f"input is {path}: cannot be read ({error.strerror or error})") from error
    most = pixel_max if images.max() <= pixel_max else 255
    for row, pixels in enumerate(images):
        yield Picture(str(row), pixels, most, photographed=False)


def _of_folder(folder: Path) -> Iterator[Picture]:
    """Every PNG and JPEG in the folder and below, sorted by name; hidden and other files are skipped."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in pictures.SUFFIXES and path.is_file())
    names = {path: path.relative_to(folder) for path in paths}
    shown = [path for path in paths if not any(part.startswith(".") for part in names[path].parts)]
    if not shown:
        raise InputError(f"input is {folder}: it contains no PNG or JPEG file; expected at least one")
    for path in shown:
        yield Picture(names[path].as_posix(), pictures.read_picture(path), 255, photographed=True)


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
    content = formats.inflate(path.name, path.read_bytes())
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
