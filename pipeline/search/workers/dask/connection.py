"""Connections to a Dask scheduler."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import distributed

UNREACHABLE = (OSError, RuntimeError, TypeError, ValueError, ImportError)
"""What connecting to a scheduler raises, including Dask's errors for missing TLS settings and different versions."""


class Client(distributed.Client):  # type: ignore[misc] # Dask has no types
    """A Dask client that is closed at once if it cannot start, not when the garbage collector finds it."""

    def start(self, **kwargs: Any) -> None:
        try:
            super().start(**kwargs)
        except BaseException:
            close_client(self)
            raise


def close_client(client: distributed.Client) -> None:
    """Closes a connection in any state. A half-open client that is garbage-collected closes itself under a lock that is
    not reentrant; if the collector runs while the next client holds it, that is a deadlock.
    """
    with suppress(OSError, RuntimeError, AssertionError):
        client.close(timeout=2)
    client.status = "closed"
    client._loop_runner.stop()  # noqa: SLF001 - `close` leaves its thread running when it fails


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Silences Dask's logs: it reports every closed connection at the end of a search. Real problems become outcomes or
    errors.
    """
    names = ["distributed", *(name for name in logging.root.manager.loggerDict if name.startswith("distributed."))]
    loggers = [logging.getLogger(name) for name in names]  # Dask gives some of them a level of their own
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
