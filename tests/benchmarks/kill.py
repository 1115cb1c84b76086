"""Kills a search again and again and looks at what is left: `python -m tests.benchmarks.kill [--times N] [--pruner median]`.

For each oracle and number of workers, one search on digits runs undisturbed. Then, N times, the same search's driver is
killed with SIGKILL at random moments and started again until it finishes. What must hold each time: the same trials with the
same values and the same scores, exactly one FINISHED run per trial, and no run that is still RUNNING. Prints a table; exit
code 1 when anything differs.

The drivers are forked from one process that has imported the libraries (and used none), to spare each its seconds of
start; all else is as from the command line: a real store in SQLite, real training, real processes. Two workers are those of
a Dask scheduler that outlives the drivers; with `--own` they are each driver's own, and die with it.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
from mlflow.tracking import MlflowClient

TUNERS = ("random", "grid", "bayesian", "hyperband")
KILLS = 3
TRIALS = 9
OVERRIDES = {"search.trials": str(TRIALS), "training.epochs": "4", "space.hidden": "[8, 12, 16]"}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=20, help="how often each search is killed and resumed")
    options.add_argument("--tuners", nargs="+", default=TUNERS, choices=TUNERS)
    options.add_argument("--workers", nargs="+", type=int, default=(1, 2))
    options.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    options.add_argument("--pruner", default="none", help="search.pruner; not with hyperband")
    options.add_argument("--own", action="store_true", help="two workers are the driver's own")
    given = options.parse_args()
    with _cluster(needed=2 in given.workers and not given.own) as cluster:
        return _table(given, cluster)


def _table(given: argparse.Namespace, cluster: str | None) -> int:
    _import_everything()
    pruner = "" if given.pruner == "none" else f", search.pruner={given.pruner}"
    print(f"{TRIALS} trials on digits{pruner}; {given.times} times, at most {KILLS} kills each\n")
    print("| oracle | workers | times | kills | same trials and scores | one FINISHED run each | none RUNNING |")
    print("|---|---|---|---|---|---|---|", flush=True)
    chance = random.Random(given.seed)  # noqa: S311 - moments, not secrets
    bad = 0
    for tuner in given.tuners:
        for workers in given.workers:
            if given.pruner != "none" and tuner == "hyperband":
                continue  # refused: it stops trials by itself
            bad += _case(tuner, workers, given.times, chance, cluster if workers > 1 else None, given.pruner)
    return 1 if bad else 0


@contextmanager
def _cluster(*, needed: bool) -> Iterator[str | None]:
    """The address of a scheduler with two workers of one thread, processes of their own."""
    if not needed:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scheduler.json"
        dask = [sys.executable, "-m", "distributed.cli.dask_"]
        local = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)]
        worker = ["--host", "127.0.0.1", "--no-dashboard", "--nthreads", "1", "--memory-limit", "2GiB"]
        commands = [[*dask[:2], f"{dask[2]}scheduler", "--port", "0", *local]]
        commands += 2 * [[*dask[:2], f"{dask[2]}worker", "--scheduler-file", str(file), *worker]]
        processes = [
            subprocess.Popen(
                command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            for command in commands
        ]
        try:
            while not file.exists():
                time.sleep(0.1)
            yield json.loads(file.read_text())["address"]
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()


def _case(tuner: str, workers: int, times: int, chance: random.Random, cluster: str | None, pruner: str) -> int:
    """One line of the table; returns how many of its checks failed."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        _driver(Path(folder), tuner, workers, cluster, pruner)
        whole = time.monotonic() - start
        expected = _left(Path(folder))
    counted: Counter[str] = Counter()
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder:
            moments = [chance.uniform(0.05, 0.7) * whole for _ in range(KILLS)]
            for seconds in (*moments, None):
                if not _driver(Path(folder), tuner, workers, cluster, pruner, seconds=seconds):
                    break
                counted["kills"] += 1
                if _over(Path(folder)):
                    break  # killed on the way out: to start again would be another search
            found = _left(Path(folder))
        counted["same"] += found["trials"] == expected["trials"]
        once = all(count == 1 for count in found["finished"].values()) and len(found["finished"]) == TRIALS
        counted["once"] += once
        if not once:
            print(f"FINISHED runs by trial: {dict(found['finished'])}", file=sys.stderr)
        counted["none"] += found["running"] == 0
    if pruner != "none":
        pruned = sum(trial[3] == "true" for trial in expected["trials"].values())
        print(f"{tuner}, {workers}: {pruned} of {TRIALS} trials are pruned", file=sys.stderr)
    checks = [f"{counted[name]} of {times}" for name in ("same", "once", "none")]
    print(f"| {tuner} | {workers} | {times} | {counted['kills']} | {' | '.join(checks)} |", flush=True)
    return 3 * times - counted["same"] - counted["once"] - counted["none"]


