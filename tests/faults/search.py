"""A search in a process of its own, whose screen is read while it runs."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Search:
    """A real search of the experiment `smoke`, as a process; `name` is its MLflow experiment."""

    def __init__(self, folder: Path, address: str, name: str, *words: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
        environment |= {
            "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": address, "MLFLOW_EXPERIMENT_NAME": name,
            "NARROWGAP_CACHE": str(folder / "cache"),
        }  # fmt: skip
        command = [sys.executable, "-u", "-m", "pipeline", "search", "--experiment", "smoke"]
        command += words
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def until(self, found: Callable[[str], bool]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line)
            if found(line):
                return
        raise AssertionError("".join(self.lines))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def end(self) -> int:
        assert self._process.stdout is not None
        self.lines += self._process.stdout.readlines()
        return self._process.wait()

    @property
    def screen(self) -> str:
        return "".join(self.lines)
