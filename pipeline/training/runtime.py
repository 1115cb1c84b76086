"""Starts TensorFlow once per process: silent, and on one thread."""

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.training.keras_settings import import_keras, own_settings

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of `malloc.h`."""
MMAP_BYTES = 32 * 1024**2
"""The largest value that glibc takes. What is smaller comes from the heap."""
TRIM_BYTES = 256 * 1024**2


def init_tensorflow() -> None:
    """Imports TensorFlow (seconds) and sets it to one thread: a worker uses one thread, and the same inputs then give
    the same bits. Call it before the first operation of the process; further calls do nothing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _keep_freed_memory()
    with _silent_stderr(), _gc_paused(), own_settings():
        import tensorflow as tf  # noqa: PLC0415 - that is what this function is for
    tf.get_logger().setLevel("ERROR")  # it warns of tracing a function per network, which is so on purpose
    threading = tf.config.threading
    if threading.get_intra_op_parallelism_threads() != 1 or threading.get_inter_op_parallelism_threads() != 1:
        threading.set_intra_op_parallelism_threads(1)
        threading.set_inter_op_parallelism_threads(1)
        for gpu in tf.config.list_physical_devices("GPU"):  # else a process takes all of a GPU's memory
            tf.config.experimental.set_memory_growth(gpu, enable=True)
    import_keras()


def gpus() -> list[str]:
    """GPUs that TensorFlow can use, named as in CUDA_VISIBLE_DEVICES. Imports TensorFlow only if there is a GPU device."""
    if not (any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()):
        return []
    init_tensorflow()
    import tensorflow as tf  # noqa: PLC0415 - see above

    count = len(tf.config.list_physical_devices("GPU"))
    named = [each.strip() for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each.strip()]
    return (named or [str(number) for number in range(count)])[:count]


def _keep_freed_memory() -> None:
    """Lets glibc keep what is freed for the next call, on Linux. Dask starts its workers with MALLOC_TRIM_THRESHOLD_=65536:
    each training step then gets its memory from the kernel, page by page, and gives it back, a fifth of a worker's time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # musl has none
        mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)
        mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)


@contextmanager
def _gc_paused() -> Iterator[None]:
    """Pauses garbage collection during imports: searching a million permanent objects again and again is a quarter of
    their time. Afterwards they are excluded from collection.
    """
    if "tensorflow" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Closes the process's error stream: TensorFlow writes there from C++, at any log level. A failing import still
    raises.
    """
    if "tensorflow" in sys.modules:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
