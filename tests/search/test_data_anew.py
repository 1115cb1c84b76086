"""Data of a Dask search whose only places have gone. The scheduler and its answers are simulated."""

from collections import deque
from types import SimpleNamespace
from typing import Any

from pipeline.search.workers.dask.memory_limits import MemoryLimits
from pipeline.search.workers.dask.workers import DaskWorkers


class SimulatedPool(DaskWorkers):
    """Worker B is too small for the data; A computed them and has gone; C, which came later, waits for them with a job."""

    def __init__(self) -> None:
        self.sent: list[set[str]] = []
        self.handed_out: list[tuple[Any, str]] = []
        self.cancelled = 0
        waits = SimpleNamespace(status="pending", cancel=self._cancel)
        self._open = {7: (SimpleNamespace(number=7), waits, "C")}  # type: ignore[dict-item]  # simulated
        self._waiting, self._homes, self.memory_limits = deque(), {"A"}, MemoryLimits(None, "")
        self.memory_limits.small = {"B": 1}
        self._data: Any = SimpleNamespace(status="pending", cancelled=lambda: False)
        self._hung: set[str] = set()
        self._replaced, self._programs = False, {"C": set()}  # type: ignore[assignment]  # simulated
        self._client: Any = SimpleNamespace(status="running")
        self._code: Any = SimpleNamespace(waits=False, sound=lambda _client, ready: ready)

    def _cancel(self) -> None:
        self.cancelled += 1

    def _ready(self) -> set[str]:
        return {"C"}

    def _has_begun(self, _future: Any) -> bool:
        return False

    def _send_data(self, sound: Any) -> Any:
        self.sent.append(set(sound))
        self._homes = set(sound)
        return self._data

    def _hand_out(self, job: Any, address: str) -> None:
        self.handed_out.append((job.number, address))


def test_a_job_that_waits_for_data_whose_only_place_has_gone_is_given_them_anew_though_no_other_job_waits(monkeypatch):
    monkeypatch.setattr(
        "pipeline.search.workers.dask.workers.match", lambda waiting, idle, _programs: (waiting[0], min(idle))
    )
    pool = SimulatedPool()
    pool._dispatch()
    assert pool.sent == [{"C"}]
    assert (pool.cancelled, pool.handed_out) == (1, [(7, "C")])
    pool._open = {}
    pool._dispatch()  # nothing is open and nothing waits
    assert pool.sent == [{"C"}]
