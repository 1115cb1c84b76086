"""Which job goes to which worker, and what comes back."""

import os
import signal

import pytest

from pipeline.experiment import Training
from pipeline.models.dense import DenseSpec
from pipeline.models.recipe import Recipe
from pipeline.search.workers.jobs import InProcess, Job, Outcome, collected, match
from pipeline.search.workers.run_job import describe_error
from pipeline.training.program_cache import program_key


def job(number: int, width: int, rate: float = 0.1) -> Job:
    return Job(number, Recipe(DenseSpec((width,), (0, rate), ("relu",))), Training(), number, 20)


def program(width: int):
    return program_key(job(0, width).recipe.spec, Training())


def test_a_worker_that_has_compiled_a_network_gets_its_next_job_whatever_the_rate():
    waiting = [job(1, 8), job(2, 9, rate=0.3)]
    assert match(waiting, {"a", "b"}, {"a": {program(7)}, "b": {program(9)}}) == (waiting[1], "b")


def test_a_network_that_a_busy_worker_has_compiled_waits_for_it_while_there_are_others():
    waiting = [job(1, 8), job(2, 9)]
    assert match(waiting, {"b"}, {"a": {program(8)}}) == (waiting[1], "b")


def test_no_worker_stays_idle_though_another_has_all_programs():
    waiting = [job(1, 8), job(2, 8)]
    assert match(waiting, {"b"}, {"a": {program(8)}}) == (waiting[0], "b")


def test_of_new_networks_the_first_goes_to_the_worker_with_the_fewest_programs():
    waiting = [job(1, 8), job(2, 9)]
    assert match(waiting, {"a", "b"}, {"a": {program(7)}}) == (waiting[0], "b")


@pytest.mark.parametrize(
    ("number", "raised"),
    [(signal.SIGTERM, SystemExit), (signal.SIGHUP, SystemExit), (signal.SIGINT, KeyboardInterrupt)],
)
@pytest.mark.usefixtures("listening")
def test_a_signal_that_a_library_takes_for_an_error_of_its_own_stops_the_search_and_fails_no_network(number, raised):
    def train(one: Job) -> Outcome:
        try:
            os.kill(os.getpid(), number)
        except (SystemExit, KeyboardInterrupt) as error:
            return Outcome(one.number, None, {}, f"InternalError: {type(error).__name__} in a callback", 1.0)
        raise AssertionError("the signal raised nothing")

    workers = InProcess(train)
    workers.submit(job(0, 8))
    outcomes: list[Outcome] = []
    with pytest.raises(raised) as stopped:
        outcomes += collected(workers)
    assert outcomes == []
    if raised is SystemExit:
        assert stopped.value.code == 128 + number


@pytest.mark.usefixtures("listening")
def test_a_failure_without_a_signal_is_one_of_the_network():
    workers = InProcess(lambda one: Outcome(one.number, None, {}, "InternalError: boom", 1.0))
    workers.submit(job(0, 8))
    assert [outcome.failure for outcome in collected(workers)] == ["InternalError: boom"]


def test_a_password_in_the_text_of_a_failure_or_warning_is_neither_shown_nor_recorded(monkeypatch):
    """As `InvalidURL` of a model that goes through a proxy, on a worker whose environment has no such address."""
    monkeypatch.setenv("HTTPS_PROXY", "http://bob:hun/ter2@proxy:3128")
    text = "InvalidURL: nonnumeric port: 'hun' in http://bob:hun/ter2@proxy:3128"
    workers = InProcess(lambda one: Outcome(one.number, None, {}, text, 1.0, f"no pictures: {text}"))
    workers.submit(job(0, 8))
    (outcome,) = collected(workers)
    hidden = "InvalidURL: nonnumeric port: '***' in http://proxy:3128"
    assert (outcome.failure, outcome.warning) == (hidden, f"no pictures: {hidden}")


def test_a_worker_hides_the_passwords_of_its_own_environment(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://bob:hunter2@proxy:3128")
    assert describe_error(OSError("http://bob:hunter2@proxy:3128 is away")) == "OSError: http://proxy:3128 is away"
