"""Thirty retraining runs on digits: `python -m tests.benchmarks.retraining_runs [--only N]`. Prints a table.

Exit code 1 when any differs.

Each scenario changes the data or disturbs the call, and states the expected outcome: promoted, kept, nothing new, refused
(exit 2), busy (exit 4), store gone (exit 5), killed; and whether the champion stays the same. Scenarios marked `mlflow run`
go through `mlflow run . -e retrain`; the others through the same command line that it calls, in a
process each, forked from one that has imported the libraries (and used none), to save the ten seconds that `mlflow run`
and the imports take. Everything else is real: a store in SQLite, training, signals.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from pipeline.data.dataset import Dataset
from pipeline.data.formats import digits

ROOT = Path(__file__).parents[2]
MODEL = "narrowgap-retraining-runs"
EXPERIMENT: dict[str, Any] = {
    "name": "retraining-runs",
    "question": "Does retraining work unattended?",
    "data": {"dataset": "own", "pixel_max": 16, "validation": 0.15, "test": 0.15},
    "space": {"networks": [{"hidden": [16], "dropout": [0, 0], "activations": ["relu"]}]},
    "training": {"epochs": 3, "batch_size": 32, "learning_rate": 0.01, "schedule": "constant", "patience": None},
    "search": {"tuner": "grid", "trials": 1, "workers": 1},
    "evaluation": {"finalists": 1, "seeds": 3},
    # Of 130 to 270 test images, the gap alone scatters by some 2 points.
    "promotion": {"min_accuracy": 0.5, "max_gap": 0.3, "max_calibration_error": 0.4, "gap_margin": 0.04},
    "retrain": {"mode": "refit"},
}
BETTER = {"training.epochs": "12"}
FORCE = {"retrain.force": "true"}
ENDINGS = {
    "promoted": "promoted",
    "kept": "kept",
    "no champion yet": "kept",
    "nothing new": "nothing new",
    "champion of": "rolled back",
}
"""How a last line begins, after the step's name."""
PATIENCE = 900
"""Longest duration of one call in seconds."""


@dataclass(frozen=True)
class Scenario:
    """One call, and its expected outcome."""

    story: str
    expected: str
    champion: str = "stays"
    """`stays`, `new` (the newest version), or `back` (the previous champion)."""
    before: Callable[["World"], None] = lambda _world: None
    """Change of the data before the call."""
    overrides: Mapping[str, str] = field(default_factory=dict)
    step: str = "retrain"
    mlflow: bool = False
    disturbed: str = ""
    """`kill`: in the middle of training; `kill after alias`; `overlap`: a second call meanwhile, whose outcome counts."""
    store: str | None = None


