"""What a store in an SQLite file needs beyond MLflow.

By default each of the eight transactions of a trial waits twice for the disk, and for every reader, such as the UI.
With a write-ahead log it does not. After a power cut the last moments may be missing, but the file is never damaged.
"""

import contextlib
import errno
import os
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from mlflow.tracking import MlflowClient
from sqlalchemy import event
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError

from pipeline.errors import InputError
from pipeline.tracking.connection.masking import shown

MARK_SECONDS = 60
"""Longest wait for another process that makes the same store."""
NETWORK = (
    "nfs",
    "cifs",
    "smb",
    "lustre",
    "gpfs",
    "beegfs",
    "afs",
    "9p",
    "ceph",
    "gluster",
    "fuse.sshfs",
    "fuse.glusterfs",
)
"""How the names of network file systems begin."""


def file_of(uri: str) -> Path | None:
    """The file of a store `sqlite:///…`; None for every other store.

    Raises:
        InputError: If it begins like one, and is none.
    """
    if not uri.lower().startswith("sqlite:"):
        return None
    try:
        address = make_url(uri)
    except ArgumentError:
        address = None
    if address is None or address.host or address.drivername != "sqlite":
        raise InputError(
            f"{shown(uri)} is no address of an SQLite store; expected sqlite:///mlflow.db, or with a whole path "
            "sqlite:////home/me/mlflow.db"
        )
    name = address.database
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
        _place(whole, file)


def _place(whole: Path, file: Path) -> None:
    """Gives a file its name, unless another process was quicker."""
    try:
        os.link(whole, file)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links, such as exFAT or sshfs: whoever makes the mark writes the file
        mark = file.with_name(f".{file.name}.new")
        try:
            mark.open("x").close()
        except FileExistsError:
            _wait_for(file, mark)
            return
        try:
            if not file.exists():
                whole.replace(file)
        finally:
            mark.unlink(missing_ok=True)


def _wait_for(file: Path, mark: Path) -> None:
    """Waits until the process that made the mark has placed the file; a mark that was left behind is removed."""
    end = time.monotonic() + MARK_SECONDS
    while mark.exists() and not file.exists():
        if time.monotonic() > end:
            mark.unlink(missing_ok=True)
            raise OSError(errno.EBUSY, f"{mark} was left behind and is removed now; run again")
        time.sleep(0.1)


def on_network(file: Path) -> bool:
    """Whether the file lies on a network file system, where SQLite forbids a write-ahead log: processes on two machines
    would damage the database (https://www.sqlite.org/wal.html).
    """
    folder = str(file.resolve().parent)
    mounts = [part for part in psutil.disk_partitions(all=True) if _below(folder, part.mountpoint)]
    kind = max(mounts, key=lambda part: len(part.mountpoint)).fstype.lower() if mounts else ""
    return kind.startswith(NETWORK)


def _below(folder: str, mountpoint: str) -> bool:
    return folder == mountpoint or folder.startswith(f"{mountpoint.rstrip('/')}/")


def enable_wal(file: Path) -> None:
    """Enables the write-ahead log if the file system supports it; SQLite keeps the setting in the file."""
    if on_network(file):
        return
    # Somebody is just writing, or the folder can only be read: it stays as it is.
    with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(sqlite3.connect(file, timeout=1)) as opened:
        opened.execute("PRAGMA journal_mode = WAL")
    if not event.contains(Engine, "connect", _connected):
        event.listen(Engine, "connect", _connected)


def _connected(connection: Any, _record: Any) -> None:
    """Sets up every connection that SQLAlchemy opens from now on."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = NORMAL")
