"""PNG and JPEG files. Enters: a file, or a folder with one folder per class. Leaves: grey uint8 images and their names."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.data import formats
from pipeline.data.dataset import Images
from pipeline.data.validation import Found
from pipeline.errors import InputError

SUFFIXES = {".png", ".jpg", ".jpeg"}
"""In small letters; what the content must be as well."""
TRAIN, TEST = "train", "test"


def read_picture(path: Path) -> Images:
    """One picture as uint8 (h, w), 0 to 255, upright as its EXIF says; colours turned grey by ITU-R 601-2 luma.

    Raises InputError for what is damaged, transparent, deeper than 8 bits, or larger than Pillow deems safe.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                image.load()
                return np.asarray(_opaque(path, ImageOps.exif_transpose(image)).convert("L"))
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"{path} is no PNG or JPEG file, or a damaged one; mend it or move it away") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{path} is too large: {error}; scale it down") from error
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's words for damage
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise InputError(f"{path} cannot be read ({reason}); mend it or move it away") from error


def read_tree(folder: Path) -> list[Found]:
    """The train part and, where there is one, the test part; labels are the names of the folders."""
    inside = _visible(folder)
    loose = [path for path in inside if path.is_file() and path.suffix.lower() in SUFFIXES]
    if loose:
        raise InputError(f"{loose[0]} lies beside the folders of the classes; expected it in one of them")
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


def _read_part(folder: Path) -> Found:
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
    return Found(images, labels, str(folder), str(folder))


def _files(folder: Path) -> list[Path]:
    """The pictures of one class, by name."""
    paths = _visible(folder)
    for path in paths:
        if path.suffix.lower() not in SUFFIXES or path.is_dir():
            raise InputError(f"{path} is no picture; expected PNG and JPEG files alone in the folder of a class")
    if not paths:
        raise InputError(f"the folder {folder} is empty; expected pictures of its class")
    return paths


def _visible(folder: Path) -> list[Path]:
    """What is not hidden, in the order of names as text."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _opaque(path: Path, image: Image.Image) -> Image.Image:
    """The image, if grey can be made of it without guessing."""
    if image.mode.startswith(("I", "F")):
        raise InputError(f"{path} has more than 8 bits per pixel and colour; expected 8: scale its values to 0..255")
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    if image.getchannel("A").getextrema() != (255, 255):
        raise InputError(f"{path} has transparent pixels, which have no grey; give it a background")
    return image


def _size(image: Images) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
