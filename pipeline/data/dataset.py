"""The data set as a record."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
"""uint8, (n, h, w), 0 to `pixel_max`."""
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
    digest: str = field(init=False)
    """SHA-256 (hex) over all bytes, types and shapes of the four arrays."""

    def __post_init__(self) -> None:
        arrays = (self.images_train, self.labels_train, self.images_test, self.labels_test)
        object.__setattr__(self, "digest", digest_of(*arrays))


@dataclass(frozen=True)
class DatasetFacts:
    """What is kept of a data set whose arrays are split: the fields of `Dataset` of the same names."""

    name: str
    source: str
    digest: str


def digest_of(*arrays: NDArray[np.generic]) -> str:
    """SHA-256 (hex) over the type, shape and bytes of each array, in order."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype.str}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()
