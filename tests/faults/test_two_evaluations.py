"""Two evaluations of one search at the same time, after one that was killed."""

import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.fixtures import warm
from tests.test_whole import environment, runs

pytestmark = pytest.mark.server
WORDS = ("evaluate", "--experiment", "smoke", "--evaluation.seeds", "1")
KILLED_WITH_TWO_IN_THE_STORE_AND_TWO_IN_THE_OUTBOX = """
import os, signal
from pipeline.evaluation import refits
from pipeline.search.recording.run_journal import RunJournal
real, write = refits._RefitScheduler._ended, RunJournal._write
RunJournal._write = lambda self, number, *record: write(self, number, *record) if number < 2 else None
def dies(self, outcome):
    seen = real(self, outcome)
    self._journal.drain()
    if outcome.number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return seen
refits._RefitScheduler._ended = dies
"""
TOGETHER = """
import os, pathlib, time
from pipeline.evaluation import refits
real = refits.EarlierRefits
def meet(place):
    pathlib.Path(f"{place}.{os.getpid()}.met").touch()
    end = time.monotonic() + 600
    while len(list(pathlib.Path().glob(f"{place}.*.met"))) < 2:
        assert time.monotonic() < end
        time.sleep(0.01)
def together(*words):
    meet("looks")
    found = real(*words)
    meet("takes")
    return found
refits.EarlierRefits = together
"""


def test_two_evaluations_at_once_take_no_refit_both_and_record_none_twice(tmp_path: Path) -> None:
    env = environment(tmp_path, NARROWGAP_CACHE=f"{tmp_path}/cache")
    assert warm.run("search", *WORDS[1:], env=env, cwd=tmp_path).returncode == 0
    code = KILLED_WITH_TWO_IN_THE_STORE_AND_TWO_IN_THE_OUTBOX + warm.COMMAND_LINE
    killed = warm.run(*WORDS, env=env, cwd=tmp_path, code=code)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list((tmp_path / "cache").rglob("*.zip"))) == 2
    two = [warm.start(*WORDS, env=env, cwd=tmp_path, code=TOGETHER + warm.COMMAND_LINE) for _ in range(2)]
    printed = ["\n".join(process.communicate()) for process in two]
    assert [process.wait() for process in two] == [0, 0], printed
    found = runs(tmp_path)
    first, *others = [run.info.run_id for run in found["evaluate"]]
    below = {run: Counter[tuple[str, str]]() for run in (first, *others)}
    for refit in found["refit"]:
        if refit.info.status == "FINISHED":
            network = refit.data.params["architecture"], refit.data.params["seed"]
            below[refit.data.tags["mlflow.parentRunId"]][network] += 1
    assert [(len(below[run]), below[run].total()) for run in others] == [(4, 4), (4, 4)]
    assert set(below[first].values()) <= {1}
    assert "RUNNING" not in {run.info.status for each in found.values() for run in each}
