"""Decides whether the first line of a CSV file names the columns or is an image already."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.data.own.parts import Form

SEPARATORS = (",", ";", "\t")
FEWEST = 3
"""Fewest columns named 0, 1, 2… that count as a header."""
INDEX = ("", "index", "id")
"""Names of columns that number the rows, in small letters; so do those that pandas calls `Unnamed: …`."""


@dataclass(frozen=True)
class FirstLine:
    """What the first line of a CSV file says."""

    separator: str
    columns: tuple[str, ...] | None
    """Names to give to the columns; None leaves those of the line."""
    header: bool
    """Whether the line has names, not values."""


def first_line(text: str, form: Form, *, label: str, known: Sequence[str]) -> FirstLine:
    """Reads the line. Whole numbers that count up from 0 or 1 are names, as a DataFrame of an array has them, also after a
    column of labels or of row numbers. Any other numbers are an image, with its label first.

    Args:
        text: The line.
        form: Its shape, if it is stated, says whether there is a label before the pixels.
        label: Name to give to a column of labels that has none.
        known: Names that a column of labels or paths may have, in small letters.
    """
    found = separator(text)
    fields = [field.strip() for field in next(csv.reader([text], delimiter=found), [])]
    index = fields[:1] if fields and not fields[0] else []
    names = fields[len(index) :]
    if not counts_up(names) and counts_up(names[1:]) and is_number(names[0]):
        return FirstLine(found, (*index, label, *names[1:]), header=True)
    if counts_up(names) or not _is_image(fields, known):
        return FirstLine(found, None, header=True)
    labelled = label_is_first(len(fields), form)
    pixels = (f"pixel{place}" for place in range(len(fields) - labelled))
    return FirstLine(found, (*([label] if labelled else []), *pixels), header=False)


def separator(text: str) -> str:
    """The most frequent one in a line."""
    return max(SEPARATORS, key=text.count)


def counts_up(names: Sequence[str]) -> bool:
    """Whether names of columns are the whole numbers from 0 or 1 on."""
    if len(names) < FEWEST or not all(name.isdecimal() and len(name) < 10 for name in names):
        return False
    numbers = list(map(int, names))
    return numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def label_is_first(columns: int, form: Form) -> bool:
    """Whether so many columns without names are a label and pixels, not pixels alone: by the stated shape, or as squares."""
    for fits in (lambda count: form.shape is not None and math.prod(form.shape) == count, _is_square):
        for labelled in (True, False):
            if fits(columns - labelled):
                return labelled
    return True


def _is_image(fields: Sequence[str], known: Sequence[str]) -> bool:
    """Whether fields are values: numbers alone, or a name of a class and numbers of which some are equal."""
    if len(fields) < 2 or not all(map(is_number, fields[1:])):
        return False
    first = fields[0].lower()
    return is_number(first) or (first not in (*known, *INDEX) and len(set(fields[1:])) < len(fields) - 1)


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_square(count: int) -> bool:
    return math.isqrt(count) ** 2 == count
