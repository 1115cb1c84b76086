"""Class by class: confusion, precision and recall, calibration, mistakes, and the front of all networks."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from pipeline.statistics.calibration import reliability
from pipeline.statistics.pareto import front
from pipeline.statistics.per_class import Mistake, class_scores, confusion, most_confident_errors, per_class
from tests.figures.samples import labels_and_probabilities

# Four images of three classes; nothing is ever taken for c.
LABELS = np.array([0, 0, 1, 2])
SHARES = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2]], np.float32)


def test_rows_of_the_confusion_are_labels_and_columns_predictions() -> None:
    assert confusion(LABELS, SHARES).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_a_class_without_images_has_an_empty_row() -> None:
    assert confusion(np.array([0, 1]), SHARES[:2]).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_a_confusion_of_no_images_is_refused() -> None:
    with pytest.raises(ValueError, match="minimum of 1 sample is required"):
        confusion(LABELS[:0], SHARES[:0])


def test_a_tie_between_probabilities_goes_to_the_first_class() -> None:
    assert confusion(np.array([1]), np.full((1, 2), 0.5, np.float32)).tolist() == [[0, 0], [1, 0]]


def test_precision_recall_and_f1_are_those_worked_by_hand() -> None:
    # a: taken twice, once rightly, of two; b: taken twice, once rightly, of one; c: never taken.
    table = per_class(LABELS, SHARES, ("a", "b", "c"))
    assert table["class"].tolist() == ["a", "b", "c"]
    assert table["precision"].tolist() == pytest.approx([1 / 2, 1 / 2, 0])
    assert table["recall"].tolist() == pytest.approx([1 / 2, 1, 0])
    assert table["f1"].tolist() == pytest.approx([1 / 2, 2 / 3, 0])
    assert table["images"].tolist() == [2, 1, 1]


def test_a_class_that_is_never_predicted_counts_0_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = per_class(LABELS, SHARES, ("a", "b", "c"))
    assert [table[figure].tolist()[2] for figure in ("precision", "recall", "f1")] == [0, 0, 0]


def test_the_trace_of_the_confusion_is_the_accuracy() -> None:
    labels, probabilities = labels_and_probabilities(500, noise=1.5)
    share = np.trace(confusion(labels, probabilities)) / 500
    assert share == pytest.approx(accuracy_score(labels, probabilities.argmax(axis=1)))


def test_the_expected_calibration_error_is_that_worked_by_hand() -> None:
    # Two bins. Up to .5: one row, sure to .5, wrong: off by .5. Above: .6, .7 and .8, two of three right: off by .7 - 2/3.
    measured = reliability(LABELS, SHARES, bins=2)
    assert measured.share.tolist() == [0.25, 0.75]
    assert measured.confidence.tolist() == pytest.approx([0.5, 0.7])
    assert measured.accuracy.tolist() == pytest.approx([0, 2 / 3])
    assert measured.expected_calibration_error == pytest.approx(0.25 * 0.5 + 0.75 * (0.7 - 2 / 3))


def test_a_network_that_is_sure_and_right_has_no_calibration_error() -> None:
    assert reliability(np.array([0, 1, 2]), np.eye(3, dtype=np.float32)).expected_calibration_error == 0


def test_a_network_that_is_sure_and_wrong_has_the_largest_calibration_error() -> None:
    assert reliability(np.array([1, 2, 0]), np.eye(3, dtype=np.float32)).expected_calibration_error == 1


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    measured = reliability(np.array([0]), np.array([[0.5, 0.5]], np.float32), bins=4)
    assert measured.share.tolist() == [0, 1, 0, 0]


def test_an_empty_bin_is_not_a_number_and_does_not_count() -> None:
    measured = reliability(np.array([0]), np.array([[0.9, 0.1]], np.float32), bins=2)
    assert np.isnan(measured.accuracy[0])
    assert measured.expected_calibration_error == pytest.approx(0.1)


def test_calibration_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="no rows to measure calibration on; expected at least one"):
        reliability(LABELS[:0], SHARES[:0])


@settings(deadline=None)  # a busy machine is no failure
@given(count=st.integers(1, 200), noise=st.floats(0.1, 5), seed=st.integers(0, 1000), bins=st.integers(1, 30))
def test_every_row_is_in_one_bin_and_within_its_edges(count: int, noise: float, seed: int, bins: int) -> None:
    labels, probabilities = labels_and_probabilities(count, noise=noise, seed=seed)
    measured = reliability(labels, probabilities, bins=bins)
    filled = measured.share > 0
    assert measured.share.sum() == pytest.approx(1)
    assert np.all(measured.confidence[filled] >= measured.edges[:-1][filled] - 1e-9)
    assert np.all(measured.confidence[filled] <= measured.edges[1:][filled] + 1e-6)
    assert (measured.share * np.nan_to_num(measured.accuracy)).sum() == pytest.approx(
        accuracy_score(labels, probabilities.argmax(axis=1))
    )
    assert 0 <= measured.expected_calibration_error <= 1


def test_the_surest_mistake_comes_first() -> None:
    found = most_confident_errors(LABELS, SHARES, most=5)
    assert [(each.row, each.label, each.predicted) for each in found] == [(1, 0, 1), (3, 2, 0)]
    assert [each.confidence for each in found] == pytest.approx([0.6, 0.5])


def test_equally_sure_mistakes_stay_in_the_order_of_their_rows() -> None:
    # Every other row is surer; more rows than a sort by insertion, which is always stable, would take.
    shares = np.tile(np.array([[0.25, 0.75], [0.125, 0.875]], np.float32), (200, 1))
    found = most_confident_errors(np.zeros(400, int), shares, most=300)
    assert [each.row for each in found] == [*range(1, 400, 2), *range(0, 200, 2)]


def test_a_network_without_mistakes_shows_none() -> None:
    assert most_confident_errors(np.array([0, 1]), np.eye(2, dtype=np.float32), most=5) == []


def test_a_mistake_holds_plain_numbers() -> None:
    assert most_confident_errors(LABELS, SHARES, most=1) == [Mistake(1, 0, 1, float(np.float32(0.6)))]
    assert type(most_confident_errors(LABELS, SHARES, most=1)[0].row) is int


def test_the_front_holds_what_no_network_beats_on_both_by_ascending_gap() -> None:
    accuracy = [0.90, 0.88, 0.89, 0.85, 0.87]
    gap = [0.06, 0.02, 0.04, 0.01, 0.05]
    # The last has both less accuracy and more gap than the second and third.
    assert front(accuracy, gap).tolist() == [3, 1, 2, 0]


def test_an_equal_accuracy_with_a_larger_gap_is_not_on_the_front() -> None:
    assert front([0.9, 0.9], [0.05, 0.04]).tolist() == [1]


def test_an_equal_gap_with_a_lower_accuracy_is_not_on_the_front() -> None:
    assert front([0.8, 0.9], [0.05, 0.05]).tolist() == [1]


def test_networks_that_are_equal_on_both_are_on_the_front_together() -> None:
    assert front([0.9, 0.8, 0.9], [0.05, 0.05, 0.05]).tolist() == [0, 2]


def test_a_network_without_figures_is_never_on_the_front() -> None:
    assert front([np.nan, 0.9, 0.95, np.inf], [0.0, 0.05, np.nan, 0.1]).tolist() == [1]


def test_the_front_of_no_network_is_empty() -> None:
    assert front([], []).tolist() == []
    assert front([np.nan], [0.1]).tolist() == []


coarse = st.integers(0, 8).map(lambda each: each / 8) | st.just(float("nan"))


@settings(deadline=None)  # a busy machine is no failure
@given(networks=st.lists(st.tuples(coarse, coarse), max_size=30))
def test_the_front_is_exactly_what_nothing_dominates(networks: list[tuple[float, float]]) -> None:
    points: NDArray[np.float64] = np.array(networks, float).reshape(-1, 2)

    def dominated(each: NDArray[np.float64]) -> bool:
        return any(
            other[0] >= each[0] and other[1] <= each[1] and (other[0] > each[0] or other[1] < each[1])
            for other in points[~np.isnan(points).any(axis=1)]
        )

    expected = {index for index, each in enumerate(points) if not np.isnan(each).any() and not dominated(each)}
    found = front(points[:, 0], points[:, 1])
    assert set(found.tolist()) == expected
    assert np.all(np.diff(points[found, 1]) >= 0)


def test_balanced_accuracy_and_macro_f1_are_those_worked_by_hand() -> None:
    """Three cats, of which two are right; one dog, wrong; nothing is a fox. Recalls 2/3 and 0; F1 4/6 and 0."""
    labels = np.array([0, 0, 0, 1])
    probabilities = np.eye(3, dtype=np.float32)[[0, 0, 1, 0]]
    scores = class_scores(labels, probabilities)
    assert scores.recall[:2].tolist() == pytest.approx([2 / 3, 0])
    assert np.isnan(scores.recall[2])
    assert (scores.balanced_accuracy, scores.macro_f1) == pytest.approx((1 / 3, 1 / 3))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_scores_that_count_every_class_alike_are_scikit_learns(seed: int) -> None:
    labels, probabilities = labels_and_probabilities(60, noise=2, seed=seed)
    predicted = probabilities.argmax(axis=1)
    scores = class_scores(labels, probabilities)
    assert scores.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert scores.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
