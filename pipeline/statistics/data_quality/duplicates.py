"""Images that occur again in another part, exactly or nearly, and images without content."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Images

SIDE = 8
"""Blocks per side of the small copies by which near-duplicates are looked for."""
SIMILAR = 0.995
"""Smallest correlation of the pixels of near-duplicates."""
CANDIDATE = 0.99
"""Smallest correlation of their small copies."""
CALL_BYTES = 64 * 2**20
"""Bytes of correlations that are computed at a time."""
BLOCK = 1000


@dataclass(frozen=True)
class Twin:
    """An image of a later part and the most similar one of an earlier part."""

    row: int
    """In the later part."""
    other: int
    """In the earlier part."""
    correlation: float
    """Of their pixels; 1 for an exact duplicate."""
    exact: bool


def twins(images: Images, others: Images) -> list[Twin]:
    """The images that occur exactly or nearly among others, the most similar first.

    The nearest image is looked for by small copies of grey blocks, and its pixels are then compared. Constant images are
    exact duplicates only.
    """
    first: dict[bytes, int] = {}
    for row, image in enumerate(others):
        first.setdefault(_print(image), row)
    found = {
        row: Twin(row, first[print_], 1.0, exact=True)
        for row, print_ in enumerate(map(_print, images))
        if print_ in first
    }
    for row, other, similar in _nearest(_small(images), _small(others)):
        if row not in found and similar >= CANDIDATE:
            correlation = _correlation(images[row], others[other])
            if correlation >= SIMILAR:
                found[row] = Twin(row, other, correlation, exact=False)
    return sorted(found.values(), key=lambda twin: (-twin.correlation, twin.row))


def constant(images: Images) -> NDArray[np.int64]:
    """The rows of images of one colour: whose pixels are all equal, in every channel by itself."""
    rows = [
        start + np.flatnonzero((block == block[:, :1, :1]).reshape(len(block), -1).all(axis=1))
        for start, block in _blocks(images)
    ]
    return np.concatenate(rows) if rows else np.empty(0, np.int64)


def _print(image: Images) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()


def _blocks(images: Images) -> Iterator[tuple[int, Images]]:
    return ((start, images[start : start + BLOCK]) for start in range(0, len(images), BLOCK))


def _small(images: Images) -> NDArray[np.float32]:
    """(n, blocks): small grey copies of mean 0 and length 1; 0 for constant images."""
    made = [_blocks_of(block) for _, block in _blocks(images)]
    small = np.concatenate(made)
    small -= small.mean(axis=1, keepdims=True)
    length = np.linalg.norm(small, axis=1, keepdims=True)
    return np.asarray(small / np.where(length > 0, length, np.inf), np.float32)


def _blocks_of(images: Images) -> NDArray[np.float32]:
    grey = images.mean(axis=3, dtype=np.float32) if images.ndim == 4 else images.astype(np.float32)
    starts = [np.linspace(0, size, min(SIDE, size), endpoint=False).astype(int) for size in grey.shape[1:]]
    for axis, first in enumerate(starts, start=1):
        widths = np.diff([*first, grey.shape[axis]]).astype(np.float32)
        grey = np.add.reduceat(grey, first, axis=axis) / widths.reshape((-1, 1) if axis == 1 else (1, -1))
    return grey.reshape(len(grey), -1)


def _nearest(small: NDArray[np.float32], others: NDArray[np.float32]) -> Iterator[tuple[int, int, float]]:
    """Each row with the other row that it correlates with most."""
    rows = max(1, CALL_BYTES // (4 * max(1, len(others))))
    for start in range(0, len(small), rows):
        similar = small[start : start + rows] @ others.T
        for row, other in enumerate(similar.argmax(axis=1)):
            yield start + row, int(other), float(similar[row, other])


def _correlation(image: Images, other: Images) -> float:
    one, two = (each.ravel().astype(np.float64) for each in (image, other))
    one, two = one - one.mean(), two - two.mean()
    length = np.linalg.norm(one) * np.linalg.norm(two)
    return float(one @ two / length) if length else 0.0
