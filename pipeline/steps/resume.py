"""Whether a search goes on with an earlier one, and who holds it. Enters: the store. Leaves: the run to search in.

The tracking store is the only state. What makes two searches the same stands in a tag of the search's run, section by
section, so that a difference can be named.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from pipeline.errors import BusyError, InputError
from pipeline.experiment import Experiment
from pipeline.steps.session import Prepared, Session
from pipeline.tracking.store import Run, Store

IDENTITY_TAG = "narrowgap.identity"
WINDOW_TAG = "narrowgap.window"
HOLDER_TAG = "narrowgap.holder"
OVER_TAG = "narrowgap.over"
"""Set on a search that ended for good without a winner: to go on with it would end it in the same way."""
TRIALS_TAG = "narrowgap.trials_asked"
SETTLE_SECONDS = 1.0
BEAT_SECONDS = 20
GONE_SECONDS = 120
"""A holder on another machine that has not been heard of for so long is gone."""


def identity(experiment: Experiment, prepared: Prepared) -> dict[str, Any]:
    """What must be equal for a search to be the same one: everything that decides proposals or results."""
    asked = experiment.model_dump(mode="json")
    search = {key: asked["search"][key] for key in ("tuner", "objective", "seed")}
    return {
        "data": asked["data"] | prepared.tags,
        "space": asked["space"],
        "training": asked["training"],
        "search": search,
    }


def earlier(session: Session, experiment_id: str) -> Run | None:
    """The experiment's latest search here, if it is to go on: it did not finish, or it is to have more trials.

    Raises BusyError when somebody is searching there now, InputError when it is another search than this one.
    """
    asked = session.experiment
    if asked.search.resume == "never":
        return None
    run = session.store.latest(
        step="search", experiment=asked.name, status=None, experiment_id=experiment_id, tag=IDENTITY_TAG
    )
    if run is None or OVER_TAG in run.tags:
        return None
    different = _differences(json.loads(run.tags[IDENTITY_TAG]), identity(asked, session.prepared))
    if run.status == "FINISHED":
        return run if not different and asked.search.trials > int(run.tags[TRIALS_TAG]) else None
    _refuse_held(run)
    if different:
        raise InputError(
            f"the unfinished search {run.id} is another one: {'; '.join(different)}. Finish it as it was begun, or start "
            "anew with -P search.resume=never"
        )
    return run


@contextmanager
def held(store: Store, run: Run, *, contended: bool) -> Iterator[None]:
    """Marks the search as this process's own, with a sign of life. Where others may want it too (`contended`), it looks
    again a moment later, and raises BusyError when another was quicker: the last to write has it.
    """
    mine = _holder()
    run.log(tags={HOLDER_TAG: json.dumps(mine)})
    if contended:
        time.sleep(SETTLE_SECONDS)
        _refuse_held(store.get(run.id))
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(run, mine, stop), daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()


def _beat(run: Run, mine: dict[str, Any], stop: threading.Event) -> None:
    while not stop.wait(BEAT_SECONDS):
        with suppress(Exception):  # a store that is away for a moment; the driver itself finds out if it stays away
            run.log(tags={HOLDER_TAG: json.dumps({**mine, "beat": time.time()})})


def _holder() -> dict[str, Any]:
    process = psutil.Process()
    now = time.time()
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": process.create_time(),
        "since": now,
        "beat": now,
    }


def _refuse_held(run: Run) -> None:
    holder = json.loads(run.tags.get(HOLDER_TAG, "{}"))
    if holder and _alive(holder) and holder["pid"] != os.getpid():
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"]))
        raise BusyError(
            f"search {run.id} is being run by process {holder['pid']} on {holder['host']} since {since}; wait for it, or "
            "start another with -P search.resume=never"
        )


def _alive(holder: Mapping[str, Any]) -> bool:
    """On this machine, whether the process is still there; elsewhere, whether it was heard of lately."""
    if holder["host"] != socket.gethostname():
        return bool(time.time() - holder["beat"] < GONE_SECONDS)
    try:
        return bool(abs(psutil.Process(holder["pid"]).create_time() - holder["started"]) < 1)
    except psutil.NoSuchProcess:
        return False


def _differences(theirs: Mapping[str, Any], ours: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Such as `training.epochs is 20 there and 30 here`."""
    told = []
    for key in sorted({*theirs, *ours}):
        there, here = theirs.get(key), ours.get(key)
        if isinstance(there, dict) and isinstance(here, dict):
            told += _differences(there, here, f"{prefix}{key}.")
        elif there != here:
            told.append(f"{prefix}{key} is {there} there and {here} here")
    return told
