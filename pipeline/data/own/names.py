"""What the name of an array says: images or labels, and of which part."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.data.own.parts import PARTS, TEST, TRAIN, Notes, part_named
from pipeline.errors import InputError

IMAGES = ("images", "x", "data", "image", "imgs", "pixels")
LABELS = ("labels", "y", "target", "label", "targets")
"""The words for each, in small letters; earlier ones are preferred."""
CLASS_NAMES = "class_names"
EXPECTED = (
    "images_train and labels_train (and images_test with labels_test), or x_train and y_train, or these without _train"
)


@dataclass(frozen=True)
class Pair:
    """The names of two arrays that belong together."""

    images: str
    labels: str


def pairs(path: Path, names: Iterable[str], notes: Notes) -> dict[str, Pair]:
    """Returns the arrays of each part, in the order of `PARTS`.

    Raises:
        InputError: If there are no images and labels to train on, or images of a part without labels, or the reverse.
    """
    names = [name for name in names if name != CLASS_NAMES]
    images, labels = _by_part(names, IMAGES), _by_part(names, LABELS)
    for found in (images, labels):
        if TRAIN not in found and "" in found:
            found[TRAIN] = found[""]
    shown = ", ".join(sorted(names)) or "no array at all"
    result = {}
    for part in PARTS:
        if part in images and part in labels:
            result[part] = Pair(images[part], labels[part])
        elif part == TRAIN:
            missing = "images_train" if part not in images else "labels_train"
            raise InputError(f"{path} has no {missing}, but {shown}; expected {EXPECTED}")
        elif part in images or part in labels:
            there = images.get(part) or labels[part]
            missing = "labels" if part in images else "images"
            raise InputError(f"{path} has {there}, but no {missing}_{part}; it has {shown}; expected both, or neither")
    used = {name for pair in result.values() for name in (pair.images, pair.labels)}
    unused = sorted(set(names) - used)
    if unused:
        notes.add(f"arrays left unread: {', '.join(unused)}")
    return result


def images_alone(names: Iterable[str]) -> str | None:
    """The array of images whose labels nobody asks for: test images before others, the only array in any case."""
    names = list(names)
    found = _by_part(names, IMAGES)
    for part in ("", TEST, *PARTS):
        if part in found:
            return found[part]
    return names[0] if len(names) == 1 else None


def _by_part(names: Iterable[str], words: tuple[str, ...]) -> dict[str, str]:
    """The preferred array of each part, `""` where the name has none."""
    found: dict[str, tuple[int, str]] = {}
    for name in names:
        parsed = _parsed(name, words)
        if parsed is not None:
            part, rank = parsed
            found[part] = min(found.get(part, (len(words), name)), (rank, name))
    return {part: name for part, (_, name) in found.items()}


def _parsed(name: str, words: tuple[str, ...]) -> tuple[str, int] | None:
    """The part of `images_train`, `train_images`, `x` or `xtrain`, and the place of its word."""
    pieces = re.split(r"[_\-. ]", name.lower())
    if len(pieces) == 1 and name.lower() not in words:
        joined = next((word for word in ("x", "y") if word in words and name.lower().startswith(word)), "")
        pieces = [joined, name.lower()[len(joined) :]] if joined else pieces
    kinds = [piece for piece in pieces if piece in words]
    parts = [part_named(piece) for piece in pieces if piece not in words]
    if len(kinds) != 1 or len(parts) > 1 or None in parts:
        return None
    return (parts[0] or "") if parts else "", words.index(kinds[0])


def files_as_arrays(paths: Iterable[Path]) -> Mapping[str, Path]:
    """The files of a folder by the names of their arrays."""
    return {path.stem: path for path in sorted(paths)}
