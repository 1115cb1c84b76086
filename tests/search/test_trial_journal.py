"""A trial is ended once, by the recorder or by the search that is stopped, whoever of the two is slower."""

import gc
import os
import signal
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.errors import InputError, SearchFailedError, StoreError
from pipeline.search import trial_journal
from pipeline.search.progress import TrialUpdate
from pipeline.search.recording import run_journal
from pipeline.search.recording.outbox import TrialRecord
from pipeline.session import Session
from pipeline.tracking.store import Run
from tests.faults.disks import fill, make_read_only

pytestmark = pytest.mark.tensorflow
"""The search's loop imports Keras Tuner."""
OUTCOME: Any = SimpleNamespace(result=None, failure=None, warning=None, seconds=1.0, pruned=False)
"""Stands for what a worker returns; the records below are made by hand."""


class PlainJournal(trial_journal.TrialJournal):
    """The real journal with records that are made by hand: no network is trained."""

    def _record(self, proposal: Any, _outcome: Any = None) -> TrialRecord:
        tags = {"narrowgap.asked": str(proposal.number), "narrowgap.proposal": "{}"}
        metrics = {"val_loss": 0.5, "val_accuracy": 0.9}
        return TrialRecord(proposal.number, f"{proposal.number:02d}", tags, {}, metrics, (), {}, None, None)

    def _name(self, proposal: Any) -> str:
        return f"{proposal.number:02d}"


@pytest.fixture
def said() -> list[str]:
    """Lines that journals say."""
    return []


def proposal(number: int) -> Any:
    return SimpleNamespace(number=number)


@pytest.fixture
def search(session: Session) -> Run:
    return session.store.root(step="search", experiment="smoke", tags={})


@pytest.fixture
def opened(session, search, tmp_path, monkeypatch, said):
    """Opens the journal of the search, as the first process does and the next one that resumes it."""
    monkeypatch.setattr(run_journal, "JOIN_SECONDS", 0.1)

    def make(
        seen: Callable[[TrialUpdate], None] = lambda _update: None,
        box: Path = tmp_path / "outbox",
        session: Session = session,
    ) -> PlainJournal:
        known = session.store, search, session.experiment, session.prepared
        return PlainJournal(*known, seen, say=said.append, folder=box)

    return make


