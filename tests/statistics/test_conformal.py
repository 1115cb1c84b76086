"""Sets of candidates: how they are fitted, and whether they hold what they state."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from pipeline.data.dataset import Labels
from pipeline.statistics.selective.conformal import Calibration, calibrate, evaluate
from pipeline.statistics.selective.policies import conformal_set
from pipeline.training.result import Probabilities
from tests.figures.samples import labels_and_probabilities


def of_two(shares: list[float]) -> tuple[Labels, Probabilities]:
    """Rows of two classes whose label, class 0, has such a probability."""
    return np.zeros(len(shares), np.int64), np.array([[each, 1 - each] for each in shares], np.float32).reshape(-1, 2)


def test_the_quantile_is_the_score_of_rank_n_plus_one_times_coverage() -> None:
    # Of nine scores .1 to .9, and (9 + 1) * .8 = 8: the eighth smallest.
    shares = [round(0.9 - 0.1 * each, 1) for each in range(9)]
    fitted = calibrate(*of_two(shares), coverage=0.8)
    assert (fitted.coverage, fitted.rows) == (0.8, 9)
    assert fitted.quantile == pytest.approx(0.8)


@pytest.mark.parametrize(("rows", "quantile"), [(18, 1.0), (19, 0.2)])
def test_too_few_rows_to_promise_anything_keep_all_classes(rows: int, quantile: float) -> None:
    # .95 / .05 = 19 rows, all of which score .2.
    fitted = calibrate(*of_two([0.8] * rows), coverage=0.95)
    assert fitted.quantile == pytest.approx(quantile)


def test_one_row_keeps_all_classes() -> None:
    assert calibrate(*of_two([0.99])).quantile == 1


def test_a_network_that_is_always_sure_and_right_keeps_what_is_certain() -> None:
    fitted = calibrate(*of_two([1.0] * 100))
    assert fitted.quantile == 0
    found = evaluate(fitted, *of_two([1.0] * 50))
    assert (found.coverage, found.size, found.singletons, found.without_class) == (1, 1, 1, 0)


def test_labels_of_probability_zero_keep_all_classes() -> None:
    assert calibrate(*of_two([0.0] * 100)).quantile == 1


def test_the_check_counts_labels_held_sizes_and_singletons() -> None:
    calibration = Calibration(0.75, 0.6, 1000)  # keeps .4 or more
    rows = np.array(
        [[0.9, 0.1, 0.0], [0.9, 0.1, 0.0], [0.5, 0.5, 0.0], [0.39, 0.31, 0.3]], np.float32
    )  # one held, one missed, two left, none left and so the first
    found = evaluate(calibration, np.array([0, 1, 1, 0]), rows)
    assert (found.stated, found.coverage) == (0.75, 0.75)
    assert (found.size, found.singletons, found.accepted, found.without_class) == (5 / 4, 0.75, 0.5, 0.25)
    # Wilson, 3 of 4, z = 1.96: (3 + 1.9207 -+ 1.96 sqrt(.75 + .9604)) / 7.8415.
    assert [found.low, found.high] == pytest.approx([0.3006, 0.9544], abs=1e-4)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95, 0.99])
def test_the_stated_coverage_is_reached_on_fresh_rows(coverage: float) -> None:
    labels, probabilities = labels_and_probabilities(30_000, noise=1.3)
    fitted = calibrate(labels[:10_000], probabilities[:10_000], coverage=coverage)
    held = conformal_set(probabilities[10_000:], fitted.quantile)[np.arange(20_000), labels[10_000:]].mean()
    # Both halves vary: four standard deviations.
    assert held == pytest.approx(coverage, abs=4 * math.sqrt(coverage * (1 - coverage) * (1e-4 + 5e-5)))


def test_digits_are_held_as_often_as_stated() -> None:
    images, labels = load_digits(return_X_y=True)
    images = images / 16
    network = LogisticRegression(max_iter=2000).fit(images[:300], labels[:300])
    shares = network.predict_proba(images).astype(np.float32)
    order = np.random.default_rng(1).permutation(np.arange(300, len(labels)))
    validation, test = order[:750], order[750:]
    found = evaluate(calibrate(labels[validation], shares[validation]), labels[test], shares[test])
    assert found.low <= found.stated <= found.high
    assert found.size < 2
    assert found.singletons > 0.5


def test_nineteen_of_twenty_is_stated_unless_told_otherwise() -> None:
    assert calibrate(*of_two([0.8] * 19)).coverage == 0.95


@pytest.mark.parametrize("coverage", [0.0, 1.0, -0.5, 1.5, math.nan])
def test_a_coverage_that_no_set_can_have_is_refused(coverage: float) -> None:
    with pytest.raises(ValueError, match=r"coverage is .*; expected more than 0 and less than 1"):
        calibrate(*of_two([0.8]), coverage=coverage)


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="no rows to calibrate or check candidates on; expected at least one"):
        calibrate(*of_two([]))
    with pytest.raises(ValueError, match="no rows to calibrate or check candidates on; expected at least one"):
        evaluate(Calibration(0.95, 0.5, 10), *of_two([]))


def test_probabilities_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="row 0 is"):
        calibrate(np.array([0]), np.array([[np.nan, 0.5]], np.float32))


shares = st.lists(st.integers(0, 20).map(lambda each: each / 20), min_size=1, max_size=60)


@settings(deadline=None)  # a busy machine is no failure
@given(shares=shares, coverage=st.integers(1, 99))
def test_it_is_exactly_the_order_statistic_of_the_theorem(shares: list[float], coverage: int) -> None:
    labels, probabilities = of_two(shares)
    scores = sorted(1.0 - probabilities[:, 0].astype(np.float64))
    rank = math.ceil((len(shares) + 1) * Fraction(coverage, 100))
    expected = scores[rank - 1] if rank <= len(scores) else 1.0
    assert calibrate(labels, probabilities, coverage=coverage / 100).quantile == expected


@settings(deadline=None)  # a busy machine is no failure
@given(shares=shares, coverage=st.integers(1, 99))
def test_of_the_rows_it_was_fitted_on_at_least_the_stated_share_is_held(shares: list[float], coverage: int) -> None:
    rows = of_two(shares)
    assert evaluate(calibrate(*rows, coverage=coverage / 100), *rows).coverage >= coverage / 100
