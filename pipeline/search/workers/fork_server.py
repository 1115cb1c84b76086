"""Starts worker processes as copies of a process that has TensorFlow already, where that is safe.

Importing TensorFlow takes seconds of processor time. The server imports it once, on an idle core, while the driver opens
the store and prepares the data; a worker is then there at once, also a renewed one, and workers share the memory of the
libraries. Without the server, workers are started anew and import for themselves: no result depends on it.
"""

import os
import sys
from multiprocessing import forkserver, set_forkserver_preload
from pathlib import Path

PRELOADED = "pipeline.search.workers.preloaded"
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
"""What Dask sets for a worker before it starts; libraries read it when they are loaded. Its MALLOC_TRIM_THRESHOLD_ is left
out: see `runtime.init_tensorflow`."""

_started = False


def is_safe() -> bool:
    """Whether copies of a process with TensorFlow work: only on Linux, and not where there is a GPU, which a process must
    open by itself.
    """
    return sys.platform == "linux" and not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/kfd").exists()


def start() -> None:
    """Starts the server where that is safe; it imports in the background."""
    global _started  # noqa: PLW0603 - there is one server per process
    if _started or not is_safe():
        return
    set_forkserver_preload([PRELOADED])
    theirs = dict(os.environ)
    os.environ.update(ENVIRONMENT)
    try:
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(theirs)
    _started = True


def method() -> str:
    """How Dask starts its workers' processes."""
    return "forkserver" if _started else "spawn"
