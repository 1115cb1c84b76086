"""Reads npz files of users: arrays as they are stored. Nothing is ever unpickled."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data import formats
from pipeline.data.validation import RawPart
from pipeline.errors import InputError

SPELLINGS = (
    ("images_train", "labels_train", "images_test", "labels_test"),
    ("x_train", "y_train", "x_test", "y_test"),
)
"""Ours, and that of Keras' own files."""
IMAGES = ("images", "x", "images_test", "x_test", "images_train", "x_train")
"""Where images are looked for whose labels nobody asks for."""
CLASS_NAMES = "class_names"


def read(path: Path) -> tuple[list[RawPart], Sequence[str] | None]:
    """Returns the train part, the test part if there is one, and the class names if they are given."""
    names = _names(path)
    wanted = _wanted(path, set(names))
    _refuse_large(path, sum(names[name] for name in wanted))
    arrays = _arrays(path, wanted)
    given = arrays.pop(CLASS_NAMES, None)
    parts = [
        RawPart(arrays[images], arrays[labels], f"{images} of {path.name}", f"{labels} of {path.name}")
        for images, labels in zip(list(arrays)[::2], list(arrays)[1::2], strict=True)
    ]
    return parts, None if given is None else _class_names(path, given)


def read_images(path: Path) -> tuple[str, NDArray[Any]]:
    """Returns the images alone, with their name for messages: the first array of `IMAGES` that exists, or the only one."""
    names = _names(path)
    found = [name for name in IMAGES if name in names] or (list(names) if len(names) == 1 else [])
    if not found:
        raise InputError(
            f"{path} has the arrays {', '.join(sorted(names)) or 'none at all'}; expected its images as {IMAGES[0]!r}, or "
            f"one of {', '.join(IMAGES[1:])}"
        )
    _refuse_large(path, names[found[0]])
    return f"{found[0]} of {path.name}", _arrays(path, found[:1])[found[0]]


def _refuse_large(path: Path, unpacked: int) -> None:
    if unpacked > formats.LARGEST:
        raise InputError(
            f"{path} unpacks to {unpacked / 2**30:,.1f} GiB; expected {formats.LARGEST / 2**30:g} at most: store images "
            "as uint8, or fewer of them"
        )


def _names(path: Path) -> dict[str, int]:
    """Returns the name of every array and its unpacked size in bytes."""
    with path.open("rb") as raw:
        try:
            with zipfile.ZipFile(raw) as file:
                entries = [(entry.filename.removesuffix(".npy"), entry.file_size) for entry in file.infolist()]
        except Exception as error:  # whatever zipfile raises at damage
            raise InputError(
                f"{path} is no npz file, or a truncated one ({_reason(error)}); expected one of np.savez"
            ) from error
    sizes = dict(entries)
    if len(sizes) < len(entries):
        twice = next(name for place, (name, _) in enumerate(entries) if name in dict(entries[:place]))
        raise InputError(
            f"{path} has two arrays called {twice}; expected each once: write the file again with np.savez"
        )
    return sizes


def _wanted(path: Path, names: set[str]) -> list[str]:
    """Returns the arrays to read: images before labels, train before test."""
    train_and_test = next((each for each in SPELLINGS if names & set(each)), SPELLINGS[0])
    train, test = train_and_test[:2], train_and_test[2:]
    missing = [name for name in train if name not in names]
    if len(set(test) & names) == 1:
        missing += sorted(set(test) - names)
    if missing:
        raise InputError(
            f"{path} has no {missing[0]}, but {', '.join(sorted(names)) or 'no array at all'}; expected images_train and "
            "labels_train (and images_test with labels_test), or x_train and y_train (and x_test with y_test)"
        )
    return [name for name in (*train_and_test, CLASS_NAMES) if name in names]


def _arrays(path: Path, wanted: list[str]) -> dict[str, NDArray[Any]]:
    arrays = {}
    name = wanted[0]
    try:
        with np.load(path, allow_pickle=False) as file:
            for name in wanted:
                arrays[name] = file[name]
    except Exception as error:  # whatever NumPy and zipfile raise at damaged, encrypted or unknown content
        if "allow_pickle" in str(error):
            raise InputError(
                f"{name} of {path} holds Python objects, which are not read; expected plain numbers or text: "
                "np.array(images.tolist(), np.uint8), labels.astype(str)"
            ) from error
        raise InputError(f"{name} of {path} cannot be read ({_reason(error)}): write the file again") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # what has no header of NumPy's comes as bytes
            raise InputError(f"{name} of {path} is no array of NumPy's; expected a file of np.savez")
    return arrays


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _class_names(path: Path, given: NDArray[Any]) -> Sequence[str]:
    if given.ndim != 1 or given.dtype.kind != "U" or not len(given):
        raise InputError(
            f"{CLASS_NAMES} of {path} is {given.dtype} of shape {given.shape}; expected a list of text, a name per class"
        )
    return [str(name) for name in given]
