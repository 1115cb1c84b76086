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

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset, Images, Labels
from pipeline.data.split import Part, Rows, Split, split
from pipeline.errors import InputError
from pipeline.experiment import Data

BLOCK_BYTES = 16 * 1024**2
"""Bytes that are written at a time."""
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

    def rows(self, part: str) -> NDArray[np.int64]:
        """The rows of a part in the data set."""
        found: NDArray[np.int64] = np.load(self.folder / f"{part}_rows.npy", mmap_mode="r")
        return found


def share(dataset: Dataset, data: Data, folder: Path) -> SharedSplit:
    """Splits a data set into files of a folder, which must stay as long as the split is used.

    Raises:
        InputError: If the data cannot be split, or there is no room for them.
    """

    def written(name: str, images: Images, labels: Labels, rows: Rows) -> Part:
        _write(folder / f"{name}_images.npy", images, rows)
        _write(folder / f"{name}_labels.npy", labels, rows)
        np.save(folder / f"{name}_rows.npy", rows)
        return _part(folder, name)

    try:
        made = split(dataset, data, part=written)
    except OSError as error:
        size = (dataset.images_train.nbytes + dataset.images_test.nbytes) / 1024**2
        raise InputError(
            f"the data cannot be written to the temporary folder {folder} ({error.strerror or error}); expected room for "
            f"{size:,.0f} MiB: set the environment variable TMPDIR to a folder with room"
        ) from error
    return SharedSplit(folder, made.class_names, made.pixel_max, made.data_digest, made.fingerprint)


def _write(file: Path, array: NDArray[np.generic], rows: Rows) -> None:
    """Writes rows of an array as a .npy file, in blocks: no copy of them is held."""
    header = np.lib.format.header_data_from_array_1_0(array)
    header |= {"shape": (len(rows), *array.shape[1:]), "fortran_order": False}
    with file.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, header)
        for block in np.array_split(rows, max(1, len(rows) * array[:1].nbytes // BLOCK_BYTES)):
            out.write(array[block].tobytes())


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
    train, validation, test = (_part(shared.folder, name) for name in ("train", "validation", "test"))
    return Split(train, validation, test, shared.class_names, shared.pixel_max, shared.data_digest, shared.fingerprint)


def _part(folder: Path, name: str) -> Part:
    """A part whose arrays are mapped, read-only, and plain: pickled, they are their content."""
    images, labels = (
        np.load(folder / f"{name}_{kind}.npy", mmap_mode="r").view(np.ndarray) for kind in ("images", "labels")
    )
    return Part(images, labels)
