"""How many workers there is use for."""

import pytest

from pipeline.experiment import load
from pipeline.search.workers.choose import jobs, workers_that_fit

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(
    ("name", "changed", "expected"),
    [
        ("fashion_mnist", {}, 24),  # trials; 3 finalists of 5 seeds are fewer
        ("fashion_mnist", {"search.trials": "2"}, 15),
        ("notebook", {}, 10),  # 2 networks of 5 seeds
        ("notebook", {"evaluation.seeds": "1"}, 2),
        ("placement", {"evaluation.seeds": "2"}, 42),
    ],
)
def test_there_is_use_for_workers_in_the_search_or_in_the_refits_after_it(name, changed, expected):
    assert jobs(load(name, changed)) == expected


@pytest.mark.parametrize("few", [1, 2, 3])
def test_one_worker_is_enough_for_up_to_three_networks(few):
    assert workers_that_fit(few, units=8) == 1


def test_there_are_no_more_workers_than_gpus_or_cores():
    assert workers_that_fit(24, units=2) == 2
