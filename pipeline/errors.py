"""The failures that the command line reports in one line, with their exit codes.

Everything else is a defect of Narrowgap: exit code 1, with a traceback.
"""

from typing import ClassVar


class NarrowgapError(Exception):
    """A failure that is reported in one line, without a traceback."""

    exit_code: ClassVar[int] = 1


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
