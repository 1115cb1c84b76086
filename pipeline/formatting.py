"""Numbers and lists as text for people."""

import math
import shlex
from collections.abc import Callable, Sequence

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters of a cell that a spreadsheet takes for a formula."""


def percent(share: float) -> str:
    """0.8946 as `89.46`."""
    return f"{100 * share:.2f}"


def points(share: float) -> str:
    """0.0341 as `+3.41`."""
    return f"{100 * share:+z.2f}"


def interval(value: float, low: float, high: float, *, write: Callable[[float], str]) -> str:
    """Text such as `+3.41 ± 0.21`, with half of an interval around the value; the value alone without bounds."""
    return write(value) if math.isnan(low) else f"{write(value)} ± {write((high - low) / 2).removeprefix('+')}"


def command(entry: str, experiment: str, *, known: bool) -> str:
    """A command that can be copied: an entry point for an experiment, by its name if it is `known` by name, otherwise by the
    file that only its user knows.
    """
    place = experiment if known else f"PATH/{experiment}.yaml"
    return f"mlflow run . -e {entry} --env-manager local -P experiment={shlex.quote(place)}"


def position(place: int) -> str:
    """Position of a dropout layer: 0 is after the input, i after hidden layer i."""
    return "after the input" if place == 0 else f"after hidden layer {place}"


def listed(names: Sequence[str]) -> str:
    """Text such as `a, b and c`, of one name or more."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def few(names: Sequence[str], *, separator: str = ", ", most: int = 5) -> str:
    """All names or, of more than `most`, the first ones and how many are left out: `a, b, c, d, e and 7 more`."""
    left_out = len(names) - most
    return separator.join(names[:most]) + (f" and {left_out} more" if left_out > 0 else "")


def shortened(text: str, most: int) -> str:
    """The text or, if it has more than `most` letters, its beginning with an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def duration(seconds: float) -> str:
    """Text such as `8 s`, `3 min 20 s` or `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def safe_cell(text: str) -> str:
    """A name as a cell of a CSV file: with `'` before what a spreadsheet would run as a formula. A number stays."""
    if not text.startswith(FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text
