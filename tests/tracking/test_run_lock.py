"""Of several processes that want to do the same thing, exactly one goes on, however slow the store and odd the clocks."""

import heapq
import itertools
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from pipeline.errors import BusyError
from pipeline.tracking import owner, run_lock
from pipeline.tracking.names import HOLDER_TAG, LEASE_TAG
from pipeline.tracking.store import Store

ROOT = Path(__file__).parents[2]
HOUR = 3600


@dataclass
class SimulatedRun:
    """A run of the simulated store."""

    store: "SimulatedStore"
    id: str
    tags: dict[str, str] = field(default_factory=dict)
    status: str = "RUNNING"

    def log(self, *, tags: dict[str, str]) -> None:
        self.store.slowly(lambda: self.tags.update(tags))


class SimulatedStore:
    """A store in simulated time: each call takes effect at some moment between its beginning and its end."""

    def __init__(self, world: "World") -> None:
        self.world, self.runs = world, dict[str, SimulatedRun]()

    def slowly(self, effect: Callable[[], Any]) -> Any:
        self.world.sleep(self.world.delay())
        result = effect()
        self.world.sleep(self.world.delay())
        return result

    def _seen(self, run: SimulatedRun) -> SimpleNamespace:
        """What is read: a copy, with the heartbeat that a process that lives has written by now."""
        holder = json.dumps({"host": "box", "pid": 7, "started": 0, "of": run.id, "beat": self.world.beat(run.id)})
        return SimpleNamespace(id=run.id, tags={**run.tags, HOLDER_TAG: holder}, status=run.status)

    def running(self, *, tag: str) -> Any:
        return self.slowly(
            lambda: [self._seen(run) for run in self.runs.values() if run.status == "RUNNING" and tag in run.tags]
        )

    def get(self, run_id: str) -> Any:
        return self.slowly(lambda: self._seen(self.runs[run_id]))


class World:
    """Simulated time. Of the threads, one runs at a time: the one whose turn comes first."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a simulation
        self.now = 0.0
        self.turns: list[tuple[float, int, threading.Event]] = []
        self.numbers = itertools.count()
        self.free = threading.Semaphore(0)
        self.dead: set[str] = set()
        self.failures: list[BaseException] = []

    def delay(self) -> float:
        """Mostly a moment, at times seconds, now and then an hour."""
        kind = self.random.random()
        return self.random.uniform(0, 0.2 if kind < 0.7 else 5 if kind < 0.95 else HOUR)

    def beat(self, run_id: str) -> int:
        return 0 if run_id in self.dead else int(self.now // run_lock.BEAT_SECONDS) + 1

    def sleep(self, seconds: float) -> None:
        turn = threading.Event()
        heapq.heappush(self.turns, (self.now + seconds, next(self.numbers), turn))
        self.free.release()
        turn.wait()

    def start(self, work: Callable[[], None]) -> None:
        def whole() -> None:
            try:
                self.sleep(self.random.uniform(0, 2))
                work()
            except BaseException as error:  # noqa: BLE001 - shown by the thread that runs the test
                self.failures.append(error)
            finally:
                self.free.release()

        threading.Thread(target=whole, daemon=True).start()
        self.free.acquire()

    def run(self) -> None:
        while self.turns:
            self.now, _, turn = heapq.heappop(self.turns)
            turn.set()
            self.free.acquire()
        assert self.failures == []


@pytest.fixture
def world_of(monkeypatch):
    """A world by its seed. Every process is of another PID namespace, so nobody can ask for another's process number."""

    def make(seed: int) -> World:
        world = World(seed)
        hours = iter([world.random.uniform(-48, 48) * HOUR for _ in range(100)])
        clock = SimpleNamespace(
            sleep=world.sleep, monotonic=lambda: world.now, time=lambda: world.now + next(hours, 0),
            strftime=time.strftime, localtime=lambda _seconds: time.localtime(0),
        )  # fmt: skip
        monkeypatch.setattr(run_lock, "time", clock)
        monkeypatch.setattr(owner, "time", clock)
        monkeypatch.setattr(owner, "_works", lambda _holder: None)
        monkeypatch.setattr(owner, "_GONE", set())
        return world

    return make


def contend(world: World, names: str, *, crashed: str = "") -> tuple[list[str], list[str]]:
    """Who got the lease and who gave way, of processes that want it at about the same time. Who gets it works for a day."""
    winners, losers = list[str](), list[str]()
    store: Any = SimulatedStore(world)
    for name in crashed:
        world.dead.add(name)
        flag = json.dumps({"of": "search one", "state": world.random.choice(["asking", "held"])})
        store.runs[name] = SimulatedRun(store, name, {LEASE_TAG: flag})

    def work(run: Any) -> None:
        try:
            run_lock.lease(store, run, of="search one", what="the search")
        except BusyError:
            losers.append(run.id)
        else:
            winners.append(run.id)
            world.sleep(24 * HOUR)

    for name in names:
        store.runs[name] = SimulatedRun(store, name)
        world.start(partial(work, store.runs[name]))
    world.run()
    return winners, losers


