"""How much a selection flattered its winner."""

import math

import numpy as np
import pytest

from pipeline.statistics.selection_bias import selection_bias


def test_the_bias_is_the_score_when_chosen_less_the_fresh_scores() -> None:
    bias = selection_bias(0.90, validation=[0.89, 0.88, 0.87], test=[0.86, 0.88, 0.87])
    # Differences .01, .02, .03 and .04, .02, .03; sd .01 each; t(.975, 2) = 4.302 653.
    reach = 4.302653 * 0.01 / math.sqrt(3)
    assert (bias.validation.mean, bias.validation.sd) == pytest.approx((0.02, 0.01))
    assert (bias.validation.low, bias.validation.high) == pytest.approx((0.02 - reach, 0.02 + reach), rel=1e-6)
    assert (bias.test.mean, bias.test.sd, bias.test.n) == pytest.approx((0.03, 0.01, 3))


def test_a_winner_that_does_better_again_has_a_negative_bias() -> None:
    bias = selection_bias(0.90, validation=[0.91, 0.92], test=[0.90, 0.90])
    assert bias.validation.mean == pytest.approx(-0.015)
    assert bias.test.mean == 0


def test_one_fresh_seed_gives_a_bias_without_an_interval() -> None:
    bias = selection_bias(0.90, validation=[0.88], test=[0.87])
    assert bias.validation.mean == pytest.approx(0.02)
    assert math.isnan(bias.validation.low)
    assert math.isnan(bias.test.high)


def test_no_fresh_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="expected one per seed, at least one"):
        selection_bias(0.90, validation=[], test=[])


@pytest.mark.parametrize("chosen", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_refused(chosen: float) -> None:
    with pytest.raises(ValueError, match="expected finite numbers only"):
        selection_bias(chosen, validation=[0.9], test=[0.9])


def test_the_best_of_many_equal_networks_is_flattered_and_its_fresh_seeds_show_by_how_much() -> None:
    # The largest of 24 standard normal numbers is 1.9477 on average (Harter, Biometrika 48, 1961, table 1).
    generator = np.random.default_rng(1)
    biases = [
        selection_bias(max(generator.normal(size=24)), generator.normal(size=5).tolist(), [0.0]).validation.mean
        for _ in range(4000)
    ]
    assert np.mean(biases) == pytest.approx(1.9477, abs=4 * float(np.std(biases)) / math.sqrt(4000))
