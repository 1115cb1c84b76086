"""A split in files that the processes of one machine have in common: mapped into memory, read-only, there once."""

import fcntl
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.split import Part, Split
from pipeline.errors import InputError

LOCK = "lock"
"""File in a temporary folder that is locked as long as its process lives."""
NEW_SECONDS = 60
"""A temporary folder younger than this is never taken for one that was left."""


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


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for the files of one run, removed with the block. Removes those of killed processes too."""
    prefix = f"narrowgap-{socket.gethostname()}-"
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*/{LOCK}"):
        _remove_if_left(left)
    with (
        tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder,
        (Path(folder) / LOCK).open("w") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_SH)  # the system releases it when the process ends, however that happens
        yield Path(folder)


def _remove_if_left(lock: Path) -> None:
    """Removes the folder of a lock that no process holds; one that is new may not be locked yet."""
    with suppress(OSError), lock.open() as file:
        if time.time() - os.fstat(file.fileno()).st_mtime > NEW_SECONDS:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)


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
