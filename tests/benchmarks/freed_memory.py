"""What it saves that a worker keeps freed memory: `python -m tests.benchmarks.freed_memory`.

Two processes at once, as two workers on two cores, train 784(0.2)-256(0.1)-256(0.1)-64-10 on Fashion-MNIST for four epochs,
batches of 128, with the MALLOC_TRIM_THRESHOLD_ that Dask sets for its workers. `before` leaves it at that; `after` is what
Narrowgap's workers do. The sides take turns. Exit code 1 if the weights differ.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from unittest import mock

ROUNDS = 3
WORKERS = 2


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--side", choices=("before", "after"), help=argparse.SUPPRESS)
    side = options.parse_args().side
    if side:
        print(json.dumps(_worker(side)))
        return 0
    found: dict[str, list[list[float]]] = {"before": [], "after": []}
    for _ in range(ROUNDS):
        for name, rows in found.items():
            rows.extend(_pair(name))
    print("| side | s per trial | of which in the kernel | pages fetched |\n|---|---|---|---|")
    for name, rows in found.items():
        seconds, kernel, pages = (statistics.median(column) for column in list(zip(*rows, strict=True))[:3])
        print(f"| {name} | {seconds:.2f} | {kernel:.2f} | {pages:,.0f} |")
    return int(len({row[3] for rows in found.values() for row in rows}) > 1)


def _pair(side: str) -> list[list[float]]:
    """Seconds, seconds in the kernel, pages and a sum of the weights, of each worker."""
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}
    command = [sys.executable, "-m", "tests.benchmarks.freed_memory", "--side", side]
    workers = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(WORKERS)]
    return [json.loads(worker.communicate()[0].splitlines()[-1]) for worker in workers]


def _worker(side: str) -> list[float]:
    from pipeline.training import runtime

    if side == "before":
        mock.patch.object(runtime, "_keep_freed_memory", return_value=None).start()
    runtime.init_tensorflow()
    from pipeline.experiment import Training
    from pipeline.models.dense import DenseSpec
    from pipeline.models.recipe import Recipe
    from pipeline.training import dense_trainer
    from tests.benchmarks.training import _data

    data = _data()
    recipe = Recipe(DenseSpec((256, 256, 64), (0.2, 0.1, 0.1, 0), ("relu", "relu", "relu")))
    settings = Training(epochs=4, batch_size=128, learning_rate=0.002, schedule="cosine", patience=None)
    dense_trainer.train(recipe, settings, data, seed=1, until=1)  # compiles
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    result = dense_trainer.train(recipe, settings, data, seed=1)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    summed = float(sum(each.sum() for each in result.weights))
    return [seconds, after.ru_stime - before.ru_stime, after.ru_minflt - before.ru_minflt, summed]


if __name__ == "__main__":
    sys.exit(main())
