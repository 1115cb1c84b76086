"""One case of fuzzing: a call of the command line in this process, and what is wrong with how it ended."""

import contextlib
import io
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Protocol, Self

from pipeline.__main__ import main
from tests.fixtures.commands import forget

CODES = {0, 2, 4, 5}
SECRET = "hunter2"  # noqa: S105 - it is looked for on the screen
MOST_SECONDS = 60
ENDED = 128 + signal.SIGTERM
"""Exit code of a program that somebody ends."""


@dataclass(frozen=True)
class Case:
    """What a case did."""

    kind: str
    """For counting, such as `exit code 2`."""
    what: str
    """What was given to the program."""
    said: str
    findings: Sequence[str]


class Part(Protocol):
    """Something that is fuzzed."""

    name: str

    def __init__(self, folder: Path) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None: ...

    def case(self, seed: int) -> Case:
        """Runs the case of a seed."""


class HangError(BaseException):
    """The call took too long; no handler of the program takes it for an error of its own."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Ends the block with HangError after some seconds."""

    def over(_number: int, _frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def call(words: Sequence[str], *, codes: set[int] = CODES, most_seconds: float = MOST_SECONDS) -> Case:
    """One command line, and what is wrong with how it ended."""
    said, findings, began = io.StringIO(), list[str](), time.monotonic()
    forget()
    code: Any = None
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), limited(most_seconds):
            code = main(list(words))
    except HangError:
        findings.append(f"did not end within {most_seconds} s")
    except BaseException as error:
        if isinstance(error, SystemExit) and error.code == ENDED:
            raise
        findings.append(f"raised {type(error).__name__}: {error}")
    else:
        if code not in codes:
            findings.append(f"exit code {code} after {time.monotonic() - began:.0f} s: {_last(said.getvalue())}")
    text = said.getvalue()
    if "Traceback (most recent call last)" in text and code in codes:
        findings.append(f"a traceback, though exit code {code}: {_last(text)}")
    if SECRET in text:
        findings.append("a password on the screen")
    return Case(f"exit code {code}", " ".join(words), text, findings)


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