@pytest.mark.parametrize("first_seed", range(0, 200, 50))
def test_of_two_processes_exactly_one_goes_on_in_200_worlds(world_of, first_seed):
    for seed in range(first_seed, first_seed + 50):
        winners, losers = contend(world_of(seed), "ab")
        assert (len(winners), len(losers)) == (1, 1), f"seed {seed}"


def test_of_three_processes_exactly_one_goes_on(world_of):
    assert {len(contend(world_of(seed), "abc")[0]) for seed in range(60)} == {1}


def test_a_process_that_died_while_it_asked_or_held_stops_nobody(world_of):
    assert {len(contend(world_of(seed), "bc", crashed="ad")[0]) for seed in range(40)} == {1}


def test_without_looking_after_the_flag_is_up_two_would_go_on(world_of, monkeypatch):
    """The simulation finds it: a lease that looks first and raises its flag afterwards is no lease."""

    def looks_first(store, root, *, of, what):
        if run_lock._flags(store, root, of):
            raise BusyError(what)
        root.log(tags=run_lock._flag(of, what, "held"))

    monkeypatch.setattr(run_lock, "lease", looks_first)
    assert 2 in {len(contend(world_of(seed), "ab")[0]) for seed in range(20)}


# Real processes and a real store.


CONTENDER = """
import sys, time
from pipeline.errors import BusyError
from pipeline.tracking import run_lock
from pipeline.tracking.store import Store
store = Store.connect()
root = store.root(step="search", experiment="one", tags=run_lock.owner_tag())
print("ready", flush=True)
sys.stdin.readline()
try:
    run_lock.lease(store, root, of="search one", what="the search of one")
    print("mine", flush=True)
    sys.stdin.readline()
except BusyError as error:
    print(error, flush=True)
"""


@pytest.mark.server
def test_of_real_processes_that_ask_at_once_one_gets_the_lease_and_the_others_name_it(store, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CONTENDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path
        )
        for _ in range(3)
    ]
    lines = [process.stdout for process in processes if process.stdout is not None]
    assert [each.readline() for each in lines] == 3 * ["ready\n"]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [each.readline().strip() for each in lines]
    (winner,) = (process for process, line in zip(processes, said, strict=True) if line == "mine")
    others = [line for line in said if line != "mine"]
    assert len(others) == 2
    assert all("the search of one is being run by process " in line for line in others)
    assert sum(f"process {winner.pid} on" in line for line in others) >= 1
    for process in processes:
        process.communicate("end\n", timeout=60)


def owned(store: Store, **changed: object):
    """A running run of another process, described by what differs from this one."""
    holder = json.loads(run_lock.owner_tag()[HOLDER_TAG]) | changed
    return store.root(step="search", experiment="one", tags={HOLDER_TAG: json.dumps(holder)})


@pytest.fixture
def impatient(monkeypatch):
    """Heartbeats are watched for a fifth of a second, not for two minutes."""
    monkeypatch.setattr(owner, "GONE_SECONDS", 0.2)
    monkeypatch.setattr(owner, "LOOK_SECONDS", 0.02)


def test_a_live_process_of_another_pid_namespace_with_the_same_host_name_is_not_looked_up_by_its_number(
    store, impatient
):
    other = owned(store, machine="the same boot pid:[4026532999]", pid=2**22 + 1, token="x")  # noqa: S106 - no password

    def beats():
        for beat in range(20):
            time.sleep(0.03)
            holder = run_lock.holder_of(other) | {"beat": beat}
            store.client.impatient.set_tag(other.id, HOLDER_TAG, json.dumps(holder))

    threading.Thread(target=beats, daemon=True).start()
    assert run_lock.alive(store, store.get(other.id))


def test_a_process_whose_heartbeat_does_not_change_is_gone_whatever_its_clock_says(store, impatient):
    tomorrow = time.time() + 24 * HOUR
    assert not run_lock.alive(store, owned(store, machine="another", beat=tomorrow, token="y"))  # noqa: S106 - no password


def test_a_process_of_this_machine_is_known_by_its_start_not_by_its_number(store):
    assert run_lock.alive(store, owned(store))
    assert not run_lock.alive(store, owned(store, ticks=1))
    assert not run_lock.alive(store, owned(store, pid=2**22 + 1))


