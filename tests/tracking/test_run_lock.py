"""Of several processes that want to do the same thing, exactly one goes on, however slow the store and odd the clocks."""

import contextlib
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
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from pipeline.errors import BusyError
from pipeline.tracking import owner, run_lock
from pipeline.tracking.names import HOLDER_TAG, LEASE_TAG, PARENT_TAG, TAKES_TAG
from pipeline.tracking.store import Store

ROOT = Path(__file__).parents[2]
HOUR = 3600


class World:
    """Simulated time. Of the threads, one runs at a time: the one whose turn comes first."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a simulation
        self.now = 0.0
        self.turns: list[tuple[float, int, threading.Event]] = []
        self.numbers = itertools.count()
        self.free = threading.Semaphore(0)
        self.failures: list[BaseException] = []
        self.here = threading.local()
        """The process of this thread."""
        self.runs = dict[str, SimulatedRun]()
        self.results: list[str] = []
        """Who wrote a result, in the order of the store."""

    def delay(self) -> float:
        """Mostly a moment, at times seconds, now and then minutes."""
        kind = self.random.random()
        return self.random.uniform(0, 0.2 if kind < 0.75 else 5 if kind < 0.98 else 5 * owner.GONE_SECONDS)

    def pass_(self, seconds: float) -> None:
        """Time passes, whether or not the process is suspended."""
        turn = threading.Event()
        heapq.heappush(self.turns, (self.now + seconds, next(self.numbers), turn))
        self.free.release()
        turn.wait()

    def sleep(self, seconds: float) -> None:
        """The process sleeps, and goes on once it is not suspended any more."""
        self.pass_(seconds)
        process: Process = self.here.process
        process.points += 1
        if process.points == process.suspended_at:
            process.until = self.now + process.suspended_for
        while self.now < process.until:
            self.pass_(process.until - self.now)

    def start(self, process: "Process", work: Callable[[], None]) -> None:
        def whole() -> None:
            self.here.process = process
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


@dataclass
class SimulatedRun:
    """A run of the simulated store, as one process sees it."""

    store: "SimulatedStore"
    id: str
    tags: dict[str, str]
    status: str = "RUNNING"
    parent_id: str | None = None
    experiment_id: str = "0"

    def log(self, *, tags: dict[str, str]) -> None:
        self.store.write(lambda: self.store.world.runs[self.id].tags.update(tags))

    def finish(self, status: str, _reason: str = "") -> None:
        self.store.write(lambda: setattr(self.store.world.runs[self.id], "status", status))


class SimulatedStore:
    """A store in simulated time, as one process sees it: each call takes effect at some moment between its beginning and
    its end, also if the process is suspended meanwhile.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.client: Any = SimpleNamespace(impatient=self, fences=[])

    def call(self, effect: Callable[[], Any]) -> Any:
        self.world.pass_(self.world.delay())
        result = effect()
        self.world.sleep(self.world.delay())
        return result

    def write(self, effect: Callable[[], Any]) -> None:
        """As `PatientClient` does: fences first, and once more if the store is too slow for them."""
        while True:
            try:
                for fence in self.client.fences:
                    fence()
            except TimeoutError:
                continue
            break
        self.world.sleep(0)  # a process may be suspended just before it sends
        self.call(effect)

    def _seen(self, run: SimulatedRun) -> SimulatedRun:
        """What is read: a copy."""
        return replace(run, store=self, tags=dict(run.tags))

    def running(self, *, tag: str, experiment_id: str = "0") -> Any:
        return self.call(
            lambda: [
                self._seen(run)
                for run in self.world.runs.values()
                if run.status == "RUNNING" and run.experiment_id == experiment_id and tag in run.tags
            ]
        )

    def get(self, run_id: str) -> Any:
        return self.call(lambda: self._seen(self.world.runs[run_id]))

    find = get

    def move(self, run: SimulatedRun, *, below: SimulatedRun) -> None:
        def moves() -> None:
            self.world.runs[run.id].parent_id = below.id
            self.world.results.append(run.id)

        self.write(moves)

    def get_run(self, run_id: str) -> Any:
        run = self.get(run_id)
        return SimpleNamespace(info=SimpleNamespace(status=run.status), data=SimpleNamespace(tags=run.tags))

    def set_tag(self, run_id: str, name: str, value: str) -> None:
        self.world.sleep(0)
        self.call(lambda: self.world.runs[run_id].tags.update({name: value}))


