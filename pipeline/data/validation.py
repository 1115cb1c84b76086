"""Checks a user's arrays and turns them into images, labels and class names.

Every problem raises an `InputError` of one line: the array, what was found, what was expected, the cure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Images, Labels
from pipeline.errors import InputError

LUMA = np.array([19595, 38470, 7471], np.uint32)
"""Weights of red, green and blue in grey, in 65,536ths: ITU-R 601-2 luma as Pillow rounds it, so that the same colour
images give the same data set out of an array and out of PNG files."""
BLOCK = 1000
"""Images that are converted or checked at a time."""
FEWEST_PER_CLASS = 2
"""Images per class in the training part: at least one for validation and one to train on."""


@dataclass(frozen=True, eq=False)
class RawPart:
    """Images and labels of one part as they were read, not yet checked."""

    images: NDArray[Any]
    labels: NDArray[Any]
    images_name: str
    """For messages: array and file."""
    labels_name: str


def pixels(name: str, given: NDArray[Any], *, pixel_max: int) -> Images:
    """Converts images to uint8 (n, h, w). A last axis of 1 is dropped; one of 3 (red, green, blue) becomes grey."""
    _refuse_shape(name, given)
    _refuse_values(name, given, pixel_max)
    values = np.ascontiguousarray(given, np.uint8)
    if values.ndim == 3:
        return values
    if values.shape[3] == 1:
        return values[..., 0]
    # In blocks: the weighted sums take four bytes for every one.
    blocks = np.array_split(values, max(1, len(values) // BLOCK))
    return np.concatenate([((block @ LUMA + 0x8000) >> 16).astype(np.uint8) for block in blocks])


def classes(
    train: RawPart, test: RawPart | None, class_names: Sequence[str] | None
) -> tuple[Labels, Labels, tuple[str, ...]]:
    """Returns train labels, test labels (maybe empty) as indices of the class names, and the class names.

    Without given names, text labels are named by themselves, in sorted order, and numbers by their digits.
    """
    parts = [train] if test is None else [train, test]
    given = [_flat(part) for part in parts]
    if len({labels.dtype.kind == "U" for labels in given}) > 1:
        raise InputError(
            f"{train.labels_name} and those of the test part are numbers here and text there; expected one"
        )
    every = np.concatenate(given)
    if every.dtype.kind == "U":
        names = tuple(class_names or np.unique(every).tolist())
        places = _as_indices(parts, given, names)
    else:
        names = tuple(class_names or map(str, range(_without_gaps(train.labels_name, every))))
        places = [_in_range(part, labels, len(names)) for part, labels in zip(parts, given, strict=True)]
    _refuse_names(names)
    labels_train, labels_test = places[0], places[1] if test is not None else places[0][:0]
    _refuse_thin(names, labels_train, labels_test)
    return labels_train, labels_test, names


def _refuse_shape(name: str, given: NDArray[Any]) -> None:
    shape = "x".join(map(str, given.shape)) or "no dimension"
    if given.ndim not in (3, 4) or (given.ndim == 4 and given.shape[3] not in (1, 3)):
        raise InputError(
            f"{name} is {shape}; expected (n, h, w), or (n, h, w, 1) or (n, h, w, 3) for grey or red, green and blue: "
            "give flat rows their height and width with reshape"
        )
    if not given.size:
        raise InputError(f"{name} is {shape}: there are no pixels in it; expected at least one image")


def _refuse_values(name: str, given: NDArray[Any], pixel_max: int) -> None:
    if given.dtype.kind not in "iuf":
        raise InputError(f"{name} is of type {given.dtype}; expected whole numbers: images.astype(np.uint8)")
    if given.dtype.kind == "f":
        _refuse_fractions(name, given)
    for place in (given.argmin(), given.argmax()):
        value = given.flat[place]
        if not 0 <= value <= pixel_max:
            cure = "raise data.pixel_max" if 0 <= value <= 255 else "scale the images"
            raise InputError(
                f"{name} has a pixel of {value:.0f} in image {_image(given, place)}; expected 0 to {pixel_max} "
                f"(data.pixel_max): {cure}"
            )


def _refuse_fractions(name: str, given: NDArray[Any]) -> None:
    """Accepts floats only if each is a whole number."""
    for is_bad, cure in (
        (_is_infinite, "expected finite numbers: fill or leave out what is missing"),
        (
            _is_fraction,
            "expected whole numbers: np.rint(255 * images).astype(np.uint8) if they are scaled to 1",
        ),
    ):
        # In blocks: copies of all images would take more memory than the images.
        counts = [int(is_bad(given[start : start + BLOCK]).sum()) for start in range(0, len(given), BLOCK)]
        if any(counts):
            start = BLOCK * next(place for place, count in enumerate(counts) if count)
            block = given[start : start + BLOCK]
            place = is_bad(block).argmax()
            where = f"{block.flat[place]} in image {start + _image(block, place)}"
            raise InputError(f"{name} has {where} ({sum(counts):,} such values); {cure}")


def _is_infinite(block: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(~np.isfinite(block), np.bool_)


def _is_fraction(block: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(block != np.rint(block), np.bool_)


def _image(given: NDArray[Any], place: np.intp) -> int:
    """The image that a flat index belongs to."""
    return int(np.unravel_index(place, given.shape)[0])


def _flat(part: RawPart) -> NDArray[Any]:
    """Labels of one part as (n,) integers or text, one per image."""
    name, labels = part.labels_name, part.labels
    if labels.ndim == 2 and labels.shape[1] == 1:  # as Keras gives CIFAR's
        labels = labels[:, 0]
    if labels.ndim != 1:
        shape = "x".join(map(str, labels.shape)) or "no dimension"
        raise InputError(
            f"{name} is {shape}; expected (n,), a label per image: labels.argmax(axis=1) if they are one-hot"
        )
    if labels.dtype.kind == "S":
        try:
            labels = np.char.decode(labels, "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{name} has bytes that are no UTF-8; expected text or whole numbers") from error
    if labels.dtype.kind not in "iuU":
        raise InputError(f"{name} is of type {labels.dtype}; expected whole numbers or text: labels.astype(int)")
    if len(labels) != len(part.images):
        raise InputError(
            f"{part.images_name} has {len(part.images):,} images and {name} {len(labels):,} labels; expected equal"
        )
    if labels.dtype.kind == "u" and labels.max(initial=0) <= np.iinfo(np.int64).max:
        return labels.astype(np.int64)  # NumPy makes fractions of uint64 beside int64
    return labels


def _as_indices(parts: list[RawPart], given: list[NDArray[Any]], names: Sequence[str]) -> list[Labels]:
    """Text labels as indices of the names."""
    place = {name: index for index, name in enumerate(names)}
    for part, labels in zip(parts, given, strict=True):
        unknown = sorted(set(labels.tolist()) - set(place))
        if unknown:
            raise InputError(
                f"{part.labels_name} has a label {unknown[0]!r}; expected one of class_names: {_few(names)}"
            )
    return [np.array([place[label] for label in labels.tolist()], np.int64) for labels in given]


def _in_range(part: RawPart, labels: NDArray[Any], count: int) -> Labels:
    for label in (labels.min(), labels.max()):
        if not 0 <= label < count:
            raise InputError(
                f"{part.labels_name} has a label {label}; expected 0 to {count - 1}, as there are class names"
            )
    return labels.astype(np.int64)


def _without_gaps(name: str, labels: NDArray[Any]) -> int:
    """Number of classes if the labels are 0, 1, 2, … without gaps."""
    distinct = np.unique(labels)
    if int(distinct[0]) != 0 or int(distinct[-1]) != len(distinct) - 1:
        raise InputError(
            f"{name} has the labels {_few(distinct.tolist())}; expected 0 to {len(distinct) - 1} with none left out: "
            "np.unique(labels, return_inverse=True)[1], or name every class in class_names"
        )
    return len(distinct)


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


def _refuse_thin(names: Sequence[str], train: Labels, test: Labels) -> None:
    """Refuses a class without training images."""
    counts, held = (np.bincount(labels, minlength=len(names)) for labels in (train, test))
    thin = np.flatnonzero(counts < FEWEST_PER_CLASS)
    if len(thin):
        first = thin[0]
        also = f" ({held[first]:,} in the test part)" if held[first] else ""
        more = f" (and {len(thin) - 1} other classes too few)" if len(thin) > 1 else ""
        raise InputError(
            f"class {names[first]!r} has {counts[first]} images to train on{also}; expected at least {FEWEST_PER_CLASS}: "
            f"add images of it or leave the class out{more}"
        )


def _few(values: Sequence[object]) -> str:
    return ", ".join(map(str, values[:6])) + (f", … ({len(values)} in all)" if len(values) > 6 else "")
