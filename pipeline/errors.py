"""What can go wrong, by who has to act. Owns the exit codes of the command line.

Bad input is an ordinary `ValueError` where it is found in a library function; the command line turns the
classes below into one line and an exit code. Everything else is our own fault: exit 1, with its traceback.
"""

from typing import ClassVar


class NarrowgapError(Exception):
    """A failure that is told in one line, without a traceback."""

    exit_code: ClassVar[int] = 1


class InputError(NarrowgapError, ValueError):
    """What the user gave cannot be used: says what was given, what was expected, and the cure."""

    exit_code: ClassVar[int] = 2


class BusyError(NarrowgapError):
    """Somebody else holds the lock: says who, where and since when."""

    exit_code: ClassVar[int] = 4


class StoreError(NarrowgapError):
    """The tracking store (or another service) cannot be reached."""

    exit_code: ClassVar[int] = 5


class SearchFailedError(NarrowgapError):
    """The search ended without a usable trial: says why."""

    exit_code: ClassVar[int] = 1


class KeptError(NarrowgapError):
    """A retraining kept its champion, where the user wants that to be a failure."""

    exit_code: ClassVar[int] = 1
