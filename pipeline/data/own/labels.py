"""Turns a user's labels into indices of class names, all parts alike. Problems raise an `InputError` of one line."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Labels
from pipeline.data.own.parts import TEST, TRAIN, VALIDATION, Notes, RawPart
from pipeline.data.own.pixels import shape_text
from pipeline.errors import InputError


def classes(
    parts: Mapping[str, RawPart], class_names: Sequence[str] | None, notes: Notes
) -> tuple[dict[str, Labels], tuple[str, ...]]:
    """Returns the labels of each part as indices of the class names, and the class names.

    Without given names, text labels are named by themselves, in sorted order, and numbers by their digits.
    """
    given = {name: _flat(part, notes) for name, part in parts.items()}
    if len({labels.dtype.kind == "U" for labels in given.values()}) > 1:
        every = " and ".join(part.labels_name for part in parts.values())
        raise InputError(f"{every} are numbers here and text there; expected one")
    if given[TRAIN].dtype.kind == "U":
        indices, names = _of_text(parts, given, class_names)
    else:
        indices, names = _of_numbers(parts, given, class_names, notes)
    _refuse_names(names)
    _refuse_thin(names, indices)
    return indices, names


def _flat(part: RawPart, notes: Notes) -> NDArray[Any]:
    """Labels of one part as (n,) integers or text, one per image."""
    name, labels = part.labels_name, part.labels
    if labels.ndim == 2 and labels.shape[1] == 1:  # as Keras gives CIFAR's
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "biuf":
        labels = _columns(name, labels)
        notes.add("one-hot labels read as their columns")
    if labels.ndim != 1:
        raise InputError(f"{name} is {shape_text(labels.shape)}; expected (n,), a label per image, or one-hot rows")
    labels = _whole_or_text(name, labels, notes)
    if len(labels) != len(part.images):
        raise InputError(
            f"{part.images_name} has {len(part.images):,} images and {name} {len(labels):,} labels; expected equal"
        )
    return labels


def _columns(name: str, rows: NDArray[Any]) -> NDArray[Any]:
    """One-hot rows as the place of their 1."""
    bad = (rows.astype(np.float64).sum(axis=1) != 1) | ((rows != 0) & (rows != 1)).any(axis=1)
    if bad.any():
        raise InputError(
            f"{name} is {shape_text(rows.shape)}, and row {int(bad.argmax())} is not one-hot; expected a label per image, "
            "or rows with a single 1"
        )
    return np.asarray(rows.argmax(axis=1))


def _whole_or_text(name: str, labels: NDArray[Any], notes: Notes) -> NDArray[Any]:
    if labels.dtype.kind == "S":
        try:
            return np.char.decode(labels, "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{name} has bytes that are no UTF-8; expected text or whole numbers") from error
    if labels.dtype.kind == "f":
        bad = ~np.isfinite(labels) | (labels != np.rint(labels)) | (np.abs(labels) > 2**53)
        if bad.any():
            place = int(bad.argmax())
            raise InputError(f"{name} has a label {labels[place]} at {place}; expected whole numbers or text")
        notes.add("labels stored as fractions read as whole numbers")
        return labels.astype(np.int64)
    if labels.dtype.kind == "b":
        return labels.astype(np.int64)
    if labels.dtype.kind not in "iuU":
        raise InputError(f"{name} is of type {labels.dtype}; expected whole numbers or text: labels.astype(str)")
    return labels


def _of_text(
    parts: Mapping[str, RawPart], given: Mapping[str, NDArray[Any]], class_names: Sequence[str] | None
) -> tuple[dict[str, Labels], tuple[str, ...]]:
    names = tuple(class_names or np.unique(np.concatenate(list(given.values()))).tolist())
    place = {name: index for index, name in enumerate(names)}
    indices = {}
    for part, labels in given.items():
        found, inverse = np.unique(labels, return_inverse=True)
        unknown = [name for name in found.tolist() if name not in place]
        if unknown:
            raise InputError(
                f"{parts[part].labels_name} has a label {unknown[0]!r}; expected one of class_names: {_few(names)}"
            )
        indices[part] = np.array([place[name] for name in found.tolist()], np.int64)[inverse]
    return indices, names


def _of_numbers(
    parts: Mapping[str, RawPart], given: Mapping[str, NDArray[Any]], class_names: Sequence[str] | None, notes: Notes
) -> tuple[dict[str, Labels], tuple[str, ...]]:
    # Python's whole numbers: NumPy makes fractions of uint64 beside int64.
    distinct = sorted({value for labels in given.values() for value in np.unique(labels).tolist()})
    values, names = distinct, tuple(map(str, distinct))
    if class_names is not None:
        values, names = _values_of_names(parts, given, class_names, distinct, notes), tuple(class_names)
    elif distinct != list(range(len(distinct))):
        notes.add(f"labels {_few(distinct)} read as classes of these names")
    place = {value: index for index, value in enumerate(values)}
    indices = {}
    for part, labels in given.items():
        found, inverse = np.unique(labels, return_inverse=True)
        indices[part] = np.array([place[value] for value in found.tolist()], np.int64)[inverse]
    return indices, names


def _values_of_names(
    parts: Mapping[str, RawPart],
    given: Mapping[str, NDArray[Any]],
    names: Sequence[str],
    distinct: list[int],
    notes: Notes,
) -> list[int]:
    """The label of each name: 0, 1, 2, …, or 1, 2, 3, … if all of these and no other occur."""
    if distinct == list(range(1, len(names) + 1)):
        notes.add("labels counted from 1")
        return distinct
    for part, labels in given.items():
        for label in (labels.min(), labels.max()):
            if not 0 <= label < len(names):
                raise InputError(
                    f"{parts[part].labels_name} has a label {label}; expected 0 to {len(names) - 1}, as there are "
                    "class names"
                )
    return list(range(len(names)))


def _refuse_names(names: Sequence[str]) -> None:
    for name in names:
        # Two dollar signs are mathematics to Matplotlib, and most of it does not parse.
        if not name.strip() or not name.isprintable() or name.count("$") > 1:
            raise InputError(f"a class is named {name!r}; expected printable text with one dollar sign at most")
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise InputError(f"two classes are named {twice!r}; expected a name for each")
    if len(names) < 2:
        raise InputError(f"all images are of the class {names[0]!r}; expected two classes or more")


def _refuse_thin(names: Sequence[str], labels: Mapping[str, Labels]) -> None:
    """Refuses a class without training images: one to train on, and one more if any part is held out of them."""
    fewest = 1 if {VALIDATION, TEST} <= {*labels} else 2
    counts = {part: np.bincount(each, minlength=len(names)) for part, each in labels.items()}
    thin = np.flatnonzero(counts[TRAIN] < fewest)
    if len(thin):
        first = thin[0]
        held = [
            f"{counts[part][first]:,} in the {part} part"
            for part in (VALIDATION, TEST)
            if part in counts and counts[part][first]
        ]
        also = f" ({', '.join(held)})" if held else ""
        others = len(thin) - 1
        more = f" (and {others} other class{'es' * (others > 1)} too few)" if others else ""
        count = int(counts[TRAIN][first])
        raise InputError(
            f"class {names[first]!r} has {count} image{'s' * (count != 1)} to train on{also}; expected at least "
            f"{fewest}: add images of it or leave the class out{more}"
        )


def _few(values: Sequence[object]) -> str:
    return ", ".join(map(str, values[:6])) + (f", … ({len(values)} in all)" if len(values) > 6 else "")
