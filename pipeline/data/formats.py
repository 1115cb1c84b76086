"""Decodes files into uint8 images and int64 labels, and refuses malformed ones."""

import math
import os
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset, Images, Labels
from pipeline.errors import InputError

GZIP = b"\x1f\x8b"
"""First bytes of a gzip stream."""
UNSIGNED_BYTE = 0x08
"""The IDX code of the only element type that these data sets use."""
LARGEST = 4 * 2**30
"""Bytes that a file may unpack to: more is no data set for a dense network, and may be meant to fill the memory."""


def read_file(path: Path, *, largest: int | None = None) -> bytes:
    """Reads a file of at most `largest` bytes; `LARGEST` if not given."""
    largest = LARGEST if largest is None else largest
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > largest:
            raise InputError(f"{path} has {size:,} bytes; expected {_size(largest)} at most")
        return file.read(size)


def inflate(name: str, raw: bytes, *, largest: int | None = None) -> bytes:
    """Returns the content of a file, gzipped or not, read to the end of its streams with their checksums: at most `largest`
    bytes; `LARGEST` if not given.
    """
    largest = LARGEST if largest is None else largest
    if not raw.startswith(GZIP):
        if len(raw) > largest:
            raise InputError(f"{name} has {len(raw):,} bytes; expected {_size(largest)} at most")
        return raw
    pieces, left, size = [], raw, 0
    while left:
        unzipper = zlib.decompressobj(wbits=31)
        try:
            pieces.append(unzipper.decompress(left, max(1, largest - size)))
        except zlib.error as error:
            raise InputError(f"{name} is damaged: its gzip stream breaks off with {error}") from error
        size += len(pieces[-1])
        if unzipper.unconsumed_tail or size > largest:
            raise InputError(f"{name} unpacks to more than {_size(largest)}; expected at most that")
        if not unzipper.eof:
            raise InputError(f"{name} is truncated: its gzip stream of {len(raw):,} bytes has no end")
        left = unzipper.unused_data.lstrip(
            b"\0"
        )  # padding, and a file of several streams, are as gzip itself takes them
        if left and not left.startswith(GZIP):
            raise InputError(f"{name} has {len(left):,} bytes after the end of its gzip stream")
    return b"".join(pieces)


def _size(count: int) -> str:
    return f"{count / 2**30:g} GiB" if count >= 2**30 else f"{count / 2**20:g} MiB"


def read_idx(name: str, content: bytes, *, dimensions: int) -> NDArray[np.uint8]:
    """Decodes an IDX file of unsigned bytes: magic number, big-endian sizes, then exactly that many bytes.

    Format: http://yann.lecun.com/exdb/mnist, "the IDX file format".
    """
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise InputError(f"{name} has {len(content)} bytes; expected at least the {header} of an IDX header")
    zero, kind, found = int.from_bytes(content[:2], "big"), content[2], content[3]
    if zero or kind != UNSIGNED_BYTE:
        raise InputError(
            f"{name} starts with {content[:4].hex()}; expected 000008{dimensions:02x}: an IDX file of unsigned bytes"
        )
    if found != dimensions:
        kinds = {1: "labels", 3: "images"}
        raise InputError(
            f"{name} has {found} dimension{'s' * (found != 1)} ({kinds.get(found, 'unknown')}); expected {dimensions} "
            f"({kinds.get(dimensions, 'data')}): are images and labels swapped?"
        )
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, offset=4))
    expected = header + math.prod(shape)
    if len(content) != expected:
        raise InputError(
            f"{name} has {len(content):,} bytes; its header {'x'.join(map(str, shape))} asks for {expected:,}: "
            f"the file is {'truncated' if len(content) < expected else 'too long'}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def images_and_labels(images: tuple[str, bytes], labels: tuple[str, bytes], *, classes: int) -> tuple[Images, Labels]:
    """Decodes one part of a data set from its two IDX files, given as (name, content)."""
    pixels = read_idx(*images, dimensions=3)
    given = read_idx(*labels, dimensions=1)
    if len(pixels) != len(given):
        raise InputError(
            f"{images[0]} has {len(pixels):,} images and {labels[0]} {len(given):,} labels; expected equal"
        )
    if len(given) and given.max() >= classes:
        raise InputError(f"{labels[0]} has a label {given.max()}; expected 0 to {classes - 1}")
    return pixels, given.astype(np.int64)


def digits() -> Dataset:
    """Returns scikit-learn's handwritten digits: 1,797 images of 8x8, pixels 0 to 16, without a test set."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - half a second, only for digits

    bunch = load_digits()
    images = bunch.images.astype(np.uint8)
    return Dataset(
        name="digits",
        images_train=images,
        labels_train=bunch.target.astype(np.int64),
        images_test=images[:0],
        labels_test=bunch.target[:0].astype(np.int64),
        class_names=tuple(str(digit) for digit in range(10)),
        pixel_max=16,
        source="sklearn.datasets.load_digits",
    )
