"""Kills searches and their evaluations again and again and looks at what is left: `python -m tests.benchmarks.kill`.

For each oracle and number of workers, one `main` on digits runs undisturbed. Then, `--times` times, the same command is
killed with SIGKILL at random moments, in its search and in its evaluation, and started again until it finishes. (One that
finishes before its first moment does not count.) What must hold each time: the same trials and refits with the same scores,
exactly one FINISHED run for each of them, no run that is still RUNNING, and nothing that still waits for the store. Prints
a table; exit code 1 when anything differs.

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

TUNERS = ("random", "grid", "bayesian", "hyperband")
KILLS = 4
"""At most, of one command: the first half at any moment, the others in the evaluation."""
TRIALS = 9
OVERRIDES = {
    "search.trials": str(TRIALS),
    "training.epochs": "4",
    "space.hidden": "[8, 12, 16]",
    "evaluation.seeds": "3",
}
STEPS = ("trial", "refit")


@dataclass(frozen=True)
class Asked:
    """What a command searches with."""

    tuner: str
    workers: int
    cluster: str | None
    """Address of the scheduler with the workers; None for the driver's own."""
    pruner: str


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=20, help="how often each command is killed and resumed")
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
    print(f"{TRIALS} trials on digits and their refits{pruner}; {given.times} times, at most {KILLS} kills each\n")
    print(
        "| oracle | workers | times | kills | in the evaluation | same trials, refits and scores | one FINISHED run each | "
        "nothing left open |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    chance = random.Random(given.seed)  # noqa: S311 - moments, not secrets
    bad = 0
    for tuner in given.tuners:
        for workers in given.workers:
            if given.pruner != "none" and tuner == "hyperband":
                continue  # refused: it stops trials by itself
            asked = Asked(tuner, workers, cluster if workers > 1 else None, given.pruner)
            bad += _case(asked, given.times, chance)
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


def _case(asked: Asked, times: int, chance: random.Random) -> int:
    """One line of the table; returns how many of its checks failed."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        _driver(Path(folder), asked)
        whole = time.monotonic() - start
        evaluation = _seconds_of_evaluation(Path(folder))
        expected = _left(Path(folder))
    counted: Counter[str] = Counter()
    done = 0
    while done < times:
        with tempfile.TemporaryDirectory() as folder:
            moments = [chance.uniform(0.05, 0.9) * whole for _ in range(KILLS // 2)]
            moments += [chance.uniform(0, 0.9) * evaluation for _ in range(KILLS // 2)]
            before, start = counted["kills"], time.monotonic()
            over = _killed(Path(folder), asked, counted, moments)
            if counted["kills"] == before:  # it ended first: the machine has more to spare than it had
                whole = min(whole, time.monotonic() - start)
                evaluation = min(evaluation, _seconds_of_evaluation(Path(folder)))
                continue
            done += 1
            found = _left(Path(folder), over=over)
        counted["same"] += found["scores"] == expected["scores"]
        counted["once"] += (
            set(found["finished"].values()) == {1} and found["finished"].keys() == expected["finished"].keys()
        )
        counted["none"] += not found["open"]
        for name in ("finished", "open"):
            if found[name] != expected[name]:
                print(f"{name}: {found[name]}", file=sys.stderr)
    if asked.pruner != "none":
        pruned = sum(scores[2] == "true" for scores in expected["scores"].values())
        print(f"{asked.tuner}, {asked.workers}: {pruned} of {TRIALS} trials are pruned", file=sys.stderr)
    checks = [f"{counted[name]} of {times}" for name in ("same", "once", "none")]
    kills = f"{counted['kills']} | {counted['in the evaluation']}"
    print(f"| {asked.tuner} | {asked.workers} | {times} | {kills} | {' | '.join(checks)} |", flush=True)
    return 3 * times - counted["same"] - counted["once"] - counted["none"]


def _killed(folder: Path, asked: Asked, counted: Counter[str], moments: list[float]) -> bool:
    """Runs and kills the command until it finishes; True when it was killed on the way out, after its evaluation."""
    for number, seconds in enumerate((*moments, None)):
        if not _driver(folder, asked, seconds=seconds, of_evaluation=number >= KILLS // 2):
            return False
        counted["kills"] += 1
        if _count(folder, "evaluate", "FINISHED"):
            return True  # to start again would be another search
        counted["in the evaluation"] += _count(folder, "evaluate", "RUNNING") > 0
    return False


def _driver(folder: Path, asked: Asked, *, seconds: float | None = None, of_evaluation: bool = False) -> bool:
    """Runs the step `main` in a process of its own; True when it was killed after so many seconds, or so many of its
    evaluation.
    """
    before = _count(folder, "evaluate", "%")
    child = os.fork()
    if child == 0:
        _main(folder, asked)
    try:
        end = None if seconds is None or of_evaluation else time.monotonic() + seconds
        while True:
            if seconds is not None and end is None and _count(folder, "evaluate", "%") > before:
                end = time.monotonic() + seconds
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


def _main(folder: Path, asked: Asked) -> None:
    """The child: the command line's own entry, its screen in a file; never returns."""
    code = 1
    try:
        os.chdir(folder)
        log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ["NARROWGAP_CACHE"] = str(folder / "cache")
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        from pipeline.__main__ import main as command

        overrides = {**OVERRIDES, "search.tuner": asked.tuner, "search.workers": str(asked.workers)}
        overrides |= {"search.pruner": asked.pruner} | ({"search.cluster": asked.cluster} if asked.cluster else {})
        words = [word for key, value in overrides.items() for word in (f"--{key}", value)]
        code = command(["main", "--experiment", "smoke", *words])
    except BaseException:  # noqa: BLE001 - the child tells in its log and by its exit code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _count(folder: Path, step: str, status: str) -> int:
    """How many such runs there are. Asked of the file itself: MLflow's client would keep it open over the next fork."""
    runs = """
        SELECT count(*) FROM runs JOIN tags USING (run_uuid)
        WHERE status LIKE ? AND key = 'narrowgap.step' AND value = ?
    """
    try:
        with closing(sqlite3.connect(f"file:{folder}/mlflow.db?mode=rw", uri=True)) as store:
            return int(store.execute(runs, (status, step)).fetchone()[0])
    except sqlite3.OperationalError:  # killed before it had a store
        return 0


def _left(folder: Path, *, over: bool = False) -> dict[str, Any]:
    """What the store holds: scores of trials and refits, FINISHED runs of each, and what is open.

    Args:
        folder: Of the store.
        over: Whether the command was killed after its evaluation: nobody has ended the run of `main` yet.
    """
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    ids = [each.experiment_id for each in client.search_experiments()]
    runs = client.search_runs(ids, max_results=1000)
    done = [run for run in runs if run.data.tags.get("narrowgap.step") in STEPS and run.info.status == "FINISHED"]
    waiting = [file.name for file in (folder / "cache").rglob("*") if file.is_file()]
    running = [run.data.tags.get("narrowgap.step", "?") for run in runs if run.info.status == "RUNNING"]
    return {
        "scores": {_trained(run): _scores(run) for run in done},
        "finished": Counter(_trained(run) for run in done),
        "open": waiting + [step for step in running if not (over and step == "main")],
    }


def _seconds_of_evaluation(folder: Path) -> float:
    with closing(sqlite3.connect(f"file:{folder}/mlflow.db?mode=rw", uri=True)) as store:
        took = "SELECT end_time - start_time FROM runs JOIN tags USING (run_uuid) WHERE value = 'evaluate'"
        return float(store.execute(took).fetchone()[0]) / 1000


def _scores(run: Run) -> tuple[float, float, str | None, float]:
    metrics, pruned = run.data.metrics, run.data.tags.get("narrowgap.pruned")
    return metrics["val_loss"], metrics["test_accuracy"], pruned, metrics["epochs_run"]


def _trained(run: Run) -> str:
    """What was trained: a trial's number and proposal, a refit's network and seed."""
    tags, params = run.data.tags, run.data.params
    if tags["narrowgap.step"] == "trial":
        return f"trial {tags['narrowgap.asked']}: {tags['narrowgap.proposal']}"
    return f"refit {params['architecture']}, seed {params['seed']}"


def _import_everything() -> None:
    """Imports, and no more: a process that has used TensorFlow cannot be forked."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from pipeline.training.runtime import init_tensorflow

    init_tensorflow()
    import pipeline.run  # noqa: F401


if __name__ == "__main__":
    sys.exit(main())
