"""Whole searches against stock Keras Tuner, side by side: `python -m tests.benchmarks.search`, with the options
`--epochs 5 --trials 8 --batch 32`.

The same networks, epochs and batch on the real Fashion-MNIST: Narrowgap from its command line with all that it records;
Keras Tuner's own `GridSearch(...).search(...)` with `mlflow.tensorflow.autolog()`; and the same without any tracking. Each
side is a process of its own, one after the other. "Whole" is the wall clock of the process; "search" leaves out its start:
imports, data, workers. Prints a table.

    --parts trackless     leaves the side with autolog out (it takes long)
    --driver 100 1000     instead: the driver's own milliseconds per trial, with workers that answer at once
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
NETWORKS: list[dict[str, Any]] = [
    {"hidden": [128, 64], "dropout": [0, 0.2, 0.1]},
    {"hidden": [256], "dropout": [0.1, 0.3]},
    {"hidden": [64, 64, 64], "dropout": [0, 0, 0.1, 0]},
    {"hidden": [256, 128], "dropout": [0, 0.2, 0.2]},
    {"hidden": [512], "dropout": [0, 0.4]},
    {"hidden": [128, 128, 64], "dropout": [0.1, 0.2, 0.1, 0]},
    {"hidden": [32], "dropout": [0, 0]},
    {"hidden": [128, 64, 32], "dropout": [0, 0, 0.1, 0]},
]
BATCH = 32


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--epochs", type=int, default=5)
    options.add_argument("--trials", type=int, default=8)
    options.add_argument("--batch", type=int, default=BATCH)
    options.add_argument("--parts", nargs="+", default=["autolog", "trackless"], choices=["autolog", "trackless"])
    options.add_argument("--driver", nargs="+", type=int, help="numbers of trials")
    options.add_argument("--side", choices=["autolog", "trackless"], help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.side:
        print(json.dumps(stock(given.side, given.trials, given.epochs, given.batch)))
        return 0
    if given.driver:
        for count in given.driver:
            print(json.dumps(driver(count)), flush=True)
        return 0
    return compare(given.trials, given.epochs, given.batch, given.parts)


def compare(trials: int, epochs: int, batch: int, parts: list[str]) -> int:
    """Runs all sides and prints what they took."""
    print(f"{trials} trials x {epochs} epochs, batches of {batch}, Fashion-MNIST\n")
    print("| side | whole, s | search, s | whole, times | search, times |\n|---|---|---|---|---|")
    ours = narrowgap(trials, epochs, batch)
    print(f"| Narrowgap | {ours['whole']:.1f} | {ours['search']:.1f} | 1 | 1 |", flush=True)
    for part in parts:
        start = time.perf_counter()
        command = [sys.executable, "-m", "tests.benchmarks.search", "--side", part]
        done = subprocess.run(
            [*command, "--trials", str(trials), "--epochs", str(epochs), "--batch", str(batch)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        whole = time.perf_counter() - start
        if done.returncode:
            print(done.stderr[-2000:])
            return 1
        theirs = json.loads(done.stdout.strip().splitlines()[-1])
        name = "Keras Tuner, autolog" if part == "autolog" else "Keras Tuner, no tracking"
        print(
            f"| {name} | {whole:.1f} | {theirs['search']:.1f} | {whole / ours['whole']:.1f} "
            f"| {theirs['search'] / ours['search']:.1f} |",
            flush=True,
        )
    return 0


def narrowgap(trials: int, epochs: int, batch: int) -> dict[str, float]:
    """The step `search` from the command line, with all that it records."""
    networks = [{**each, "activations": ["relu"] * len(each["hidden"])} for each in NETWORKS[:trials]]
    overrides = {
        "space.networks": json.dumps(networks),
        "search.tuner": "grid",
        "search.trials": str(trials),
        "training.epochs": str(epochs),
        "training.batch_size": str(batch),
        "training.learning_rate": "0.001",
        "training.schedule": "constant",
        "training.patience": "null",
    }
    words = [word for key, value in overrides.items() for word in (f"--{key}", value)]
    with tempfile.TemporaryDirectory() as folder:
        from pipeline.tracking.store import Store

        start = time.perf_counter()
        command = [sys.executable, "-m", "pipeline", "search", "--experiment", "fashion_mnist", *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        whole = time.perf_counter() - start
        import mlflow

        mlflow.set_tracking_uri(environment["MLFLOW_TRACKING_URI"])
        store = Store.connect()
        search = store.latest(step="search")
        assert search is not None
        runs = [store.client.get_run(each.id) for each in store.children(search)]
        assert len(runs) == trials
        assert {run.info.status for run in runs} == {"FINISHED"}
        # From the moment when the first network began to be built on a worker to the last one's end in the store.
        began = min(run.info.end_time / 1000 - run.data.metrics["seconds"] for run in runs)
        seconds = max(run.info.end_time for run in runs) / 1000 - began
    return {"whole": whole, "search": seconds}


def stock(side: str, trials: int, epochs: int, batch: int) -> dict[str, float]:
    """Keras Tuner as its guide has it, on all cores that TensorFlow finds."""
    import keras
    import keras_tuner

    from pipeline.data.sources import load
    from pipeline.data.split import split
    from pipeline.experiment import Data

    data = split(load(Data()), Data())
    train, validation = ((part.images / 255).astype("float32") for part in (data.train, data.validation))

    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        network = NETWORKS[hp.Choice("network", list(range(trials)))]
        layers: list[Any] = [keras.layers.Input((28, 28)), keras.layers.Flatten()]
        for place, rate in enumerate(network["dropout"]):
            layers += [keras.layers.Dropout(rate)] if rate else []
            if place < len(network["hidden"]):
                layers.append(keras.layers.Dense(network["hidden"][place], activation="relu"))
        model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
        model.compile(keras.optimizers.Adam(0.001), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    with tempfile.TemporaryDirectory() as folder:
        if side == "autolog":
            import mlflow

            mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
            mlflow.set_experiment("stock")
            mlflow.tensorflow.autolog()
        tuner = keras_tuner.GridSearch(
            build, objective="val_loss", max_trials=trials, directory=folder, project_name="x"
        )
        start = time.perf_counter()
        tuner.search(
            train,
            data.train.labels,
            validation_data=(validation, data.validation.labels),
            epochs=epochs,
            batch_size=batch,
            verbose=0,
        )
        seconds = time.perf_counter() - start
        done = [trial for trial in tuner.oracle.trials.values() if trial.status == "COMPLETED"]
        assert len(done) == trials, f"{len(done)} of {trials} trials completed"
    return {"search": seconds}


def driver(count: int) -> dict[str, Any]:
    """The driver's share of a search of so many trials: workers that answer at once, a real store, no pictures."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # as the command line has it
    from pipeline.training.runtime import init_tensorflow

    init_tensorflow()
    import mlflow

    from pipeline.experiment import load
    from pipeline.search import loop
    from pipeline.search.deadline import Deadline
    from pipeline.search.proposals.proposals import Proposals
    from pipeline.search.trial_journal import TrialJournal
    from pipeline.search.workers.jobs import InProcess
    from pipeline.session import load as load_data
    from pipeline.tracking.store import Store

    asked = load("fashion_mnist", {"search.tuner": "random", "search.trials": str(count)})
    meter = Meter()
    with tempfile.TemporaryDirectory() as folder:
        prepared = load_data(load("smoke"), progress=lambda _: None, folder=Path(folder))
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        store = Store.connect()
        store.client.create_experiment("driver", f"{folder}/artifacts")
        os.environ["MLFLOW_EXPERIMENT_NAME"] = "driver"
        run = store.root(step="search", experiment="driver", tags={})

        def search(answer: Callable[[Any], Any]) -> None:
            deadline = Deadline(None, workers=1, inputs=784, classes=10)
            outbox = Path(folder) / "outbox"
            with TrialJournal(store, run, asked, prepared, lambda _seen: None, say=print, folder=outbox) as journal:
                loop.search(Proposals(asked), InProcess(answer), journal, trials=count, window=4, deadline=deadline)

        def marked(job: Any) -> Any:
            meter.mark()
            return _outcome(job)

        meter.mark()
        search(marked)
        meter.mark()
        searched = meter.told(count)
        search(_outcome)  # all is known: nothing is trained
        meter.mark()
        size = sum(file.stat().st_size for file in Path(folder).glob("mlflow.db*")) / 2**20
    replay = meter.marks[-1] - meter.marks[-2]
    return searched | {"replay, s": round(replay, 1), "replay, more MB": meter.grown(), "store, MB": round(size)}


