"""Which process works on a run: heartbeats, claims and orphaned runs.

For a process on this machine, the operating system is asked. A process on another machine counts as gone when its
heartbeat is too old.
"""

import json
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from pipeline.errors import BusyError
from pipeline.tracking.names import CLAIM_TAG, HOLDER_TAG
from pipeline.tracking.store import Run, Store

SETTLE_SECONDS = 1.0
"""How long a process waits for the claims of others before it reads them."""
BEAT_SECONDS = 20
"""Time between two heartbeats."""
GONE_SECONDS = 120
"""Age of the last heartbeat from which a process on another machine counts as gone."""


def owner_tag() -> dict[str, str]:
    """The tag of a run that this process works on."""
    started = psutil.Process().create_time()
    holder = {"host": socket.gethostname(), "pid": os.getpid(), "started": started, "beat": time.time()}
    return {HOLDER_TAG: json.dumps(holder)}


@contextmanager
def heartbeat(run: Run) -> Iterator[None]:
    """Writes a heartbeat to a run that this process works on, now and every few seconds until the block ends."""
    run.log(tags=owner_tag())
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(run, stop), daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()


@contextmanager
def claim_run(store: Store, run: Run) -> Iterator[None]:
    """Claims a run that other processes may claim too: writes this process as its owner and checks again a moment later.

    Raises:
        BusyError: If another process was faster; the last to write owns the run. Nothing else is changed.
    """
    refuse_held(store.get(run.id))
    run.log(tags=owner_tag())
    time.sleep(SETTLE_SECONDS)
    refuse_held(store.get(run.id))
    with heartbeat(run):
        yield


def refuse_held(run: Run) -> None:
    """Raises BusyError, naming the owner, if another process works on the run."""
    holder = holder_of(run)
    if holder and alive(run) and _identity(holder) != _identity(json.loads(owner_tag()[HOLDER_TAG])):
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["started"]))
        raise BusyError(
            f"search {run.id} is being run by process {holder['pid']} on {holder['host']} since {since}; wait for it, or "
            "start another with -P search.resume=never"
        )


def exclusive(store: Store, root: Run, *, step: str, experiment: str) -> None:
    """Raises BusyError if another process runs the same step of the experiment, in any MLflow experiment.

    A process that comes while another has claimed the step gives way. Of two that claim it at the same moment, the
    later one gives way. The claim counts, not the start of the run: `mlflow run` creates the run seconds before its
    process comes here. A claim that took longer to write than the others wait may not have been seen; it does not count
    and is repeated.
    """
    written = math.inf
    while written > SETTLE_SECONDS:
        _give_way(store, root, step, experiment, to=lambda _other: True)
        claimed = time.time()
        root.log(tags={CLAIM_TAG: repr(claimed)})
        written = time.time() - claimed
    time.sleep(SETTLE_SECONDS)
    _give_way(store, root, step, experiment, to=lambda other: _claim(other) < _claim(root))


def _give_way(store: Store, root: Run, step: str, experiment: str, *, to: Callable[[Run], bool]) -> None:
    for run in store.runs(step=step, experiment=experiment, status="RUNNING", tag=CLAIM_TAG):
        if run.id != root.id and to(run) and alive(run):
            holder = holder_of(run)
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["started"]))
            raise BusyError(
                f"{step} of {experiment} is being run by process {holder['pid']} on {holder['host']} since {since} (run "
                f"{run.id}); wait for it"
            )


def _claim(run: Run) -> tuple[float, str]:
    return float(run.tags[CLAIM_TAG]), run.id


def alive(run: Run) -> bool:
    """Whether a process works on the run; a run without an owner is free."""
    holder = holder_of(run)
    if not holder:
        return False
    if holder["host"] != socket.gethostname():
        return bool(time.time() - holder["beat"] < GONE_SECONDS)
    try:
        process = psutil.Process(holder["pid"])
        # One that has died stays in the table until its parent asks for it, which in a container may be never.
        return bool(abs(process.create_time() - holder["started"]) < 1 and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _identity(holder: dict[str, Any]) -> tuple[Any, ...]:
    """Identity of an owner; the start time is included since processes in two containers may have the same number."""
    return holder["host"], holder["pid"], holder["started"]


def holder_of(run: Run) -> dict[str, Any]:
    """The owner of a run: host, pid, start and last heartbeat; empty if it has none."""
    found: dict[str, Any] = json.loads(run.tags.get(HOLDER_TAG, "{}"))
    return found


def end_orphans(store: Store, root: Run, experiment: str) -> int:
    """Ends runs of an experiment that a dead driver left RUNNING, as KILLED; a killed search can still be resumed.

    The owner of a run is that of its nearest ancestor with an owner tag. Below a run that has ended, nobody works.

    Returns:
        Number of runs that were ended.
    """
    ended = 0
    for run in store.running(experiment_id=root.experiment_id, experiment=experiment):
        top = run
        while HOLDER_TAG not in top.tags and top.status == "RUNNING" and top.parent_id is not None:
            top = store.get(top.parent_id)
        owned = HOLDER_TAG in top.tags or top.id != run.id
        if run.id != root.id and owned and (top.status != "RUNNING" or not alive(top)):
            run.finish("KILLED", "its driver process ended")
            ended += 1
    return ended


def _beat(run: Run, stop: threading.Event) -> None:
    while not stop.wait(BEAT_SECONDS):
        with suppress(Exception):  # a store that is away for a moment; the driver itself finds out if it stays away
            run.log(tags=owner_tag())
