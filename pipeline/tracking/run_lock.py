"""Heartbeats, leases and orphaned runs: how processes that use one store keep out of each other's way.

A lease is taken by raising a flag first and looking for the flags of others afterwards (Herlihy and Shavit, The Art of
Multiprocessor Programming, chapter 2): of two that look, at least the later one sees the other, however slow the store is.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mlflow.entities import Run as MlflowRun

from pipeline.errors import BusyError
from pipeline.tracking.names import CLAIM_TAG, HOLDER_TAG, LEASE_TAG, PARENT_TAG, TAKES_TAG
from pipeline.tracking.owner import GONE_SECONDS, alive, gone, holder_of, owner_of, owner_tag, this_process
from pipeline.tracking.store import Run, Store

__all__ = ["alive", "end_orphans", "heartbeat", "holder_of", "lease", "owner_of", "owner_tag", "take_over", "taking"]

BEAT_SECONDS = 20
"""Time between two heartbeats."""
FENCE_SECONDS = GONE_SECONDS / 2
"""How long a process may write without looking whether its run still belongs to it."""
TRIES = 3
"""How often it looks if the store answers slowly."""
ASK_SECONDS = 0.2
"""Time between two looks at the flags of others."""
JOIN_SECONDS = 5
"""Longest wait for the thread of heartbeats at the end; it may hang in a store that is away."""


class Heartbeat:
    """Writes a heartbeat to a run every few seconds and finds out whether the run was taken over.

    Whoever takes it over ends the run, or moves it below a run of its own, and then looks whether the heartbeat has changed.
    Here the heartbeat is written first, and the run is looked at afterwards. So at least one of the two sees the other.
    """

    def __init__(self, store: Store, run: Run, also: Callable[[], None]) -> None:
        self._client, self._run, self._also = store.client.impatient, run, also
        self._parent = run.parent_id
        self._stop = threading.Event()
        self._confirmed = _since_boot()
        self._lost: str | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(JOIN_SECONDS)

    def check(self) -> None:
        """Raises BusyError if another process has taken the run over. Asks the store if the last answer is old: this
        machine may have slept, or the store may have been away.

        Raises:
            TimeoutError: The store answers so slowly that every answer is old.
        """
        for _ in range(TRIES):
            if self._lost is not None:
                raise BusyError(self._lost)
            if _since_boot() - self._confirmed <= FENCE_SECONDS:
                return
            self.beat()
        raise TimeoutError("timed out: each answer of the store is old when it comes")

    def beat(self) -> None:
        """Writes a heartbeat and looks whether the run still belongs to this process."""
        began = _since_boot()
        self._look()
        if self._lost is None:
            ((name, value),) = owner_tag().items()
            self._client.set_tag(self._run.id, name, value)
            self._look()
        self._confirmed = began

    def _work(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            try:
                self._also()
                self.beat()
            except Exception:  # noqa: BLE001, S110 - a store that is away; the step itself waits for it and says so
                pass

    def _look(self) -> None:
        found = self._client.get_run(self._run.id)
        holder, parent = _holder(found), found.data.tags.get(PARENT_TAG)
        if found.info.status != "RUNNING":
            self._lost = (
                f"run {self._run.id} was ended by another process, as {found.info.status}; this one has stopped"
            )
            return
        if parent != self._parent and parent is not None:
            holder = _holder(self._client.get_run(parent))
        elif holder.get("token") in {None, this_process()["token"]}:
            return
        by = f"process {holder['pid']} on {holder['host']}" if holder else "another process"
        self._lost = f"run {self._run.id} was taken over by {by}; this one has stopped"


def _holder(found: MlflowRun) -> dict[str, Any]:
    """The owner of a run as MLflow returns it; empty if it has none."""
    holder: dict[str, Any] = json.loads(found.data.tags.get(HOLDER_TAG, "{}"))
    return holder


@contextmanager
def heartbeat(store: Store, run: Run, also: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Writes heartbeats to a run that this process works on until the block ends. Once another process has taken it over,
    every further write to the store raises BusyError.

    Args:
        store: The store of the run.
        run: The run.
        also: Called before each heartbeat.
    """
    run.log(tags=owner_tag())
    beat = Heartbeat(store, run, also)
    beat.start()
    store.client.fences.append(beat.check)
    try:
        yield
    finally:
        store.client.fences.remove(beat.check)
        beat.stop()


@contextmanager
def root_run(store: Store, *, step: str, experiment: str, also: Callable[[], None] = lambda: None) -> Iterator[Run]:
    """The root run of this process with a heartbeat; it ends with the block, unless another process has taken it over."""
    root = store.root(step=step, experiment=experiment, tags=owner_tag())
    with heartbeat(store, root, also), root.open():
        yield root


