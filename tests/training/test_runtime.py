"""What a process is set to before it trains."""

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from pipeline.training import runtime

def pages() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(1024**2)  # 8 MiB, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

as_dask_starts_it = pages()
runtime._keep_freed_memory()
pages()
print(as_dask_starts_it, pages())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_what_a_step_frees_is_there_for_the_next_step_and_not_fetched_from_the_kernel_again():
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run([sys.executable, "-c", FAULTS], env=environment, capture_output=True, text=True, check=True)
    as_dask_starts_it, kept = map(int, done.stdout.split())
    if as_dask_starts_it < 2_000:
        pytest.skip(f"this C library keeps it by itself: {as_dask_starts_it} pages")
    assert kept < as_dask_starts_it / 20
