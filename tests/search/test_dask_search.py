"""Whole searches on Dask clusters, from the command line, with a real store: what is left when processes die."""

import re

import pytest

from tests.faults.search import ONE_PROGRAM
from tests.fixtures import warm
from tests.search.processes import Cluster, kill, tls
from tests.test_whole import environment, runs

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

TRIALS = 5
WORDS = ["--experiment", "smoke", "--search.trials", str(TRIALS), "--training.epochs", "5", *ONE_PROGRAM]
MAIN = ["main", *WORDS, "--evaluation.finalists", "1", "--evaluation.seeds", "1"]
IMPATIENT = ("from pipeline.search.workers.dask import workers\nworkers.RECONNECT_SECONDS = 1\n") + warm.COMMAND_LINE
"""The command line with less time for a scheduler to come back."""


def results(folder) -> dict[int, tuple]:
    """Parameters and measures of each trial, the seconds apart; a trial has one FINISHED run, and no run is RUNNING."""
    found = runs(folder)
    assert "RUNNING" not in {run.info.status for each in found.values() for run in each}
    finished = [run for run in found["trial"] if run.info.status == "FINISHED"]
    assert sorted(int(run.data.tags["narrowgap.asked"]) for run in finished) == list(range(TRIALS))
    return {
        int(run.data.tags["narrowgap.asked"]): (run.data.params, {**run.data.metrics, "seconds": None})
        for run in finished
    }


@pytest.fixture
def start(tmp_path):
    """Starts a command line whose output can be read while it runs."""
    started = []

    def begin(cluster: Cluster, code: str = warm.COMMAND_LINE) -> warm.Process:
        words, settings = (
            ("search", "--search.cluster", cluster.address, *WORDS),
            environment(tmp_path, **cluster.settings),
        )
        process = warm.start(*words, env=settings, cwd=tmp_path, code=code)
        started.append(process)
        return process

    yield begin
    for process in started:
        kill(process)


def read_to(process: warm.Process, text: str) -> None:
    """Reads what a command prints up to the line that has `text`."""
    assert any(text in line for line in process.stdout), process.communicate()[1]


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory):
    """A whole run that trained in the driver's process, one trial at a time."""
    folder = tmp_path_factory.mktemp("one")
    done = warm.run(*MAIN, "--search.workers", "1", env=environment(folder), cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_two_workers_on_this_machine_find_the_same_as_one(one_worker, tmp_path):
    done = warm.run(*MAIN, "--search.workers", "2", env=environment(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert results(tmp_path) == results(one_worker)
    for step in ("search", "evaluate", "main"):
        (here,), (there,) = runs(tmp_path)[step], runs(one_worker)[step]
        assert here.data.tags["narrowgap.chosen"] == there.data.tags["narrowgap.chosen"]
        assert here.data.metrics["test_loss"] == there.data.metrics["test_loss"]


def test_a_search_over_tls_of_which_a_worker_is_killed_in_mid_trial_finds_the_same_as_one_in_this_process(
    one_worker, tmp_path, start
):
    cluster = Cluster(tmp_path, tls(tmp_path), cold=True)
    try:
        cluster.start_scheduler()
        for _ in range(2):
            cluster.start_worker()
        with cluster.aside() as aside:
            aside.wait_for_workers(2)
            search = start(cluster)
            read_to(search, "workers: 2 of the Dask scheduler tls://")
            read_to(search, f"trial 1/{TRIALS}")
            cluster.kill_a_worker_in_the_middle_of_a_job(aside)
            _, errors = search.communicate()
    finally:
        cluster.close()
    assert search.returncode == 0, errors
    assert {run.info.status for run in runs(tmp_path)["trial"]} == {"FINISHED"}
    assert results(tmp_path) == results(one_worker)


def test_a_scheduler_that_stays_away_ends_the_search_with_5_and_another_goes_on_with_it(one_worker, tmp_path, start):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    gone, there = Cluster(first), Cluster(second)
    try:
        scheduler, worker = gone.start_scheduler(), gone.start_worker()
        search = start(gone, IMPATIENT)
        read_to(search, f"trial 2/{TRIALS}")
        kill(scheduler)
        kill(worker)
        _, errors = search.communicate()
        assert search.returncode == 5, errors
        assert re.fullmatch(
            rf"narrowgap: the Dask scheduler at {gone.address} went away and did not come back in 1 s; the same command "
            r"resumes the search once it is there again\n",
            errors,
        )
        statuses = {run.info.status for each in runs(tmp_path).values() for run in each}
        assert "RUNNING" not in statuses
        there.start_scheduler()
        search = start(there)
        read_to(search, f"workers: none yet of the Dask scheduler {there.address}; training begins when one comes")
        there.start_worker()
        read_to(search, "search: resuming search")
        _, errors = search.communicate()
        assert search.returncode == 0, errors
    finally:
        gone.close()
        there.close()
    assert results(tmp_path) == results(one_worker)
