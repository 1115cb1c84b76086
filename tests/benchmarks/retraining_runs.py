"""Thirty retraining runs on digits: `python -m tests.benchmarks.retraining_runs [--only N]`. Prints a table.

Exit code 1 when any differs.

Every night changes what lies on the disk, or disturbs the call, and says what must come of it: promoted, kept, nothing
new, refused (exit 2), busy (exit 4), store gone (exit 5), killed; and whether the champion is the same as before. Nights
marked `mlflow run` go through `mlflow run . -e retrain`; the others through the same command line that it calls, in a
process each, forked from one that has imported the libraries (and used none), to spare the ten seconds that `mlflow run`
and the imports take. All else is real: a store in SQLite, training, signals.
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
MODEL = "narrowgap-nights"
EXPERIMENT: dict[str, Any] = {
    "name": "nights",
    "question": "Can it be left alone?",
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
"""Seconds that one call may take."""


@dataclass(frozen=True)
class Night:
    """What happens, and what must come of it."""

    story: str
    expected: str
    champion: str = "stays"
    """`stays`, `new` (the newest version), or `back` (the previous champion)."""
    before: Callable[["World"], None] = lambda _world: None
    """What happens to the data."""
    overrides: Mapping[str, str] = field(default_factory=dict)
    step: str = "retrain"
    mlflow: bool = False
    disturbed: str = ""
    """`kill`: in the middle of training; `kill after alias`; `overlap`: a second call meanwhile, whose end counts."""
    store: str | None = None


class World:
    """The folder with the data, the store and the experiment's file."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.whole = folder, digits()
        self.data = folder / "data.npz"
        self.uri = f"sqlite:///{folder}/mlflow.db"
        # Spelt otherwise than the children spell it: MLflow keeps a connection per address, and none may cross a fork.
        self.client = MlflowClient(f"sqlite:///{folder}/./mlflow.db")
        self.client.create_experiment("nights", f"{folder}/artifacts")
        content = {**EXPERIMENT, "data": {**EXPERIMENT["data"], "path": str(self.data)}}
        (folder / "nights.yaml").write_text(yaml.safe_dump(content))

    def write(self, rows: int, change: Callable[[Dataset, np.ndarray, np.ndarray], tuple] | None = None) -> None:
        """The first so many digits, with labels as text, so that a class that is gone is not there at all."""
        images, labels = self.whole.images_train[:rows], self.whole.labels_train[:rows].astype(str)
        if change is not None:
            images, labels = change(self.whole, images, labels)
        np.savez(self.data, images_train=images, labels_train=labels)

    def environment(self, store: str | None) -> dict[str, str]:
        bare = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{bare['PATH']}"
        own = {"MLFLOW_TRACKING_URI": store or self.uri, "MLFLOW_EXPERIMENT_NAME": "nights", "PATH": path}
        return bare | own | {"MLFLOW_DISABLE_TELEMETRY": "true"}

    def alias(self, name: str) -> str:
        """Which version bears it; `none`."""
        try:
            return str(self.client.get_model_version_by_alias(MODEL, name).version)
        except MlflowException:
            return "none"

    def versions(self) -> list:
        return sorted(self.client.search_model_versions(f"name = '{MODEL}'"), key=lambda each: int(each.version))


def call(world: World, night: Night) -> subprocess.Popen | int:
    """Starts the night's call; its screen goes to log.txt."""
    options = {"experiment": str(world.folder / "nights.yaml"), **night.overrides}
    (world.folder / "log.txt").unlink(missing_ok=True)
    if night.mlflow:
        words = [word for key, value in options.items() for word in ("-P", f"{key}={value}")]
        command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", night.step, "--env-manager", "local"]
        command += ["--experiment-name", "nights", *words]
        with (world.folder / "log.txt").open("w") as log:
            environment = world.environment(night.store)
            return subprocess.Popen(command, env=environment, cwd=world.folder, stdout=log, stderr=log)
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    child = os.fork()
    if not child:
        _child(world, night, words)
    return child