class Meter:
    """Wall clock, processor time and memory of this process, at every trial."""

    def __init__(self) -> None:
        self.marks: list[float] = []
        self.processor: list[float] = []
        self.memory: list[int] = []
        """MB."""

    def mark(self) -> None:
        self.marks.append(time.perf_counter())
        self.processor.append(time.process_time())
        self.memory.append(psutil.Process().memory_info().rss // 2**20)

    def told(self, count: int) -> dict[str, Any]:
        """Per trial: over all of them, over the first tenth and the last."""
        tenth = max(1, count // 10)

        def each(clock: list[float], start: int, end: int) -> float:
            return round(1000 * (clock[end] - clock[start]) / (end - start), 1)

        return {
            "trials": count,
            "ms": each(self.marks, 0, count + 1),
            "processor, ms": each(self.processor, 0, count + 1),
            "first tenth": each(self.processor, 0, tenth),
            "last tenth": each(self.processor, count - tenth, count),
            "more MB": self.grown(),
        }

    def grown(self) -> int:
        """MB that the process has now and had not after its first trials, when all was loaded."""
        return self.memory[-1] - self.memory[min(20, len(self.memory) - 1)]


def _outcome(job: Any) -> Any:
    """What a worker would have answered: 15 epochs, scores drawn from the trial's seed."""
    import numpy as np

    from pipeline.search.workers.jobs import Outcome
    from pipeline.training.result import EarlyStopping, Score, TrainingState, TrialResult

    curve = tuple(1 / (1 + epoch) for epoch in range(15))
    names = ("loss", "accuracy", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
    score = Score(float(np.random.default_rng(job.seed).uniform()), 0.5)
    empty = TrainingState(15, (), (), EarlyStopping(), {})
    history = dict.fromkeys(names, curve)
    result = TrialResult(job.recipe, job.seed, history, 0, 15, score, score, score, {}, (), empty, {})
    return Outcome(job.number, result, {}, None, 0.0)


if __name__ == "__main__":
    sys.exit(main())
