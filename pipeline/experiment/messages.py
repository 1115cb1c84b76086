"""How a mistake in an experiment is worded. Enters: what pydantic found, or an unknown name. Leaves: one line for people."""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

_COUNT_OR_SHARE = "a count of images (1 or more) or a share of them between 0 and 1"
_FORMS = {
    "constrained-int": _COUNT_OR_SHARE,
    "constrained-float": _COUNT_OR_SHARE,
    "literal['auto']": "auto, or 1 or more",
}
"""What a key of several forms expects, by the names that pydantic gives those forms in the place of an error."""
_EXPECTED = {
    "model_type": "a section of keys",
    "model_attributes_type": "a section of keys",
    "list_type": "a list, such as [64, 128]",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "too_short": "{min_length} or more entries",
    "too_long": "{max_length} entries at most",
    "literal_error": "{expected}",
    "string_pattern_mismatch": "letters, digits, '_', '.' and '-', a letter or digit first",
    "string_too_short": "some text",
    "string_too_long": "{max_length} letters at most",
}
"""What pydantic expects, by its name for the error; the words in braces are the error's own."""


def nearest(given: str, known: Mapping[str, str], *, likeness: float = 0.65) -> str:
    """` (did you mean …?)` with the value of the key of `known` most like `given`; empty where none is.

    `likeness` is the least ratio, 0 to 1, of `difflib.SequenceMatcher`.
    """
    close = difflib.get_close_matches(given, known, n=1, cutoff=likeness)
    return f" (did you mean {known[close[0]]}?)" if close else ""


def describe(error: ValidationError) -> str:
    """The first thing wrong, in one line."""
    first = error.errors()[0]
    given = first.get("input")
    parts = [str(part) for part in first["loc"]]
    key = ".".join(part for part in parts if part not in _FORMS)
    if first["type"] == "missing":
        return f"{key} is missing" + ("; every experiment needs it" if len(parts) == 1 else "")
    forms = [_FORMS[part] for part in parts if part in _FORMS]
    expected = forms[0] if forms else _EXPECTED.get(first["type"], "").format(**first.get("ctx", {}))
    message = f"expected {expected}" if expected else " ".join(first["msg"].removeprefix("Value error, ").split())
    shown = "" if isinstance(given, Mapping | BaseModel) else f" is {_yaml(given)}"
    return f"{key}{shown}: {message}" if key else message


def _yaml(given: Any) -> str:
    """A value as the user may have written it."""
    if given is None:
        return "null"
    return str(given).lower() if isinstance(given, bool) else repr(given)
