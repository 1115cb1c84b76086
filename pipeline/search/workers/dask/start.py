"""Starts workers with Dask: one-thread processes on this machine, or those of an existing scheduler anywhere."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import dask
import distributed

from pipeline.data.shared_split import SharedSplit
from pipeline.data.split import Split
from pipeline.errors import InputError, StoreError
from pipeline.search.workers import fork_server
from pipeline.search.workers.dask import connection, package
from pipeline.search.workers.dask.connection import UNREACHABLE
from pipeline.search.workers.dask.workers import DaskWorkers
from pipeline.search.workers.jobs import Draw
from pipeline.search.workers.memory_need import AMPLE_BYTES, MemoryNeed

DEAF_TO_CTRL_C = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
"""Ctrl-C reaches every process of a terminal; only the driver answers it, and ends its workers."""
OWN_GPU = """import os
def dask_setup(worker):
    gpus = {gpus!r}
    os.environ["CUDA_VISIBLE_DEVICES"] = gpus[int(worker.name) % len(gpus)]
"""
"""A worker sees one GPU, set before it imports TensorFlow, which would reserve memory on each."""
CONNECT_SECONDS = 10


@contextmanager
def local(
    count: int, data: Split | SharedSplit, draw: Draw, gpus: Sequence[str] = (), *, memory_limit: int = AMPLE_BYTES
) -> Iterator[DaskWorkers]:
    """Starts `count` one-thread worker processes on this machine, over loopback; jobs need the certificate of this run.
    Each worker gets one of `gpus`, named as in CUDA_VISIBLE_DEVICES, and is restarted when its resident memory reaches
    `memory_limit` bytes. Of a `SharedSplit` they map the files; any other is copied to each.
    """
    with (
        connection.quiet_logs(),
        dask.config.set(
            {
                "distributed.worker.preload": [DEAF_TO_CTRL_C, *([OWN_GPU.format(gpus=list(gpus))] if gpus else [])],
                # A paused one would be given no job, and so never be renewed; at 95 % of its memory the nanny ends it.
                "distributed.worker.memory.pause": False,
                # A worker that is not back by then is given up for ever; on a busy machine its imports take a minute.
                "distributed.deploy.lost-worker-timeout": "1h",
                "distributed.worker.multiprocessing-method": fork_server.method(),
            }
        ),
        distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            security=distributed.Security.temporary(),
            memory_limit=memory_limit,
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        workers = DaskWorkers(lambda: connection.Client(cluster), data, draw, count)
        workers.warm_up()
        try:
            yield workers
        finally:
            workers.close()


@contextmanager
def remote(address: str, split: Split, draw: Draw, need: MemoryNeed | None = None) -> Iterator[DaskWorkers]:
    """The workers of an existing scheduler, `tcp://host:port` or, with TLS settings of Dask, `tls://host:port`. Those with
    less memory than `need` get no jobs.

    Raises:
        InputError: If all have less, or have other code that is named `pipeline`.
    """
    code = package.version()

    def connect() -> distributed.Client:
        client = connection.Client(address, timeout=CONNECT_SECONDS)
        try:
            package.send_package(client, code)
        except BaseException:
            connection.close_client(client)
            raise
        return client

    with connection.quiet_logs():
        try:
            workers = DaskWorkers(connect, split, draw, need=need, code=code)
        except InputError:
            raise
        except UNREACHABLE as error:
            raise StoreError(
                f"no Dask scheduler answers at {address} ({error}); start one with `dask scheduler`, or set "
                "search.cluster=null to train on this machine"
            ) from error
        try:
            workers.memory_limits.refuse_if_none_fits()
            yield workers
        finally:
            workers.close()
