"""Divides the rows of a table by a column such as `split`, which says which part each row is of.

Rows of test must not be trained on: such a column either divides all rows, or is refused, or is left unread with a note.
"""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from pipeline.data.own.parts import PARTS, TEST, TRAIN, VALIDATION, Notes
from pipeline.errors import InputError
from pipeline.formatting import few, listed

NAMES = ("split", "subset", "part", "usage")
"""Of the column, in small letters; earlier ones are preferred."""
WORDS = {
    TRAIN: PARTS[TRAIN],
    VALIDATION: (*PARTS[VALIDATION], "dev", "development", "publictest"),
    TEST: (*PARTS[TEST], "privatetest"),
}
"""In small letters, without blanks; FER2013 has Training, PublicTest and PrivateTest."""
EITHER = ("eval", "evaluation")
"""Of validation where another word says which rows are for test; otherwise they may be either."""
ACCEPTED = "also training, val, valid, dev and testing, in any case"


def find(frame: pd.DataFrame) -> Any:
    """The column of a known name; of another name, the only one with nothing but words for train and another part. One with
    words for parts comes first. None if there is none.
    """
    named = [column for name in NAMES for column in frame if str(column).strip().lower() == name]
    worded = [column for column in named if any(_parts(_values(frame[column])).values())]
    dividing = [column for column in frame if _divides(frame[column])]
    found = worded or (dividing if len(dividing) == 1 else named)
    return found[0] if found else None


def divided(name: str, frame: pd.DataFrame, column: Any, notes: Notes) -> dict[str, pd.DataFrame] | None:
    """The rows of each part that occurs, in the order of `PARTS`; None if no value of the column names a part.

    Args:
        name: Of the table, for messages.
        frame: Its rows.
        column: The column that says which part a row is of.
        notes: Where it is added what was left unread, or read as what.

    Raises:
        InputError: If only some of its values name a part.
    """
    given, values = frame[column].tolist(), _values(frame[column])
    parts = _parts(values)
    known = [value for value in values if parts[value] is not None]
    unknown = [value for value in values if parts[value] is None]
    if not known:
        notes.add(
            f"column {column} of {name} left unread: it has {listed(_some(values))}, not train, validation and test"
        )
        return None
    if unknown:
        raise InputError(
            f"column {column} of {name} has {listed(_some(unknown))} beside {listed(_some(known))}; expected train, "
            f"validation or test in every row ({ACCEPTED}): correct the others, or leave these rows out"
        )
    other = [f"{value} as {parts[value]}" for value in known if _word(value) not in PARTS[str(parts[value])]]
    if other:
        notes.add(f"column {column}: {', '.join(other).replace(' as ', ' read as ', 1)}")
    place = pd.Series([parts[_shown(value)] for value in given], index=frame.index)
    return {part: pd.DataFrame(frame[place == part]) for part in PARTS if (place == part).any()}


def _divides(column: pd.Series) -> bool:
    """Whether a column has nothing but words for train and another part."""
    first = column.iloc[0] if len(column) else None
    if not isinstance(first, str) or not _parts([first, "test"])[first]:
        return False
    found = set(_parts(_values(column)).values())
    return TRAIN in found and len(found) > 1 and None not in found


def _values(column: pd.Series) -> list[str]:
    """The different values as text."""
    return list(dict.fromkeys(map(_shown, column.tolist())))


def _parts(values: Sequence[str]) -> dict[str, str | None]:
    """The part that each value names, or None."""
    found = {value: next((part for part in WORDS if _word(value) in WORDS[part]), None) for value in values}
    if TEST in found.values() and VALIDATION not in found.values():
        found |= {value: VALIDATION for value in values if _word(value) in EITHER}
    return found


def _word(value: str) -> str:
    """`Test Set ` as `test`."""
    return re.sub(r"[\s_-]+", "", value.casefold()).removesuffix("set")


def _shown(value: Any) -> str:
    """A value as text; nothing for one that is missing."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 - NaN
        return ""
    return str(value)


def _some(values: Sequence[str]) -> list[str]:
    """The first values for a message."""
    shown = [value.strip() or "nothing" for value in values]
    return shown if len(shown) <= 5 else [few(shown, most=5)]
