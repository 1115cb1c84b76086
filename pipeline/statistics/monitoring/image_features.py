"""A data set as figures per image: what the drift test needs, and no image.

An image is described by the mean and the scatter of 4 x 4 blocks, a histogram of its pixels and its roughness. A forest
tells data sets apart by these about as well as by all pixels: of ten changes of digits and of ten of Fashion-MNIST, both
warned of the same ones. Images of people are therefore not kept for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Images, Labels

GRID = 4
"""Blocks per side of an image; fewer if a block would have fewer than 2 x 2 pixels."""
LEVELS = 8
"""Bins of the histogram of an image's pixels."""
DIGEST_BYTES = 16
CHUNK = 1000
"""Images that are described at a time: a float copy of all would take gigabytes."""


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """A data set of n images in figures. Pixels are 0 to 1, in units of the largest possible value."""

    counts: NDArray[np.int64]
    """(classes,): images of each class."""
    digests: NDArray[np.void]
    """(n,): BLAKE2b of each image's bytes, to recognise an image that is met again."""
    brightness: NDArray[np.float64]
    """(n,): mean pixel of each image."""
    figures: NDArray[np.float32]
    """(n, figures): blocks, histogram and roughness of each image, for each colour."""
    sd: float
    """Of all pixels of all images."""
    mean_image: NDArray[np.float64]
    """(h, w), or (h, w, 3)."""

    def __len__(self) -> int:
        return len(self.digests)


def image_figures(images: Images, labels: Labels, *, classes: int, pixel_max: int) -> ImageFeatures:
    """Describes images (n, h, w) or (n, h, w, 3) and labels (n,) from 0 to `classes` - 1.

    Raises:
        ValueError: Without images, or with another number of labels.
    """
    if not len(images) or len(images) != len(labels):
        raise ValueError(f"{len(images)} images and {len(labels)} labels; expected as many of both, at least one")
    parts = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    return ImageFeatures(
        counts=np.bincount(labels, minlength=classes),
        digests=digests(images),
        brightness=np.concatenate([part.reshape(len(part), -1).mean(axis=1) for part in parts]) / pixel_max,
        figures=np.concatenate([_described((part / pixel_max).astype(np.float32)) for part in parts]),
        sd=_scatter(parts, pixel_max),
        mean_image=images.mean(axis=0) / pixel_max,
    )


def digests(images: Images) -> NDArray[np.void]:
    """(n,): one digest per image; images with the same bytes have the same."""
    found = [blake2b(image.tobytes(), digest_size=DIGEST_BYTES).digest() for image in images]
    return np.frombuffer(b"".join(found), np.dtype((np.void, DIGEST_BYTES)))


def described_by(height: int, width: int, colours: int = 1) -> int:
    """Number of figures of an image of this size."""
    return colours * (2 * _blocks(height) * _blocks(width) + LEVELS + 2)


def _blocks(side: int) -> int:
    return min(GRID, max(1, side // 2))


def _described(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, figures) of images with pixels 0 to 1."""
    if images.ndim == 4:  # each colour by itself
        return np.concatenate([_described(images[..., colour]) for colour in range(images.shape[3])], axis=1)
    columns: list[NDArray[np.float32]] = []
    for block in _cut(images):
        columns += [block.mean(axis=(1, 2)), block.std(axis=(1, 2))]
    level = np.minimum(images * LEVELS, LEVELS - 1).astype(np.uint8)
    columns += [(level == each).mean(axis=(1, 2), dtype=np.float32) for each in range(LEVELS)]
    columns += [_roughness(images, axis) for axis in (1, 2)]
    return np.stack(columns, axis=1).astype(np.float32)


def _cut(images: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    _, height, width = images.shape
    for rows in np.array_split(images, _blocks(height), axis=1):
        yield from np.array_split(rows, _blocks(width), axis=2)


def _roughness(images: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Mean difference of neighbouring pixels along an axis; 0 for a single pixel."""
    if images.shape[axis] == 1:
        return np.zeros(len(images), np.float32)
    found: NDArray[np.float32] = np.abs(np.diff(images, axis=axis)).mean(axis=(1, 2))
    return found


def _scatter(parts: list[Images], pixel_max: int) -> float:
    """Standard deviation of all pixels, by value: exact, and without a float copy."""
    counts = sum((np.bincount(part.reshape(-1), minlength=256) for part in parts), np.zeros(256, np.int64))
    values = np.arange(len(counts)) / pixel_max
    mean = counts @ values / counts.sum()
    return float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))
