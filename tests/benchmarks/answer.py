"""Seconds until a good network is found, side by side with what people would pick instead:
`python -m tests.benchmarks.answer SIDE --seed 1 --to answer.csv`, and `--table` for the result.

Same space, data, epochs and batch (experiment fashion_mnist, cosine, patience 5), two processes each, on the real
Fashion-MNIST. Each call runs one side with one seed for `--minutes` at most, and appends every trained network to a CSV:
seconds from the start of the processes to the end of its training, and its validation loss. The table has the seconds
until a network is within 0.002 of the best validation loss in the whole file: the best known.

    narrowgap              the step `search` from the command line, with all that it records
    kt-bayesian, kt-hyperband
                           Keras Tuner with a chief and two workers, `mlflow.tensorflow.autolog()`
    optuna, optuna-hyperband
                           TPE without and with its Hyperband pruner around `model.fit`, a shared SQLite study, MLflow
                           callback; not among the locked packages:
                           `pip install optuna optuna-integration[mlflow,keras]`; skipped with a reason where it is missing
    whole-narrowgap        the whole of `main`: the command of `make run`
    whole-stock            980 epochs of networks (24 trials and 25 refits of 20) with Keras Tuner and autolog: `--part`
                           trials are measured, and the table scales them

`--epochs` and `--trials` make a small run to try it out; `--part` trials end a search of any side early.
"""

