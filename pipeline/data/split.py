"""Train, validation and test parts of a data set."""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.data import hash_split
from pipeline.data.dataset import Dataset, Images, Labels
from pipeline.errors import InputError
from pipeline.experiment import Data

TEST_SHARE = 0.1
"""Default of `data.test` for a data set without a test set."""
Rows = NDArray[np.int64]
"""int64, (n,), ascending: positions in a data set."""


@dataclass(frozen=True, eq=False)
class Part:
    """Images and labels of one part. Pixels stay uint8 until they are inside the compiled step."""

    images: Images
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Split:
    """A stratified division of one data set."""

    train: Part
    validation: Part
    test: Part
    class_names: tuple[str, ...]
    pixel_max: int
    data_digest: str
    fingerprint: str
    """SHA-256 (hex) over the digest of the data and the rows of each part: equal exactly when the parts are."""

    def parts(self) -> Iterator[tuple[str, Part]]:
        """`("train", …)`, `("validation", …)`, `("test", …)`, in that order."""
        yield "train", self.train
        yield "validation", self.validation
        yield "test", self.test

    @property
    def inputs(self) -> int:
        """Values per image: pixels, three for each with colour."""
        return math.prod(self.image_shape)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(h, w), or (h, w, 3) for red, green and blue."""
        return self.train.images.shape[1:]

    @property
    def classes(self) -> int:
        return len(self.class_names)


MakePart = Callable[[str, Images, Labels, Rows], Part]
"""Makes the part of a name from rows of images and labels."""


def split(dataset: Dataset, data: Data, *, part: MakePart | None = None) -> Split:
    """Splits a data set by `data.seed`, stratified by class. Own data are split by the hash of each image (`hash_split`), so
    an image stays in its part when others are added.

    `data.validation` images are held out of the training images, unless the data set has a validation part.
    So are `data.test` images if the data set has no test set.
    If it has one, `data.test` selects a part of it. `part` makes each part; without it, its images are copied.

    Raises:
        InputError: If a size is impossible.
    """
    hold = _held_out_by_bytes if data.dataset == "own" else _held_out
    pool = np.arange(len(dataset.labels_train))
    test_images, test_labels = dataset.images_test, dataset.labels_test
    if len(test_labels):
        test = np.arange(len(test_labels))
        if data.test is not None and data.test != len(test):
            _, test = hold(test, test_images, test_labels, data.test, data.seed, key="data.test")
    else:
        test_images, test_labels = dataset.images_train, dataset.labels_train
        pool, test = hold(pool, test_images, test_labels, data.test or TEST_SHARE, data.seed, key="data.test")
    images, labels = dataset.validation or (dataset.images_train, dataset.labels_train)
    if dataset.validation is not None:
        train, validation = pool, np.arange(len(labels))
    else:
        train, validation = hold(pool, images, labels, data.validation, data.seed, key="data.validation")
    if data.dataset == "own":
        _refuse_used_up(dataset, train, labels[validation])
    made = part or _copied
    return Split(
        train=made("train", dataset.images_train, dataset.labels_train, train),
        validation=made("validation", images, labels, validation),
        test=made("test", test_images, test_labels, test),
        class_names=dataset.class_names,
        pixel_max=dataset.pixel_max,
        data_digest=dataset.digest,
        fingerprint=_fingerprint(dataset.digest, train, validation, test),
    )


def _copied(_name: str, images: Images, labels: Labels, rows: Rows) -> Part:
    return Part(images[rows], labels[rows])


def _held_out(rows: Rows, _images: Images, labels: Labels, size: float, seed: int, *, key: str) -> tuple[Rows, Rows]:
    """Splits `rows` into the rest and a stratified part of `size` (count or share); both ascending."""
    from sklearn.model_selection import train_test_split  # noqa: PLC0415 - takes a second

    count = _count(size, len(rows))
    present, images = np.unique(labels[rows], return_counts=True)
    if count >= len(rows):
        raise InputError(f"{key} is {size}: {count:,} images of {len(rows):,}; expected fewer, so that some are left")
    if min(count, len(rows) - count) < len(present):
        raise InputError(
            f"{key} is {size}: {count:,} images held out and {len(rows) - count:,} left; expected at least "
            f"{len(present)} on both sides, one of each class"
        )
    if images.min() < 2:
        raise InputError(
            f"{key} is {size}: class {present[images.argmin()]} has a single image; expected at least 2, one on each "
            "side; add images of it or leave the class out"
        )
    left, held = train_test_split(rows, test_size=count, stratify=labels[rows], random_state=seed)
    return np.sort(left), np.sort(held)


def _held_out_by_bytes(
    rows: Rows, images: Images, labels: Labels, size: float, seed: int, *, key: str
) -> tuple[Rows, Rows]:
    """As `_held_out`, by hash, for own data; `size` is a share."""
    held = hash_split.held_out((images[row] for row in rows), labels[rows], share=size, seed=seed, part=key)
    return rows[~held], rows[held]


def _refuse_used_up(dataset: Dataset, train: Rows, validation: Labels) -> None:
    """Refuses a split that leaves a class without training images, or without validation images held out of them."""
    for label, name in enumerate(dataset.class_names):
        images, left, chosen = (
            int((labels == label).sum()) for labels in (dataset.labels_train, dataset.labels_train[train], validation)
        )
        if not left or not (chosen or dataset.validation is not None):
            raise InputError(
                f"class {name!r} has {images} images: {left} to train on, {chosen} to choose by and "
                f"{images - left - chosen} to report on; expected at least one of each: add images of it, take "
                "smaller shares (data.test, data.validation) or another data.seed"
            )


def _count(size: float, available: int) -> int:
    """A count as given; a share (below 1) as that share of what is available."""
    return round(size * available) if isinstance(size, float) else size


def _fingerprint(digest: str, *parts: Rows) -> str:
    sha = hashlib.sha256(digest.encode())
    for rows in parts:
        sha.update(len(rows).to_bytes(8, "big") + rows.astype(np.int64).tobytes())
    return sha.hexdigest()
