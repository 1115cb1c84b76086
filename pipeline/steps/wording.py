"""Figures as people read them. Enters: shares and bounds. Leaves: text."""

import math
from collections.abc import Callable


def percent(share: float) -> str:
    """0.8946 as `89.46`."""
    return f"{100 * share:.2f}"


def points(share: float) -> str:
    """0.0341 as `+3.41`."""
    return f"{100 * share:+.2f}"


def interval(value: float, low: float, high: float, *, write: Callable[[float], str]) -> str:
    """Such as `+3.41 ± 0.21`, with half of an interval around the value; the value alone where there are no bounds."""
    return write(value) if math.isnan(low) else f"{write(value)} ± {write((high - low) / 2).removeprefix('+')}"
