"""What a store in an SQLite file needs beyond MLflow.

By default each of the eight transactions of a trial waits twice for the disk, and for every reader, such as the UI.
With a write-ahead log it does not. After a power cut the last moments may be missing, but the file is never damaged.
"""

import contextlib
import os
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from mlflow.tracking import MlflowClient
from sqlalchemy import event
from sqlalchemy.engine import Engine, make_url


def file_of(uri: str) -> Path | None:
    """The file of a store `sqlite:///…`; None for every other store."""
    if not uri.startswith("sqlite:"):
        return None
    name = make_url(uri).database
    return Path(name) if name and name != ":memory:" else None


def create(file: Path) -> None:
    """Creates the tables of a new store in a temporary file, then renames it.

    MLflow creates them one by one without a lock: a process killed meanwhile leaves a file that MLflow refuses for
    ever, and of two processes at the same time one fails.
    """
    if file.exists():
        return
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".mlflow-db-") as folder:
        draft, whole = Path(folder) / "draft.db", Path(folder) / "whole.db"
        MlflowClient(f"sqlite:///{draft}").search_experiments(max_results=1)
        # A copy, since MLflow keeps its connections to the draft open.
        with contextlib.closing(sqlite3.connect(draft)) as opened:
            opened.execute("VACUUM INTO ?", (str(whole),))
        with contextlib.suppress(FileExistsError):  # another process was quicker
            os.link(whole, file)


def enable_wal(file: Path) -> None:
    """Enables the write-ahead log if the file system supports it; SQLite keeps the setting in the file."""
    # Somebody is just writing, or the folder can only be read: it stays as it is.
    with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(sqlite3.connect(file, timeout=1)) as opened:
        opened.execute("PRAGMA journal_mode = WAL")
    if not event.contains(Engine, "connect", _connected):
        event.listen(Engine, "connect", _connected)


def _connected(connection: Any, _record: Any) -> None:
    """Sets up every connection that SQLAlchemy opens from now on."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = NORMAL")
