"""A request to stop (Ctrl-C, SIGTERM, SIGHUP), remembered: a library's callback may take the exception of a signal for an
error of its own, and work would go on.
"""

import signal

_asked: int | None = None
"""The signal that asked this process to stop."""


def listen() -> None:
    """Ends the program on SIGTERM and SIGHUP as on Ctrl-C, so that open runs are closed. Ignored signals stay so, as `nohup`
    has it for a lost terminal.
    """
    global _asked  # noqa: PLW0603 - signals belong to the process
    _asked = None
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN or number == signal.SIGTERM:
            signal.signal(number, _stop)


def raise_again() -> None:
    """Raises what the signal raised, if there was one.

    Raises:
        KeyboardInterrupt: After Ctrl-C.
        SystemExit: After the other signals, with 128 plus their number.
    """
    if _asked is not None:
        raise _error(_asked)


def _stop(number: int, _frame: object) -> None:
    global _asked  # noqa: PLW0603 - as above
    _asked = number
    raise _error(number)


def _error(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
