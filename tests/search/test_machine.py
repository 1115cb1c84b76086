"""The limits of a container, read from folders that look like those of the kernel."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from pipeline.search.workers import machine

GIB = 1024**3


@pytest.fixture(autouse=True)
def large_machine(monkeypatch) -> None:
    """64 GiB left, 16 cores."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=64 * GIB))
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(16)), raising=False)


def container(folder: Path, own: str, files: Mapping[str, object]) -> tuple[Path, Path]:
    for name, content in files.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    (folder / "own").write_text(own)
    return folder / "cgroup", folder / "own"


def test_without_a_container_memory_and_cores_are_those_of_the_machine(tmp_path):
    nowhere = tmp_path / "cgroup", tmp_path / "own"
    assert machine.free_memory(*nowhere) == 64 * GIB
    assert machine.cores(*nowhere) == 16


def test_a_container_of_version_2_has_its_limit_less_what_is_used_and_cannot_be_given_up(tmp_path):
    """Of 4 GiB, 3 are used, 1 of them by copies of files: 2 are left."""
    files = {
        "memory.max": 4 * GIB, "memory.high": "max", "memory.current": 3 * GIB, "cpu.max": "350000 100000",
        "memory.stat": f"anon {2 * GIB}\ninactive_file {GIB // 4}\nactive_file {3 * GIB // 4}",
    }  # fmt: skip
    made = container(tmp_path, "0::/\n", files)
    assert machine.free_memory(*made) == 2 * GIB
    assert machine.cores(*made) == 4  # 3.5, rounded


def test_a_container_of_version_1_counts_likewise(tmp_path):
    files = {
        "memory/memory.limit_in_bytes": 4 * GIB, "memory/memory.usage_in_bytes": 3 * GIB,
        "memory/memory.stat": f"inactive_file 5\ntotal_inactive_file {GIB}\ntotal_active_file 0",
        "cpu,cpuacct/cpu.cfs_quota_us": 200_000, "cpu,cpuacct/cpu.cfs_period_us": 100_000,
    }  # fmt: skip
    made = container(tmp_path, "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/\n", files)
    assert machine.free_memory(*made) == 2 * GIB
    assert machine.cores(*made) == 2


@pytest.mark.parametrize("slice_limit", [3, 9])
def test_the_smallest_limit_of_the_groups_around_the_process_counts(tmp_path, slice_limit):
    """A job of SLURM or a slice of systemd: 6 GiB for the job, and for all jobs of the user more or less."""
    files = {
        "user.slice/memory.max": slice_limit * GIB, "user.slice/memory.current": GIB,
        "user.slice/job.scope/memory.max": 6 * GIB, "user.slice/job.scope/memory.current": GIB,
        "other.scope/memory.max": GIB, "other.scope/memory.current": 0,
        "user.slice/cpu.max": "max 100000", "user.slice/job.scope/cpu.max": "10000 100000",
    }  # fmt: skip
    made = container(tmp_path, "0::/user.slice/job.scope\n", files)
    assert machine.free_memory(*made) == min(slice_limit - 1, 5) * GIB
    assert machine.cores(*made) == 1  # a tenth of one is one


def test_no_limit_is_no_limit_and_a_full_container_has_nothing_left(tmp_path):
    unlimited = {
        "memory/memory.limit_in_bytes": 9_223_372_036_854_771_712, "memory/memory.usage_in_bytes": GIB,
        "cpu/cpu.cfs_quota_us": -1, "cpu/cpu.cfs_period_us": 100_000,
    }  # fmt: skip
    made = container(tmp_path / "one", "9:memory:/\n1:cpu:/\n0::/\n", unlimited)
    assert (machine.free_memory(*made), machine.cores(*made)) == (64 * GIB, 16)
    full = container(tmp_path / "two", "0::/\n", {"memory.max": GIB, "memory.current": GIB + 1})
    assert machine.free_memory(*full) == 0


@pytest.mark.parametrize(
    ("folder", "expected"), [("/ram/narrowgap-1", True), ("/ram", True), ("/ramfile", False), ("/ram/disk/x", False)]
)  # fmt: skip
def test_files_below_a_tmpfs_are_in_memory_unless_a_disk_is_mounted_there(monkeypatch, folder, expected):
    mounts = [("/", "ext4"), ("/ram", "tmpfs"), ("/ram/disk", "xfs")]
    partitions = [SimpleNamespace(mountpoint=point, fstype=kind) for point, kind in mounts]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: partitions)
    assert machine.is_memory(Path(folder)) is expected
