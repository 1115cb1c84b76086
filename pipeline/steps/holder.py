"""Who is working on a run. Enters: runs. Leaves: a tag with a sign of life, and answers.

A process on this machine is asked of the operating system; one on another machine counts as gone when it has not been
heard of for a while.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from pipeline.errors import BusyError
from pipeline.tracking.store import Run, Store

HOLDER_TAG = "narrowgap.holder"
SETTLE_SECONDS = 1.0
BEAT_SECONDS = 20
GONE_SECONDS = 120


def mark() -> dict[str, str]:
    """The tag of a run that this process works on."""
    now = time.time()
    started = psutil.Process().create_time()
    holder = {"host": socket.gethostname(), "pid": os.getpid(), "started": started, "since": now, "beat": now}
    return {HOLDER_TAG: json.dumps(holder)}


@contextmanager
def held(store: Store, run: Run, *, contended: bool) -> Iterator[None]:
    """Marks the run as this process's own, with a sign of life. Where others may want it too (`contended`), it looks
    again a moment later, and raises BusyError when another was quicker: the last to write has it.
    """
    mine = mark()
    run.log(tags=mine)
    if contended:
        time.sleep(SETTLE_SECONDS)
        refuse_held(store.get(run.id))
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(run, mine, stop), daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()


def refuse_held(run: Run) -> None:
    """Raises BusyError, naming the holder, when somebody else works on the run."""
    holder = holder_of(run)
    if holder and alive(run) and holder["pid"] != os.getpid():
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"]))
        raise BusyError(
            f"search {run.id} is being run by process {holder['pid']} on {holder['host']} since {since}; wait for it, or "
            "start another with -P search.resume=never"
        )


def alive(run: Run) -> bool:
    """Whether somebody works on the run; a run that names nobody is nobody's."""
    holder = holder_of(run)
    if not holder:
        return False
    if holder["host"] != socket.gethostname():
        return bool(time.time() - holder["beat"] < GONE_SECONDS)
    try:
        return bool(abs(psutil.Process(holder["pid"]).create_time() - holder["started"]) < 1)
    except psutil.NoSuchProcess:
        return False


def holder_of(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.tags.get(HOLDER_TAG, "{}"))
    return found


def sweep(store: Store, root: Run, experiment: str) -> int:
    """Ends as KILLED what drivers that are gone have left RUNNING of an experiment (a search can go on all the same);
    returns how many runs that were.
    """
    left = store.running(experiment_id=root.experiment_id, experiment=experiment)
    by_id = {run.id: run for run in left}
    swept = 0
    for run in left:
        top = run
        while HOLDER_TAG not in top.tags and top.tags.get("mlflow.parentRunId") in by_id:
            top = by_id[top.tags["mlflow.parentRunId"]]
        if run.id != root.id and HOLDER_TAG in top.tags and not alive(top):
            run.finish("KILLED", "its driver was gone")
            swept += 1
    return swept


def _beat(run: Run, mine: dict[str, str], stop: threading.Event) -> None:
    holder = json.loads(mine[HOLDER_TAG])
    while not stop.wait(BEAT_SECONDS):
        with suppress(Exception):  # a store that is away for a moment; the driver itself finds out if it stays away
            run.log(tags={HOLDER_TAG: json.dumps({**holder, "beat": time.time()})})
