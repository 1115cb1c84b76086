import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.data.formats import digits, images_and_labels, inflate, read_idx
from pipeline.errors import InputError


def idx(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.astype(np.uint8).tobytes()


IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
LABELS = np.array([1, 0], np.uint8)


@settings(deadline=None)  # no assertion measures time
@given(
    values=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5)), zipped=st.booleans()
)
def test_what_an_idx_file_holds_is_read_back(values, zipped):
    content = gzip.compress(idx(values)) if zipped else idx(values)
    read = read_idx("x", inflate("x", content), dimensions=values.ndim)
    assert read.shape == values.shape
    assert np.array_equal(read, values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x has 0 bytes; expected at least the 16 of an IDX header"),
        (b"\x00\x01" + idx(IMAGES)[2:], "x starts with 00010803; expected 00000803"),
        (
            b"\x00\x00\x0d\x03" + idx(IMAGES)[4:],
            "x starts with 00000d03; expected 00000803: an IDX file of unsigned bytes",
        ),
        (
            idx(LABELS) + b"\x00" * 8,
            r"x has 1 dimension \(labels\); expected 3 \(images\): are images and labels swapped",
        ),
        (idx(IMAGES)[:-1], "x has 39 bytes; its header 2x3x4 asks for 40: the file is truncated"),
        (idx(IMAGES) + b"\x00", "x has 41 bytes; its header 2x3x4 asks for 40: the file is too long"),
    ],
)
def test_a_malformed_idx_file_is_refused(content, message):
    with pytest.raises(InputError, match=message):
        read_idx("x", content, dimensions=3)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda raw: raw[:-9], "x is truncated: its gzip stream of .* bytes has no end"),
        (lambda raw: raw[:-8] + bytes([raw[-8] ^ 1]) + raw[-7:], "x is damaged: .*incorrect data check"),
        (lambda raw: raw + b"more", "x has 4 bytes after the end of its gzip stream"),
        (lambda raw: raw[:12] + b"\xff\xff\xff" + raw[15:], "x is damaged"),
    ],
)
def test_a_damaged_gzip_stream_is_refused(spoil, message):
    with pytest.raises(InputError, match=message):
        inflate("x", spoil(gzip.compress(idx(IMAGES), mtime=0)))


def test_images_and_labels_come_as_bytes_and_integers():
    images, labels = images_and_labels(("i", idx(IMAGES)), ("l", idx(LABELS)), classes=2)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert images[1, 0].tolist() == [12, 13, 14, 15]
    assert labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1, 0], np.uint8), "i has 2 images and l 3 labels; expected equal"),
        (np.array([0, 2], np.uint8), "l has a label 2; expected 0 to 1"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(InputError, match=message):
        images_and_labels(("i", idx(IMAGES)), ("l", idx(labels)), classes=2)


def test_digits_are_1797_images_of_8x8_with_pixels_to_16():
    dataset = digits()
    assert dataset.images_train.shape == (1797, 8, 8)
    assert dataset.images_train.max() == dataset.pixel_max == 16
    assert len(dataset.labels_test) == 0
