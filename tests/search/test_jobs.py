"""Which job goes to which worker."""

from pipeline.experiment import Training
from pipeline.models.dense import DenseSpec
from pipeline.models.recipe import Recipe
from pipeline.search.workers.jobs import Job, match
from pipeline.training.programs import program_key


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
