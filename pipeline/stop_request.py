"""A request to stop (Ctrl-C, SIGTERM, SIGHUP), remembered: a library's callback may take the exception of a signal for an
error of its own, and work would go on.

Often more than one signal comes: `mlflow run` passes Ctrl-C on as SIGTERM a moment after the terminal has sent SIGINT, and a
person presses it twice. Only the first ends the program; the others must not interrupt the closing of runs.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

NUMBERS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
AGAIN_SECONDS = 0.2
"""After so long a signal whose exception was lost is sent again."""
_asked: int | None = None
"""The signal that asked this process to stop."""
_held = 0
"""How many blocks of `held` the main thread is in."""
_late: int | None = None
"""The signal that came inside them, and is to be raised at their end."""


def listen() -> None:
    """Ends the program on SIGTERM and SIGHUP as on Ctrl-C, so that open runs are closed. Ignored signals stay so, as `nohup`
    has it for a lost terminal.
    """
    global _asked, _late  # noqa: PLW0603 - signals belong to the process
    _asked = _late = None
    for number in NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN or number == signal.SIGTERM:
            signal.signal(number, _stop)


def over() -> None:
    """After a request, when all is closed: one more signal ends the process at once, without a traceback."""
    if _asked is not None:
        for number in NUMBERS:
            if signal.getsignal(number) is _stop:
                signal.signal(number, signal.SIG_DFL)


def asked() -> bool:
    """Whether this process was asked to stop."""
    return _asked is not None


def raise_again() -> None:
    """Raises what the signal raised, if there was one.

    Raises:
        KeyboardInterrupt: After Ctrl-C.
        SystemExit: After the other signals, with 128 plus their number.
    """
    if _asked is not None:
        raise _error(_asked)


@contextmanager
def held() -> Iterator[None]:
    """Inside the block a signal raises nothing; at its end it does, unless the program is ending because of an earlier one.
    For what closes runs, and lasts seconds. In other threads than the main one, which no signal interrupts, it does nothing.
    """
    global _held, _late  # noqa: PLW0603 - as above
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _held += 1
    try:
        yield
    finally:
        _held -= 1
        if _held == 0 and _late is not None:
            number, _late = _late, None
            raise _error(number)


def lost(error: BaseException | None) -> bool:
    """Whether an exception is that of a request to stop, raised where Python drops it: in a destructor, or a callback of a
    weak reference. It is then raised again a moment later.
    """
    if _asked is None or not isinstance(error, KeyboardInterrupt | SystemExit):
        return False
    again = threading.Timer(AGAIN_SECONDS, _send_again, [_asked])
    again.daemon = True
    again.start()
    return True


def _send_again(number: int) -> None:
    if signal.getsignal(number) is _stop:
        os.kill(os.getpid(), number)


def _stop(number: int, _frame: object) -> None:
    global _asked, _late  # noqa: PLW0603 - as above
    if _asked is not None and _stopping():
        return
    _asked = _asked or number  # Ctrl-C whose exception was lost stays Ctrl-C when SIGTERM follows
    if _held:
        _late = _asked
        return
    _late = None
    raise _error(_asked)


def _stopping() -> bool:
    """Whether the program is being left because of a request: what it raised is being handled where the signal has come, or
    an error that followed from it.
    """
    error = sys.exception()
    while error is not None and not isinstance(error, KeyboardInterrupt | SystemExit):
        error = error.__context__
    return error is not None


def _error(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