def _child(world: World, night: Night, words: list[str]) -> None:
    """The command line's own entry; never returns."""
    code = 1
    try:
        os.chdir(world.folder)
        log = os.open(world.folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(world.environment(night.store))
        from pipeline.__main__ import main as command
        from pipeline.tracking.registry import Registry

        if night.disturbed == "kill after alias":
            promote = Registry.promote

            def dies(self: Registry, *arguments: object, **named: object) -> bool:
                promote(self, *arguments, **named)  # type: ignore[arg-type]  # as it was called
                os.kill(os.getpid(), signal.SIGKILL)
                return True

            Registry.promote = dies  # type: ignore[method-assign]  # the point of it
        code = command([night.step, *words])
    except BaseException:  # noqa: BLE001 - the child tells in its log and by its exit code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def finish(process: subprocess.Popen | int) -> int:
    """The exit code; minus the signal that ended it."""
    if isinstance(process, subprocess.Popen):
        return process.wait(PATIENCE)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


def play(world: World, night: Night) -> str:
    """What came of it, in the words of `Night.expected`."""
    night.before(world)
    process = call(world, night)
    if night.disturbed == "kill":
        _wait_for_a_refit(world)
        assert isinstance(process, int)
        os.kill(process, signal.SIGKILL)
    if night.disturbed == "overlap":
        _wait_for_a_refit(world)
        log = world.folder / "log.txt"
        first = log.rename(world.folder / "first.txt")
        second = _outcome(finish(call(world, night)), log.read_text())
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
    """Until a refit is being trained."""
    experiment = world.client.get_experiment_by_name("nights")
    where = "tags.`narrowgap.step` = 'refit' and attributes.status = 'RUNNING'"
    end = time.monotonic() + PATIENCE
    while not world.client.search_runs([experiment.experiment_id], where, max_results=1):
        if time.monotonic() > end:
            sys.exit("what a night waited for did not come")
        time.sleep(0.1)


def _wrong(whole: Dataset, images: np.ndarray, labels: np.ndarray) -> tuple:
    """Three labels in ten are drawn anew."""
    generator = np.random.default_rng(3)
    wrong = generator.random(len(labels)) < 0.3
    return images, np.where(wrong, generator.integers(0, 10, len(labels)).astype(str), labels)


def _no_sevens(_whole: Dataset, images: np.ndarray, labels: np.ndarray) -> tuple:
    return images[labels != "7"], labels[labels != "7"]


def _twice_as_large(_whole: Dataset, images: np.ndarray, labels: np.ndarray) -> tuple:
    return images.repeat(2, axis=1).repeat(2, axis=2), labels


def _cut_short(world: World) -> None:
    world.data.write_bytes(world.data.read_bytes()[:5000])


NIGHTS = [
    Night("900 images, no champion yet", "promoted", "new", lambda world: world.write(900), mlflow=True),
    Night("unchanged", "nothing new"),
    Night("60 images more", "kept", before=lambda world: world.write(960), mlflow=True),
    Night("unchanged", "nothing new", mlflow=True),
    Night("the file is cut short", "refused", before=_cut_short),
    Night("the file is gone", "refused", before=lambda world: world.data.unlink()),
    Night("the file is back as it was", "nothing new", before=lambda world: world.write(960)),
    Night("lucky seed: unchanged, forced", "kept", overrides=FORCE),
    Night("lucky seed: unchanged, forced", "kept", overrides=FORCE),
    Night("a class vanishes", "refused", before=lambda world: world.write(960, _no_sevens)),
    Night("three labels in ten are wrong", "kept", before=lambda world: world.write(960, _wrong)),
    Night("they stay wrong", "nothing new"),
    Night("they are put right", "kept", before=lambda world: world.write(960)),
    Night("40 images more; killed while training", "killed", before=lambda world: world.write(1000), disturbed="kill"),
    Night("the same call again", "kept"),
    Night("all 1,797 images, twice what the champion has seen; a second call meanwhile", "busy, the first promoted", "new",
          lambda world: world.write(1797), disturbed="overlap"),
    Night("a better recipe: 12 epochs instead of 3", "promoted", "new", overrides=BETTER, mlflow=True),
    Night("unchanged", "nothing new", overrides=BETTER),
    Night("lucky seed: unchanged, forced", "kept", overrides=BETTER | FORCE),
    Night("rollback", "rolled back", "back", step="rollback", overrides={"why": "to see that it goes"}, mlflow=True),
    Night("unchanged after the rollback", "nothing new", overrides=BETTER),
    Night("forced; killed just after the alias was moved", "killed", "new", overrides=BETTER | FORCE,
          disturbed="kill after alias"),
    Night("the same data and recipe", "nothing new", overrides=BETTER),
    Night("the store does not answer", "store gone", store="http://127.0.0.1:9"),
    Night("images of another size", "refused", before=lambda world: world.write(1797, _twice_as_large), overrides=BETTER),
    Night("pixels up to 255 instead of 16", "refused", before=lambda world: world.write(1797),
          overrides=BETTER | {"data.pixel_max": "255"}),
    Night("100 images fewer", "kept", before=lambda world: world.write(1697), overrides=BETTER),
    Night("forced, and kept is to be a failure", "kept, exit 1", mlflow=True,
          overrides=BETTER | FORCE | {"retrain.fail_when_kept": "true"}),
    Night("unchanged", "nothing new", overrides=BETTER, mlflow=True),
    Night("rollback to a version that is not there", "refused", step="rollback", overrides={"version": "99"}),
]  # fmt: skip


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", type=int, default=len(NIGHTS), help="play so many nights")
    given = options.parse_args()
    _import_everything()
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        print("| night | through | what happened | expected | came | champion |\n|---|---|---|---|---|---|", flush=True)
        bad = sum(not _line(world, number, night) for number, night in enumerate(NIGHTS[: given.only], start=1))
        left = [each.version for each in world.versions() if "narrowgap.decision" not in each.tags]
    print(f"\n{bad} of {given.only} nights went otherwise; versions without a decision: {', '.join(left) or 'none'}")
    return 1 if bad or left else 0


def _line(world: World, number: int, night: Night) -> bool:
    """Plays one night and prints its line; returns whether it went as expected."""
    champion, previous = world.alias("champion"), world.alias("previous_champion")
    happened = play(world, night)
    newest = world.versions()[-1].version if world.versions() else "none"
    due = {"stays": champion, "new": str(newest), "back": previous}[night.champion]
    now = world.alias("champion")
    good = happened == night.expected and now == due and (night.champion == "stays" or now != champion)
    moved = f"{champion} → {now}" if now != champion else now
    through = "`mlflow run`" if night.mlflow else "command line"
    told = f"{happened}" if good else f"**{happened}** (champion {due} expected)"
    print(f"| {number} | {through} | {night.story} | {night.expected} | {told} | {moved} |", flush=True)
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
