"""Starts the workers that an experiment asks for: in this process, on this machine, or on a Dask cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from pipeline.errors import InputError
from pipeline.experiment import Experiment
from pipeline.models.spaces import space_of
from pipeline.search.trial_figures import draw_trial
from pipeline.search.workers import fork_server, machine, run_job
from pipeline.search.workers.dask.stall_notice import StallNotice
from pipeline.search.workers.jobs import InProcess, Workers
from pipeline.search.workers.memory_need import GPU_BYTES, LEAST_BYTES, MemoryNeed, gib, memory_need
from pipeline.session import Session
from pipeline.training.runtime import gpus, init_tensorflow


@contextmanager
def start_workers(session: Session) -> Iterator[Workers]:
    """The workers of the experiment; their processes end with the block.

    Raises:
        InputError: If there is too little memory for one worker.
    """
    asked, split = session.experiment.search, session.prepared.split
    if session.experiment.model is not None:
        init_tensorflow()  # the space of a user's own model is found by building networks
    need = memory_need(session.experiment, split, space_of(session.experiment, split))
    if asked.cluster is not None:
        from pipeline.search.workers.dask import start  # noqa: PLC0415 - Dask, only where it serves

        with start.remote(asked.cluster, split, draw_trial, need) as remote:
            remote.wait_minutes, remote.trial_minutes = asked.wait_minutes, asked.trial_minutes
            remote.silence = StallNotice(session.say)
            here = f"workers: {remote.present or 'none yet'} of the Dask scheduler {asked.cluster}"
            ahead = (
                "training begins when one comes, one network at a time (with workers there first, as many as they are)"
            )
            small = (
                f"; {len(remote.memory_limits.small)} more have too little memory for the data, and get none"
                if remote.memory_limits.small
                else ""
            )
            session.say(here + small if remote.present else f"{here}; {ahead}")
            yield remote
        return
    seen, free = gpus(), _free_memory(session, need)
    refuse_too_little_memory(need, free)
    if asked.workers == "auto":
        wanted = workers_of_use(jobs(session.experiment), len(seen) or machine.cores())
        count = workers_that_fit(wanted, need, free)
    else:
        wanted = count = asked.workers
    if line := memory_line(wanted, count, need, free):
        session.say(line)
    if count == 1:
        yield InProcess(partial(run_job.run_job, split=split, draw=draw_trial, minutes=asked.trial_minutes))
        return
    from pipeline.search.workers.dask import start  # noqa: PLC0415 - Dask, only where it serves

    limit = need.limit + (GPU_BYTES if seen else 0)
    data = session.prepared.shared or split
    with start.local(count, data, draw_trial, seen, memory_limit=limit) as local:
        local.trial_minutes, local.silence = asked.trial_minutes, StallNotice(session.say)
        yield local


def start_early(step: str, experiment: Experiment) -> None:
    """Begins with what the workers' processes on this machine need, before the data say how many there will be. A
    retraining may find nothing to do.
    """
    asked = experiment.search
    wanted = workers_of_use(jobs(experiment), machine.cores()) if asked.workers == "auto" else asked.workers
    if step in {"main", "search", "evaluate"} and asked.cluster is None and wanted > 1:
        fork_server.start()


def _free_memory(session: Session, need: MemoryNeed) -> int:
    """Bytes of free memory for training, plus what the loaded data already occupy."""
    shared = session.prepared.shared
    held = shared is None or machine.is_memory(shared.folder)
    return machine.free_memory() + (need.data if held else 0)


def jobs(experiment: Experiment) -> int:
    """Maximum number of networks trained in one go: the trials of the search, or the refits of its finalists."""
    networks = experiment.space.networks
    finalists = len(networks) if networks else experiment.evaluation.finalists
    return max(experiment.search.trials, finalists * experiment.evaluation.seeds)


def workers_of_use(jobs: int, units: int) -> int:
    """Number of workers for which there are GPUs or cores (`units`) and jobs."""
    return max(1, min(units, jobs // 2))


def workers_that_fit(wanted: int, need: MemoryNeed, free: int) -> int:
    """Number of workers for which there is memory, of those wanted; at least one. They have the data in common."""
    return max(1, min(wanted, (free - need.data) // need.own))


def refuse_too_little_memory(need: MemoryNeed, free: int) -> None:
    """Refuses data that not even one worker could train on.

    Raises:
        InputError: With the figures and the cure.
    """
    if need.least > free:
        raise InputError(
            f"training needs {need.text()}, and there are {gib(free)} for it; expected room for one worker: take fewer or "
            "smaller images (data.path), end other programs, or raise the memory limit of the container"
        )


def memory_line(wanted: int, count: int, need: MemoryNeed, free: int) -> str | None:
    """What is to be said about memory: fewer workers than there is use for, or more than certainly fit."""
    if count < wanted:
        return (
            f"workers: {count} instead of {wanted}, since memory is short: there are {gib(free)}; each takes up to "
            f"{gib(need.own)}, and the data {gib(need.data)} once"
        )
    least = need.data + count * (LEAST_BYTES + need.call)
    if least > free:
        return (
            f"warning: {count} workers need at least {gib(least)} of memory, and there are {gib(free)}; "
            f"search.workers={workers_that_fit(count, need, free)} fits"
        )
    return None
