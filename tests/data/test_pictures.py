"""Reading one picture: EXIF data, depth, and what is no file."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pipeline.data.own.parts import Notes
from pipeline.data.own.pictures import read_picture
from pipeline.errors import InputError

WIDE = np.array([[10, 20, 30], [40, 50, 60]], np.uint8)
WIDTH, METADATA, CAMERA = 0x0100, 0x02BC, 0x8769
"""Tags whose values are of other types below than Pillow expects."""


def exif(orientation: int, *entries: tuple[int, int, int, bytes]) -> bytes:
    """EXIF data of an orientation and more entries, each (tag, type, count, four bytes)."""
    written = [(0x0112, 3, 1, struct.pack("<HH", orientation, 0)), *entries]
    body = b"".join(struct.pack("<HHL", *entry[:3]) + entry[3] for entry in written)
    return b"Exif\0\0II*\0" + struct.pack("<LH", 8, len(written)) + body + b"\0\0\0\0"


def png(rows: np.ndarray, kind: int, depth: int) -> bytes:
    """A PNG file; `rows` are the bytes of each row, `kind` and `depth` those of its header."""
    height, width = rows.shape[:2]

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">L", len(content)) + name + content + struct.pack(">L", zlib.crc32(name + content))

    header = struct.pack(">LLBBBBB", width, height, depth, kind, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8, 0, 9])
def test_every_orientation_is_turned_as_pillow_turns_it(tmp_path, orientation):
    path = tmp_path / "x.png"
    Image.fromarray(WIDE).save(path, exif=exif(orientation))
    assert read_picture(path).tolist() == np.asarray(ImageOps.exif_transpose(Image.open(path))).tolist()


@pytest.mark.parametrize(
    "entry", [(WIDTH, 1, 1, b"\xff" * 4), (METADATA, 2, 1, b"\xff" * 4), (CAMERA, 6, 1, b"\xff" * 4)]
)
def test_exif_data_of_odd_types_do_not_keep_a_picture_from_being_turned_upright(tmp_path, entry):
    path = tmp_path / "x.png"
    Image.fromarray(WIDE).save(path, exif=exif(6, entry))
    with pytest.raises((struct.error, TypeError, ValueError)):
        ImageOps.exif_transpose(Image.open(path))
    assert read_picture(path).tolist() == [[40, 10], [50, 20], [60, 30]]


def test_exif_data_that_cannot_be_read_leave_the_picture_as_it_lies(tmp_path, recwarn):
    Image.fromarray(WIDE).save(tmp_path / "x.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_picture(tmp_path / "x.png").tolist() == WIDE.tolist()
    assert not recwarn.list


@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bits_per_channel_are_scaled_to_8_with_and_without_colour(tmp_path, kind, channels):
    deep, flat = tmp_path / "deep.png", tmp_path / "flat.png"
    deep.write_bytes(png(np.full((2, 3, channels), 0xFFFF, ">u2"), kind, 16))
    flat.write_bytes(png(np.full((2, 3, channels), 0xFF, np.uint8), kind, 8))
    assert read_picture(deep).tolist() == [[255] * 3] * 2
    assert read_picture(flat).tolist() == [[255] * 3] * 2


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(
        InputError, match=r"x.png is no regular file; expected a PNG, JPEG, BMP, GIF, WebP or TIFF file"
    ):
        read_picture(tmp_path / "x.png")


def test_whatever_pillow_raises_is_an_input_error_of_one_line(tmp_path, monkeypatch):
    def fail(_image: Image.Image) -> None:
        raise struct.error("unpack requires\na buffer")

    Image.fromarray(WIDE).save(tmp_path / "x.png")
    monkeypatch.setattr(Image.Image, "getexif", fail)
    with pytest.raises(InputError, match=r"x.png cannot be read \(unpack requires a buffer\); repair or remove it"):
        read_picture(tmp_path / "x.png")


def test_colours_are_kept_and_equal_ones_are_grey(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (2, 3, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "x.png")
    Image.fromarray(np.repeat(WIDE[..., None], 3, 2)).save(tmp_path / "y.png")
    assert read_picture(tmp_path / "x.png").tolist() == colours.tolist()
    assert read_picture(tmp_path / "y.png").tolist() == WIDE.tolist()


@pytest.mark.parametrize(("background", "expected"), [("white", [127, 255, 0]), ("black", [0, 0, 0])])
def test_transparent_pixels_are_laid_on_the_background(tmp_path, background, expected):
    """A grey of 0 whose alpha is a half, none and all: 255 x (1 - 128 / 255) = 127."""
    image = np.zeros((1, 3, 2), np.uint8)
    image[0, :, 1] = [128, 0, 255]
    Image.fromarray(image, "LA").save(tmp_path / "x.png")
    notes = Notes()
    assert read_picture(tmp_path / "x.png", background=background, notes=notes).tolist() == [expected]
    assert notes.lines == (f"transparent pixels laid on {background} (data.background)",)


@pytest.mark.parametrize("mode", ["P", "1", "L", "CMYK", "YCbCr", "I;16"])
def test_a_picture_of_any_mode_is_read(tmp_path, mode):
    """White, which is the same in each of them."""
    deep = Image.fromarray(np.full((2, 3), 65535, np.uint16))
    image = deep if mode == "I;16" else Image.new("RGB", (3, 2), "white").convert(mode)
    path = tmp_path / ("x.png" if mode in {"P", "1", "L", "I;16"} else "x.tif")
    image.save(path)
    assert read_picture(path).tolist() == [[255] * 3] * 2


def test_of_several_frames_the_first_is_read_and_that_is_noted(tmp_path):
    frames = [Image.new("L", (3, 2), shade) for shade in (255, 0)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    notes = Notes()
    assert read_picture(tmp_path / "x.gif", notes=notes).tolist() == [[255] * 3] * 2
    assert notes.lines == ("of pictures with several frames, the first is read",)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"]))
def test_damage_of_a_picture_is_reported_in_one_line_or_read(data, kind):
    buffer = io.BytesIO()
    Image.fromarray(WIDE.repeat(4, 0).repeat(4, 1)).convert("RGB").save(buffer, kind)
    raw = bytearray(buffer.getvalue())
    place = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        del raw[place:]
    else:
        raw[place] ^= data.draw(st.integers(1, 255))
    try:
        image = read_picture(bytes(raw), name="x")
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either way will do
    else:
        assert image.dtype == np.uint8
