"""How much is left of an experiment's `minutes`."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class TimeLimit:
    """The time that one command may take."""

    minutes: float | None = None
    """None sets no limit."""
    start: float = 0.0
    """When the command began, in seconds of `clock`."""
    clock: Callable[[], float] = time.monotonic

    @property
    def end(self) -> float:
        """When the time is over, in seconds of `clock`; infinite without a limit."""
        return math.inf if self.minutes is None else self.start + 60 * self.minutes

    @property
    def left(self) -> float:
        """Seconds until the end; negative after it."""
        return self.end - self.clock()

    def __str__(self) -> str:
        return f"minutes={self.minutes:g}" if self.minutes is not None else "no limit"
