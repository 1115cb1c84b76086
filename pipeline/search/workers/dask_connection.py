"""Connections to a Dask scheduler whose workers have this package."""

import hashlib
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import distributed

UPLOADS = 5
"""Number of attempts to send the package."""
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


def send_package(client: distributed.Client) -> None:
    """Sends this package as a zip file to the scheduler, its workers, and workers that join later. It is not sent again
    if the scheduler has it: a worker may be training from it, for a killed driver or for another search.
    """
    root = Path(__file__).resolve().parents[3]
    digest = hashlib.sha256()
    for file in sorted((root / "pipeline").rglob("*.py")):
        digest.update(file.read_bytes())
    version = digest.hexdigest()

    def sent() -> str | None:  # a function within a function travels by value, not by its name
        import sys  # noqa: PLC0415 - travels along

        return getattr(sys.modules.get("pipeline"), "sent", None)

    def forget(version: str) -> None:
        """Drops modules that the process imported from another version of this package."""
        import sys  # noqa: PLC0415 - travels along

        if getattr(sys.modules["pipeline"], "sent", None) != version:
            for name in [name for name in sys.modules if name.partition(".")[0] == "pipeline"]:
                del sys.modules[name]
            vars(__import__("pipeline"))["sent"] = version

    if client.run_on_scheduler(sent) == version:
        return
    with tempfile.TemporaryDirectory() as folder:
        _upload(client, shutil.make_archive(f"{folder}/narrowgap_pipeline", "zip", root, "pipeline"))
    client.run(forget, version, on_error="ignore")  # a worker that leaves meanwhile needs no more
    client.run_on_scheduler(forget, version)


def _upload(client: distributed.Client, file: str) -> None:
    """Sends a file. A worker that imports something at this moment may miss the zip file in a cache of Python's, which
    Dask has just emptied; the next attempt succeeds.
    """
    for _ in range(UPLOADS):
        with suppress(KeyError):
            client.upload_file(file)
            return
        time.sleep(1)
    raise RuntimeError("its workers do not take this package")


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