def _since_boot() -> float:
    """Seconds that pass while the machine sleeps, too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True)
class _Flag:
    """A run that asks for a lease, or has it."""

    run: Run
    held: bool


def lease(
    store: Store,
    root: Run,
    *,
    of: str,
    what: str,
    cure: str = "wait for it",
    say: Callable[[str], None] = lambda _line: None,
) -> None:
    """Takes the lease of something that one process may do at a time; it ends with the run `root`.

    A process that comes while another has the lease, or asked for it before, gives way. Of two that ask at the same
    moment, the one with the smaller run id goes on.

    Args:
        store: The store.
        root: The run of this process.
        of: Name of the lease, such as `registry digits`.
        what: What is done, for the message, such as `retrain of digits`.
        cure: What the user can do, for the message.
        say: Prints a line about a wait.

    Raises:
        BusyError: Another process has it.
    """
    root.log(tags={CLAIM_TAG: repr(time.time()), **_flag(of, what, "asking")})
    awake: dict[str, float] = {}
    """Until when processes that were taken for dead, and have written since, are not."""
    while True:
        others = _flags(store, root, of)
        dead = gone(store, (flag.run for flag in others), say)
        dead = {run_id for run_id in dead if awake.get(run_id, 0) <= time.monotonic()}
        if dead:
            # Of two processes that take each other for dead, the later one sees what the other has written here.
            root.log(tags=_flag(of, what, "asking", over=sorted(dead)))
            woken = dead - _end(store, [flag.run for flag in others if flag.run.id in dead])
            awake |= dict.fromkeys(woken, time.monotonic() + GONE_SECONDS)
            continue
        if not others:
            root.log(tags=_flag(of, what, "held"))
            return
        before = next((flag.run for flag in others if flag.held or flag.run.id < root.id), None)
        if before is not None:
            root.log(tags=_flag(of, what, "withdrawn"))
            theirs = json.loads(before.tags[LEASE_TAG]).get("what", what)
            holder = holder_of(before)
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["started"]))
            by = f"process {holder['pid']} on {holder['host']} since {since} (run {before.id})"
            raise BusyError(f"{theirs} is being run by {by}; {cure}")
        time.sleep(ASK_SECONDS)  # the others see this run's flag and withdraw theirs


def _flag(of: str, what: str, state: str, **more: object) -> dict[str, str]:
    return {LEASE_TAG: json.dumps({"of": of, "what": what, "state": state, **more})}


def _flags(store: Store, root: Run, of: str) -> list[_Flag]:
    """The other running runs that ask for the lease or have it."""
    found = []
    for run in store.running(tag=LEASE_TAG):
        flag = json.loads(run.tags[LEASE_TAG])
        if run.id != root.id and flag["of"] == of and flag["state"] != "withdrawn":
            found.append(_Flag(run, held=flag["state"] == "held"))
    return found


@contextmanager
def taking(store: Store, own: Run, *, of: str) -> Iterator[bool]:
    """Yields whether this process alone is taking the runs over. Nobody waits: of two at the same moment, at most one gets
    true, and maybe none. Each raises its flag before it looks for another.

    Args:
        store: The store.
        own: A run of this process, for whose nested runs it is taken over.
        of: Id of the run that is taken over, or to whose records something is done.
    """
    own.log(tags={TAKES_TAG: of})
    others = store.running(experiment_id=own.experiment_id, tag=TAKES_TAG)
    yield all(each.id == own.id or each.tags[TAKES_TAG] != of for each in others)
    own.log(tags={TAKES_TAG: ""})  # after a failure the flag ends with the run


def take_over(store: Store, run: Run, *, below: Run) -> bool:
    """Moves an ended run below one of this process. False if another process is doing so, or has done it since `run` was
    read: whoever does it has moved the run before it takes its flag down.
    """
    with taking(store, below, of=run.id) as alone:
        now = store.find(run.id) if alone else None
        free = now is not None and now.parent_id == run.parent_id
        if free:
            store.move(run, below=below)
    return free


def end_orphans(store: Store, root: Run, experiment: str, say: Callable[[str], None] = lambda _line: None) -> int:
    """Ends runs of an experiment that a dead process left RUNNING, as KILLED; a killed search can still be resumed.

    Below a run that has ended, or that was deleted, nobody works.

    Returns:
        Number of runs that were ended.
    """
    owners: dict[str, Run | None] = {}
    running = [
        run for run in store.running(experiment_id=root.experiment_id, experiment=experiment) if run.id != root.id
    ]
    for run in running:
        top = owner_of(store, run)
        if top is None or HOLDER_TAG in top.tags or top.id != run.id:
            owners[run.id] = top
    holders = {top.id: top for top in owners.values() if top is not None and top.status == "RUNNING"}
    dead = gone(store, holders.values(), say)
    orphans = [
        run
        for run in running
        if run.id in owners and ((top := owners[run.id]) is None or top.status != "RUNNING" or top.id in dead)
    ]
    # Other processes went on while heartbeats were watched: what has ended or changed hands meanwhile stays.
    taken = {top.id for top in holders.values() if top.id in dead and not _as_before(store, top)}
    return len(_end(store, [run for run in orphans if not ((top := owners[run.id]) and top.id in taken)]))


def _end(store: Store, runs: Iterable[Run]) -> set[str]:
    """Ends runs of dead processes as KILLED and returns their ids; what has ended or changed meanwhile stays.

    One that wakes up just then may have looked before its run was ended, and go on for as long as that look holds: it is
    waited for.
    """
    ended = [run for run in runs if _as_before(store, run)]
    for run in ended:
        run.finish("KILLED", "its driver process ended")
    if any(HOLDER_TAG in run.tags and _beat(store, run) != run.tags[HOLDER_TAG] for run in ended):
        time.sleep(FENCE_SECONDS)
    return {run.id for run in ended}


def _beat(store: Store, run: Run) -> str | None:
    now = store.find(run.id)
    return None if now is None else now.tags.get(HOLDER_TAG)


def _as_before(store: Store, run: Run) -> bool:
    """Whether a run is still running, with the heartbeat and the flag that were read before."""
    now = store.find(run.id)
    own = (HOLDER_TAG, LEASE_TAG)
    return now is not None and now.status == "RUNNING" and all(now.tags.get(tag) == run.tags.get(tag) for tag in own)
