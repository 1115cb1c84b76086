"""A job that hangs has its outcome whatever its worker and the scheduler answer, which are simulated."""

import time
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.search.workers.dask.memory_limits import MemoryLimits
from pipeline.search.workers.dask.workers import HUNG_SECONDS, DaskWorkers

HANGS, FREE = "tcp://one:1", "tcp://two:2"


class SimulatedPool(DaskWorkers):
    """Two jobs hang on one worker, and another worker is free; `answer` is what comes of the request to restart the one."""

    def __init__(self, answer: Any, nanny: str | None) -> None:
        self.answer, self._nanny = answer, nanny
        self.cancelled: list[int] = []
        self.asked: list[dict[str, Any]] = []
        self.handed_out: list[tuple[int, str]] = []
        self.trial_minutes = 1
        self._open = {number: (SimpleNamespace(number=number), self._future(number), HANGS) for number in (0, 1)}  # type: ignore[misc]  # simulated
        self._began = dict.fromkeys(self._open, time.monotonic() - 60 - HUNG_SECONDS - 1)
        self._hung: set[str] = set()
        self._replaced, self._programs = False, {HANGS: set(), FREE: set()}  # type: ignore[assignment]  # simulated
        self._waiting, self._homes, self.memory_limits = deque(), set(), MemoryLimits(None, "")
        self._data: Any = SimpleNamespace(status="pending", cancelled=lambda: False)
        scheduler = SimpleNamespace(restart_workers="restart")
        self._client: Any = SimpleNamespace(status="running", scheduler=scheduler, sync=self._sync)
        self._code: Any = SimpleNamespace(waits=False, sound=lambda _client, ready: ready)
        self.ready = {HANGS, FREE}

    def _future(self, number: int) -> Any:
        return SimpleNamespace(status="pending", cancel=lambda: self.cancelled.append(number))

    def _sync(self, request: str, **named: Any) -> Any:
        assert request == "restart"
        self.asked.append(named)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def _present(self) -> dict[str, Any]:
        return {address: {"nanny": self._nanny} for address in self.ready}

    def _ready(self) -> set[str]:
        return self.ready

    def _hand_out(self, job: Any, address: str) -> None:
        self.handed_out.append((job.number, address))


@pytest.mark.parametrize(
    ("answer", "nanny", "became"),
    [
        ({HANGS: "OK"}, "tcp://one:2", "was restarted"),
        ({HANGS: "timed out"}, "tcp://one:2", "was to be restarted and has not come back"),
        ({HANGS: "removed"}, None, "has no nanny that could restart it, and was asked to end"),
        ({}, None, "has left"),
        (OSError("the scheduler has gone away"), "tcp://one:2", "could not be restarted"),
        (TimeoutError("the scheduler does not answer"), "tcp://one:2", "could not be restarted"),
    ],
)  # fmt: skip
def test_a_job_that_hangs_fails_whatever_becomes_of_its_worker_and_dask_gives_it_to_none(answer, nanny, became):
    pool = SimulatedPool(answer, nanny)
    outcomes = pool._stop_hung_jobs()
    expected = f"did not stop after search.trial_minutes=1; its worker {became}"
    assert [(each.number, each.result, each.failure) for each in outcomes] == [(0, None, expected), (1, None, expected)]
    assert (pool._open, pool.cancelled) == ({}, [0, 1])


def test_only_a_worker_that_a_nanny_restarts_is_waited_for():
    for nanny, answer in (("tcp://one:2", "OK"), (None, "removed")):
        pool = SimulatedPool({HANGS: answer}, nanny)
        pool._stop_hung_jobs()
        assert [each["wait_for_workers"] for each in pool.asked] == [nanny is not None] * 2


def test_a_worker_that_could_not_be_restarted_gets_no_job_until_it_has_left(monkeypatch):
    monkeypatch.setattr(
        "pipeline.search.workers.dask.workers.match", lambda waiting, idle, _programs: (waiting[0], min(idle))
    )
    pool = SimulatedPool(TimeoutError("the scheduler does not answer"), "tcp://one:2")
    pool._stop_hung_jobs()
    pool._waiting = deque(SimpleNamespace(number=number) for number in (2, 3, 4))  # type: ignore[misc]  # simulated
    pool._dispatch()
    assert pool.handed_out == [(2, FREE)]
    pool.ready = {FREE}
    pool._dispatch()
    pool.ready = {HANGS, FREE}  # another worker, at its address
    pool._dispatch()
    assert pool.handed_out == [(2, FREE), (3, FREE), (4, HANGS)]