class Process:
    """A process that wants to search: real leases and real heartbeats, on a simulated store."""

    def __init__(self, world: World, name: str, *, suspended_at: int = 0, suspended_for: float = 0) -> None:
        self.world, self.name = world, name
        self.points, self.suspended_at, self.suspended_for, self.until = 0, suspended_at, suspended_for, 0.0
        self.outcome = ""
        self.store: Any = SimulatedStore(world)
        world.runs[name] = SimulatedRun(self.store, name, {HOLDER_TAG: json.dumps(holder(name, 0))})

    def start(self) -> None:
        root: Any = self.store._seen(self.world.runs[self.name])
        beat = run_lock.Heartbeat(self.store, root, lambda: None)
        self.store.client.fences.append(beat.check)

        def work() -> None:
            try:
                run_lock.lease(self.store, root, of="search one", what="the search")
                self.take_up()
                for _ in range(RESULTS):
                    self.store.write(lambda: self.world.results.append(self.name))
                    self.world.sleep(RESULT_SECONDS)
                self.store.write(lambda: setattr(self.world.runs[self.name], "status", "FINISHED"))
            except BusyError:
                self.outcome = "gave way"
            else:
                self.outcome = "went on"

        def beats() -> None:
            while not self.outcome:
                self.world.sleep(run_lock.BEAT_SECONDS)
                beat.beat()

        self.world.start(self, work)
        self.world.start(self, beats)

    def take_up(self) -> None:
        """Goes on with the run of a process that has died, by the writes of `Store.reopen`: the simulated search is the
        root run of the process that began it.
        """
        killed = [run for run in self.world.runs.values() if run.status == "KILLED"]
        for run in killed:
            self.store.write(partial(run.tags.update, {PARENT_TAG: self.name}))
            self.store.write(partial(run.tags.pop, LEASE_TAG, None))
            self.store.write(partial(setattr, run, "status", "RUNNING"))
            self.store.write(partial(run.tags.update, run_lock.owner_tag()))


class GoneOfProcess:
    """Which heartbeats a process has watched; each process has a list of its own."""

    def __init__(self, world: World) -> None:
        self._world, self._seen = world, set[tuple[str, str]]()

    def __contains__(self, beat: str) -> bool:
        return (self._world.here.process.name, beat) in self._seen

    def add(self, beat: str) -> None:
        self._seen.add((self._world.here.process.name, beat))


RESULTS, RESULT_SECONDS = 40, 60
"""Whoever has the lease works for 40 minutes, and writes once a minute."""


def holder(name: str, beat: float) -> dict[str, Any]:
    return {"host": "box", "pid": 7, "started": 0, "token": name, "beat": beat}


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
        monkeypatch.setattr(run_lock, "_since_boot", lambda: world.now)
        monkeypatch.setattr(run_lock, "this_process", lambda: holder(world.here.process.name, 0))
        monkeypatch.setattr(
            run_lock, "owner_tag", lambda: {HOLDER_TAG: json.dumps(holder(world.here.process.name, world.now))}
        )
        monkeypatch.setattr(owner, "time", clock)
        monkeypatch.setattr(owner, "_works", lambda _holder: None)
        monkeypatch.setattr(owner, "_GONE", GoneOfProcess(world))
        return world

    return make


def contend(world: World, names: str, *, crashed: str = "", suspended_at: int = 0) -> list[Process]:
    """What becomes of processes that want the lease at about the same time. The first one is suspended, for minutes, at a
    moment that is counted in its calls.
    """
    for name in crashed:
        run = Process(world, name).store.world.runs[name]
        flag = {"of": "search one", "state": world.random.choice(["asking", "held"])}
        run.tags[LEASE_TAG] = json.dumps(flag)
    processes = [
        Process(
            world,
            name,
            suspended_at=suspended_at if name == names[0] else 0,
            suspended_for=world.random.uniform(1, 10) * owner.GONE_SECONDS,
        )
        for name in names
    ]
    for process in processes:
        process.start()
    world.run()
    return processes


def one_goes_on(world: World, processes: list[Process]) -> bool:
    """Whether exactly one process did its whole work, and the others, if they had begun, wrote nothing more than what was
    on its way when they lost the lease.
    """
    (name,) = [each.name for each in processes if each.outcome == "went on"] or ["nobody"]
    after = world.results[world.results.index(name) :] if name in world.results else []
    return after.count(name) == RESULTS and len(after) - RESULTS <= 1


@pytest.mark.parametrize("first_seed", range(0, 200, 50))
def test_of_two_processes_exactly_one_goes_on_in_200_worlds(world_of, first_seed):
    for seed in range(first_seed, first_seed + 50):
        world = world_of(seed)
        assert one_goes_on(world, contend(world, "ab")), f"seed {seed}"


@pytest.mark.parametrize("first", range(1, 201, 50))
def test_exactly_one_goes_on_wherever_a_process_is_suspended_for_minutes(world_of, first):
    """The other one comes while it sleeps, or before: it gives way or takes over."""
    for point in range(first, first + 50):
        world = world_of(point)
        processes = contend(world, "ab", suspended_at=point)
        assert one_goes_on(world, processes), f"suspended at {point}: {[each.outcome for each in processes]}"


def test_of_three_processes_exactly_one_goes_on(world_of):
    for seed in range(60):
        world = world_of(seed)
        assert one_goes_on(world, contend(world, "abc", suspended_at=seed)), f"seed {seed}"


def test_a_process_that_died_while_it_asked_or_held_stops_nobody(world_of):
    for seed in range(40):
        world = world_of(seed)
        assert one_goes_on(world, contend(world, "bc", crashed="ad")), f"seed {seed}"


