"""Images that are to be predicted. Enters: a path. Leaves: one `Picture` after another, each by its name.

A folder of photographs is larger than the memory: they are read one at a time, to be fitted one at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pipeline.data import archive, formats, pictures, validation
from pipeline.data.dataset import Images
from pipeline.errors import InputError

ZIP, PNG, JPEG = b"PK\x03\x04", b"\x89PNG", b"\xff\xd8\xff"
"""What a file of that kind starts with, whatever it is called."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One image as it came."""

    name: str
    """Its file, below the folder that was given; out of a file of many images: its number, from 0."""
    pixels: Images
    """uint8 (h, w), grey."""
    most: int
    """The largest value that a pixel can take: 255, or the network's own `pixel_max`."""
    photographed: bool
    """Whether it is a PNG or JPEG, of which nobody knows how it was made; False out of a data set's file."""


def read(path: Path, *, image_shape: tuple[int, int], pixel_max: int) -> Iterator[Picture]:
    """The pictures of an npz file, an IDX file of images (gzipped or not), a PNG, a JPEG, or a folder of those two.

    Arrays whose pixels do not exceed `pixel_max` are on the network's own scale; all else goes from 0 to 255. Flat rows of
    an npz file are taken when they are as long as the network's images. Raises InputError in one line for what is none
    of these, or damaged.
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
        raise InputError(f"input is {path}: it cannot be read ({error.strerror or error})") from error
    most = pixel_max if images.max() <= pixel_max else 255
    for row, pixels in enumerate(images):
        yield Picture(str(row), pixels, most, photographed=False)


def _of_folder(folder: Path) -> Iterator[Picture]:
    """Every PNG and JPEG in it and below, by name; what is hidden, or of another kind, is left out."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in pictures.SUFFIXES and path.is_file())
    names = {path: path.relative_to(folder) for path in paths}
    shown = [path for path in paths if not any(part.startswith(".") for part in names[path].parts)]
    if not shown:
        raise InputError(f"input is {folder}: there is no PNG or JPEG file in it; expected one or more")
    for path in shown:
        yield Picture(names[path].as_posix(), pictures.read_picture(path), 255, photographed=True)


def _array(path: Path, *, zipped: bool, image_shape: tuple[int, int]) -> Images:
    """All images of a file of a data set, 0 to 255."""
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
            f"input is {path}: this is no npz, IDX, PNG or JPEG file; expected one of these, or a folder of PNG and JPEG"
        )
    return formats.read_idx(path.name, content, dimensions=3)


def _unflattened(images: NDArray[Any], image_shape: tuple[int, int]) -> NDArray[Any]:
    height, width = image_shape
    if images.ndim == 2 and images.shape[1] == height * width:
        return images.reshape(-1, height, width)
    return images
