"""Reads npz and npy files of users: arrays as they are stored. Nothing is ever unpickled."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data import formats
from pipeline.data.own import names
from pipeline.data.own.parts import Notes, RawData, RawImages, RawPart
from pipeline.errors import InputError

NPY = b"\x93NUMPY"
"""First bytes of an npy file."""


def read(path: Path, notes: Notes) -> RawData:
    """Reads an npz file: the parts that the names of its arrays tell, and the class names if they are given."""
    sizes = _names(path)
    found = names.pairs(path, sizes, notes)
    wanted = [name for pair in found.values() for name in (pair.images, pair.labels)]
    wanted += [names.CLASS_NAMES] * (names.CLASS_NAMES in sizes)
    _refuse_large(path, sum(sizes[name] for name in wanted))
    arrays = _arrays(path, wanted)
    parts = {
        part: RawPart(
            arrays[pair.images], arrays[pair.labels], f"{pair.images} of {path.name}", f"{pair.labels} of {path.name}"
        )
        for part, pair in found.items()
    }
    return RawData(parts, _class_names(path, arrays))


def read_folder(folder: Path, notes: Notes) -> RawData:
    """Reads a folder of npy files, whose names are those of an npz file's arrays. Images are mapped, not copied."""
    files = names.files_as_arrays(folder.glob("*.npy"))
    found = names.pairs(folder, files, notes)
    parts = {
        part: RawPart(
            _mapped(files[pair.images]), _mapped(files[pair.labels]), f"{pair.images}.npy", f"{pair.labels}.npy"
        )
        for part, pair in found.items()
    }
    given = {name: _mapped(files[name]) for name in [names.CLASS_NAMES] if name in files}
    return RawData(parts, _class_names(folder, given))


def read_images(path: Path) -> RawImages:
    """Reads the images alone; an npy file has a single array."""
    with path.open("rb") as file:
        if file.read(len(NPY)) == NPY:
            return RawImages(_mapped(path), path.name)
    sizes = _names(path)
    found = names.images_alone(sizes)
    if found is None:
        raise InputError(
            f"{path} has the arrays {', '.join(sorted(sizes)) or 'none at all'}; expected its images as 'images', or one of "
            "x, data, images_test, x_test, images_train and x_train"
        )
    _refuse_large(path, sizes[found])
    return RawImages(_arrays(path, [found])[found], f"{found} of {path.name}")


def _mapped(path: Path) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # whatever NumPy raises at damage
        if "Python objects" in str(error) or "allow_pickle" in str(error):
            raise _of_objects(path.name, path.parent) from error
        raise InputError(f"{path} cannot be read ({_reason(error)}): write the file again with np.save") from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path} is no file of one array; expected one of np.save")
    return array.view(np.ndarray)


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


def _arrays(path: Path, wanted: list[str]) -> dict[str, NDArray[Any]]:
    arrays = {}
    name = wanted[0]
    try:
        with np.load(path, allow_pickle=False) as file:
            for name in wanted:
                arrays[name] = file[name]
    except Exception as error:  # whatever NumPy and zipfile raise at damaged, encrypted or unknown content
        if "allow_pickle" in str(error):
            raise _of_objects(name, path) from error
        raise InputError(f"{name} of {path} cannot be read ({_reason(error)}): write the file again") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # what has no header of NumPy's comes as bytes
            raise InputError(f"{name} of {path} is no array of NumPy's; expected a file of np.savez")
    return arrays


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _of_objects(name: str, path: Path) -> InputError:
    return InputError(
        f"{name} of {path} holds Python objects, which are not read; expected plain numbers or text: "
        "np.array(images.tolist(), np.uint8), labels.astype(str)"
    )


def _class_names(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Sequence[str] | None:
    given = arrays.get(names.CLASS_NAMES)
    if given is None:
        return None
    if given.ndim != 1 or given.dtype.kind != "U" or not len(given):
        raise InputError(
            f"{names.CLASS_NAMES} of {path} is {given.dtype} of shape {given.shape}; expected a list of text, a name per "
            "class"
        )
    return [str(name) for name in given]
