"""A split in files that the processes of one machine have in common: mapped into memory, read-only, there once."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.split import Part, Split
from pipeline.errors import InputError


@dataclass(frozen=True)
class SharedSplit:
    """The files of a split, and what else it has. It travels to other processes of this machine in place of the arrays."""

    folder: Path
    class_names: tuple[str, ...]
    pixel_max: int
    data_digest: str
    fingerprint: str

    def open(self) -> Split:
        """The split, mapped: the same one at every call in a process."""
        return _open(self)


def share(split: Split, folder: Path) -> SharedSplit:
    """Writes the arrays of a split to a folder, which must stay as long as the split is used.

    Raises:
        InputError: If there is no room for them.
    """
    try:
        for name, part in split.parts():
            np.save(folder / f"{name}_images.npy", part.images)
            np.save(folder / f"{name}_labels.npy", part.labels)
    except OSError as error:
        size = sum(part.images.nbytes + part.labels.nbytes for _, part in split.parts())
        raise InputError(
            f"the data cannot be written to the temporary folder {folder} ({error.strerror or error}); expected room for "
            f"{size / 1024**2:,.0f} MiB: set the environment variable TMPDIR to a folder with room"
        ) from error
    return SharedSplit(folder, split.class_names, split.pixel_max, split.data_digest, split.fingerprint)


@lru_cache(maxsize=1)
def _open(shared: SharedSplit) -> Split:
    train, validation, test = (
        Part(_mapped(shared.folder / f"{name}_images.npy"), _mapped(shared.folder / f"{name}_labels.npy"))
        for name in ("train", "validation", "test")
    )
    return Split(train, validation, test, shared.class_names, shared.pixel_max, shared.data_digest, shared.fingerprint)


def _mapped(file: Path) -> Any:
    """The array in a file, read-only and as a plain array: pickled, it is its content."""
    return np.load(file, mmap_mode="r").view(np.ndarray)
