"""From `mlflow run` to the first training step, piece by piece: `python -m tests.benchmarks.startup`, with the options
`--experiments smoke fashion_mnist --repeats 3 --against ../other`: another checkout to measure in turns with this one.

Real runs, watched from outside: when our process is there and which libraries it has mapped (from /proc, hence on Linux
alone), and the times that the tracking store has. The first run of an experiment finds no store and makes one; the later
ones are what people wait for every day, and of them the median is told. Prints a table of seconds since the command.

    --imports       instead: what importing each of the large libraries takes in a process of its own, and how much of
                    that goes when Python does not look for garbage meanwhile
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
STAGES = {
    "run": "`mlflow run`: its imports, its run in the store",
    "driver": "`mlflow run`: git, parameters, a shell, our process",
    "sklearn": "imports of MLflow, the store, data read",
    "tensorflow": "data divided, earlier searches looked for, Dask and its workers' processes",
    "ready": "TensorFlow and Keras Tuner imported, first proposal",
    "began": "until a worker has TensorFlow too and begins to build",
    "ended": "built, compiled, one epoch, scored, drawn",
}
"""What a stage ends with, in order, and what it consists of."""
LIBRARIES = {"sklearn": "/sklearn/", "tensorflow": "/libtensorflow"}
"""Part of the path of a shared library by which one sees that it is being imported."""
LOOK_SECONDS = 0.02
IMPORTS = (
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",
    "sklearn.model_selection",
    "distributed",
    "tensorflow",
    "keras_tuner",
)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--experiments", nargs="+", default=["smoke", "fashion_mnist"])
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--against", type=Path)
    options.add_argument("--imports", action="store_true")
    given = options.parse_args()
    if given.imports:
        imports(given.repeats)
        return 0
    roots = [ROOT, *([given.against.resolve()] if given.against else [])]
    for experiment in given.experiments:
        with ExitStack() as stack:
            folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in roots]
            rounds = [
                [whole(experiment, given.workers, folder, root) for folder, root in zip(folders, roots, strict=True)]
                for _ in range(1 + given.repeats)
            ]
        for root, runs in zip(roots, zip(*rounds, strict=True), strict=True):
            print(f"\n{experiment}, {given.workers} workers{'' if root == ROOT else f', {given.against}'}\n")
            table(runs[0], runs[1:])
    return 0


def table(first: dict[str, float], later: Sequence[dict[str, float]]) -> None:
    """Prints the stages of the first run, and the medians of the later ones."""
    print("| until | first run, s | later, s | of that, s |\n|---|---|---|---|")
    before = 0.0
    for stage, told in STAGES.items():
        if stage in first:
            usual = statistics.median(marks[stage] for marks in later)
            print(f"| {told} | {first[stage]:.1f} | {usual:.1f} | {usual - before:.1f} |", flush=True)
            before = usual


def whole(experiment: str, workers: int, folder: Path, root: Path) -> dict[str, float]:
    """Seconds since the command at which each stage had ended; one run of the checkout `root` in a store in `folder`."""
    words = {"experiment": experiment, "search.trials": workers, "training.epochs": 1, "search.tuner": "random"}
    words |= {"search.workers": workers, "search.resume": "never"}
    command = [sys.executable, "-m", "mlflow", "run", str(root), "-e", "search", "--env-manager", "local"]
    command += ["--experiment-name", experiment]
    command += [word for key, value in words.items() for word in ("-P", f"{key}={value}")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment |= {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    began = time.time()
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        marks = watched(psutil.Process(process.pid))
        if process.wait():
            sys.exit((folder / "log").read_text()[-2000:])
    return {stage: moment - began for stage, moment in (marks | recorded(folder)).items()}


def watched(top: psutil.Process) -> dict[str, float]:
    """When the driver was there, and when it began to import what; the epoch's seconds."""
    marks: dict[str, float] = {}
    driver: psutil.Process | None = None
    while top.status() != psutil.STATUS_ZOMBIE:
        try:
            driver = driver or _driver(top)
            if driver is not None:
                marks.setdefault("driver", time.time())
                _look(driver, marks)
        except psutil.NoSuchProcess:
            pass
        time.sleep(LOOK_SECONDS)
    return marks


def _driver(top: psutil.Process) -> psutil.Process | None:
    """The `python -m pipeline search` that MLflow's shell has started, once it is there."""
    for child in top.children(recursive=True):
        command = child.cmdline()
        if command[1:4] == ["-m", "pipeline", "search"] and "python" in command[0]:
            return child
    return None


def _look(driver: psutil.Process, marks: dict[str, float]) -> None:
    missing = [stage for stage in LIBRARIES if stage not in marks]
    if missing:
        mapped = Path(f"/proc/{driver.pid}/maps").read_text()
        marks.update({stage: time.time() for stage in missing if LIBRARIES[stage] in mapped})


def recorded(folder: Path) -> dict[str, float]:
    """What the store knows of its latest search; the epoch's seconds."""
    import mlflow

    from pipeline.tracking.store import Store

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    store = Store.connect()
    search = store.latest(step="search")
    assert search is not None
    runs = [store.client.get_run(each.id) for each in store.children(search)]
    return {
        "run": search.start_time_ms / 1000,
        "ready": min(run.info.start_time for run in runs) / 1000,
        "began": min(run.info.end_time / 1000 - run.data.metrics["seconds"] for run in runs),
        "ended": min(run.info.end_time for run in runs) / 1000,
    }


def imports(repeats: int) -> None:
    """A table of processor seconds, each library in a process that has those above it already."""
    print("| import | s | without the hunt for garbage, s |\n|---|---|---|")
    usual, quick = ([_importing(before) for _ in range(repeats)] for before in ("", "import gc; gc.disable()"))
    for library in IMPORTS:
        figures = [statistics.median(each[library] for each in times) for times in (usual, quick)]
        print(f"| {library} | {figures[0]:.2f} | {figures[1]:.2f} |")


def _importing(before: str) -> dict[str, Any]:
    """Processor seconds by library."""
    lines = [before, "import time, json, importlib", "spent = {}"]
    for library in IMPORTS:
        lines += ["start = time.process_time()", f"importlib.import_module({library!r})"]
        lines += [f"spent[{library!r}] = time.process_time() - start"]
    command = [sys.executable, "-c", "\n".join([*lines, "print(json.dumps(spent))"])]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
