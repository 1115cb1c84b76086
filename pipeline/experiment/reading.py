"""Reads YAML as people type it: numbers are decimal, dates are text, and no key counts twice."""

import re
from collections.abc import Hashable
from typing import Any

import yaml

_OTHER_NUMBERS = re.compile(r"[-+]?(0[0-9_]+|[1-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
"""`010` is 8 and `1:30` is 90 in YAML 1.1. Both stay text here, which no key for numbers takes."""
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
_TEXT = "tag:yaml.org,2002:str"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without its surprises."""

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        tag: str = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]  # PyYAML has no types
        if tag == _TIMESTAMP or (tag in _NUMBERS and _OTHER_NUMBERS.fullmatch(value or "")):
            return _TEXT
        return tag

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's own
        seen: set[str] = set()
        for key in [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]:
            if key.value in seen:
                raise yaml.YAMLError(f"{key.value} is given twice, the second time in line {key.start_mark.line + 1}")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> Any:
    """Reads one YAML document.

    Raises:
        yaml.YAMLError: It is no YAML, or a key is given twice in a section.
    """
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader


def read_value(text: str) -> Any:
    """Reads one value as it was typed, such as `5`, `1e-3`, `[64, 128]` or `null`. What YAML would leave out (a comment,
    an empty value) makes the whole a text.

    Raises:
        yaml.YAMLError: It is no YAML.
    """
    node = yaml.compose(text, _Loader)
    if node is None or text[node.start_mark.index : node.end_mark.index].strip() != text.strip():
        return text
    value = read_yaml(text)
    # `1e-3` is text in YAML 1.1, and a number to everybody else.
    if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9.]+[eE][-+]?[0-9]+", value):
        try:
            return float(value)
        except ValueError:
            return value
    return value
