"""Odd answers of a store: a real MLflow server behind a proxy that cuts, delays, replaces and loses what it answers."""

import json
import os
import random
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from tests.benchmarks.fuzz.cases import SECRET, Case, call
from tests.faults.servers import Answer, Gate, Server

ROOT = Path(__file__).resolve().parents[3]
STEPS = {"status": 3, "prune": 2, "prepare": 4, "rollback": 2, "search": 3, "predict": 2, "retrain": 3}
"""How often each is called."""
STATUS = (400, 401, 403, 404, 405, 408, 409, 413, 418, 429, 500, 501, 502, 503, 504)
PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
BODIES = (b"", b"null", b"[]", b"{}", b'"text"', b"1", b'{"run": null}', b'{"experiments": {}}', b"\xff\xfe\x00", PAGE)
ERRORS = (
    "INTERNAL_ERROR",
    "TEMPORARILY_UNAVAILABLE",
    "PERMISSION_DENIED",
    "REQUEST_LIMIT_EXCEEDED",
    "NO_SUCH_CODE",
    "",
)
SHARES = (0.02, 0.1, 0.3, 1.0)
"""How many answers of a case are odd."""
WAIT = "0.05"
"""`tracking.wait_minutes`, of an outage. A call that meets many takes minutes, and ends."""
MOST_SECONDS = 300
TRIAL = {"curves.png", "confusion_matrix.png", "network.txt"}
ARTIFACTS = {
    "trial": TRIAL,
    "refit": TRIAL,
    "prepare": {"data.csv", "experiment.yaml"},
    "evaluate": {"report.html", "gaps.csv"},
    "retrain": {"decision.json"},
}


class Odd:
    """Makes some answers odd, by a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._share = self._random.choice(SHARES)
        self._kinds = self._random.sample(list(self._all()), k=self._random.randint(1, 4))
        self.done: list[str] = []

    def _all(self) -> dict[str, object]:
        return {
            "status": self._status, "error": self._error, "page": self._page, "body": self._body, "short": self._short,
            "bytes": self._bytes, "late": self._late, "lost": self._lost, "cut": self._cut, "elsewhere": self._elsewhere,
        }  # fmt: skip

    def __call__(self, path: str, answer: Answer) -> Answer:
        if self._random.random() >= self._share:
            return answer
        kind = self._random.choice(self._kinds)
        self.done.append(f"{kind} {path.partition('?')[0].rpartition('mlflow')[2]}")
        made: Answer = self._all()[kind](answer)  # type: ignore[operator]  # all of them take an answer and return one
        return made

    def _status(self, answer: Answer) -> Answer:
        body = self._random.choice([PAGE, b"", answer.content])
        return replace(answer, status=self._random.choice(STATUS), content=body)

    def _error(self, answer: Answer) -> Answer:
        body = {"error_code": self._random.choice(ERRORS), "message": "odd"}
        return replace(answer, status=self._random.choice(STATUS), content=json.dumps(body).encode())

    def _page(self, answer: Answer) -> Answer:
        return replace(answer, status=200, content=PAGE)

    def _body(self, answer: Answer) -> Answer:
        return replace(answer, status=200, content=self._random.choice(BODIES))

    def _short(self, answer: Answer) -> Answer:
        return replace(answer, content=answer.content[: self._random.randint(0, len(answer.content))])

    def _bytes(self, answer: Answer) -> Answer:
        content = bytearray(answer.content)
        for _ in range(self._random.randint(1, 8) if content else 0):
            content[self._random.randrange(len(content))] = self._random.randrange(256)
        return replace(answer, content=bytes(content))

    def _late(self, answer: Answer) -> Answer:
        time.sleep(self._random.uniform(0, 0.5))
        return answer

    def _lost(self, answer: Answer) -> Answer:
        return replace(answer, status=0)

    def _cut(self, answer: Answer) -> Answer:
        return replace(answer, cut=self._random.randint(0, len(answer.content)))

    def _elsewhere(self, answer: Answer) -> Answer:
        return replace(answer, status=302, headers=(("Location", "/login"),), content=PAGE)


class Answers:
    """Commands on a server whose answers are odd."""

    name = "answers"

    def __init__(self, folder: Path) -> None:
        self._folder, self._server = folder, Server(folder)
        self._experiment = folder / "smoke.yaml"  # some steps take no overrides
        smoke = (ROOT / "experiments" / "smoke.yaml").read_text()
        self._experiment.write_text(f"{smoke}tracking: {{wait_minutes: {WAIT}}}\n")

    def __enter__(self) -> Self:
        self._server.start()
        self._gate = Gate(self._server)
        os.chdir(self._folder)
        os.environ |= {
            "MLFLOW_TRACKING_URI": self._gate.address.replace("://", f"://bob:{SECRET}@"),
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
            "NARROWGAP_CACHE": str(self._folder / "cache"),
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._gate.shut()
        self._server.kill()

    def case(self, seed: int) -> Case:
        choice = random.Random(seed)  # noqa: S311 - no secret
        step = choice.choices(list(STEPS), list(STEPS.values()))[0]
        words = [step, "--experiment", str(self._experiment)]
        if step in {"search", "retrain"}:
            words += ["--search.trials", "2", "--training.epochs", "1", "--search.resume", "never"]
        if step == "retrain":
            words += ["--evaluation.finalists", "1", "--retrain.force", "true"]
        if step == "predict":
            words += ["--input", str(self._folder)]
        if step == "prune":
            words += ["--apply", choice.choice(["yes", "no"])]
        os.environ["MLFLOW_EXPERIMENT_NAME"] = f"seed {seed}"
        odd = Odd(seed)
        self._gate.change = odd
        case = call(words, most_seconds=MOST_SECONDS)
        self._gate.change = None
        half = self._half_written(f"seed {seed}")
        return replace(case, what=f"{case.what}: {', '.join(odd.done[:12])}", findings=[*case.findings, *half])

    def _half_written(self, name: str) -> list[str]:
        """Runs that are FINISHED and lack something."""
        client = MlflowClient(self._server.address)
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            return []
        runs = client.search_runs([experiment.experiment_id], "attributes.status = 'FINISHED'")
        return [missing for run in runs for missing in _missing(client, run)]


def _missing(client: MlflowClient, run: Run) -> list[str]:
    step = run.data.tags.get("narrowgap.step", "none")
    there = {each.path for each in client.list_artifacts(run.info.run_id)}
    lacking = ARTIFACTS.get(step, set()) - there
    if step == "trial" and "val_loss" not in run.data.metrics:
        lacking |= {"val_loss"}
    return [f"a FINISHED run of {step} lacks {', '.join(sorted(lacking))}"] if lacking else []
