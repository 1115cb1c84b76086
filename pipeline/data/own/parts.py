"""Images and labels as they were read, before they are checked and converted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

TRAIN, VALIDATION, TEST = "train", "validation", "test"
PARTS = {
    TRAIN: (TRAIN, "training"),
    VALIDATION: (VALIDATION, "valid", "val"),
    TEST: (TEST, "testing"),
}
"""The parts of a data set, with the words that name them in files and folders, in small letters."""


@dataclass(frozen=True, eq=False)
class RawPart:
    """Images and labels of one part as they were read, not yet checked."""

    images: NDArray[Any]
    labels: NDArray[Any]
    images_name: str
    """For messages: array and file."""
    labels_name: str
    files: Sequence[str] = ()
    """The file of each image, if each has one."""


@dataclass(frozen=True, eq=False)
class RawData:
    """What was found at a path."""

    parts: Mapping[str, RawPart]
    """By `TRAIN`, and maybe `VALIDATION` and `TEST`."""
    class_names: Sequence[str] | None = None
    pictures: bool = False
    """Whether the images were pictures, not numbers."""


@dataclass(frozen=True, eq=False)
class RawImages:
    """Images whose labels nobody asks for, not yet checked."""

    images: NDArray[Any]
    name: str
    """For messages."""
    pictures: bool = False
    """As of `RawData`."""


@dataclass(frozen=True)
class Trained:
    """What was found in the images that a network was trained on, and holds for its other images too."""

    pixel_max: int = 255
    """The largest possible pixel value of the network's images."""
    fractions_max: int | None = None
    """The largest possible value of types that can hold fractions: 1 or 255; None if there were none, or it was stated."""
    pictures: bool = False
    """Whether they were pictures: a stated `pixel_max` is then that of pictures."""


@dataclass(frozen=True)
class Form:
    """What is stated about images; None leaves it to what is seen in them. A model is logged with its own."""

    pixel_max: int | None = None
    """The largest possible pixel value of the input."""
    shape: tuple[int, ...] | None = None
    """(h, w), (h, w, 3) or (3, h, w) of flat rows."""
    size: tuple[int, int] | None = None
    """(h, w) that every image is scaled to."""
    channels: Literal["grey", "rgb"] | None = "grey"
    """None keeps colour where there is any."""
    background: Literal["white", "black"] = "white"
    """What is behind transparent pixels of a picture."""
    trained: Trained | None = None
    """For images to predict: what the network was trained on. No key of an experiment can change it."""


class Notes:
    """What was converted, each kind once, for people."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}

    def add(self, line: str) -> None:
        self._lines[line] = None

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(self._lines)


def part_named(word: str) -> str | None:
    """The part that a word such as `Val` names."""
    return next((part for part, words in PARTS.items() if word.lower() in words), None)