def _driver(
    folder: Path, tuner: str, workers: int, cluster: str | None, pruner: str, *, seconds: float | None = None
) -> bool:
    """Runs the step `search` in a process of its own; True when it was killed after so many seconds."""
    child = os.fork()
    if child == 0:
        _search(folder, tuner, workers, cluster, pruner)
    try:
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                if status:
                    sys.exit(f"a driver ended with status {status}:\n{(folder / 'log.txt').read_text()[-3000:]}")
                return False
            if end is not None and time.monotonic() > end:
                _kill(child)
                return True
            time.sleep(0.02)
    finally:
        _wait_for_orphans(folder)


def _kill(driver: int) -> None:
    os.kill(driver, signal.SIGKILL)
    os.waitpid(driver, 0)


def _wait_for_orphans(folder: Path) -> None:
    """A killed driver's workers notice by themselves; they are given the time."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if not [
            each for each in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(each.info["cmdline"] or [])
        ]:
            return
        time.sleep(0.1)


def _search(folder: Path, tuner: str, workers: int, cluster: str | None, pruner: str) -> None:
    """The child: the command line's own entry, its screen in a file; never returns."""
    code = 1
    try:
        os.chdir(folder)
        log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        from pipeline.__main__ import main as command

        overrides = {**OVERRIDES, "search.tuner": tuner, "search.workers": str(workers), "search.pruner": pruner}
        overrides |= {"search.cluster": cluster} if cluster else {}
        words = [word for key, value in overrides.items() for word in (f"--{key}", value)]
        code = command(["search", "--experiment", "smoke", *words])
    except BaseException:  # noqa: BLE001 - the child tells in its log and by its exit code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _over(folder: Path) -> bool:
    """Whether the search has finished. Asked of the file itself: MLflow's client would keep it open over the next fork."""
    finished = """
        SELECT count(*) FROM runs JOIN tags USING (run_uuid)
        WHERE status = 'FINISHED' AND key = 'narrowgap.step' AND value = 'search'
    """
    try:
        with closing(sqlite3.connect(f"file:{folder}/mlflow.db?mode=rw", uri=True)) as store:
            return bool(store.execute(finished).fetchone()[0])
    except sqlite3.OperationalError:  # killed before it had a store
        return False


def _left(folder: Path) -> dict:
    """What the store holds: trials by number with values and score, FINISHED runs per trial, RUNNING runs."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    ids = [each.experiment_id for each in client.search_experiments()]
    runs = client.search_runs(ids, max_results=1000)
    trials = [run for run in runs if run.data.tags.get("narrowgap.step") == "trial" and run.info.status == "FINISHED"]
    return {
        "trials": {
            int(run.data.tags["narrowgap.asked"]): (
                json.loads(run.data.tags["narrowgap.proposal"]),
                run.data.metrics["val_loss"],
                run.data.metrics["test_accuracy"],
                run.data.tags.get("narrowgap.pruned"),
                run.data.metrics["epochs_run"],
            )
            for run in trials
        },
        "finished": Counter(run.data.tags["narrowgap.asked"] for run in trials),
        "running": sum(run.info.status == "RUNNING" for run in runs),
    }


def _import_everything() -> None:
    """Imports, and no more: a process that has used TensorFlow cannot be forked."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from pipeline.training.runtime import init_tensorflow

    init_tensorflow()
    import pipeline.run  # noqa: F401


if __name__ == "__main__":
    sys.exit(main())
