"""Processes that are killed, or lose the one that started them."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
from mlflow.tracking import MlflowClient

from pipeline.run import MlflowRun
from tests.fixtures import warm
from tests.search.processes import kill
from tests.test_whole import ROOT, environment, runs

pytestmark = pytest.mark.server
DIES_IN_ITS_EVALUATION = (
    """
import os, signal
from pipeline.evaluation import refits
real = refits._RefitScheduler._ended
def dies(self, outcome):
    seen = real(self, outcome)
    self._journal.drain()
    if outcome.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return seen
refits._RefitScheduler._ended = dies
"""
    + warm.COMMAND_LINE
)
AT_ITS_END = """
import os, signal
from pipeline.tracking.run import Run
real = Run.finish
def dies(run, status, reason=None):
    if (run.tags["narrowgap.step"], status) == ("evaluate", "FINISHED"):
        os.kill(os.getpid(), signal.SIGKILL)
    real(run, status, reason)
Run.finish = dies
"""
AFTER_ITS_END = """
import os, signal
from pipeline.evaluation import kept_refits
kept_refits.drop = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""

ASKED_AGAIN = """
import atexit, os, signal
from pipeline.search import step
step._window = lambda *_: 4  # as with more workers: more than one trial is open
from mlflow.tracking import MlflowClient
real = MlflowClient.set_terminated
def again(self, run_id, status=None, *more):
    if status == "KILLED":
        os.kill(os.getpid(), signal.SIGTERM)
    real(self, run_id, status, *more)
    if status == "KILLED":
        os.kill(os.getpid(), signal.SIGHUP)
MlflowClient.set_terminated = again
atexit.register(os.kill, os.getpid(), signal.SIGTERM)
"""


def test_an_evaluation_that_is_killed_at_its_very_end_trains_no_refit_again_and_what_it_kept_is_deleted_later(tmp_path):
    words, env = ("--experiment", "smoke", "--evaluation.seeds", "1"), environment(tmp_path)
    assert warm.run("search", *words, env=env, cwd=tmp_path).returncode == 0

    def kept() -> int:
        return len(list(tmp_path.rglob("refit.npz")))

    for patch in (AT_ITS_END, AFTER_ITS_END):
        killed = warm.run("evaluate", *words, env=env, cwd=tmp_path, code=patch + warm.COMMAND_LINE)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        trained = {run.info.run_id for run in runs(tmp_path)["refit"]}
        assert kept() == len(trained) == 4  # two finalists and two references; the second time they are used again
    assert warm.run("evaluate", *words, env=env, cwd=tmp_path).returncode == 0  # another one, after one that has ended
    found = runs(tmp_path)
    assert [run.info.status for run in found["evaluate"]] == ["KILLED", "FINISHED", "FINISHED"]
    assert len(found["refit"]) == 8
    assert kept() == 0
    # The stopped one keeps nothing, and might: its refits were moved below the next.
    assert ["narrowgap.keeps_refits" in run.data.tags for run in found["evaluate"]] == [True, False, False]


