"""Which networks could still be chosen with more seeds."""

import numpy as np
import pytest

from pipeline.statistics.selection import Candidate, Rule
from pipeline.statistics.selection.race import LEAST_CHANCE, Round, _ends, rounds, standings

Scores = list[tuple[float, float]]
"""Validation accuracy and gap by seed."""


def state(
    *networks: Scores, rule: Rule = "one_standard_error", tolerance: float | None = 0.005, seeds: int = 10
) -> Round:
    metrics = [
        [{"val_loss": 1 - accuracy, "val_accuracy": accuracy, "val_accuracy_gap": gap} for accuracy, gap in scores]
        for scores in networks
    ]
    candidates = [Candidate.of_seeds(str(place), each, 10) for place, each in enumerate(metrics)]
    return standings(
        candidates,
        metrics,
        rule,
        seeds=seeds,
        validation_size=1000,
        tolerance=tolerance,
        seed=1,
    )


def around(accuracy: float, gap: float, spread: float = 0.001) -> Scores:
    return [(accuracy - spread, gap + spread), (accuracy, gap), (accuracy + spread, gap - spread)]


@pytest.mark.parametrize(("seeds", "ends"), [(1, [1]), (3, [3]), (4, [3, 4]), (5, [3, 5]), (10, [3, 6, 10])])
def test_rounds_begin_with_three_seeds_and_double(seeds: int, ends: list[int]) -> None:
    assert rounds(seeds) == ends


def test_seeds_without_spread_decide_at_once() -> None:
    found = state([(0.9, 0.03)] * 3, [(0.899, 0.02)] * 3)
    assert [each.chance for each in found.standings] == [0, 1]
    assert found.choice is not None
    assert found.choice.index == 1


def test_networks_that_are_alike_stay_both() -> None:
    found = state(around(0.9, 0.03), around(0.9, 0.03), around(0.9, 0.06))
    assert [each.stays for each in found.standings] == [True, True, False]
    assert found.choice is None
    assert sum(each.chance for each in found.standings) == pytest.approx(1)
    assert min(each.chance for each in found.standings[:2]) > 0.3


def test_the_most_accurate_network_stays_as_the_measure_of_others_where_the_choice_depends_on_it() -> None:
    """It is never chosen, for its gap. The third has the smaller gap and is a point behind it: too far with a tolerance
    of one point in half of the ends, and near enough with two.
    """
    networks = around(0.93, 0.09), around(0.93, 0.04), around(0.92, 0.03)
    best, *others = state(*networks, tolerance=0.01).standings
    assert (best.chance, best.stays, best.measures) == (0, True, True)
    assert [(each.stays, each.measures) for each in others] == [(True, False), (True, False)]
    assert state(*networks, tolerance=0.02).choice is not None


def test_the_most_accurate_network_is_stopped_where_all_are_near_enough_anyhow() -> None:
    found = state(around(0.93, 0.09), around(0.929, 0.03), around(0.929, 0.03), tolerance=0.02)
    assert [each.stays for each in found.standings] == [False, True, True]


def test_by_loss_nothing_is_measured_from_the_most_accurate() -> None:
    # The loss is 1 minus the accuracy here; the third is far behind.
    found = state(around(0.9, 0.03), around(0.9, 0.03), around(0.8, 0.0), rule="best_loss")
    assert [(each.stays, each.measures) for each in found.standings] == [(True, False), (True, False), (False, False)]


def test_more_spread_keeps_more_networks() -> None:
    """A gap of two points more is hopeless with seeds a tenth of a point apart, and not with seeds two points apart."""
    for spread, stays in ((0.001, False), (0.02, True)):
        found = state(around(0.9, 0.03, spread), around(0.9, 0.05, spread), tolerance=0.1)
        assert found.standings[1].stays == stays
        assert (found.standings[1].chance >= LEAST_CHANCE) == stays


def test_the_same_seed_gives_the_same_standings() -> None:
    networks = around(0.9, 0.03), around(0.901, 0.031)
    assert state(*networks) == state(*networks)


def test_simulated_ends_scatter_as_the_means_of_the_seeds_to_come() -> None:
    """Seeds with sd 1: after 4 of 16, the mean of all 16 will lie around that of the 4 with variance (1/4 - 1/16)."""
    seeds = np.random.default_rng(1).normal(size=(50, 4, 1))
    seeds = (seeds - seeds.mean(axis=1, keepdims=True)) / seeds.std(axis=1, ddof=1, keepdims=True)
    ends = _ends(seeds, 16, np.random.default_rng(2))
    assert ends.shape == (1000, 50, 1)
    assert ends.mean() == pytest.approx(0, abs=0.01)
    assert ends.var() == pytest.approx(3 / 16, rel=0.05)
