"""Odd values of `-P`, and experiment files with odd lines."""

import os
import random
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel

from pipeline.experiment import Experiment
from tests.benchmarks.fuzz.cases import Case, call

EXPERIMENTS = Path(__file__).parents[3] / "experiments"
VALUES = (
    "", " ", "0", "-1", "1", "3", "1e400", "-0.0", "nan", ".nan", ".inf", "-.inf", "9" * 5000, "0x10", "0o7", "1_000",
    "true", "yes", "null", "~", "[]", "{}", "[[]]", "[1, 2", "{a: 1", "{a: {b: [1]}}", "[1, 2]", "[2, 1]",
    "[0.1, .5]", "[nan]", "2025-11-27", "2025-11-27 10:00:00", "12:30", "!!python/object:os.system x",
    "!!binary aGVsbG8=", "!!set {a}", "*anchor", "&a [*a]", "- 1", "a: b", "faces #2", "'", '"', "|\n x", ">", "%",
    "@x", "`x`", "\x00", "\t", "\x1b[31m", "\ud800", "é" * 300, "😀", "[" * 3000, "{a: " * 500, "tcp://x",
    "tcp://:-1", "localhost:8786", "../..", "/dev/zero", "/etc/shadow", "~nobody/x", "random", "grid", "bayesian",
    "hyperband", "val_loss", "auto", "never", "[relu, relu]", "[{hidden: [8]}]", "<<: *a",
)  # fmt: skip
LINES = (
    "search: {trials: 1}", "training:", "  epochs: x", "<<: *a", "&a *a", "? [x]", "- 1", "\tx: 1", "---", "...",
    "data: !!map {}", "space: &s {depth: [1, 1], hidden: *s}", "name: &n [*n]", "question: |", "x: " + "[" * 2000, "\u2028",
    "\ufeff", "name: 1",
)  # fmt: skip


def keys(model: type[BaseModel], before: str = "") -> list[str]:
    """Every key of an experiment, such as `search.trials`."""
    found = []
    for name, field in model.model_fields.items():
        found.append(before + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += keys(field.annotation, f"{before}{name}.")
    return found


class Overrides:
    """Reads experiments with odd settings; what is accepted is used to explore the digits, at times."""

    name = "overrides"

    def __init__(self, folder: Path) -> None:
        self._folder, self._keys = folder, keys(Experiment)

    def __enter__(self) -> Self:
        os.chdir(self._folder)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{self._folder}/mlflow.db"
        os.environ["NARROWGAP_CACHE"] = str(self._folder / "cache")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Nothing is open."""

    def case(self, seed: int) -> Case:
        choice = random.Random(seed)  # noqa: S311 - no secret
        asked = self._file(choice) if choice.random() < 0.5 else "smoke"
        words = ["schedule", "--experiment", asked]
        for key in choice.sample(self._keys, choice.randint(0 if asked != "smoke" else 1, 3)):
            words += [f"--{self._odd_key(key, choice)}={self._value(choice)}"]
        case = call(words, codes={0, 2}, most_seconds=120)
        if case.kind == "exit code 0" and not case.findings and choice.random() < 0.2:
            case = call(["prepare", *words[1:], "--data.dataset", "digits"], codes={0, 2}, most_seconds=60)
        elif case.kind == "exit code 2" and len(case.said.splitlines()) != 1:
            case = replace(case, findings=[*case.findings, f"{len(case.said.splitlines())} lines: {case.said[:300]}"])
        given = [word[:200] for word in words]
        return replace(
            case, what=repr(given), findings=[each.encode("utf-8", "replace").decode() for each in case.findings]
        )

    def _value(self, choice: random.Random) -> str:
        value = choice.choice(VALUES)
        if choice.random() < 0.2:
            other = choice.choice(VALUES)
            cut = choice.randint(0, min(len(value), 20))
            return value[:cut] + other + value[cut:]
        return value

    @staticmethod
    def _odd_key(key: str, choice: random.Random) -> str:
        if choice.random() < 0.9:
            return key
        return choice.choice([key + "x", key + ".0", key[:-1], f"{key}.{key}", "." + key, key.upper(), key + "[0]"])

    def _file(self, choice: random.Random) -> str:
        """An experiment file with some lines and bytes changed."""
        content: Any = bytearray(choice.choice(sorted(EXPERIMENTS.glob("*.yaml"))).read_bytes())
        lines = content.decode().split("\n")
        for _ in range(choice.randint(0, 4)):
            place = choice.randrange(len(lines))
            kind = choice.randrange(5)
            if kind == 0:
                lines.insert(place, choice.choice(LINES))
            elif kind == 1:
                lines.pop(place)
                lines = lines or [""]
            elif kind == 2:
                lines.insert(place, lines[choice.randrange(len(lines))])
            elif kind == 3:
                name, colon, _ = lines[place].partition(":")
                lines[place] = f"{name}{colon} {self._value(choice)}"
            else:
                lines[place] = " " * choice.randint(0, 5) + lines[place].strip()
        raw = bytearray("\n".join(lines).encode("utf-8", "surrogatepass"))
        for _ in range(choice.choice([0, 0, 1, 5])):
            raw[choice.randrange(len(raw) or 1) : choice.randrange(len(raw) or 1) + 1] = bytes([choice.randrange(256)])
        file = self._folder / "odd.yaml"
        file.write_bytes(raw)
        return str(file)
