"""Finds the columns of pixels of a table by the numbers in their names, and reads their values.

A column that is one of them by its name is read or refused, never left out: the pixels after it would move.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.data.own.table.files import Files
from pipeline.errors import InputError

NUMBER = re.compile(r"\d+")
NUMBERED = re.compile(r"(\D*)(\d{1,9})(?:[xX_,](\d{1,9}))?")
"""A name with one number (`pixel7`, `7`) or two (`1x7`)."""
LONGEST = 99
"""Letters of a name whose numbers are looked at."""
PIXELS = re.compile(r"\s*\d+(\.\d+)?(\s+\d+(\.\d+)?)+\s*")
"""A text of many numbers: the pixels of an image in one column."""


def is_nested(column: pd.Series) -> bool:
    """Whether the values are arrays, or texts of many numbers."""
    first = column.iloc[0] if len(column) else None
    return isinstance(first, np.ndarray | list) or (isinstance(first, str) and bool(PIXELS.fullmatch(first)))


def is_text(column: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(column) and not is_nested(column)


def numbered(frame: pd.DataFrame) -> list[Any]:
    """The most columns of numbers whose names are the same but for a number (`pixel7`, `7`) or two (`1x7`), in the order of
    these, with those of text that are named alike. Text alone counts where no column has numbers.
    """
    text = {column for column in frame if not pd.api.types.is_numeric_dtype(frame[column])}
    groups: dict[str, dict[tuple[int, ...], Any]] = {}
    for column in frame:
        found = NUMBERED.fullmatch(str(column))
        if found:
            places = tuple(int(each) for each in found.groups()[1:] if each is not None)
            groups.setdefault(f"{found[1]}{len(places)}", {})[places] = column

    def size(group: dict[tuple[int, ...], Any]) -> int:
        return len(group) if len(text) == len(frame.columns) else len({*group.values()} - text)

    largest = max(groups.values(), key=size, default={})
    return [largest[place] for place in sorted(largest)] if size(largest) > 1 else []


def others(frame: pd.DataFrame) -> list[Any]:
    """The columns of numbers, whatever their names are, with those of text that are named like some of them."""
    numbers = [column for column in frame if not is_text(frame[column])]
    return [column for column in frame if not is_text(frame[column]) or alike(column, numbers)]


def may_be_labels(frame: pd.DataFrame, columns: Sequence[Any]) -> list[Any]:
    """Those of numbered columns that may have labels: the first or the last one, if it has text that is never a number."""
    ends = [column for column in (*columns[:1], *columns[-1:]) if is_text(frame[column])]
    return [column for column in ends if not _numbers(frame[column]).notna().any()]


def alike(column: Any, columns: Sequence[Any]) -> bool:
    """Whether the name of a column is that of several others but for its numbers."""
    pattern = _pattern(column)
    return pattern != str(column) and sum(pattern == _pattern(each) for each in columns) > 1


def refuse_hole(name: str, columns: Sequence[Any]) -> None:
    """Refuses columns, in the order of their numbers, that lack a number between the least and the largest."""
    texts = list(map(str, columns))
    if len(set(map(_pattern, texts))) > 1 or "#" not in _pattern(texts[0]) or len(max(texts, key=len)) > LONGEST:
        return
    found = [tuple(map(int, NUMBER.findall(text))) for text in texts]
    starts = [min(numbers) for numbers in zip(*found, strict=True)]
    sides = [max(numbers) - start + 1 for numbers, start in zip(zip(*found, strict=True), starts, strict=True)]
    there, count = set(found), 1
    for side in sides:
        count *= side
    # Of the first so many places, one is missing if any is.
    places = (_place(index, starts, sides) for index in range(min(count, len(there) + 1)))
    missing = next((place for place in places if place not in there), None)
    if missing is not None:
        more = f" (and {count - len(there) - 1:,} more)" if count - len(there) > 1 else ""
        cure = ", or with a header if the first line is an image" if _pattern(texts[0]) == "#" else ""
        raise InputError(
            f"{name} has columns from {texts[0]} to {texts[-1]}, but no {_renumbered(texts[0], missing)}{more}; expected a "
            f"column for each number: write the file again with all pixels{cure}"
        )


def values(files: Files, frame: pd.DataFrame, columns: Sequence[Any]) -> NDArray[Any]:
    """The numbers in columns of pixels. The index of `frame` has the places of its rows in the files.

    Raises:
        InputError: With the place of a value that is missing or no number.
    """
    pixels = frame[list(columns)]
    odd = [column for column in columns if not _is_plain(pixels[column])]
    pixels = pixels.copy() if odd else pixels
    for column in odd:
        numbers = _numbers(pixels[column])
        _refuse_text(files, pixels[column], (numbers.isna() & pixels[column].notna()).to_numpy())
        pixels[column] = numbers
    read = pixels.to_numpy()
    if read.dtype == object:  # true and false beside numbers
        bad = next(column for column in columns if pixels[column].dtype == bool)
        _refuse_text(files, pixels[bad], np.ones(len(pixels), bool))
    if read.dtype.kind == "f" and (missing := np.isnan(read)).any():
        row, place = map(int, np.argwhere(missing)[0])
        raise files.missing(pixels.index[row], columns[place], int(missing.sum()))
    return np.asarray(read)


def _is_plain(column: pd.Series) -> bool:
    """Whether NumPy has a type for the numbers."""
    return isinstance(column.dtype, np.dtype) and pd.api.types.is_numeric_dtype(column)


def _refuse_text(files: Files, column: pd.Series, bad: NDArray[np.bool_]) -> None:
    if bad.any():
        row = int(bad.argmax())
        raise files.no_number(column.index[row], column.name, column.iloc[row])


def _place(index: int, starts: Sequence[int], sides: Sequence[int]) -> tuple[int, ...]:
    """The numbers at a position, of which the last one counts fastest."""
    place = []
    for start, side in zip(reversed(starts), reversed(sides), strict=True):
        index, step = divmod(index, side)
        place.append(start + step)
    return tuple(reversed(place))


def _renumbered(name: str, place: Sequence[int]) -> str:
    """The name with other numbers; zeros before them stay."""
    numbers = iter(place)
    return NUMBER.sub(lambda found: str(next(numbers)).zfill(len(found[0]) if found[0][0] == "0" else 1), name)


def _pattern(column: Any) -> str:
    return NUMBER.sub("#", str(column))


def _numbers(column: pd.Series) -> pd.Series:
    """The values as numbers; NaN for what is none."""
    given = column.astype(object)
    return pd.Series(pd.to_numeric(given.where(~given.map(pd.api.types.is_list_like)), errors="coerce"))
