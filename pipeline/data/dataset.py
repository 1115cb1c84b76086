"""The data set as a record."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.own.parts import Form

Images = NDArray[np.uint8]
"""uint8, (n, h, w), or (n, h, w, 3) for red, green and blue; 0 to `pixel_max`."""
Labels = NDArray[np.int64]
"""int64, (n,), 0 to classes - 1."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels as they came, before any split for validation."""

    name: str
    images_train: Images
    labels_train: Labels
    images_test: Images
    labels_test: Labels
    class_names: tuple[str, ...]
    pixel_max: int
    """The largest value that a pixel can take: 255; 16 for scikit-learn's digits."""
    source: str
    """Where the bytes came from, for people: a path, a package, an address."""
    images_validation: Images | None = None
    labels_validation: Labels | None = None
    """A validation part of its own; without it (or without any image in it), validation images are held out of the training
    images."""
    notes: tuple[str, ...] = ()
    """What was converted on reading, for people."""
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The file of each image of the part `train`, `validation` or `test`, where each has one."""
    read_as: Form | None = None
    """How the user's own images were read, so that others are read in the same way; None for the built-in data sets."""
    digest: str = field(init=False)
    """SHA-256 (hex) over all bytes, types and shapes of the arrays: train, test, and validation if it has images."""

    def __post_init__(self) -> None:
        arrays: list[NDArray[Any]] = [self.images_train, self.labels_train, self.images_test, self.labels_test]
        validation = self.validation
        if validation is not None:
            arrays += validation
        object.__setattr__(self, "digest", digest_of(*arrays))

    @property
    def facts(self) -> "DatasetFacts":
        """What is kept without the arrays."""
        parts = {"validation": self.validation is not None, "test": len(self.labels_test) > 0}
        own = ("train", *(part for part, there in parts.items() if there))
        return DatasetFacts(self.name, self.source, self.digest, self.notes, self.files, own, self.read_as)

    @property
    def validation(self) -> tuple[Images, Labels] | None:
        """Images and labels of the validation part, if the data set has one."""
        if self.images_validation is None or self.labels_validation is None or not len(self.labels_validation):
            return None
        return self.images_validation, self.labels_validation


@dataclass(frozen=True)
class DatasetFacts:
    """What is kept of a data set whose arrays are split: the fields of `Dataset` of the same names."""

    name: str
    source: str
    digest: str
    notes: tuple[str, ...] = ()
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    parts: tuple[str, ...] = ("train",)
    """The parts that the data set had itself; others are held out of `train`."""
    read_as: Form | None = None

    def source_of(self, part: str, row: int) -> str:
        """Where the image in a row of the data set's own part came from: its file, or the row."""
        files = self.files.get(part)
        return files[row] if files else f"{part} {row}"


def digest_of(*arrays: NDArray[np.generic]) -> str:
    """SHA-256 (hex) over the type, shape and bytes of each array, in order."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype.str}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()
