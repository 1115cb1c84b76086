"""The exploration of the teaching notebook: pixel ranges, intensities, class counts, duplicates."""

import hashlib
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset, DatasetFacts, Images
from pipeline.data.split import Split


@dataclass(frozen=True, eq=False)
class Exploration:
    """Statistics of a data set and its parts."""

    class_counts: pd.DataFrame
    """One row per class, one column per part: images."""
    pixel_min: NDArray[np.uint8]
    """(h, w), or (h, w, 3): the smallest value of each pixel over the training images."""
    pixel_max: NDArray[np.uint8]
    """(h, w), or (h, w, 3): the largest value of each pixel over the training images."""
    intensities: NDArray[np.int64]
    """(pixel_max + 1,): how often each value occurs in the training images; the zeros are counted too, at 0."""
    duplicates: dict[str, int]
    """Images of the second part that occur in the first one too, byte for byte, by `first/second`."""
    table: pd.DataFrame
    """The statistics as rows of (what, value)."""


def explore(dataset: Dataset | DatasetFacts, split: Split) -> Exploration:
    """Computes the statistics of the training images and the duplicates across the parts."""
    images = split.train.images
    low, high = images.min(axis=0), images.max(axis=0)
    counts = pd.DataFrame(
        {name: np.bincount(part.labels, minlength=split.classes) for name, part in split.parts()},
        index=pd.Index(split.class_names, name="class"),
    )
    duplicates = _duplicates(split)
    intensities = _intensities(images, split.pixel_max)
    constant = int((low == high).sum())
    rows = [
        ("data set", dataset.name),
        ("source", dataset.source),
        ("digest", dataset.digest),
        *(("converted", note) for note in dataset.notes),
        *((f"{name}: shape", "x".join(map(str, part.images.shape))) for name, part in split.parts()),
        *((f"{name}: images per class", _range(counts[name])) for name in counts),
        # Pixels are unsigned bytes: no value can be missing, only an image or a class.
        *(
            (f"{name}: blank images", int((~part.images.reshape(len(part), -1).any(axis=1)).sum()))
            for name, part in split.parts()
        ),
        *((f"{name}: classes without an image", int((counts[name] == 0).sum())) for name in counts),
        ("largest class", _class_share(counts["train"], int(counts["train"].argmax()))),
        ("smallest class", _class_share(counts["train"], int(counts["train"].argmin()))),
        ("missing values", "none: every pixel is an unsigned byte"),
        ("smallest value at a pixel's place", _range(low)),
        ("largest value at a pixel's place", f"{_range(high)} (of {split.pixel_max})"),
        ("pixels that never change", constant),
        ("zeros", f"{100 * intensities[0] / intensities.sum():.1f} % of all pixel values"),
        ("median without the zeros", _median(intensities[1:])),
        *((f"duplicates, {pair}", count) for pair, count in duplicates.items()),
    ]
    return Exploration(counts, low, high, intensities, duplicates, pd.DataFrame(rows, columns=["what", "value"]))


def _intensities(images: Images, largest: int) -> NDArray[np.int64]:
    """Counts each pixel value, in blocks: counting takes 8 bytes per pixel."""
    blocks = np.array_split(images, max(1, min(len(images), images.size // 2**20)))
    counts = np.zeros(largest + 1, np.int64)
    for block in blocks:
        counts += np.bincount(block.ravel(), minlength=largest + 1)
    return counts


def _range(values: NDArray[np.generic] | pd.Series) -> str:
    smallest, largest = int(values.min()), int(values.max())
    return f"{smallest:,}" if smallest == largest else f"{smallest:,} to {largest:,}"


def _class_share(counts: pd.Series, place: int) -> str:
    return f"{counts.index[place]}: {100 * counts.iloc[place] / max(1, counts.sum()):.1f} % of the training images"


def _median(counts: NDArray[np.int64]) -> int | str:
    """Median of the values 1, 2, … with the given counts; the lower of two middle ones."""
    total = int(counts.sum())
    return int(np.searchsorted(np.cumsum(counts), (total + 1) // 2)) + 1 if total else "none"


def _duplicates(split: Split) -> dict[str, int]:
    prints = {name: _prints(part.images) for name, part in split.parts()}
    return {
        f"{first}/{second}": sum(each in known for each in prints[second])
        for first, second in combinations(prints, 2)
        for known in [set(prints[first])]
    }


def _prints(images: Images) -> list[bytes]:
    """A digest of every image, to find duplicates."""
    return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]
