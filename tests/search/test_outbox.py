"""What is trained waits in files until the store has it."""

import threading
from functools import partial
from pathlib import Path

import pytest

from pipeline.search.recording.outbox import Outbox, TrialRecord
from pipeline.search.recording.recorder import Recorder


def record(number: int, **changes: object) -> TrialRecord:
    plain = {
        "number": number, "name": f"{number:02d} 64-8-10", "tags": {"narrowgap.asked": str(number)}, "params": {"depth": 1},
        "metrics": {"val_loss": 0.5, "test_loss": float("inf")}, "series": [("epoch/loss", 0.75, 0)],
        "artifacts": {"curves.png": b"\x89PNG", "network.txt": "64-8-10 \u00b1".encode()}, "failure": None, "warning": None,
    }  # fmt: skip
    return TrialRecord(**(plain | changes))  # type: ignore[arg-type]  # the values are of the right types


def test_a_record_reads_back_as_it_was(tmp_path):
    box = Outbox(tmp_path / "search")
    box.keep(record(3))
    box.keep(record(11, failure="diverged", artifacts={}))
    assert list(Outbox(tmp_path / "search").kept()) == [record(3), record(11, failure="diverged", artifacts={})]
    assert box.artifact(3, "curves.png") == b"\x89PNG"
    assert box.artifact(4, "curves.png") is None


def test_what_was_dropped_is_gone_and_the_folder_with_the_last(tmp_path):
    box = Outbox(tmp_path / "search")
    for number in (1, 2):
        box.keep(record(number))
    box.drop(1)
    assert list(box.kept()) == [record(2)]
    box.drop(2)
    box.drop(2)
    assert not (tmp_path / "search").exists()
    assert list(box.kept()) == []


def test_a_damaged_record_is_removed_and_its_trial_trained_again(tmp_path):
    box = Outbox(tmp_path)
    box.keep(record(1))
    (tmp_path / "1.zip").write_bytes((tmp_path / "1.zip").read_bytes()[:-30])
    assert box.artifact(1, "curves.png") is None
    assert list(box.kept()) == []
    assert not tmp_path.exists()


def test_what_a_killed_process_had_half_written_is_removed(tmp_path):
    box = Outbox(tmp_path / "search")
    box.keep(record(2))
    (tmp_path / "search" / ".10.2541").write_bytes(b"PK")
    assert list(Outbox(tmp_path / "search").kept()) == [record(2)]
    assert [each.name for each in (tmp_path / "search").iterdir()] == ["2.zip"]


def test_records_that_another_process_drops_while_they_are_read_are_left_out(tmp_path, monkeypatch):
    box, real = Outbox(tmp_path / "search"), TrialRecord.from_bytes
    for number in (1, 2, 3):
        box.keep(record(number))

    def read(content: bytes) -> TrialRecord:
        box.drop(2)
        return real(content)

    monkeypatch.setattr(TrialRecord, "from_bytes", read)
    assert list(Outbox(tmp_path / "search").kept()) == [record(1), record(3)]


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        Outbox(tmp_path).keep(record(1))
    assert list(tmp_path.iterdir()) == []


def test_one_keeps_while_another_drops(tmp_path):
    """The step keeps records while its recorder drops them: the folder comes and goes."""
    box, failures = Outbox(tmp_path / "search"), list[BaseException]()

    def drops() -> None:
        try:
            for number in range(300):
                box.drop(number)
                box.drop(number - 1)
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=drops)
    thread.start()
    for number in range(300):
        box.keep(record(number))
        assert not box.full
    thread.join()
    assert failures == []


def test_a_box_that_is_full_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.search.recording.outbox.MAX_BYTES", 100)
    box = Outbox(tmp_path)
    assert not box.full
    box.keep(record(1))
    assert box.full


def test_writes_are_done_in_order_and_draining_waits_for_them():
    recorder, done = Recorder(), list[int]()
    for number in range(100):
        recorder.submit(partial(done.append, number))
    recorder.drain()
    assert done == list(range(100))
    recorder.close(seconds=1)


def test_after_a_failure_nothing_more_is_written_and_every_call_raises_it():
    recorder, done = Recorder(), list[int]()

    def fails() -> None:
        raise KeyError("gone")

    recorder.submit(fails)
    with pytest.raises(KeyError, match="gone"):
        recorder.drain()
    with pytest.raises(KeyError, match="gone"):
        recorder.submit(lambda: done.append(1))
    recorder.close(seconds=1)
    assert done == []


def waits(until: threading.Event) -> None:
    until.wait(30)


def test_closing_does_not_wait_for_a_write_that_hangs():
    recorder, free, done = Recorder(), threading.Event(), list[int]()
    recorder.submit(partial(waits, free))
    recorder.submit(lambda: done.append(1))
    recorder.close(seconds=0)
    free.set()
    recorder._thread.join(10)
    assert not recorder._thread.is_alive()
    assert done == []


def test_the_folder_of_the_records_is_below_the_users_cache(tmp_path, monkeypatch):
    from pipeline.data.sources import cache_folder

    monkeypatch.setenv("NARROWGAP_CACHE", str(tmp_path))
    assert cache_folder() / "outbox" == Path(tmp_path) / "outbox"
