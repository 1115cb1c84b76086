"""Memory and cores that this process may use: those of the machine, within the limits of its container (cgroup v1 or v2)."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def free_memory(cgroups: Path = CGROUPS, own: Path = OWN_GROUPS) -> int:
    """Bytes that new processes can take: what the machine has left or, if that is less, what the container has left."""
    left = [psutil.virtual_memory().available]
    for folder in _folders("memory", cgroups, own):
        for limit_name, used_name in (
            ("memory.max", "memory.current"),
            ("memory.high", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),  # version 1
        ):
            limit, used = _number(folder / limit_name), _number(folder / used_name)
            if limit is not None and used is not None:
                left.append(limit - max(0, used - _cached(folder)))
    return max(0, min(left))


def is_memory(folder: Path) -> bool:
    """Whether the files of a folder are kept in memory (tmpfs), as those of /tmp are on many machines."""
    folder = folder.resolve()
    mounts = [each for each in psutil.disk_partitions(all=True) if folder.is_relative_to(each.mountpoint)]
    return bool(mounts) and max(mounts, key=lambda each: len(each.mountpoint)).fstype in {"tmpfs", "ramfs"}


def cores(cgroups: Path = CGROUPS, own: Path = OWN_GROUPS) -> int:
    """Cores that this process may use, within its affinity and the quota of its container; at least 1."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder in _folders("cpu", cgroups, own):
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")  # version 1
        with suppress(OSError, ValueError):
            quota, period = map(int, (folder / "cpu.max").read_text().split())  # "max" where there is no limit
        if quota is not None and period is not None and quota > 0 and period > 0:
            count = min(count, max(1, round(quota / period)))
    return count


def _folders(controller: str, cgroups: Path, own: Path) -> Iterator[Path]:
    """Folders with the limits of this process: its own group and those around it, of both versions.

    A container often sees only its own group, as the root, though its path is that of the host; folders that do not exist
    have no limits.
    """
    lines: list[str] = []
    with suppress(OSError):
        lines = own.read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root = cgroups
        elif controller in controllers.split(","):
            root = next((cgroups / name for name in (controllers, controller) if (cgroups / name).is_dir()), cgroups)
        else:
            continue
        group = root / path.strip("/")
        yield from (group, *(each for each in group.parents if each == root or root in each.parents))


def _number(file: Path) -> int | None:
    """The number in a file; None where there is none, or the word `max`."""
    with suppress(OSError, ValueError):
        return int(file.read_text())
    return None


def _cached(folder: Path) -> int:
    """Bytes of a group that are copies of files, which the system gives up when memory is short."""
    counts: dict[str, int] = {}
    with suppress(OSError, ValueError):
        counts = {name: int(count) for name, count in map(str.split, (folder / "memory.stat").read_text().splitlines())}
    # Version 1 counts the groups within in `total_…`; version 2 in every figure.
    return sum(counts.get(f"total_{name}", counts.get(name, 0)) for name in ("inactive_file", "active_file"))
