"""A search in a process of its own, whose screen is read while it runs."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from mlflow.tracking import MlflowClient

from tests.fixtures import warm

TRIALS = 6
ONE_PROGRAM = (
    "--space.depth", "[1, 1]", "--space.hidden", "[8]", "--space.dropout", "[.1, .15, .2, .25, .3, .35, .4, .45]",
)  # fmt: skip
"""Networks that differ in their dropout rate alone: a process compiles for the first, and not again."""
EACH_ONCE = Counter(str(number) for number in range(TRIALS))


class Search:
    """A real search of the experiment `smoke`, as a process; `name` is its MLflow experiment."""

    def __init__(self, folder: Path, address: str, name: str, *words: str, trials: int = TRIALS) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
        environment |= {
            "MLFLOW_TRACKING_URI": address, "MLFLOW_EXPERIMENT_NAME": name,
            "NARROWGAP_CACHE": str(folder / "cache"),
        }  # fmt: skip
        self.lines: list[str] = []
        command = ("search", "--experiment", "smoke", "--search.trials", str(trials), *ONE_PROGRAM, *words)
        self._process = warm.start(*command, env=environment, cwd=folder, errors_in_stdout=True)

    def until(self, found: Callable[[str], bool]) -> None:
        for line in self._process.stdout:
            self.lines.append(line)
            if found(line):
                return
        raise AssertionError("".join(self.lines))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def end(self) -> int:
        self.lines += self._process.stdout.readlines()
        return self._process.wait()

    @property
    def screen(self) -> str:
        return "".join(self.lines)


def trial(number: int) -> Callable[[str], bool]:
    """Whether a line of the screen says that this trial has ended."""
    return lambda line: line.startswith(f"trial {number}/{TRIALS}")


def finished(address: str, name: str) -> Counter[str]:
    """How often each trial is FINISHED in the store, by number; no run may be left RUNNING."""
    client = MlflowClient(address)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    trials = [run for run in runs if run.data.tags.get("narrowgap.step") == "trial"]
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED", "FAILED"}
    for run in trials:
        if run.info.status == "FINISHED":
            assert {"curves.png", "confusion_matrix.png", "network.txt"} == {
                file.path for file in client.list_artifacts(run.info.run_id)
            }
    return Counter(run.data.tags["narrowgap.asked"] for run in trials if run.info.status == "FINISHED")