import argparse
import csv
import importlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SIDES = (
    "narrowgap", "kt-bayesian", "kt-hyperband", "optuna", "optuna-hyperband", "whole-narrowgap", "whole-stock",
)  # fmt: skip
COLUMNS = ("side", "seed", "seconds", "val_loss", "epochs")
NEAR = 0.002
WHOLE = 980
"""Epochs of networks in the whole: 24 trials and 25 refits of 20."""
PROCESSES = 2


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("side", nargs="?", choices=SIDES)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--minutes", type=float, default=8)
    options.add_argument("--epochs", type=int, default=20)
    options.add_argument("--part", type=int, help="trials; by default as many as the time allows, 4 for whole-stock")
    options.add_argument("--to", type=Path, default=Path("answer.csv"))
    options.add_argument("--table", action="store_true")
    options.add_argument("--process", help=argparse.SUPPRESS)
    options.add_argument("--began", type=float, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.table:
        print(table(given.to))
        return 0
    if given.side is None:
        options.error("a side is missing")
    given.to = given.to.resolve()
    if given.process:
        _process(given)
        return 0
    if given.side.startswith("optuna") and importlib.util.find_spec("optuna") is None:
        print("skipped: optuna is not installed; pip install 'optuna' 'optuna-integration[mlflow,keras]'")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        (_narrowgap if "narrowgap" in given.side else _stock)(given, Path(folder))
    return 0


def append(to: Path, side: str, seed: int, seconds: float, val_loss: float, epochs: int) -> None:
    """Appends one row; processes that share the file write whole lines."""
    if not to.exists():
        with suppress(FileExistsError), to.open("x") as file:
            file.write(",".join(COLUMNS) + "\n")
    with to.open("a") as file:
        file.write(f"{side},{seed},{seconds:.2f},{val_loss:.6f},{epochs}\n")


def table(source: Path) -> str:
    """The result as Markdown."""
    with source.open() as file:
        rows = list(csv.DictReader(file))
    searches = [row for row in rows if not row["side"].startswith("whole")]
    lines = []
    if searches:
        best = min(float(row["val_loss"]) for row in searches)
        lines = [f"best known validation loss {best:.4f}\n", "| side | seed | networks | seconds to a good one |"]
        lines.append("|---|---|---|---|")
        for side, seed in sorted({(row["side"], row["seed"]) for row in searches}):
            own = [row for row in searches if (row["side"], row["seed"]) == (side, seed)]
            good = [float(row["seconds"]) for row in own if float(row["val_loss"]) <= best + NEAR]
            last = max(float(row["seconds"]) for row in own)
            lines.append(
                f"| {side} | {seed} | {len(own)} | {f'{min(good):.0f}' if good else f'not within {last:.0f}'} |"
            )
    for side in ("whole-narrowgap", "whole-stock"):
        for seed in sorted({row["seed"] for row in rows if row["side"] == side}):
            own = [row for row in rows if (row["side"], row["seed"]) == (side, seed)]
            seconds, epochs = max(float(row["seconds"]) for row in own), sum(int(row["epochs"]) for row in own)
            scaled = "" if side == "whole-narrowgap" else f", scaled to {WHOLE}: {seconds * WHOLE / epochs:.0f} s"
            lines.append(f"\n{side}, seed {seed}: {seconds:.0f} s for {epochs} epochs of networks{scaled}")
    return "\n".join(lines)


def _narrowgap(given: argparse.Namespace, folder: Path) -> None:
    """The command line, as a user gives it."""
    step = "main" if given.side.startswith("whole") else "search"
    trials = given.part or (24 if step == "main" else 500)
    words = ["--search.seed", str(given.seed), "--search.trials", str(trials), "--search.workers", str(PROCESSES)]
    words += ["--training.epochs", str(given.epochs)]
    store = f"sqlite:///{folder}/mlflow.db"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": store}
    command = [sys.executable, "-m", "pipeline", step, "--experiment", "fashion_mnist", *words]
    start, wall = time.perf_counter(), time.time()
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    try:
        process.wait(60 * given.minutes)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()
    if step == "main":
        if process.returncode:
            raise SystemExit(
                f"main ended with exit code {process.returncode}: no row; give it more --minutes, or see why"
            )
        append(given.to, given.side, given.seed, time.perf_counter() - start, 0.0, WHOLE)
        return
    if process.returncode not in {0, -signal.SIGTERM, 128 + signal.SIGTERM}:
        raise SystemExit(f"the search ended with exit code {process.returncode}: no rows")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(store)
    ids = [each.experiment_id for each in client.search_experiments()]
    asked = "tags.`narrowgap.step` = 'trial' and attributes.status = 'FINISHED'"
    for run in client.search_runs(ids, asked, max_results=1000):
        measured = run.data.metrics
        seconds = run.info.end_time / 1000 - wall
        append(given.to, given.side, given.seed, seconds, measured["val_loss"], int(measured["epochs_run"]))


def _stock(given: argparse.Namespace, folder: Path) -> None:
    """Two processes that share a study, or an oracle in a third that waits for them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tuner = not given.side.startswith("optuna")
    common = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    common |= {"MLFLOW_DISABLE_TELEMETRY": "true", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    from mlflow.tracking import MlflowClient  # makes the tables: two processes at once would not

    MlflowClient(common["MLFLOW_TRACKING_URI"]).create_experiment("stock", f"{folder}/artifacts")
    names = [*(["chief"] if tuner else []), *(f"tuner{number}" for number in range(PROCESSES))]
    began = time.time()
    processes = []
    for name in names:
        command = [sys.executable, "-m", "tests.benchmarks.answer", given.side, "--seed", str(given.seed)]
        command += ["--epochs", str(given.epochs), "--to", str(given.to), "--process", name, "--began", str(began)]
        command += ["--part", str(given.part)] if given.part else []
        env = common | {"NARROWGAP_BENCHMARK_FOLDER": str(folder)}
        if tuner:
            env |= {"KERASTUNER_TUNER_ID": name, "KERASTUNER_ORACLE_IP": "127.0.0.1"}
            env |= {"KERASTUNER_ORACLE_PORT": str(port)}
        processes.append(subprocess.Popen(command, cwd=ROOT, env=env))
    workers = processes[1:] if tuner else processes
    end = time.monotonic() + 60 * given.minutes
    while any(each.poll() is None for each in workers) and time.monotonic() < end:
        time.sleep(0.2)
    failed = [each.returncode for each in workers if each.poll()]
    for each in processes:
        if each.poll() is None:
            each.kill()
        each.wait()
    if failed:
        raise SystemExit(
            f"a process of {given.side} ended with exit code {failed[0]}; its rows so far are in {given.to}"
        )


def _process(given: argparse.Namespace) -> None:
    """One process of a stock side."""
    import mlflow

    mlflow.set_experiment("stock")
    folder = Path(os.environ["NARROWGAP_BENCHMARK_FOLDER"])
    if given.side.startswith("optuna"):
        _optuna(given, folder)
        return
    mlflow.tensorflow.autolog()
    _keras_tuner(given, folder)


def _data() -> tuple[Any, Any, Any, Any]:
    from pipeline.data.sources import load
    from pipeline.data.split import split
    from pipeline.experiment import Data

    data = split(load(Data()), Data())
    train, validation = ((part.images / 255).astype("float32") for part in (data.train, data.validation))
    return train, data.train.labels, validation, data.validation.labels


def _space() -> dict[str, Any]:
    from pipeline.experiment import load

    space = load("fashion_mnist").space
    return space.model_dump(mode="json")


def _model(hidden: list[int], dropout: list[float], *, steps: int) -> Any:
    import keras

    layers: list[Any] = [keras.layers.Input((28, 28)), keras.layers.Flatten()]
    for place, rate in enumerate(dropout):
        layers += [keras.layers.Dropout(rate)] if rate else []
        if place < len(hidden):
            layers.append(keras.layers.Dense(hidden[place], activation="relu"))
    model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
    rate = keras.optimizers.schedules.CosineDecay(0.002, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _fit(model: Any, data: tuple[Any, Any, Any, Any], given: argparse.Namespace, **more: Any) -> float:
    """Trains, records the row, and returns the lowest validation loss."""
    import keras

    train, labels, images, truth = data
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=5, restore_best_weights=True)
    more["callbacks"] = [*more.get("callbacks", ()), stop]
    more = {"epochs": given.epochs, "batch_size": 128, "verbose": 0} | more
    losses: list[float] = model.fit(train, labels, validation_data=(images, truth), **more).history["val_loss"]
    append(given.to, given.side, given.seed, time.time() - given.began, min(losses), len(losses))
    return min(losses)


def _keras_tuner(given: argparse.Namespace, folder: Path) -> None:
    import keras_tuner

    data, space = _data(), _space()
    steps = given.epochs * -(-len(data[0]) // 128)
    low, high = space["depth"]

    class Network(keras_tuner.HyperModel):  # type: ignore[misc]  # Keras Tuner is untyped
        def build(self, hp: Any) -> Any:
            depth = hp.Int("depth", low, high)
            hidden, dropout = [], [hp.Choice("dropout_0", space["input_dropout"])]
            for layer in range(1, depth + 1):
                with hp.conditional_scope("depth", list(range(layer, high + 1))):
                    hidden.append(hp.Choice(f"hidden_{layer}", space["hidden"]))
                    dropout.append(hp.Choice(f"dropout_{layer}", space["dropout"]))
            return _model(hidden, dropout, steps=steps)

        def fit(self, _hp: Any, model: Any, *_: Any, **more: Any) -> Any:
            return {"val_loss": _fit(model, data, given, **more)}

    shared = {"objective": keras_tuner.Objective("val_loss", "min"), "seed": given.seed, "directory": str(folder)}
    if given.side == "kt-hyperband":
        tuner: Any = keras_tuner.Hyperband(Network(), max_epochs=given.epochs, project_name="x", **shared)
    else:
        trials = given.part or (4 if given.side == "whole-stock" else 500)
        tuner = keras_tuner.BayesianOptimization(Network(), max_trials=trials, project_name="x", **shared)
    tuner.search(verbose=0)


def _optuna(given: argparse.Namespace, folder: Path) -> None:
    optuna: Any = importlib.import_module("optuna")  # not among the locked packages
    integration: Any = importlib.import_module("optuna_integration")

    data, space = _data(), _space()
    steps = given.epochs * -(-len(data[0]) // 128)
    halving = given.side.endswith("hyperband")

    def objective(trial: Any) -> float:
        depth = trial.suggest_int("depth", *space["depth"])
        dropout = [trial.suggest_categorical("dropout_0", space["input_dropout"])]
        hidden = []
        for layer in range(1, depth + 1):
            hidden.append(trial.suggest_categorical(f"hidden_{layer}", space["hidden"]))
            dropout.append(trial.suggest_categorical(f"dropout_{layer}", space["dropout"]))
        callbacks = [integration.KerasPruningCallback(trial, "val_loss")] if halving else []
        return _fit(_model(hidden, dropout, steps=steps), data, given, callbacks=callbacks)

    # One process seeds what the other would repeat.
    number = int(given.process.removeprefix("tuner"))
    study = optuna.create_study(
        storage=f"sqlite:///{folder}/optuna.db",
        study_name="x",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=1000 * given.seed + number),
        pruner=optuna.pruners.HyperbandPruner(max_resource=given.epochs) if halving else optuna.pruners.NopPruner(),
    )
    callback = integration.MLflowCallback(os.environ["MLFLOW_TRACKING_URI"], metric_name="val_loss")
    study.optimize(objective, n_trials=-(-given.part // PROCESSES) if given.part else None, callbacks=[callback])


if __name__ == "__main__":
    sys.exit(main())
