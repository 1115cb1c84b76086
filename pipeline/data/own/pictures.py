"""Reads picture files into uint8 arrays: any mode, upright, the first frame, on a background."""

import io
import logging
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from pipeline.data.dataset import Images
from pipeline.data.own.parts import Notes
from pipeline.errors import InputError

logging.getLogger("PIL").addHandler(
    logging.NullHandler()
)  # its remarks on a damaged file; what is refused is said in one line

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
"""What the content of a picture may be, by Pillow's names."""
SUFFIXES = {".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"}
"""Of picture files, in small letters."""
KINDS = "PNG, JPEG, BMP, GIF, WebP or TIFF"
EXPECTED = f"a {KINDS} file"
STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"GIF8", b"RIFF", b"II*\0", b"MM\0*")
"""First bytes of these, in no order."""
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
Background = Literal["white", "black"]


def read_picture(
    path: Path | bytes, *, name: str | None = None, background: Background = "white", notes: Notes | None = None
) -> Images:
    """Reads one picture, 0 to 255, rotated as its EXIF data say: uint8 (h, w) if it is grey, (h, w, 3) if it has colours.

    Args:
        path: The file, or its content.
        name: For messages, if only the content is given.
        background: What is behind transparent pixels.
        notes: Where conversions are noted.

    Raises:
        InputError: For damaged pictures, values of unknown range, or more pixels than Pillow accepts.
    """
    shown = name or str(path)
    if isinstance(path, Path) and path.exists() and not path.is_file():
        raise InputError(f"{shown} is no regular file; expected {EXPECTED}")  # to read a pipe may never end
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of damage in what is not read, such as the date
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(path) if isinstance(path, bytes) else path, formats=FORMATS) as image:
                return _pixels(shown, image, background, notes or Notes())
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"{shown} is not {EXPECTED}, or is damaged; repair or remove it") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{shown} is too large: {error}; scale it down") from error
    except Exception as error:  # whatever Pillow raises at damage
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{shown} cannot be read ({reason}); repair or remove it") from error


def as_grey(image: Images) -> Images:
    """The picture in grey, by ITU-R 601-2 luma."""
    return image if image.ndim == 2 else np.asarray(Image.fromarray(image).convert("L"))


def as_rgb(image: Images) -> Images:
    """The picture with three channels."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def _pixels(name: str, image: Image.Image, background: Background, notes: Notes) -> Images:
    if getattr(image, "n_frames", 1) > 1:
        notes.add("of pictures with several frames, the first is read")
    if "16" in " ".join(str(tile.args) for tile in getattr(image, "tile", [])):
        notes.add("16 bits per channel scaled to 8")
    image.load()
    turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))  # Pillow's own function fails at odd EXIF data
    upright = image if turn is None else image.transpose(turn)
    if turn is not None:
        notes.add("pictures turned upright by their EXIF data")
    if image.mode.startswith("I;16"):
        return _of_16_bits(upright)
    if image.mode in {"I", "F"}:
        raise InputError(
            f"{name} has pixels of 32 bits, whose range is unknown; expected 8 or 16: scale them to 0 to 255"
        )
    if upright.has_transparency_data:
        upright = _laid(upright.convert("RGBA"), background, notes)
    if upright.mode in {"1", "L"}:
        return np.asarray(upright.convert("L"))
    return _without_equal_channels(np.asarray(upright.convert("RGB")))


def _of_16_bits(image: Image.Image) -> Images:
    values = np.asarray(image).astype(np.uint32)
    return np.asarray((values + 128) // 257, np.uint8)


def _laid(image: Image.Image, background: Background, notes: Notes) -> Image.Image:
    """The picture on a background, without alpha."""
    if image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB")
    notes.add(f"transparent pixels laid on {background} (data.background)")
    behind = Image.new("RGBA", image.size, background)
    behind.alpha_composite(image)
    return behind.convert("RGB")


def _without_equal_channels(image: Images) -> Images:
    """A picture whose red, green and blue are equal everywhere is grey."""
    equal = (image[..., 0] == image[..., 1]).all() and (image[..., 1] == image[..., 2]).all()
    return np.ascontiguousarray(image[..., 0]) if equal else image
