"""Error messages for mistakes in an experiment: one line that names the key, what was given and what was expected."""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline.experiment.sections.base import NAME, SCHEDULER

_COUNT_OR_SHARE = "a count of images (1 or more) or a share of them between 0 and 1"
_FORMS = {
    "constrained-int": _COUNT_OR_SHARE,
    "constrained-float": _COUNT_OR_SHARE,
    "literal['auto']": "auto, or 1 or more",
}
"""What a key with several accepted types expects, by pydantic's names of those types in the location of an error."""
_EXPECTED = {
    "model_type": "a section of keys",
    "model_attributes_type": "a section of keys",
    "dataclass_type": "file.py:function beside the experiment's file, or package.module:function",
    "list_type": "a list, such as [64, 128]",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text, in quotes",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "too_short": "{min_length} or more entries",
    "too_long": "{max_length} entries at most",
    "literal_error": "{expected}",
    "string_too_short": "some text, or null for a key that has none",
    "string_too_long": "{max_length} letters at most",
}
"""What was expected, by pydantic's error type; words in braces come from the error's context."""
PATTERNS = {
    NAME: "letters, digits, '_', '.' and '-', a letter or digit first",
    SCHEDULER: "the address of a Dask scheduler, such as tcp://localhost:8786 or tls://localhost:8786",
}
"""What was expected, by the pattern of the key."""


def nearest(given: str, known: Mapping[str, str], *, likeness: float = 0.65) -> str:
    """A hint ` (did you mean …?)`, or nothing.

    Args:
        given: What the user wrote.
        known: What is shown, by what is compared with `given`.
        likeness: Minimum ratio of `difflib.SequenceMatcher`, 0 to 1.
    """
    close = difflib.get_close_matches(given, known, n=1, cutoff=likeness)
    return f" (did you mean {known[close[0]]}?)" if close else ""


def describe(error: ValidationError) -> str:
    """The first error, in one line."""
    first = error.errors()[0]
    given = first.get("input")
    parts = [str(part) for part in first["loc"]]
    key = ".".join(part for part in parts if part not in _FORMS)
    if first["type"] == "missing":
        return f"{key} is missing" + ("; every experiment needs it" if len(parts) == 1 else "")
    forms = [_FORMS[part] for part in parts if part in _FORMS]
    expected = forms[0] if forms else _expected(first["type"], first.get("ctx", {}))
    message = f"expected {expected}" if expected else " ".join(first["msg"].removeprefix("Value error, ").split())
    shown = "" if isinstance(given, Mapping | BaseModel) else f" is {_yaml(given)}"
    return f"{key}{shown}: {message}" if key else message


def _expected(kind: str, context: Mapping[str, Any]) -> str:
    if kind == "string_pattern_mismatch":
        return PATTERNS[context["pattern"]]
    return _EXPECTED.get(kind, "").format(**context)


def _yaml(given: Any) -> str:
    """A value as it would stand in the YAML file."""
    if given is None:
        return "null"
    return str(given).lower() if isinstance(given, bool) else repr(given)