def test_a_process_that_proc_hides_is_watched(store, impatient, monkeypatch):
    def hidden(_pid):
        raise psutil.NoSuchProcess(1)

    monkeypatch.setattr(os, "kill", lambda _pid, _signal: (_ for _ in ()).throw(PermissionError()))
    monkeypatch.setattr(psutil, "Process", hidden)
    holder = {"machine": owner._machine(), "host": "here", "pid": 1, "started": 0.0}
    assert owner._works(holder) is None


def test_an_owner_tag_of_an_earlier_version_is_understood(store):
    own = {"host": socket.gethostname(), "pid": os.getpid(), "started": psutil.Process().create_time()}
    assert owner._works(own | {"beat": 0.0}) is True
    assert owner._works(own | {"started": 0.0}) is False
    assert owner._works(own | {"host": "elsewhere"}) is None


def test_a_process_whose_run_was_taken_over_writes_nothing_more_and_says_who_has_it(store):
    run = store.root(step="search", experiment="one", tags=run_lock.owner_tag())
    beat = run_lock.Heartbeat(store, run, lambda: None)
    store.client.fences.append(beat.check)
    beat._look()
    run.log(metrics={"before": 1})
    taken = owner.this_process() | {"token": "theirs", "pid": 4711, "host": "node-2"}
    store.client.impatient.set_tag(run.id, HOLDER_TAG, json.dumps(taken))
    beat._look()
    with pytest.raises(BusyError, match=r"was taken over by process 4711 on node-2; this one has stopped"):
        run.log(metrics={"after": 1})
    assert set(store.get(run.id).metrics) == {"before"}


def test_a_process_that_slept_asks_before_it_writes(store):
    run = store.root(step="search", experiment="one", tags=run_lock.owner_tag())
    beat = run_lock.Heartbeat(store, run, lambda: None)
    store.client.fences.append(beat.check)
    store.client.impatient.set_terminated(run.id, "KILLED")
    beat._confirmed -= owner.GONE_SECONDS
    with pytest.raises(BusyError, match="was ended by another process, as KILLED"):
        run.log(metrics={"after": 1})


def test_an_orphan_whose_parent_was_deleted_is_ended(store):
    parent = store.root(step="search", experiment="one", tags=run_lock.owner_tag())
    orphan = store.child(parent, step="trial", name="t", tags={"narrowgap.experiment": "one"})
    store.client.delete_run(parent.id)
    now = store.root(step="search", experiment="one", tags=run_lock.owner_tag())
    assert run_lock.end_orphans(store, now, "one") == 1
    assert store.get(orphan.id).status == "KILLED"


def test_what_ended_while_its_heartbeat_was_watched_stays_as_it_ended(store, impatient):
    other = owned(store, machine="another", token="z")  # noqa: S106 - no password
    trial = store.child(other, step="trial", name="t", tags={"narrowgap.experiment": "one"})
    now = store.root(step="search", experiment="one", tags=run_lock.owner_tag())

    def ends():
        time.sleep(0.05)
        store.client.impatient.set_terminated(trial.id, "FINISHED")
        store.client.impatient.set_terminated(other.id, "FINISHED")

    threading.Thread(target=ends, daemon=True).start()
    assert run_lock.end_orphans(store, now, "one") == 0
    assert {store.get(each.id).status for each in (other, trial)} == {"FINISHED"}


def test_a_search_that_another_process_takes_up_while_it_was_watched_stays_open(store, impatient):
    other = owned(store, machine="another", token="z")  # noqa: S106 - no password
    trial = store.child(other, step="trial", name="t", tags={"narrowgap.experiment": "one"})
    now = store.root(step="search", experiment="one", tags=run_lock.owner_tag())
    real = owner._unchanged

    def taken_up_meanwhile(asked: Store, beats: dict[str, str]) -> set[str]:
        dead = real(asked, beats)
        other.log(tags=run_lock.owner_tag())
        return dead

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, "_unchanged", taken_up_meanwhile)
        assert run_lock.end_orphans(store, now, "one") == 0
    assert {store.get(each.id).status for each in (other, trial)} == {"RUNNING"}


def test_a_process_that_lost_its_run_does_not_end_the_run_of_the_new_owner(store):
    taken = owner.this_process() | {"token": "theirs", "pid": 4711, "host": "node-2"}
    ids = []

    def step() -> None:
        with run_lock.root_run(store, step="search", experiment="one") as root:
            ids.append(root.id)
            store.client.impatient.set_tag(root.id, HOLDER_TAG, json.dumps(taken))
            (fence,) = store.client.fences
            fence.__self__._confirmed -= owner.GONE_SECONDS  # as after a sleep
            root.log(metrics={"mine": 1})

    with pytest.raises(BusyError, match="was taken over by process 4711"):
        step()
    found = store.get(ids[0])
    assert (found.status, found.metrics) == ("RUNNING", {})
