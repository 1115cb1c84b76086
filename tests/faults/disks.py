"""A small file system that is full, or read-only."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def mounted(folder: Path) -> Iterator[Path]:
    """A file system of 24 MiB of its own at a folder."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    with contextlib.suppress(FileNotFoundError):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            yield folder
            subprocess.run(["umount", "-l", str(folder)], check=True)
            return
    pytest.skip("mounting a small file system needs root")


def fill(disk: Path) -> Path:
    """Fills a file system to its last byte with one file."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return ballast


def make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
