"""Reads PNG and JPEG files into grey uint8 images."""

import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from pipeline.data import formats
from pipeline.data.dataset import Images
from pipeline.data.validation import RawPart
from pipeline.errors import InputError

SUFFIXES = {".png", ".jpg", ".jpeg"}
"""In small letters; what the content must be as well."""
TRAIN, TEST = "train", "test"
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by its EXIF orientation."""


def read_picture(path: Path) -> Images:
    """Reads one picture as uint8 (h, w), 0 to 255, rotated as its EXIF data say; colours become grey by ITU-R 601-2
    luma.

    Raises:
        InputError: For damaged or transparent pictures, more than 8 bits per channel, or more pixels than
            Pillow accepts.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no regular file; expected a PNG or JPEG file")  # to read a pipe may never end
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of damage in what is not read, such as the date
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                _refuse_deep(path, image)
                image.load()
                return np.asarray(_opaque(path, _upright(image)).convert("L"))
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"{path} is not a PNG or JPEG file, or is damaged; repair or remove it") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{path} is too large: {error}; scale it down") from error
    except Exception as error:  # whatever Pillow raises at damage
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path} cannot be read ({reason}); repair or remove it") from error


def read_tree(folder: Path) -> list[RawPart]:
    """Reads a folder with one subfolder per class: the train part, and the test part if there is one."""
    inside = _visible(folder)
    loose = [path for path in inside if path.is_file() and path.suffix.lower() in SUFFIXES]
    if loose:
        raise InputError(f"{loose[0]} is beside the class folders; expected it in one of them")
    names = {path.name for path in inside if path.is_dir()}
    if not names:
        raise InputError(
            f"{folder} has no folders and no train-images-idx3-ubyte; expected a folder of pictures per class, or train/ "
            "and test/ with one per class, or IDX files as Fashion-MNIST's"
        )
    if not names & {TRAIN, TEST}:
        return [_read_part(folder)]
    if TRAIN not in names or names - {TRAIN, TEST}:
        raise InputError(
            f"{folder} has the folders {', '.join(sorted(names))}; expected {TRAIN} and {TEST} (may be missing) or one "
            "per class; images to choose by are held out of train"
        )
    return [_read_part(folder / part) for part in (TRAIN, TEST) if part in names]


def _read_part(folder: Path) -> RawPart:
    files = {path.name: _files(path) for path in _visible(folder) if path.is_dir()}
    if not files:
        raise InputError(f"{folder} has no folders; expected one per class")
    paths = [path for each in files.values() for path in each]
    first = read_picture(paths[0])
    if first.nbytes * len(paths) > formats.LARGEST:
        raise InputError(
            f"{folder} has {len(paths):,} pictures of {_size(first)} pixels, more than {formats.LARGEST / 2**30:g} GiB; "
            "scale them down"
        )
    images = np.empty((len(paths), *first.shape), np.uint8)
    for row, path in enumerate(paths):
        image = read_picture(path)
        if image.shape != first.shape:
            raise InputError(
                f"{path} has {_size(image)} pixels and {paths[0]} {_size(first)} (width x height); expected one size: "
                "scale them alike"
            )
        images[row] = image
    labels = np.repeat(list(files), [len(each) for each in files.values()])
    return RawPart(images, labels, str(folder), str(folder))


def _files(folder: Path) -> list[Path]:
    """The pictures of one class, sorted by name."""
    paths = _visible(folder)
    for path in paths:
        if path.suffix.lower() not in SUFFIXES or (path.exists() and not path.is_file()):
            raise InputError(f"{path} is no picture; expected PNG and JPEG files alone in the folder of a class")
    if not paths:
        raise InputError(f"the folder {folder} is empty; expected pictures of its class")
    return paths


def _visible(folder: Path) -> list[Path]:
    """The files and folders that are not hidden, sorted by name."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _refuse_deep(path: Path, image: ImageFile.ImageFile) -> None:
    """Refuses 16 bits per channel, which Pillow would cut to 8 without a word in a picture with colours."""
    packed = " ".join(
        str(tile.args) for tile in image.tile
    )  # how the file stores its pixels; gone once they are loaded
    if image.mode.startswith(("I", "F")) or ";16" in packed:
        raise InputError(f"{path} has more than 8 bits per pixel and colour; expected 8: scale its values to 0..255")


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF data say. Pillow's own function writes all of the data anew and fails at odd ones."""
    turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image if turn is None else image.transpose(turn)


def _opaque(path: Path, image: Image.Image) -> Image.Image:
    """The image, if it can be made grey without ambiguity."""
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    if image.getchannel("A").getextrema() != (255, 255):
        raise InputError(f"{path} has transparent pixels, which have no grey; give it a background")
    return image


def _size(image: Images) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
