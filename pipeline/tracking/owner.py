"""Which process owns a run, and whether it still works.

Clocks are never compared: they differ between machines. A process of this machine and of this PID namespace is looked up
in the operating system. Every other one counts as gone once its heartbeat has not changed while it was watched.
"""

import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from pipeline.tracking.names import HOLDER_TAG, STEP_TAG
from pipeline.tracking.store import Run, Store

GONE_SECONDS = 120
"""How long a heartbeat of another machine is watched without a change until its process counts as gone."""
LOOK_SECONDS = 2
"""Time between two looks at a heartbeat."""
_TOKEN = secrets.token_hex(8)
_GONE: set[str] = set()
"""Heartbeats that were watched and did not change."""


def owner_tag() -> dict[str, str]:
    """The tag of a run that this process works on."""
    return {HOLDER_TAG: json.dumps(this_process() | {"beat": time.time()})}


def this_process() -> dict[str, Any]:
    """Identity of this process. A number of a process means nothing in another PID namespace, nor after a reboot."""
    own = {"host": socket.gethostname(), "pid": os.getpid(), "started": psutil.Process().create_time()}
    return own | {"machine": _machine(), "ticks": _ticks(os.getpid()), "token": f"{_TOKEN}-{os.getpid()}"}


@cache
def _machine() -> str:
    """The running system and the PID namespace; the host name where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _ticks(pid: int) -> int | None:
    """Start of a process in the kernel's ticks since boot, which no clock changes; None where it cannot be read."""
    try:
        return int(
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        )
    except (OSError, IndexError, ValueError):
        return None


def owner_of(store: Store, run: Run) -> Run | None:
    """The run whose heartbeat says whether somebody works on `run`: the outermost of its process. Each process writes
    heartbeats to its own alone, so nobody overwrites those of another. None if the run above was deleted.

    A nested run keeps the tag of the process that began it, which may have been replaced since.
    """
    top = run
    while top.parent_id is not None and top.status == "RUNNING":
        above = store.find(top.parent_id)
        if above is None:
            return top if HOLDER_TAG in top.tags else None
        if STEP_TAG not in above.tags:  # a run of the user's own, around that of `mlflow run`
            break
        top = above
    return top


def alive(store: Store, run: Run) -> bool:
    """Whether a process works on the run; a run without an owner is free. May watch its heartbeat for two minutes."""
    owner = owner_of(store, run)
    return owner is not None and bool(holder_of(owner)) and owner.id not in gone(store, [owner])


def gone(store: Store, runs: Iterable[Run], say: Callable[[str], None] = lambda _line: None) -> set[str]:
    """Ids of those runs that no process works on any more. Heartbeats of other machines are watched until each has
    changed, at most `GONE_SECONDS`.
    """
    found, watched = set[str](), dict[str, str]()
    for run in runs:
        holder = holder_of(run)
        works = _works(holder) if holder else False
        beat = run.tags.get(HOLDER_TAG, "")
        if works is False or beat in _GONE or (works is None and run.status != "RUNNING"):
            found.add(run.id)
        elif works is None:
            watched[run.id] = beat
    if watched:
        say(f"watching {len(watched)} processes of other machines for up to {GONE_SECONDS} s: do they still work?")
    return found | _unchanged(store, watched)


def _unchanged(store: Store, beats: dict[str, str]) -> set[str]:
    """Ids of those runs that ended, or whose heartbeat did not change between two looks `GONE_SECONDS` apart. The second
    look begins after that time: the answer to one that began before may be old, if the store is slow.
    """
    found, watched, began = set[str](), dict(beats), time.monotonic()
    while watched:
        time.sleep(LOOK_SECONDS)
        for run_id, beat in list(watched.items()):
            long_enough = time.monotonic() - began >= GONE_SECONDS
            now = store.get(run_id)
            if now.status != "RUNNING":
                found.add(run_id)
            elif now.tags.get(HOLDER_TAG) == beat:
                if not long_enough:
                    continue
                found.add(run_id)
                _GONE.add(beat)
            del watched[run_id]
    return found


def _works(holder: dict[str, Any]) -> bool | None:
    """Whether the operating system knows the process; None if this process cannot ask about it."""
    if holder.get("machine", holder["host"]) != (_machine() if "machine" in holder else socket.gethostname()):
        return None
    pid = holder["pid"]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it exists, and belongs to another user
    try:
        process = psutil.Process(pid)
        # One that has died stays in the table until its parent asks for it, which in a container may be never.
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if holder.get("ticks") is not None and (ticks := _ticks(pid)) is not None:
            return bool(ticks == holder["ticks"])
        return bool(abs(process.create_time() - holder["started"]) < 1)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None  # /proc hides the processes of other users


def holder_of(run: Run) -> dict[str, Any]:
    """The owner of a run: host, pid, start and last heartbeat; empty if it has none."""
    found: dict[str, Any] = json.loads(run.tags.get(HOLDER_TAG, "{}"))
    return found
