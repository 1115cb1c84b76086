"""The runs of trained networks below one run, created, completed and ended in the background.

While the store is away, training goes on, and what is trained waits in the outbox.
"""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline import stop_request
from pipeline.errors import DAMAGED, NarrowgapError, StoreError
from pipeline.search.recording.outbox import Outbox, TrialRecord
from pipeline.search.recording.recorder import Recorder
from pipeline.tracking.connection.waiting import away
from pipeline.tracking.store import Run, Store

JOIN_SECONDS = 10
"""How long a step that is stopped writes what has ended; the rest waits in the outbox."""


class RunJournal:
    """Used as a context: at its end everything is in the store.

    Args:
        store: The store.
        parent: The run below which each network has its run.
        step: `trial` or `refit`.
        stopped: The reason of a run that has not ended when the step is stopped.
        folder: Where records wait for the store; a folder below it belongs to `parent`.
        say: Prints a line, once, if they cannot wait there.

    Raises:
        StoreError: By any method: the store is away for longer than `tracking.wait_minutes`.
    """

    def __init__(
        self, store: Store, parent: Run, *, step: str, stopped: str, folder: Path, say: Callable[[str], None]
    ) -> None:
        self._store, self._parent, self._step, self._stopped = store, parent, step, stopped
        self._say, self._warned = say, False
        self._open: dict[int, Run] = {}
        """Runs that nobody ends yet. Who ends one takes it out first: a run is never ended twice."""
        self._lock, self._closed = threading.Lock(), False
        self._outbox, self._recorder = Outbox(folder / parent.id), Recorder()
        self.ended: dict[int, Run] = {}
        """Runs that this journal has ended, by number; all of them after `drain`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stop()
            return
        try:
            self.drain()
        except BaseException:
            self._stop()
            raise
        self._recorder.close(seconds=JOIN_SECONDS)

    def _stop(self) -> None:
        """Ends the runs that are open; what cannot be written within seconds stays in the outbox."""
        with stop_request.held():
            self._recorder.close(seconds=0 if self._store.client.waiting else JOIN_SECONDS)
            with self._lock:
                self._closed = True
                unfinished = [self._open.pop(number) for number in list(self._open)]
            # A run that the recorder is just ending is not among them: its record waits in the outbox if that fails.
            for run in unfinished:
                run.give_up("KILLED", self._stopped)

    def begin(self, record: TrialRecord) -> None:
        """Creates the run of a network that is about to be trained."""
        self._recorder.submit(lambda: self._leave_open(record.number, self._create(record)))

    def end(self, record: TrialRecord) -> None:
        """Completes and ends the run of a network whose training has ended."""
        try:
            self._outbox.keep(record)
        except OSError as error:
            self._warn(error)
            self._recorder.submit(partial(self._write, record.number, record))
            self.drain()  # before another one is trained: what waits in memory alone would grow, and end with this process
            return
        self._recorder.submit(partial(self._write, record.number))  # the record is not held in memory meanwhile
        if self._outbox.full:
            self.drain()

    def drain(self) -> None:
        """Waits until everything is in the store."""
        self._recorder.drain()

    def waiting(self, number: int, path: str) -> bytes | None:
        """An artifact of a record that waits for the store; None if the record is there already."""
        return self._outbox.artifact(number, path)

    def recover(self, known: Callable[[TrialRecord], bool], recovered: Callable[[Run], None]) -> None:
        """Writes what earlier processes trained below the same parent and could not record; `recovered` is handed each run.
        A record that is `known` is in the store already.
        """
        recover(self._outbox, self._create, known, recovered)

    def _create(self, record: TrialRecord) -> Run:
        return self._store.child(
            self._parent, step=self._step, name=record.name, tags=record.tags, params=record.params
        )

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            self._say(
                f"warning: what is trained cannot be kept in {self._outbox.folder} ({error.strerror or error}); after each "
                f"{self._step}, training waits until the tracking store has it, and if this process ends before that, the "
                f"{self._step} is trained again; free some space, give this user access, or name another folder in "
                "NARROWGAP_CACHE"
            )

    def _write(self, number: int, record: TrialRecord | None = None) -> None:
        """Completes and ends a run with its record, the kept one if none is given, unless the step was stopped: then the
        record waits in the outbox.
        """
        with self._lock:
            run = self._open.get(number)
        if run is None:
            return
        record = record or self._read(number)
        record.fill(run)  # may take long: a curve of thousands of epochs, or a slow store
        with self._lock:
            mine = self._open.pop(number, None) is not None
        if not mine:  # the step was stopped meanwhile; it has ended the run, unless the store was away just then
            run.give_up("KILLED", self._stopped)
            return
        try:
            record.end(run)
        except BaseException:
            self._leave_open(number, run)
            raise
        self.ended[number] = run
        self._outbox.drop(number)

    def _read(self, number: int) -> TrialRecord:
        try:
            return self._outbox.read(number)
        except (OSError, *DAMAGED) as error:
            why = error.strerror if isinstance(error, OSError) else "it is damaged"
            raise StoreError(
                f"the record of a {self._step}, which waited for the tracking store in {self._outbox.folder}/{number}.zip, "
                f"cannot be read ({why}); run the same command to train it again"
            ) from error

    def _leave_open(self, number: int, run: Run) -> None:
        """Keeps a run that is to be ended later; at once if the step was stopped."""
        with self._lock:
            if not self._closed:
                self._open[number] = run
                return
        run.give_up("KILLED", self._stopped)


def recover(
    outbox: Outbox,
    create: Callable[[TrialRecord], Run],
    known: Callable[[TrialRecord], bool],
    recovered: Callable[[Run], None],
) -> None:
    """Writes the records of an outbox to new runs, as `RunJournal.recover` does."""
    for record in outbox.kept():
        if not known(record):
            run = create(record)
            try:
                record.write(run)
            except BaseException as error:
                run.give_up("KILLED", f"its record cannot be written: {error or type(error).__name__}")
                if not isinstance(error, Exception) or away(error) or isinstance(error, NarrowgapError):
                    raise
                # The store has answered that it does not take it, and would do so at every call: it is trained again.
            else:
                recovered(run)
        outbox.drop(record.number)
