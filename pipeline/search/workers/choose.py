"""Starts the workers that an experiment asks for: in this process, on this machine, or on a Dask cluster."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil

from pipeline.experiment import Experiment
from pipeline.search.trial_figures import draw_trial
from pipeline.search.workers import run_job
from pipeline.search.workers.jobs import InProcess, Workers
from pipeline.session import Session
from pipeline.training.runtime import gpus

WORKER_BYTES = 2 * 1024**3
"""Maximum memory of a worker."""


@contextmanager
def start_workers(session: Session) -> Iterator[Workers]:
    """The workers of the experiment; their processes end with the block."""
    asked, split = session.experiment.search, session.prepared.split
    if asked.cluster is not None:
        from pipeline.search.workers import dask_workers  # noqa: PLC0415 - Dask, only where it serves

        with dask_workers.remote(asked.cluster, split, draw_trial) as remote:
            here = f"workers: {remote.present or 'none yet'} of the Dask scheduler {asked.cluster}"
            ahead = (
                "training begins when one comes, one network at a time (with workers there first, as many as they are)"
            )
            session.say(here if remote.present else f"{here}; {ahead}")
            yield remote
        return
    seen = gpus()
    count = (
        workers_that_fit(jobs(session.experiment), len(seen) or _cores()) if asked.workers == "auto" else asked.workers
    )
    if count == 1:
        yield InProcess(partial(run_job.run_job, split=split, draw=draw_trial))
        return
    from pipeline.search.workers import dask_workers  # noqa: PLC0415 - Dask, only where it serves

    with dask_workers.local(count, split, draw_trial, seen) as local:
        yield local


def jobs(experiment: Experiment) -> int:
    """Maximum number of networks trained in one go: the trials of the search, or the refits of its finalists."""
    networks = experiment.space.networks
    finalists = len(networks) if networks else experiment.evaluation.finalists
    return max(experiment.search.trials, finalists * experiment.evaluation.seeds)


def workers_that_fit(jobs: int, units: int) -> int:
    """Number of workers for which there are GPUs or cores (`units`), memory, and jobs."""
    by_memory = int(psutil.virtual_memory().available / WORKER_BYTES)
    return max(1, min(units, by_memory, jobs // 2))


def _cores() -> int:
    """Cores that this process may use, within a container's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.is_file():
        allowed, period = quota.read_text().split()
        if allowed != "max":
            count = min(count, max(1, round(int(allowed) / int(period))))
    return count
