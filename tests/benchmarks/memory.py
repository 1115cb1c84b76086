"""Memory of a search and evaluation of large images: `python -m tests.benchmarks.memory`, with the options
`--images 60000 --side 128 --workers 2`; in colour `--images 200000 --side 64 --rgb`.

The data are synthetic: noise with one bright block, whose place is the class. The step `main` runs from the command line
with 2 trials of one epoch, one finalist and one seed. Every half second the proportional set sizes (PSS) of all its
processes are summed; PSS counts memory that processes share once. Prints the peak, and where it was; exit code 1 if it is
above `--limit`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[2]
GIB = 1024**3
CLASSES = 10
EVERY_SECONDS = 0.5
NETWORKS = [
    {"hidden": [32], "activations": ["relu"], "dropout": [0.1, 0]},
    {"hidden": [16], "activations": ["relu"], "dropout": [0, 0.1]},
]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=int, default=60_000)
    options.add_argument("--side", type=int, default=128)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--limit", type=float, default=8, help="GiB")
    options.add_argument("--rgb", action="store_true", help="three channels")
    given = options.parse_args()
    shape = (given.side, given.side, 3)[: 3 if given.rgb else 2]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "blocks.npz"
        size = write_data(data, given.images, shape)
        print(f"{given.images:,} images of {'x'.join(map(str, shape))}: {size / GIB:.2f} GiB", flush=True)
        return measure(data, given.workers, given.limit * GIB, channels="rgb" if given.rgb else "grey")


def write_data(path: Path, count: int, shape: tuple[int, ...]) -> int:
    """Writes the images as an npz file and returns their bytes."""
    generator, block = np.random.default_rng(1), shape[1] // CLASSES
    labels = np.arange(count) % CLASSES
    images = generator.integers(0, 100, (count, *shape), np.uint8)
    for label in range(CLASSES):
        images[labels == label, :, label * block : (label + 1) * block] += 100
    np.savez(path, images_train=images, labels_train=labels)
    return images.nbytes


def measure(data: Path, workers: int, limit: float, *, channels: str) -> int:
    """Runs the step and prints what its processes held at most."""
    overrides = {
        "data.dataset": "own",
        "data.path": str(data),
        "data.channels": channels,
        "space.networks": json.dumps(NETWORKS),
        "search.tuner": "grid",
        "search.trials": "2",
        "search.workers": str(workers),
        "training.epochs": "1",
        "training.batch_size": "128",
        "evaluation.finalists": "1",
        "evaluation.seeds": "1",
    }
    words = [word for key, value in overrides.items() for word in (f"--{key}", value)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": f"sqlite:///{data.parent}/mlflow.db"}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "main", "--experiment", "smoke", *words], cwd=data.parent, env=environment
    )
    most: dict[str, int] = {}
    while process.poll() is None:
        held = sizes(process.pid)
        if sum(held.values()) > sum(most.values()):
            most = held
        time.sleep(EVERY_SECONDS)
    peak = sum(most.values())
    print(f"exit code {process.returncode} after {time.perf_counter() - start:.0f} s")
    print(f"peak of the summed PSS: {peak / GIB:.2f} GiB; limit {limit / GIB:g} GiB")
    for name, size in most.items():
        print(f"  {name}: {size / GIB:.2f} GiB")
    return int(process.returncode != 0 or peak > limit)


def sizes(pid: int) -> dict[str, int]:
    """PSS in bytes of a process and of all that it has started, by kind and id."""
    found = {}
    with suppress(psutil.NoSuchProcess):
        for each in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                kind = "driver" if each.pid == pid else "child"
                found[f"{kind} {each.pid}"] = each.memory_full_info().pss
    return found


if __name__ == "__main__":
    sys.exit(main())
