"""Which workers train: in this process, on this machine, or on a Dask cluster."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from pipeline.search import trial
from pipeline.search.workers import InProcess, Workers
from pipeline.steps.draw import draw
from pipeline.steps.session import Prepared, Session


@contextmanager
def workers(session: Session, prepared: Prepared) -> Iterator[Workers]:
    """The workers that the experiment asks for; their processes end with the block."""
    asked = session.experiment.search
    if asked.cluster is not None:
        from pipeline.search import cluster  # noqa: PLC0415 - Dask, only where it serves

        with cluster.remote(asked.cluster, prepared.split, draw) as remote:
            session.say(f"workers: {remote.count} of the Dask scheduler {asked.cluster}")
            yield remote
        return
    count = cores() if asked.workers == "auto" else asked.workers
    if count == 1:
        yield InProcess(partial(trial.train, split=prepared.split, draw=draw))
        return
    from pipeline.search import cluster  # noqa: PLC0415 - Dask, only where it serves

    with cluster.local(count, prepared.split, draw) as local:
        yield local


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
