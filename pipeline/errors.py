"""The failures that the command line reports in one line, with their exit codes.

Everything else is a defect of Narrowgap: exit code 1, with a traceback.
"""

import re
import zipfile
import zlib
from typing import ClassVar

DAMAGED = (zipfile.BadZipFile, zlib.error, KeyError, TypeError, ValueError, EOFError, RuntimeError)
"""What zipfile, NumPy and JSON raise at a damaged zip or npz file; RuntimeError where a bit says that it is encrypted."""

SURROGATE = re.compile("[\ud800-\udfff]")


def as_utf8(text: str) -> str:
    r"""The text of a file name, with bytes that are not UTF-8 as `\xe9`. Python keeps such bytes as surrogates, which
    neither a screen nor a store takes.
    """
    return SURROGATE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


class NarrowgapError(Exception):
    """A failure that is reported in one line, without a traceback."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(as_utf8(message))


class InputError(NarrowgapError, ValueError):
    """Bad input: says what was given, what was expected, and the cure."""

    exit_code: ClassVar[int] = 2


class BusyError(NarrowgapError):
    """Another process holds the lock: says which, where and since when."""

    exit_code: ClassVar[int] = 4


class StoreError(NarrowgapError):
    """The tracking store (or another service) cannot be reached."""

    exit_code: ClassVar[int] = 5


class SearchFailedError(NarrowgapError):
    """The search ended without a usable trial: says why."""

    exit_code: ClassVar[int] = 1


class KeptError(NarrowgapError):
    """A retraining run kept its champion, and `retrain.fail_when_kept` is set."""

    exit_code: ClassVar[int] = 1