def moved(world: World, names: str, *, suspended_at: int = 0) -> list[str]:
    """The runs that were moved, once per move, after processes have taken over the same three refits of a stopped run at
    about the same time. What a process believes to have taken is below it.
    """
    for number in range(3):
        world.runs[f"refit {number}"] = SimulatedRun(None, f"refit {number}", {}, "FINISHED", "stopped")  # type: ignore[arg-type]  # nobody writes by it
    taken: dict[str, list[str]] = {name: [] for name in names}

    def takes(process: Process) -> None:
        own = process.store._seen(world.runs[process.name])
        found = [process.store.get(f"refit {number}") for number in range(3)]
        found = [run for run in found if run.parent_id == "stopped"]
        taken[process.name] = [run.id for run in found if run_lock.take_over(process.store, run, below=own)]

    for name in names:
        sleeps = {"suspended_at": suspended_at, "suspended_for": 600.0} if name == names[0] else {}
        process = Process(world, name, **sleeps)  # type: ignore[arg-type]  # a count of calls, and seconds
        world.start(process, partial(takes, process))
    world.run()
    assert taken == {name: [run.id for run in world.runs.values() if run.parent_id == name] for name in names}, (
        "a run was moved away from the process that had taken it"
    )
    return world.results


def test_at_most_one_of_several_processes_takes_over_a_run_and_nobody_waits_in_200_worlds(world_of):
    moves = [len(moved(world_of(seed), "ab")) for seed in range(100)]
    moves += [len(moved(world_of(seed), "abc", suspended_at=seed % 30)) for seed in range(100)]
    assert max(moves) == 3
    assert sum(moves) > 500  # mostly somebody gets it: two that ask at the same moment both give way


def test_what_a_process_had_taken_before_another_looks_stays_with_it(world_of):
    world = world_of(1)
    assert moved(world, "a") == ["refit 0", "refit 1", "refit 2"]
    assert world.runs["a"].tags[TAKES_TAG] == ""


def test_without_the_flag_two_would_take_over_the_same_run(world_of, monkeypatch):
    """The simulation finds it."""
    monkeypatch.setattr(run_lock, "taking", lambda _store, _own, *, of: contextlib.nullcontext(of))
    with pytest.raises(AssertionError, match="moved away"):
        [moved(world_of(seed), "ab") for seed in range(20)]


def test_without_looking_after_the_flag_is_up_two_would_go_on(world_of, monkeypatch):
    """The simulation finds it: a lease that looks first and raises its flag afterwards is no lease."""

    def looks_first(store, root, *, of, what):
        if run_lock._flags(store, root, of):
            raise BusyError(what)
        root.log(tags=run_lock._flag(of, what, "held"))

    monkeypatch.setattr(run_lock, "lease", looks_first)
    outcomes = [[each.outcome for each in contend(world_of(seed), "ab")] for seed in range(20)]
    assert ["went on", "went on"] in outcomes


def test_if_a_dead_process_were_ignored_and_not_ended_two_would_go_on(world_of, monkeypatch):
    """The simulation finds it: one that is suspended between its look and its next write would not notice."""

    def ignores(store, runs):
        for run in runs:
            store.world.sleep(0)
            run.store.world.runs[run.id].tags.pop(LEASE_TAG, None)
        return {run.id for run in runs}

    monkeypatch.setattr(run_lock, "_end", ignores)
    worlds = [(world := world_of(point), contend(world, "ab", suspended_at=point)) for point in range(1, 21)]
    assert ["went on", "went on"] in [[each.outcome for each in processes] for _, processes in worlds]


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


def test_a_search_that_was_taken_up_stays_with_its_new_owner_whatever_the_old_one_still_writes(store, impatient):
    old = owned(store, machine="another", token="old")  # noqa: S106 - no password
    old.log(tags={LEASE_TAG: json.dumps({"of": "search one", "state": "held"})})
    beat = run_lock.Heartbeat(store, store.get(old.id), lambda: None)
    old.finish("KILLED")
    now = store.root(step="search", experiment="one", tags=run_lock.owner_tag())
    search = store.reopen(store.get(old.id), below=now)
    late = run_lock.holder_of(old) | {"beat": 2}
    store.client.impatient.set_tag(old.id, HOLDER_TAG, json.dumps(late))
    third = store.root(step="search", experiment="one", tags=run_lock.owner_tag())
    assert run_lock.end_orphans(store, third, "one") == 0
    assert run_lock.alive(store, store.get(search.id))
    run_lock.lease(store, third, of="search one", what="the search")  # the flag of the old one is gone
    beat.beat()
    with pytest.raises(BusyError, match=rf"was taken over by process {os.getpid()} on "):
        beat.check()


def test_a_store_that_answers_too_slowly_to_know_is_waited_for(store, monkeypatch):
    run = store.root(step="search", experiment="one", tags=run_lock.owner_tag())
    hours = iter(range(0, 100 * HOUR, HOUR))
    monkeypatch.setattr(run_lock, "_since_boot", lambda: next(hours))
    beat = run_lock.Heartbeat(store, run, lambda: None)
    with pytest.raises(TimeoutError, match="each answer of the store is old"):
        beat.check()


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
