"""What is trained and not yet in the tracking store, as files of this machine.

A record is kept before it is sent to the store and dropped once it is there. So a store that is away costs no training,
and neither does a driver that is killed meanwhile: the next one finds the records.
"""

import contextlib
import io
import json
import os
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline.errors import DAMAGED
from pipeline.tracking.store import Point, Run

MAX_BYTES = 2 * 2**30
"""Size of all kept records from which the search waits for the store."""
ARTIFACTS = "artifacts/"


@dataclass(frozen=True)
class TrialRecord:
    """Everything that the run of an ended trial holds."""

    number: int
    """Of the proposal."""
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, str | int | float | bool]
    metrics: Mapping[str, float]
    series: Sequence[tuple[str, float, int]]
    """Metric, value and epoch."""
    artifacts: Mapping[str, bytes]
    """Content by path."""
    failure: str | None
    """Why the trial failed; None if it finished."""
    warning: str | None
    """What is missing from a trial that finished, such as its pictures."""
    end_tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of a trial that finished, known at its end only."""

    def write(self, run: Run) -> None:
        """Writes the record to its run and ends the run. May be repeated."""
        self.fill(run)
        self.end(run)

    def fill(self, run: Run) -> None:
        """Writes the figures and artifacts of a trial that finished to its run. May be repeated."""
        if self.failure is None:
            run.log(metrics=self.metrics, series=(Point(*each) for each in self.series), tags=self.end_tags)
            for path, content in self.artifacts.items():
                run.write(path, content)

    def end(self, run: Run) -> None:
        """Ends the run that holds the record. May be repeated."""
        if self.failure is not None:
            run.finish("FAILED", self.failure)
        else:
            run.finish("FINISHED", self.warning)

    def to_bytes(self) -> bytes:
        """The record as a zip file: `record.json` and the artifacts."""
        plain = asdict(self) | {"artifacts": sorted(self.artifacts)}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("record.json", json.dumps(plain))
            for path, content in self.artifacts.items():
                file.writestr(ARTIFACTS + path, content)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "TrialRecord":
        """The record that `to_bytes` wrote."""
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            plain = json.loads(file.read("record.json"))
            artifacts = {path: file.read(ARTIFACTS + path) for path in plain["artifacts"]}
        series = [(name, value, step) for name, value, step in plain["series"]]
        return cls(**(plain | {"artifacts": artifacts, "series": series}))


class Outbox:
    """The kept records of one search.

    Args:
        folder: Of this search; made when the first record is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        """The step keeps records while its recorder drops them."""

    def keep(self, record: TrialRecord) -> None:
        """Writes a record to the disk, completely or not at all.

        Raises:
            OSError: The disk is full or cannot be written.
        """
        content = record.to_bytes()
        draft = self.folder / f".{record.number}.{os.getpid()}"
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                with draft.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(self._path(record.number))
            finally:
                draft.unlink(missing_ok=True)

    def drop(self, number: int) -> None:
        """Removes a record that is in the store, and the folder with the last one."""
        with self._lock, contextlib.suppress(OSError):
            self._path(number).unlink(missing_ok=True)
            self._remove_if_empty()

    def kept(self) -> Iterator[TrialRecord]:
        """The records that an earlier process could not write, by number, one in memory at a time; a damaged one is removed:
        its trial is trained again. Half-written ones of processes that were killed are removed too: their run has ended or
        was taken over, so nobody writes. What another process has written to the store meanwhile is passed over, and what
        this user may not read or remove.
        """
        for draft in self.folder.glob(".*"):
            _remove(draft)
        for number in sorted(int(path.stem) for path in self.folder.glob("*.zip")):
            try:
                record = self.read(number)
            except OSError:
                continue
            except DAMAGED:
                _remove(self._path(number))
                continue
            yield record
        self._remove_if_empty()

    def read(self, number: int) -> TrialRecord:
        """A kept record.

        Raises:
            OSError: It is not there, or cannot be read.
            One of `DAMAGED`: It is damaged.
        """
        return TrialRecord.from_bytes(self._path(number).read_bytes())

    @property
    def full(self) -> bool:
        """Whether no more than what is kept should be kept."""
        with self._lock:
            return sum(path.stat().st_size for path in self.folder.glob("*.zip")) > MAX_BYTES

    def artifact(self, number: int, path: str) -> bytes | None:
        """An artifact of a kept record; None if the record is in the store already, or cannot be read."""
        with self._lock, contextlib.suppress(OSError, *DAMAGED):
            return self.read(number).artifacts.get(path)
        return None

    def _remove_if_empty(self) -> None:
        with contextlib.suppress(OSError):  # there is none, it has records, or another process is doing the same
            self.folder.rmdir()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number}.zip"


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
