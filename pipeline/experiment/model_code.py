"""The key `model`: a user's own model, as the text of its Python file and the name of a function in it."""

import hashlib
import importlib.util
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pipeline.errors import InputError

_REFERENCE = re.compile(r"(?P<place>.+):(?P<function>[A-Za-z_]\w*)")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
EXPECTED = "file.py:function beside the experiment's file, or package.module:function"


@dataclass(frozen=True)
class ModelCode:
    """Python code that builds a model. It holds the text, so that trials, workers and the store have the same one."""

    words: ClassVar[str] = "`file.py:function`, or `package.module:function`"
    """What the reference of keys says is allowed."""
    file: str
    """The file's name, or the module."""
    function: str
    """The function, or the subclass of `HyperModel`."""
    source: str
    """The text of the file."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the text."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    @property
    def name(self) -> str:
        """As users write it, such as `convnet.py:build`."""
        return f"{self.file}:{self.function}"

    @property
    def artifact(self) -> str:
        """The name of its copy in the tracking store."""
        return self.file if self.file.endswith(".py") else f"{self.file.rpartition('.')[2]}.py"

    def identity(self) -> dict[str, str]:
        """What makes two the same, however the file is called: plain values for JSON, without the text."""
        return {"function": self.function, "sha256": self.digest}


def read_model(given: str, *, beside: Path) -> dict[str, Any]:
    """The fields of the `ModelCode` that a reference names.

    Args:
        given: `file.py:function`, or `package.module:function`.
        beside: The folder of the experiment's file.

    Raises:
        InputError: There is no such file or module, or it cannot be read. Nothing is run.
    """
    match = _REFERENCE.fullmatch(given.strip())
    if match is None:
        raise InputError(f"model is {given!r}; expected {EXPECTED}, such as convnet.py:build")
    place, function = match["place"], match["function"]
    path = beside / Path(place).expanduser() if place.endswith(".py") else _of_module(place, given)
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"model is {given}: {path} cannot be read ({reason}); expected {EXPECTED}") from error
    return {"file": path.name if place.endswith(".py") else place, "function": function, "source": source}


def _of_module(name: str, given: str) -> Path:
    """The file of a module that Python finds."""
    found = None
    if _MODULE.fullmatch(name):
        try:
            found = importlib.util.find_spec(name)
        except (ImportError, ValueError):  # a parent that is no package, or is not there
            found = None
    if found is None or not found.origin or not found.origin.endswith(".py"):
        raise InputError(f"model is {given}: there is no module {name}; expected {EXPECTED}")
    return Path(found.origin)