def test_a_main_that_was_killed_in_its_evaluation_evaluates_the_same_search_and_trains_no_refit_again(tmp_path):
    words = ["main", "--experiment", "smoke", "--evaluation.seeds", "2"]
    killed = warm.run(*words, env=environment(tmp_path), cwd=tmp_path, code=DIES_IN_ITS_EVALUATION)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (search,) = runs(tmp_path)["search"]
    trained = {run.info.run_id for run in runs(tmp_path)["refit"] if run.info.status == "FINISHED"}
    assert len(trained) == 2
    again = warm.run(*words, env=environment(tmp_path), cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    line = f"search: search {search.info.run_id} has finished, and its evaluation was stopped; it is evaluated now"
    assert line in again.stdout
    found = runs(tmp_path)
    assert [run.info.run_id for run in found["search"]] == [search.info.run_id]
    assert len(found["trial"]) == 3
    first, second = found["main"]
    assert (first.info.status, second.info.status) == ("KILLED", "FINISHED")
    assert found["search"][0].data.tags["mlflow.parentRunId"] == second.info.run_id
    evaluation = found["evaluate"][-1].info.run_id
    refits = [run for run in found["refit"] if run.data.tags["mlflow.parentRunId"] == evaluation]
    assert {run.info.run_id for run in refits} > trained
    assert len({(run.data.params["architecture"], run.data.params["seed"]) for run in refits}) == len(refits)
    third = warm.run(*words, env=environment(tmp_path), cwd=tmp_path)
    assert third.returncode == 0, third.stderr
    assert len(runs(tmp_path)["search"]) == 2  # the first was evaluated: another call is another search


def test_a_step_whose_mlflow_run_is_gone_ends_with_its_run(tmp_path):
    """Within half a minute: it looks every 20 s."""
    command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", "search", "--env-manager", "local"]
    for word in ("experiment=smoke", "search.trials=20", "training.epochs=3000", "training.patience=null"):
        command += ["-P", word]
    with (tmp_path / "screen.txt").open("w") as screen:
        started = subprocess.Popen(command, env=environment(tmp_path), cwd=tmp_path, stdout=screen, stderr=screen)
    family: list[psutil.Process] = []
    try:
        end = time.monotonic() + warm.PATIENCE
        while "trial 1/20" not in (tmp_path / "screen.txt").read_text():
            assert time.monotonic() < end, (tmp_path / "screen.txt").read_text()
            time.sleep(0.2)
        family = psutil.Process(started.pid).children(recursive=True)
        steps = [each for each in family if "pipeline" in each.cmdline()]
        assert steps
        started.kill()
        started.wait()
        _, left = psutil.wait_procs(steps, timeout=300)
        assert left == []
    finally:
        kill(started)
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
    assert {run.info.status for run in runs(tmp_path)["search"]} == {"KILLED"}
    assert "RUNNING" not in {run.info.status for each in runs(tmp_path).values() for run in each}


@pytest.mark.usefixtures("listening")
def test_an_mlflow_run_that_was_killed_is_gone_even_if_its_parent_never_asks_for_it():
    started = subprocess.Popen(["sleep", str(warm.PATIENCE)])
    try:
        mlflow_run = MlflowRun()
        mlflow_run._process = psutil.Process(started.pid)
        mlflow_run.check()
        there = mlflow_run.gone
        started.kill()
        os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays in the table
        assert psutil.Process(started.pid).status() == psutil.STATUS_ZOMBIE
        assert (there, mlflow_run.gone) == (False, True)
        with pytest.raises(SystemExit):
            mlflow_run.check()
        mlflow_run.check()  # this process is stopping already
    finally:
        kill(started)
    assert mlflow_run.gone


@pytest.mark.parametrize(("gone", "status"), [(True, "FINISHED"), (False, "RUNNING")])
def test_a_step_that_ends_before_it_has_seen_that_its_mlflow_run_is_gone_ends_the_run_itself(tmp_path, gone, status):
    """One that is there ends it by the exit code."""
    env = environment(tmp_path)
    client = MlflowClient(env["MLFLOW_TRACKING_URI"])
    experiment_id = client.create_experiment("here", f"{tmp_path}/artifacts")
    run_id = client.create_run(experiment_id, tags={"mlflow.project.entryPoint": "search"}).info.run_id
    code = (
        "from pipeline.run import MlflowRun\n"
        f"MlflowRun.gone = property(lambda self: {gone})\n"
        "MlflowRun.check = lambda self: None\n"
    )
    words = ("search", "--experiment", "smoke", "--search.trials", "1")
    done = warm.run(*words, env=env | {"MLFLOW_RUN_ID": run_id}, cwd=tmp_path, code=code + warm.COMMAND_LINE)
    assert done.returncode == 0, done.stderr
    (search,) = runs(tmp_path)["search"]
    assert (search.info.run_id, search.info.status) == (run_id, status)
    assert [run.info.status for run in runs(tmp_path)["trial"]] == ["FINISHED"]


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (signal.SIGINT, "narrowgap: interrupted; finished trials are kept, and the same command goes on\n"),
        (signal.SIGTERM, "narrowgap: stopped by SIGTERM; finished trials are kept, and the same command goes on\n"),
    ],
)
def test_more_signals_while_runs_are_closed_leave_none_open_and_print_no_more(tmp_path, number, line):
    """As Ctrl-C under `mlflow run`, which sends SIGTERM a moment later. Here they come at each run that is closed."""
    words = ["main", "--experiment", "smoke", "--search.trials", "20", "--training.epochs", "100"]
    words += ["--training.patience", "null"]
    process = warm.start(*words, env=environment(tmp_path), cwd=tmp_path, code=ASKED_AGAIN + warm.COMMAND_LINE)
    try:
        for printed in process.stdout:
            if printed.startswith("trial 1/20"):
                process.send_signal(number)
        _, errors = process.communicate()
        assert errors == line
        assert process.wait() == -signal.SIGTERM  # the last one comes when all is closed
    finally:
        process.kill()
    found = runs(tmp_path)
    assert {step: {run.info.status for run in found[step]} for step in ("main", "prepare", "search", "trial")} == {
        "main": {"KILLED"},
        "prepare": {"FINISHED"},
        "search": {"KILLED"},
        "trial": {"FINISHED", "KILLED"},
    }
