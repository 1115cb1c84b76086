"""What a year of nightly retraining leaves in the store: `python -m tests.benchmarks.year`, with the options

    --nights N      as many nights instead of 365; a month is then N/12 of them, and `prune` keeps N * 90/365
    --no-prune      nothing is deleted, to compare
    --seeds 2       refits a night

Every night has three more digits than the one before and a network of 16 units, which is trained again; the first night
searches. Real retraining, in this process; only the time between two nights is made up: each night, everything in the
store becomes a day older. At the end of a month `prune`, `mlflow gc` and SQLite's VACUUM run. Prints a line per month:
nights, runs, versions, the sizes of database and artifacts in MiB, and the seconds of `status` (in a process of its own,
the better of two), of a night and of `prune` alone. With N nights, a year has up to 365/N times the sizes of the last line.
"""

import argparse
import contextlib
import io
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import yaml

from pipeline.__main__ import main as narrowgap
from pipeline.data.formats import digits
from pipeline.tracking import deletion
from pipeline.tracking.store import Store

ROOT = Path(__file__).resolve().parents[2]
YEAR, MONTHS, KEEP_DAYS = 365, 12, 90
FIRST_ROWS, MORE_ROWS = 600, 3
DAY_MS = 24 * 60 * 60 * 1000
EXPERIMENT = {
    "name": "year",
    "question": "What does a year leave in the store?",
    "space": {"networks": [{"hidden": [16], "dropout": [0, 0], "activations": ["relu"]}]},
    "training": {"epochs": 2, "batch_size": 64, "learning_rate": 0.01, "schedule": "constant", "patience": None},
    "search": {"tuner": "grid", "trials": 1, "workers": 1},
    "retrain": {"mode": "refit"},
    "promotion": {"min_accuracy": 0.1, "max_gap": 0.9, "max_calibration_error": 0.9},
}
COLUMNS = ("month", "nights", "runs", "versions", "database", "artifacts", "status, s", "a night, s", "prune, s")
OLDER = (("runs", "start_time"), ("runs", "end_time"), ("model_versions", "creation_time"))
"""Columns of the store with a time in milliseconds that `prune` goes by."""


class World:
    """A folder with the experiment, its data and the store."""

    def __init__(self, folder: Path, seeds: int) -> None:
        self.folder, self.file, self.data = folder, folder / "year.yaml", folder / "data.npz"
        self.uri = f"sqlite:///{folder}/mlflow.db"
        os.environ |= {"MLFLOW_TRACKING_URI": self.uri, "MLFLOW_EXPERIMENT_NAME": "year"}
        data = {"dataset": "own", "path": str(self.data), "pixel_max": 16, "validation": 0.15, "test": 0.15}
        own = {"data": data, "evaluation": {"finalists": 1, "seeds": seeds}}
        self.file.write_text(yaml.safe_dump(EXPERIMENT | own))
        self.store = Store.connect()
        self.store.client.create_experiment("year", f"{folder}/artifacts")

    def call(self, step: str, *words: str) -> float:
        """Seconds of one command line in this process."""
        began, said = time.perf_counter(), io.StringIO()
        with contextlib.redirect_stdout(said):
            code = narrowgap([step, "--experiment", str(self.file), *words])
        if code:
            sys.exit(f"{step} ended with {code}: {said.getvalue()}")
        return time.perf_counter() - began

    def night(self, number: int) -> float:
        """One retraining run with the data of that night; afterwards a day has passed."""
        found, rows = digits(), FIRST_ROWS + MORE_ROWS * number
        np.savez(self.data, images_train=found.images_train[:rows], labels_train=found.labels_train[:rows])
        seconds = self.call("retrain")
        with closing(sqlite3.connect(self.folder / "mlflow.db", timeout=60)) as database, database:
            for table, column in OLDER:
                database.execute(f"UPDATE {table} SET {column} = {column} - {DAY_MS}")  # noqa: S608 - fixed names
        return seconds

    def prune(self, keep_days: int) -> float:
        """Seconds of `prune` alone; what it deleted is then removed for good."""
        seconds = self.call("prune", "--keep_days", str(keep_days), "--apply", "yes")
        command = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", self.uri]
        subprocess.run(command, check=True, capture_output=True)
        with closing(sqlite3.connect(self.folder / "mlflow.db", timeout=60)) as database:
            database.execute("VACUUM")
        return seconds

    def status(self) -> float:
        """Seconds of `status` in a process of its own."""
        command = [sys.executable, "-m", "pipeline", "status", "--experiment", str(self.file)]
        seconds = []
        for _ in range(2):
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
            seconds.append(time.perf_counter() - began)
        return min(seconds)

    def counts(self) -> tuple[int, int, float, float]:
        """Runs, versions, MiB of the database and of artifacts."""
        with closing(sqlite3.connect(self.folder / "mlflow.db", timeout=60)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (runs,) = database.execute("SELECT count(*) FROM runs").fetchone()
            there = "SELECT count(*) FROM model_versions WHERE current_stage != 'Deleted_Internal'"
            (versions,) = database.execute(there).fetchone()
        size = (self.folder / "mlflow.db").stat().st_size
        files = deletion.local_bytes(f"{self.folder}/artifacts") or 0
        return runs, versions, size / deletion.MIB, files / deletion.MIB


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--nights", type=int, default=YEAR)
    options.add_argument("--seeds", type=int, default=2)
    options.add_argument("--no-prune", action="store_true")
    given = options.parse_args()
    keep_days = round(KEEP_DAYS * given.nights / YEAR)
    ends = [round(given.nights * month / MONTHS) for month in range(1, MONTHS + 1)]
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), given.seeds)
        print(f"{given.nights} nights; {'nothing is deleted' if given.no_prune else f'{keep_days} nights are kept'}")
        print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
        seconds: list[float] = []
        for number in range(given.nights):
            seconds.append(world.night(number))
            if number + 1 in ends:
                pruned = None if given.no_prune else world.prune(keep_days)
                _print(world, ends.index(number + 1) + 1, seconds, pruned)
                seconds = []
    if given.nights != YEAR:
        print(f"A year has up to {YEAR / given.nights:.1f} times these sizes: as many times more nights are kept.")
    return 0


def _print(world: World, month: int, seconds: list[float], pruned: float | None) -> None:
    runs, versions, database, artifacts = world.counts()
    cells = [
        f"{month}", f"{len(seconds)}", f"{runs}", f"{versions}", f"{database:.1f}", f"{artifacts:.1f}",
        f"{world.status():.1f}", f"{statistics.median(seconds):.1f}", "" if pruned is None else f"{pruned:.1f}",
    ]  # fmt: skip
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
