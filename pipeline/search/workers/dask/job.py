"""What a Dask worker does with a job."""

import time
from typing import NoReturn

import distributed

from pipeline.data.shared_split import SharedSplit
from pipeline.data.split import Split
from pipeline.search.workers import run_job
from pipeline.search.workers.dask import package
from pipeline.search.workers.jobs import Draw, Job, Outcome
from pipeline.training.program_cache import PROGRAMS
from pipeline.training.runtime import init_tensorflow

RENEWED_AFTER = 24
"""Compiled networks after which a worker process is restarted: TensorFlow keeps about 15 MB of each for ever."""
BEGUN = "narrowgap-begun"
"""Topic of the events by which workers tell that they begin with a job, the data at hand."""


class OtherCodeError(Exception):
    """This worker has other code that is named `pipeline` than the driver."""


def train_job(job: Job, data: Split | SharedSplit, draw: Draw, minutes: float | None, code: str | None) -> Outcome:
    """Runs one job on a worker.

    Raises:
        OtherCodeError: If this process has imported anything but the package of version `code`; None does not ask.
    """
    if code is not None and (place := package.other_code(code)()) is not None:
        raise OtherCodeError(place)
    worker = distributed.get_worker()
    if PROGRAMS.compiled >= RENEWED_AFTER and worker.nanny:
        _renew(worker)
    worker.log_event(BEGUN, {"key": worker.get_current_task()})
    split = data.open() if isinstance(data, SharedSplit) else data
    return run_job.run_job(job, split, draw, minutes)


def _renew(worker: distributed.Worker) -> NoReturn:
    """Returns a job that was not started and ends this process; the nanny starts another. This happens when a job
    comes, not after one: by then the driver has the last result, and no running job is lost.
    """
    worker.loop.add_callback(worker.close_gracefully, restart=True, reason="narrowgap renews its workers")
    while worker.status == distributed.Status.running:
        time.sleep(0.01)
    raise distributed.Reschedule


def import_tensorflow() -> None:
    init_tensorflow()
    import pipeline.training.dense_trainer  # noqa: F401, PLC0415 - Keras, only where trials are trained


def pass_on(data: Split | SharedSplit) -> Split | SharedSplit:
    return data