class World:
    """The folder with the data, the store and the experiment file."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.whole = folder, digits()
        self.data = folder / "data.npz"
        self.uri = f"sqlite:///{folder}/mlflow.db"
        # Spelt otherwise than the children spell it: MLflow keeps a connection per address, and none may cross a fork.
        self.client = MlflowClient(f"sqlite:///{folder}/./mlflow.db")
        self.client.create_experiment("retraining-runs", f"{folder}/artifacts")
        content = {**EXPERIMENT, "data": {**EXPERIMENT["data"], "path": str(self.data)}}
        (folder / "retraining_runs.yaml").write_text(yaml.safe_dump(content))

    def write(self, rows: int, change: Callable[[Dataset, np.ndarray, np.ndarray], tuple] | None = None) -> None:
        """Writes the first `rows` digits, labels as text, so that a class without images is missing altogether."""
        images, labels = self.whole.images_train[:rows], self.whole.labels_train[:rows].astype(str)
        if change is not None:
            images, labels = change(self.whole, images, labels)
        np.savez(self.data, images_train=images, labels_train=labels)

    def environment(self, store: str | None) -> dict[str, str]:
        bare = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{bare['PATH']}"
        own = {"MLFLOW_TRACKING_URI": store or self.uri, "MLFLOW_EXPERIMENT_NAME": "retraining-runs", "PATH": path}
        return bare | own | {"MLFLOW_DISABLE_TELEMETRY": "true"}

    def alias(self, name: str) -> str:
        """Version number of an alias, or `none`."""
        try:
            return str(self.client.get_model_version_by_alias(MODEL, name).version)
        except MlflowException:
            return "none"

    def versions(self) -> list:
        return sorted(self.client.search_model_versions(f"name = '{MODEL}'"), key=lambda each: int(each.version))


def call(world: World, scenario: Scenario) -> subprocess.Popen | int:
    """Starts the call; its screen goes to log.txt."""
    options = {"experiment": str(world.folder / "retraining_runs.yaml"), **scenario.overrides}
    (world.folder / "log.txt").unlink(missing_ok=True)
    if scenario.mlflow:
        words = [word for key, value in options.items() for word in ("-P", f"{key}={value}")]
        command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", scenario.step, "--env-manager", "local"]
        command += ["--experiment-name", "retraining-runs", *words]
        with (world.folder / "log.txt").open("w") as log:
            environment = world.environment(scenario.store)
            return subprocess.Popen(command, env=environment, cwd=world.folder, stdout=log, stderr=log)
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    child = os.fork()
    if not child:
        _child(world, scenario, words)
    return child


def _child(world: World, scenario: Scenario, words: list[str]) -> None:
    """The command line's own entry; never returns."""
    code = 1
    try:
        os.chdir(world.folder)
        log = os.open(world.folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(world.environment(scenario.store))
        from pipeline.__main__ import main as command
        from pipeline.tracking.registry import Registry

        if scenario.disturbed == "kill after alias":
            promote = Registry.promote

            def dies(self: Registry, *arguments: object, **named: object) -> bool:
                promote(self, *arguments, **named)  # type: ignore[arg-type]  # as it was called
                os.kill(os.getpid(), signal.SIGKILL)
                return True

            Registry.promote = dies  # type: ignore[method-assign]  # the point of it
        code = command([scenario.step, *words])
    except BaseException:  # noqa: BLE001 - the child reports by its log and exit code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def finish(process: subprocess.Popen | int) -> int:
    """The exit code; minus the signal that ended it. A call that takes longer than `PATIENCE` is killed."""
    if isinstance(process, subprocess.Popen):
        return process.wait(PATIENCE)
    end = time.monotonic() + PATIENCE
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            raise subprocess.TimeoutExpired(str(process), PATIENCE)
        time.sleep(0.02)


def play(world: World, scenario: Scenario) -> str:
    """Runs a scenario; returns the outcome in the words of `Scenario.expected`."""
    scenario.before(world)
    process = call(world, scenario)
    if scenario.disturbed == "kill":
        _wait_for_a_refit(world)
        assert isinstance(process, int)
        os.kill(process, signal.SIGKILL)
    if scenario.disturbed == "overlap":
        _wait_for_a_refit(world)
        log = world.folder / "log.txt"
        first = log.rename(world.folder / "first.txt")
        second = _outcome(finish(call(world, scenario)), log.read_text())
        return f"{second}, the first {_outcome(finish(process), first.read_text())}"
    return _outcome(finish(process), (world.folder / "log.txt").read_text())


def _outcome(code: int, log: str) -> str:
    if code in {0, 1}:
        said = [line for line in log.splitlines() if line.startswith(("retrain: ", "rollback: "))]
        for beginning, kind in ENDINGS.items():
            if said and said[-1].split(": ", 1)[1].startswith(beginning):
                return f"{kind}, exit 1" if code else kind
    names = {2: "refused", 4: "busy", 5: "store gone", -signal.SIGKILL: "killed"}
    return names.get(code, f"exit {code}: {log[-1500:]}")


def _wait_for_a_refit(world: World) -> None:
    """Waits until a refit is being trained."""
    experiment = world.client.get_experiment_by_name("retraining-runs")
    where = "tags.`narrowgap.step` = 'refit' and attributes.status = 'RUNNING'"
    end = time.monotonic() + PATIENCE
    while not world.client.search_runs([experiment.experiment_id], where, max_results=1):
        if time.monotonic() > end:
            sys.exit("no refit started in time")
        time.sleep(0.1)


def _wrong(whole: Dataset, images: np.ndarray, labels: np.ndarray) -> tuple:
    """Three labels in ten are drawn at random."""
    generator = np.random.default_rng(3)
    wrong = generator.random(len(labels)) < 0.3
    return images, np.where(wrong, generator.integers(0, 10, len(labels)).astype(str), labels)


def _no_sevens(_whole: Dataset, images: np.ndarray, labels: np.ndarray) -> tuple:
    return images[labels != "7"], labels[labels != "7"]


def _twice_as_large(_whole: Dataset, images: np.ndarray, labels: np.ndarray) -> tuple:
    return images.repeat(2, axis=1).repeat(2, axis=2), labels


def _cut_short(world: World) -> None:
    world.data.write_bytes(world.data.read_bytes()[:5000])


SCENARIOS = [
    Scenario("900 images, no champion yet", "promoted", "new", lambda world: world.write(900), mlflow=True),
    Scenario("unchanged", "nothing new"),
    Scenario("60 images more", "kept", before=lambda world: world.write(960), mlflow=True),
    Scenario("unchanged", "nothing new", mlflow=True),
    Scenario("the file is cut short", "refused", before=_cut_short),
    Scenario("the file is gone", "refused", before=lambda world: world.data.unlink()),
    Scenario("the file is back as it was", "nothing new", before=lambda world: world.write(960)),
    Scenario("lucky seed: unchanged, forced", "kept", overrides=FORCE),
    Scenario("lucky seed: unchanged, forced", "kept", overrides=FORCE),
    Scenario("a class vanishes", "refused", before=lambda world: world.write(960, _no_sevens)),
    Scenario("three labels in ten are wrong", "kept", before=lambda world: world.write(960, _wrong)),
    Scenario("they stay wrong", "nothing new"),
    Scenario("they are put right", "kept", before=lambda world: world.write(960)),
    Scenario("40 images more; killed while training", "killed", before=lambda world: world.write(1000), disturbed="kill"),
    Scenario("the same call again", "kept"),
    Scenario("all 1,797 images, twice as many as before; a second call meanwhile", "busy, the first promoted", "new",
             lambda world: world.write(1797), disturbed="overlap"),
    Scenario("a better recipe: 12 epochs instead of 3", "promoted", "new", overrides=BETTER, mlflow=True),
    Scenario("unchanged", "nothing new", overrides=BETTER),
    Scenario("lucky seed: unchanged, forced", "kept", overrides=BETTER | FORCE),
    Scenario("rollback", "rolled back", "back", step="rollback", overrides={"why": "test"}, mlflow=True),
    Scenario("unchanged after the rollback", "nothing new", overrides=BETTER),
    Scenario("forced; killed just after the alias was moved", "killed", "new", overrides=BETTER | FORCE,
          disturbed="kill after alias"),
    Scenario("the same data and recipe", "nothing new", overrides=BETTER),
    Scenario("the store does not answer", "store gone", store="http://127.0.0.1:9"),
    Scenario("images of another size", "refused", before=lambda world: world.write(1797, _twice_as_large), overrides=BETTER),
    Scenario("pixels up to 255 instead of 16", "refused", before=lambda world: world.write(1797),
          overrides=BETTER | {"data.pixel_max": "255"}),
    Scenario("100 images fewer", "kept", before=lambda world: world.write(1697), overrides=BETTER),
    Scenario("forced, and kept is to be a failure", "kept, exit 1", mlflow=True,
          overrides=BETTER | FORCE | {"retrain.fail_when_kept": "true"}),
    Scenario("unchanged", "nothing new", overrides=BETTER, mlflow=True),
    Scenario("rollback to a version that is not there", "refused", step="rollback", overrides={"version": "99"}),
]  # fmt: skip


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", type=int, default=len(SCENARIOS), help="number of scenarios to run")
    given = options.parse_args()
    _import_everything()
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        print("| run | through | scenario | expected | outcome | champion |\n|---|---|---|---|---|---|", flush=True)
        bad = sum(
            not _line(world, number, scenario) for number, scenario in enumerate(SCENARIOS[: given.only], start=1)
        )
        left = [each.version for each in world.versions() if "narrowgap.decision" not in each.tags]
    print(
        f"\n{bad} of {given.only} scenarios had another outcome; versions without a decision: {', '.join(left) or 'none'}"
    )
    return 1 if bad or left else 0


def _line(world: World, number: int, scenario: Scenario) -> bool:
    """Runs one scenario and prints its line; returns whether the outcome is as expected."""
    champion, previous = world.alias("champion"), world.alias("previous_champion")
    happened = play(world, scenario)
    newest = world.versions()[-1].version if world.versions() else "none"
    due = {"stays": champion, "new": str(newest), "back": previous}[scenario.champion]
    now = world.alias("champion")
    good = happened == scenario.expected and now == due and (scenario.champion == "stays" or now != champion)
    moved = f"{champion} → {now}" if now != champion else now
    through = "`mlflow run`" if scenario.mlflow else "command line"
    outcome = f"{happened}" if good else f"**{happened}** (champion {due} expected)"
    print(f"| {number} | {through} | {scenario.story} | {scenario.expected} | {outcome} | {moved} |", flush=True)
    return good


def _import_everything() -> None:
    """Imports, and no more: a process that has used TensorFlow cannot be forked."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from pipeline.training.runtime import init_tensorflow

    init_tensorflow()
    import pipeline.retraining.step
    import pipeline.run  # noqa: F401


if __name__ == "__main__":
    sys.exit(main())