class Halted:
    """Halts the thread that ends a run in the store, before or after the store has done so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, session: Session, where: str) -> None:
        self.reached, self.go_on, self.done = (threading.Event() for _ in range(3))
        client = session.store.client.impatient
        real = client.set_terminated

        def set_terminated(run_id: str, status: str) -> None:
            if status != "FINISHED":
                real(run_id, status)
                return
            if where == "after":
                real(run_id, status)
            self.reached.set()
            assert self.go_on.wait(30)
            if where == "before":
                real(run_id, status)
            self.done.set()

        monkeypatch.setattr(client, "set_terminated", set_terminated)


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_trial_that_the_recorder_is_just_ending_is_not_ended_again_by_the_search_that_is_stopped(
    session, search, opened, monkeypatch, where
):
    halted = Halted(monkeypatch, session, where)

    def stopped() -> None:
        with opened() as writing:
            for number in (0, 1):
                writing.asked(proposal(number))
            writing.ended(proposal(0), OUTCOME)
            assert halted.reached.wait(30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    halted.go_on.set()
    assert halted.done.wait(30)
    statuses = {run.tags["narrowgap.asked"]: run.status for run in session.store.children(search)}
    assert statuses == {"0": "FINISHED", "1": "KILLED"}
    with opened():  # the next process, which resumes the search
        pass
    ended = Counter(run.tags["narrowgap.asked"] for run in session.store.children(search) if run.status == "FINISHED")
    assert ended == {"0": 1}


def test_a_trial_that_waited_for_the_recorder_when_the_search_was_stopped_is_recorded_by_the_next_process(
    session, search, opened, monkeypatch
):
    halted = Halted(monkeypatch, session, "before")

    def stopped() -> None:
        with opened() as writing:
            for number in (0, 1):
                writing.asked(proposal(number))
            for number in (0, 1):  # the second waits behind the first
                writing.ended(proposal(number), OUTCOME)
            assert halted.reached.wait(30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    halted.go_on.set()
    assert halted.done.wait(30)
    monkeypatch.undo()
    with opened():
        pass
    ended = Counter(run.tags["narrowgap.asked"] for run in session.store.children(search) if run.status == "FINISHED")
    assert ended == {"0": 1, "1": 1}
    assert {run.status for run in session.store.children(search)} == {"FINISHED", "KILLED"}


def test_a_trial_whose_figures_are_written_slowly_does_not_stay_open_when_the_search_is_stopped(
    session, search, opened, monkeypatch
):
    """A curve of thousands of epochs takes a busy store longer than the search waits; the next process records the trial."""
    real = session.store.client.impatient.log_batch
    begun, go_on, done = (threading.Event() for _ in range(3))
    recorders: list[threading.Thread] = []

    def log_batch(run_id: str, metrics: Any = (), *more: Any, **named: Any) -> None:
        if metrics:
            begun.set()
            assert go_on.wait(30)
        real(run_id, metrics, *more, **named)
        if metrics:
            done.set()

    def stopped() -> None:
        with opened() as writing:
            writing.asked(proposal(0))
            recorders.append(writing._runs._recorder._thread)
            monkeypatch.setattr(session.store.client.impatient, "log_batch", log_batch)
            writing.ended(proposal(0), OUTCOME)
            assert begun.wait(30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert [run.status for run in session.store.children(search)] == ["KILLED"]
    go_on.set()
    assert done.wait(30)
    recorders[0].join(30)
    assert not recorders[0].is_alive()
    assert [run.status for run in session.store.children(search)] == ["KILLED"]
    monkeypatch.undo()
    with opened():
        pass
    assert [run.status for run in session.store.children(search)] == ["KILLED", "FINISHED"]


def test_a_run_that_could_not_be_ended_because_the_store_was_away_is_ended_when_its_figures_are_written(
    session, search, opened, monkeypatch
):
    client = session.store.client.impatient
    real_log, real_end = client.log_batch, client.set_terminated
    begun, go_on = threading.Event(), threading.Event()
    recorders: list[threading.Thread] = []

    def log_batch(run_id: str, metrics: Any = (), *more: Any, **named: Any) -> None:
        if metrics:
            begun.set()
            assert go_on.wait(30)
        real_log(run_id, metrics, *more, **named)

    def set_terminated(run_id: str, status: str) -> None:
        if not go_on.is_set():
            raise ConnectionError("away")
        real_end(run_id, status)

    def stopped() -> None:
        with opened() as writing:
            writing.asked(proposal(0))
            recorders.append(writing._runs._recorder._thread)
            monkeypatch.setattr(client, "log_batch", log_batch)
            monkeypatch.setattr(client, "set_terminated", set_terminated)
            writing.ended(proposal(0), OUTCOME)
            assert begun.wait(30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert [run.status for run in session.store.children(search)] == ["RUNNING"]
    go_on.set()
    recorders[0].join(30)
    assert [run.status for run in session.store.children(search)] == ["KILLED"]


def test_a_process_that_is_stopped_while_it_writes_what_an_earlier_one_trained_leaves_no_run_open(
    session, search, opened, monkeypatch
):
    client = session.store.client.impatient

    def away(*_: Any) -> None:
        raise StoreError("away")

    def trains() -> None:
        with opened() as writing:
            writing.asked(proposal(0))
            writing.ended(proposal(0), OUTCOME)

    with monkeypatch.context() as patch:
        patch.setattr(TrialRecord, "fill", away)
        with pytest.raises(StoreError):
            trains()
    real = client.log_batch

    def log_batch(run_id: str, metrics: Any = (), *more: Any, **named: Any) -> None:
        if metrics:
            raise KeyboardInterrupt
        real(run_id, metrics, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(client, "log_batch", log_batch)
        with pytest.raises(KeyboardInterrupt):
            opened()
    assert [run.status for run in session.store.children(search)] == ["KILLED", "KILLED"]
    with opened():
        pass
    assert [run.status for run in session.store.children(search)] == ["KILLED", "KILLED", "FINISHED"]


def test_the_states_of_stopped_trials_are_deleted_with_the_others(session, search, opened):
    """Hyperband continues a trial from its state; a run that was stopped may have one already."""
    halving = session.experiment.search.model_copy(update={"tuner": "hyperband"})
    hyperband = replace(session, experiment=session.experiment.model_copy(update={"search": halving}))
    run = session.store.child(
        search, step="trial", name="00", tags={"narrowgap.asked": "0", "narrowgap.proposal": "{}"}
    )
    run.write("state.npz", b"state")
    run.finish("KILLED")
    with opened(session=hyperband) as writing:
        assert (run.id, run.read("state.npz")) == (run.id, b"state")
        writing.drop_states()
    with pytest.raises(InputError):
        run.read("state.npz")


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("first", [KeyboardInterrupt, SearchFailedError, None])
def test_a_signal_while_the_runs_of_a_stopped_search_are_closed_leaves_none_open(
    session, search, opened, monkeypatch, first
):
    """After Ctrl-C and an error at each run that is closed; without either while the last trials are written."""
    client = session.store.client.impatient
    set_terminated, draining, over = client.set_terminated, threading.Event(), threading.Event()

    def asked_again(run_id: str, status: str) -> None:
        if status == "KILLED":
            os.kill(os.getpid(), signal.SIGTERM)
        set_terminated(run_id, status)

    def asks_while_it_is_waited_for() -> None:
        assert draining.wait(30)
        os.kill(os.getpid(), signal.SIGINT)
        over.wait(30)

    def ends() -> None:
        with opened() as writing:
            for number in range(3):
                writing.asked(proposal(number))
            writing._runs.drain()  # the runs of all three are there
            monkeypatch.setattr(client, "set_terminated", asked_again)
            if first is KeyboardInterrupt:
                os.kill(os.getpid(), signal.SIGINT)
            if first is SearchFailedError:
                raise SearchFailedError("three trials in a row failed")
            drain = writing._runs.drain

            def drained() -> None:
                draining.set()
                drain()

            monkeypatch.setattr(writing._runs, "drain", drained)
            writing._runs._recorder.submit(asks_while_it_is_waited_for)

    with pytest.raises(SystemExit if first is SearchFailedError else KeyboardInterrupt):
        ends()
    over.set()
    assert [run.status for run in session.store.children(search)] == ["KILLED"] * 3


def test_the_run_of_a_trial_that_is_made_when_the_search_has_already_stopped_does_not_stay_open(
    session, search, opened, monkeypatch
):
    go_on, made = threading.Event(), threading.Event()
    real = session.store.client.impatient.create_run

    def create_run(*words: Any, **named: Any) -> Any:
        assert go_on.wait(30)
        run = real(*words, **named)
        made.set()
        return run

    def stopped() -> None:
        with opened() as writing:
            monkeypatch.setattr(session.store.client.impatient, "create_run", create_run)
            writing.asked(proposal(0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    go_on.set()
    assert made.wait(30)
    end = threading.Event()
    for _ in range(200):
        if [run.status for run in session.store.children(search)] == ["KILLED"]:
            break
        end.wait(0.05)
    assert [run.status for run in session.store.children(search)] == ["KILLED"]


def test_a_trial_whose_record_finds_the_store_away_for_too_long_is_shown_all_the_same(opened, monkeypatch) -> None:
    """It is kept on disk, and the next process does not show it again."""
    seen: list[TrialUpdate] = []
    with opened(seen.append) as opened_journal:
        opened_journal.asked(proposal(0))
        real = opened_journal._runs.end

        def end(record: TrialRecord) -> None:
            real(record)
            raise StoreError("the tracking store has stopped answering")

        monkeypatch.setattr(opened_journal._runs, "end", end)
        with pytest.raises(StoreError):
            opened_journal.ended(proposal(0), OUTCOME)
    assert [update.name for update in seen] == ["00"]


@pytest.fixture(params=["full", "read-only", "a file"])
def unwritable(request, tmp_path) -> Path:
    """A folder for records in which nothing can be kept."""
    if request.param == "a file":
        box: Path = tmp_path / "file"
        box.touch()
        return box
    disk: Path = request.getfixturevalue("disk")
    if request.param == "full":
        fill(disk)
    else:
        make_read_only(disk)
    return disk / "outbox"


def test_a_trial_that_cannot_be_kept_is_waited_for_until_it_is_in_the_store_and_a_line_says_so_once(
    session, search, opened, monkeypatch, said, unwritable
):
    """So no more than one waits in memory alone, however long the store is away."""
    halted = Halted(monkeypatch, session, "before")
    with opened(box=unwritable) as writing:
        for number in range(3):
            writing.asked(proposal(number))
        going_on = threading.Event()

        def end_trials() -> None:
            writing.ended(proposal(0), OUTCOME)
            going_on.set()
            writing.ended(proposal(1), OUTCOME)

        ending = threading.Thread(target=end_trials)
        ending.start()
        assert halted.reached.wait(30)
        assert not going_on.wait(0.5)
        halted.go_on.set()
        ending.join(30)
        statuses = {run.tags["narrowgap.asked"]: run.status for run in session.store.children(search)}
        assert statuses == {"0": "FINISHED", "1": "FINISHED", "2": "RUNNING"}
        writing.ended(proposal(2), OUTCOME)
    (line,) = said
    assert line.startswith(f"warning: what is trained cannot be kept in {unwritable / search.id} (")
    assert "NARROWGAP_CACHE" in line


def test_records_that_wait_for_the_store_are_on_disk_and_not_in_memory(session, search, opened, monkeypatch):
    halted = Halted(monkeypatch, session, "before")
    records: list[weakref.ref[TrialRecord]] = []
    with opened() as writing:
        real = writing._runs._outbox.keep

        def keep(record: TrialRecord) -> None:
            real(record)
            records.append(weakref.ref(record))

        monkeypatch.setattr(writing._runs._outbox, "keep", keep)
        for number in range(3):
            writing.asked(proposal(number))
            writing.ended(proposal(number), OUTCOME)
        assert halted.reached.wait(30)  # the first is being written
        gc.collect()
        assert [record() for record in records[1:]] == [None, None]
        halted.go_on.set()
    assert {run.status for run in session.store.children(search)} == {"FINISHED"}


def test_a_kept_record_that_somebody_has_deleted_ends_with_one_line_and_its_trial_is_trained_again(
    session, search, opened, monkeypatch, tmp_path
):
    halted = Halted(monkeypatch, session, "before")

    def deleted() -> None:
        with opened() as writing:
            for number in (0, 1):
                writing.asked(proposal(number))
                writing.ended(proposal(number), OUTCOME)
            assert halted.reached.wait(30)
            (tmp_path / "outbox" / search.id / "1.zip").unlink()
            halted.go_on.set()

    with pytest.raises(StoreError, match=r"1\.zip, .*\(No such file or directory\).*run the same command"):
        deleted()
    statuses = {run.tags["narrowgap.asked"]: run.status for run in session.store.children(search)}
    assert statuses == {"0": "FINISHED", "1": "KILLED"}
