"""The temperature that makes a network as sure as it is right."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from pipeline.data.dataset import Labels
from pipeline.statistics.calibration import BOUNDS, apply_temperature, fit_temperature, reliability
from pipeline.training.result import Probabilities


def drawn(count: int, *, temperature: float, seed: int = 3) -> tuple[Labels, Probabilities]:
    """Labels as likely as the network's scores at that temperature say; its own probabilities are those at 1."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(0, 3, (count, 5))
    chances = softmax(scores / temperature, axis=1)
    labels = (generator.random((count, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    return np.minimum(labels, 4).astype(np.int64), softmax(scores, axis=1).astype(np.float32)


def loss(labels: Labels, probabilities: Probabilities) -> float:
    return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())


def test_nine_tenths_that_are_right_three_times_of_four_need_a_temperature_of_two() -> None:
    # The best share is 3/4, odds of 3; 9 ** (1 / T) = 3.
    probabilities = np.tile(np.array([[0.9, 0.1]], np.float32), (4, 1))
    temperature = fit_temperature(np.array([0, 0, 0, 1]), probabilities)
    assert temperature == pytest.approx(2, abs=1e-4)
    np.testing.assert_allclose(apply_temperature(probabilities, temperature), [[0.75, 0.25]] * 4, atol=1e-4)


def test_three_quarters_that_are_right_nine_times_of_ten_need_one_half() -> None:
    probabilities = np.tile(np.array([[0.75, 0.25]], np.float32), (10, 1))
    assert fit_temperature(np.array([0] * 9 + [1]), probabilities) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_the_temperature_that_the_labels_were_drawn_with_is_found(temperature: float) -> None:
    assert fit_temperature(*drawn(20_000, temperature=temperature)) == pytest.approx(temperature, rel=0.05)


def test_scikit_learn_finds_the_same_on_digits() -> None:
    images, labels = load_digits(return_X_y=True)
    images = images / 16
    network = LogisticRegression(C=1000, max_iter=2000).fit(images[:300], labels[:300])
    theirs = CalibratedClassifierCV(FrozenEstimator(network), method="temperature").fit(
        images[300:1000], labels[300:1000]
    )
    held = network.predict_proba(images[300:1000]).astype(np.float32)
    temperature = fit_temperature(labels[300:1000], held)
    assert temperature > 1.2  # too sure of itself, or else there is nothing to compare
    ours = apply_temperature(network.predict_proba(images[1000:]).astype(np.float32), temperature)
    np.testing.assert_allclose(ours, theirs.predict_proba(images[1000:]), atol=2e-3)


def test_calibration_is_better_after_than_before_on_rows_that_were_not_fitted() -> None:
    labels, probabilities = drawn(6000, temperature=2.0)
    temperature = fit_temperature(labels[:3000], probabilities[:3000])
    fresh, before = labels[3000:], probabilities[3000:]
    after = apply_temperature(before, temperature)
    assert reliability(fresh, before).expected_calibration_error > 0.1
    assert reliability(fresh, after).expected_calibration_error < 0.03
    assert loss(fresh, after) < loss(fresh, before)


def test_a_network_that_is_always_right_is_left_as_it_is() -> None:
    assert fit_temperature(np.array([0, 1]), np.array([[0.9, 0.1], [0.4, 0.6]], np.float32)) == 1
    assert fit_temperature(np.array([0, 1]), np.eye(2, dtype=np.float32)) == 1


def test_a_tie_of_all_classes_is_left_as_it_is() -> None:
    assert fit_temperature(np.array([1]), np.array([[0.5, 0.5]], np.float32)) == 1


def test_a_network_that_is_always_wrong_ends_at_equal_shares() -> None:
    wrong = np.array([[0.1, 0.9], [0.9, 0.1]], np.float32)
    temperature = fit_temperature(np.array([0, 1]), wrong)
    assert temperature == pytest.approx(BOUNDS[1], rel=1e-3)
    np.testing.assert_allclose(apply_temperature(wrong, temperature), 0.5, atol=0.01)


def test_a_label_of_probability_zero_gives_a_finite_temperature() -> None:
    probabilities = np.array([[1.0, 0.0]] * 9 + [[1.0, 0.0]], np.float32)
    temperature = fit_temperature(np.array([0] * 9 + [1]), probabilities)
    # Of ten one is wrong: odds of 9 where the network says 1 / tiny, about exp(87.34).
    assert temperature == pytest.approx(-math.log(np.finfo(np.float32).tiny) / math.log(9), rel=1e-3)
    np.testing.assert_allclose(apply_temperature(probabilities, temperature)[0], [0.9, 0.1], atol=1e-3)


def test_at_a_temperature_of_one_nothing_changes() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]], np.float32)
    np.testing.assert_allclose(apply_temperature(probabilities, 1.0), probabilities, rtol=1e-6, atol=1e-30)


def test_without_rows_nothing_can_be_fitted_and_nothing_is_scaled() -> None:
    with pytest.raises(ValueError, match="no rows to fit a temperature on; expected at least one"):
        fit_temperature(np.zeros(0, np.int64), np.zeros((0, 3), np.float32))
    assert apply_temperature(np.zeros((0, 3), np.float32), 2.0).shape == (0, 3)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_that_is_none_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match=r"temperature is .*; expected a finite number above 0"):
        apply_temperature(np.array([[0.5, 0.5]], np.float32), temperature)


def test_probabilities_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="row 0 is"):
        fit_temperature(np.array([0]), np.array([[np.nan, 0.5]], np.float32))


rows = st.lists(
    st.lists(st.floats(-30, 30), min_size=3, max_size=3), min_size=1, max_size=10
)  # scores; past 87 float32 says 0


@settings(deadline=None)  # a busy machine is no failure
@given(scores=rows, temperature=st.floats(0.05, 20))
def test_scaling_gives_probabilities_in_the_same_order(scores: list[list[float]], temperature: float) -> None:
    probabilities = softmax(np.array(scores), axis=1).astype(np.float32)
    found = apply_temperature(probabilities, temperature)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    order = np.argsort(probabilities, axis=1)
    assert (np.diff(np.take_along_axis(found, order, axis=1), axis=1) >= 0).all()


@settings(deadline=None)  # a busy machine is no failure
@given(scores=rows, seed=st.integers(0, 1000), other=st.floats(*BOUNDS))
def test_no_other_temperature_has_a_lower_loss(scores: list[list[float]], seed: int, other: float) -> None:
    probabilities = softmax(np.array(scores), axis=1).astype(np.float32)
    labels = np.random.default_rng(seed).integers(0, 3, len(scores))
    logs = np.log(np.maximum(probabilities.astype(float), np.finfo(np.float32).tiny))

    def at(temperature: float) -> float:
        return float(-np.log(softmax(logs / temperature, axis=1)[np.arange(len(labels)), labels] + 1e-300).mean())

    if (logs[np.arange(len(labels)), labels] < logs.max(axis=1)).any():  # else 1 by decision, and lower is better
        assert at(fit_temperature(labels, probabilities)) <= at(other) + 1e-5
