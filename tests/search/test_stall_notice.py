"""A worker that hangs without a limit is noticed on the screen."""

import queue
import time
from collections import defaultdict, deque
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.experiment import Training
from pipeline.models.dense import DenseSpec
from pipeline.models.recipe import Recipe
from pipeline.search.workers.dask.stall_notice import StallNotice
from pipeline.search.workers.dask.workers import DaskWorkers
from pipeline.search.workers.jobs import Job


class Simulated:
    """Said lines, and a clock that is set by hand."""

    def __init__(self):
        self.now = 0.0
        self.lines: list[str] = []
        self.silence = StallNotice(self.lines.append, lambda: self.now)

    def at(self, seconds: float, jobs: int = 2) -> int:
        self.now = seconds
        self.silence.look(jobs)
        return len(self.lines)


def test_nothing_is_said_before_ten_minutes_then_once_and_again_after_twice_the_time():
    seen = Simulated()
    assert [seen.at(seconds) for seconds in (0, 599, 600, 601, 1199, 1200, 2399, 2400)] == [0, 0, 1, 1, 1, 2, 2, 3]
    assert "(10 min 0 s) of 2 jobs that train; a worker may hang: search.trial_minutes limits" in seen.lines[0]


@pytest.mark.parametrize(("longest", "said_at"), [(30, 600), (300, 1500), (3600, 18000)])
def test_five_times_the_longest_training_is_waited_for(longest, said_at):
    seen = Simulated()
    seen.silence.came(longest)
    seen.silence.came(1)
    assert [seen.at(said_at - 1), seen.at(said_at)] == [0, 1]
    assert "the longest training took" in seen.lines[0]


def test_an_outcome_or_no_open_job_begins_the_time_anew():
    seen = Simulated()
    seen.now = 590
    seen.silence.came(1)
    seen.now = 1100
    seen.silence.idle()
    assert [seen.at(1699), seen.at(1700)] == [0, 1]


def test_what_the_driver_itself_takes_between_two_looks_is_no_silence_of_the_workers():
    """The outbox was full, and the driver waited for the store for half an hour, with a job under way."""
    seen = Simulated()
    seen.at(500)
    seen.now = 2300
    seen.silence.resume()
    assert [seen.at(2300), seen.at(2399), seen.at(2400)] == [0, 0, 1]
    assert "(10 min 0 s)" in seen.lines[0]


def test_what_the_driver_took_before_the_first_job_is_no_silence_either():
    seen = Simulated()
    seen.now = 3600  # between a search and its evaluation
    seen.silence.resume()
    assert [seen.at(4199), seen.at(4200)] == [0, 1]


class Driver(DaskWorkers):
    """Has one job of a scheduler that never ends; the scheduler is simulated, and the clock."""

    def __init__(self, seen: Simulated) -> None:
        self.silence, self.trial_minutes, self.wait_minutes = seen.silence, None, 120
        self._done: Any = queue.Queue()
        self._waiting, self._homes, self._own = deque(), set(), False
        self._programs = defaultdict(set)
        self._began, self._looked, self._seen = {}, time.monotonic(), time.monotonic()
        self._replaced, self._data, self._draw = False, None, None  # type: ignore[assignment]  # simulated
        self._code: Any = SimpleNamespace(code=None)
        never = SimpleNamespace(status="pending", add_done_callback=lambda _call: None)
        self._client: Any = SimpleNamespace(status="running", submit=lambda *_words, **_named: never)
        self._open = {}
        self.hand_out()

    def hand_out(self) -> None:
        job = Job(0, Recipe(DenseSpec((8,), (0, 0), ("relu",))), Training(), 5, 3)
        self._hand_out(job, "A")

    def _requeue_lost_jobs(self) -> list[Any]:
        return []


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("pipeline.search.workers.dask.workers.POLL_SECONDS", 0.001)


def test_a_driver_that_waited_for_the_tracking_store_blames_no_worker(quick):
    seen = Simulated()
    driver = Driver(seen)
    driver.finished()
    seen.now = 2000
    driver.finished()
    assert seen.lines == []


def test_a_job_that_is_handed_out_begins_the_time_anew(quick):
    """That of a worker or a scheduler that was lost, too."""
    seen = Simulated()
    driver = Driver(seen)
    seen.now = 599
    driver.hand_out()
    assert [seen.at(1198), seen.at(1199)] == [0, 1]
