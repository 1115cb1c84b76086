"""Words that several findings share."""

from collections.abc import Sequence


def position(place: int) -> str:
    """Of a dropout layer: 0 is after the input, i after hidden layer i."""
    return "after the input" if place == 0 else f"after hidden layer {place}"


def listed(names: Sequence[str]) -> str:
    """Such as `a, b and c`; of one name or more."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
