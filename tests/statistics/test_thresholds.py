"""Accuracy against coverage, and the threshold for a wished accuracy."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.data.dataset import Labels
from pipeline.statistics.selective.thresholds import By, Curve, accuracy_coverage_curve, evaluate, threshold_for
from pipeline.training.result import Probabilities

Z = 1.6448536269514722
"""The 95 % point of the normal distribution."""


def of_two(confidence: list[float], right: list[bool]) -> tuple[Labels, Probabilities]:
    """Rows of two classes that answer class 0 with such a confidence, of .5 or more."""
    rows = np.array([[each, 1 - each] for each in confidence], np.float32).reshape(-1, 2)
    return np.where(right, 0, 1).astype(np.int64), rows


def repeated(confidence: float, right: int, wrong: int) -> tuple[Labels, Probabilities]:
    return of_two([confidence] * (right + wrong), [True] * right + [False] * wrong)


def joined(*parts: tuple[Labels, Probabilities]) -> tuple[Labels, Probabilities]:
    return np.concatenate([labels for labels, _ in parts]), np.concatenate([rows for _, rows in parts])


def wilson(right: int, answered: int, z: float = Z) -> float:
    """Lower bound: Wilson, Probable Inference, the Law of Succession, and Statistical Inference (1927)."""
    share = right / answered
    middle = share + z**2 / (2 * answered)
    spread = z * math.sqrt(share * (1 - share) / answered + z**2 / (4 * answered**2))
    return (middle - spread) / (1 + z**2 / answered)


class TestCurve:
    def test_the_surest_rows_are_answered_first(self) -> None:
        found = accuracy_coverage_curve(*of_two([0.6, 0.9, 0.8, 0.7], [False, True, True, False]))
        np.testing.assert_allclose(found.values, [0.9, 0.8, 0.7, 0.6], rtol=1e-6)
        assert found.coverage.tolist() == [0.25, 0.5, 0.75, 1]
        assert found.accuracy == pytest.approx([1, 1, 2 / 3, 1 / 2])

    def test_the_area_is_the_mean_risk_over_the_ranks(self) -> None:
        # Risks 0, 0, 1/3, 1/2 at a quarter each: 5/24.
        assert accuracy_coverage_curve(
            *of_two([0.6, 0.9, 0.8, 0.7], [False, True, True, False])
        ).risk_area == pytest.approx(5 / 24)

    def test_equal_rows_enter_together(self) -> None:
        found = accuracy_coverage_curve(*of_two([0.9, 0.7, 0.7, 0.7], [True, True, False, False]))
        assert (found.answered.tolist(), found.right.tolist()) == ([1, 4], [1, 2])
        assert found.risk_area == pytest.approx(0.75 * 0.5)

    def test_the_order_of_equal_rows_does_not_matter(self) -> None:
        one = accuracy_coverage_curve(*of_two([0.7, 0.7, 0.9, 0.7], [True, False, True, False]))
        other = accuracy_coverage_curve(*of_two([0.7, 0.9, 0.7, 0.7], [False, True, False, True]))
        assert one.risk_area == other.risk_area
        np.testing.assert_array_equal(one.accuracy, other.accuracy)

    def test_confidence_and_margin_sort_rows_differently(self) -> None:
        # Confidence .5 with a margin of .1, and .45 with one of .15.
        rows = np.array([[0.5, 0.4, 0.1, 0.0], [0.45, 0.3, 0.15, 0.1]])
        labels = np.array([0, 1])
        assert accuracy_coverage_curve(labels, rows.astype(np.float32)).accuracy.tolist() == [1, 0.5]
        found = accuracy_coverage_curve(labels, rows.astype(np.float32), "margin")
        assert found.accuracy.tolist() == [0, 0.5]
        np.testing.assert_allclose(found.values, [0.15, 0.1], rtol=1e-6)

    def test_rows_that_are_all_equal_are_one_point(self) -> None:
        found = accuracy_coverage_curve(np.arange(10), np.full((10, 10), 0.1, np.float32))
        assert (found.coverage.tolist(), found.accuracy.tolist()) == ([1], [0.1])
        assert found.risk_area == pytest.approx(0.9)

    @pytest.mark.parametrize(("right", "area"), [(True, 0), (False, 1)])
    def test_one_row_is_a_curve(self, right: bool, area: float) -> None:
        found = accuracy_coverage_curve(*of_two([0.8], [right]))
        assert (found.coverage.tolist(), found.risk_area, found.rows) == ([1], area, 1)

    def test_no_rows_are_refused(self) -> None:
        with pytest.raises(ValueError, match="no rows to measure coverage on; expected at least one"):
            accuracy_coverage_curve(*of_two([], []))

    def test_probabilities_that_are_not_numbers_are_refused(self) -> None:
        with pytest.raises(ValueError, match="row 0 is"):
            accuracy_coverage_curve(np.array([0]), np.array([[np.nan, 0.5]], np.float32))


class TestThreshold:
    def test_the_greatest_coverage_whose_lower_bound_reaches_the_target_is_chosen(self) -> None:
        # 400 of 400, then 560 of 600, then 640 of 800; lower bounds .9933, .9146, .7757.
        rows = joined(repeated(0.9, 400, 0), repeated(0.8, 160, 40), repeated(0.6, 80, 120))
        found = threshold_for(accuracy_coverage_curve(*rows), 0.9)
        assert found.value == np.float32(0.8)
        assert [found.coverage, found.accuracy] == pytest.approx([0.75, 560 / 600])
        assert found.lower == pytest.approx(wilson(560, 600)) == pytest.approx(0.91456, abs=1e-5)
        assert threshold_for(accuracy_coverage_curve(*rows), 0.92).value == np.float32(0.9)

    def test_a_dip_on_the_way_is_no_hindrance(self) -> None:
        # The surest 10 are all wrong; with the next 990 it is 990 of 1,000.
        rows = joined(repeated(0.99, 0, 10), repeated(0.9, 990, 0), repeated(0.6, 0, 500))
        assert threshold_for(accuracy_coverage_curve(*rows), 0.95).value == np.float32(0.9)

    def test_a_few_lucky_rows_do_not_reach_it(self) -> None:
        # m of m are right: m / (m + 2.7055) reaches .95 from 51.4 on.
        for count, value in ((51, None), (52, np.float32(0.9))):
            rows = joined(repeated(0.9, count, 0), repeated(0.6, 0, 100))
            assert threshold_for(accuracy_coverage_curve(*rows), 0.95).value == value

    def test_a_target_that_all_rows_reach_answers_all_rows_to_come(self) -> None:
        found = threshold_for(accuracy_coverage_curve(*repeated(0.8, 900, 100)), 0.85)
        assert (found.value, found.coverage, found.accuracy) == (0, 1, 0.9)
        assert found.reason == (
            "The target accuracy of 85.00 % is reached on all 1000 validation images: 90.00 % of them are right, at least "
            "88.33 % with 95 % confidence."
        )

    def test_a_target_out_of_reach_is_said_to_be_with_the_best_that_can_be_had(self) -> None:
        rows = joined(repeated(0.9, 90, 10), repeated(0.6, 50, 50))
        found = threshold_for(accuracy_coverage_curve(*rows), 0.99)
        assert (found.value, found.coverage, found.accuracy) == (None, 0.5, 0.9)
        assert found.lower == pytest.approx(wilson(90, 100)) == pytest.approx(0.83964, abs=1e-5)
        assert found.reason == (
            "The target accuracy of 99.00 % is not reached on 200 validation images. The best threshold accepts 100 "
            "(50.0 %): 90.00 % of them are right, at least 83.96 % with 95 % confidence."
        )

    def test_perfection_is_out_of_reach_of_any_number_of_rows(self) -> None:
        assert threshold_for(accuracy_coverage_curve(*repeated(0.9, 5000, 0)), 1.0).value is None

    def test_the_reason_names_threshold_coverage_and_accuracy(self) -> None:
        rows = joined(repeated(0.9, 500, 0), repeated(0.6, 200, 300))
        assert threshold_for(accuracy_coverage_curve(*rows), 0.95).reason == (
            "The target accuracy of 95.00 % is reached on validation at a confidence of 0.9000 or more, which accepts "
            "50.0 % of 1000 images: 100.00 % of them are right, at least 99.46 % with 95 % confidence."
        )

    def test_one_row_reaches_next_to_nothing(self) -> None:
        # 1 of 1: a lower bound of 1 / 3.7055.
        found = threshold_for(accuracy_coverage_curve(*of_two([0.8], [True])), 0.5)
        assert found.value is None
        assert found.lower == pytest.approx(1 / (1 + Z**2))

    @pytest.mark.parametrize("target", [0.0, -0.1, 1.01, math.nan])
    def test_a_target_that_is_no_share_is_refused(self, target: float) -> None:
        with pytest.raises(ValueError, match=r"target_accuracy is .*; expected more than 0 and at most 1"):
            threshold_for(accuracy_coverage_curve(*of_two([0.8], [True])), target)


class TestChecked:
    THRESHOLD = threshold_for(accuracy_coverage_curve(*joined(repeated(0.75, 500, 0), repeated(0.6, 200, 300))), 0.95)

    def test_only_rows_that_reach_the_threshold_count(self) -> None:
        rows = joined(repeated(0.9, 60, 2), repeated(0.75, 37, 1), repeated(0.74, 100, 100))
        found = evaluate(self.THRESHOLD, *rows)
        assert (found.rows, found.answered) == (300, 100)
        assert found.coverage == pytest.approx(1 / 3)
        assert (found.accuracy, found.reached) == (0.97, True)
        assert found.low == pytest.approx(wilson(97, 100, 1.959963984540054))
        assert found.high == pytest.approx(1 - wilson(3, 100, 1.959963984540054))

    def test_a_target_that_is_missed_is_said_to_be(self) -> None:
        found = evaluate(self.THRESHOLD, *repeated(0.9, 94, 6))
        assert (found.accuracy, found.reached) == (0.94, False)
        assert found.low < 0.95 < found.high

    def test_when_no_row_is_answered_nothing_is_known_of_the_accuracy(self) -> None:
        found = evaluate(self.THRESHOLD, *repeated(0.6, 10, 0))
        assert (found.answered, found.coverage, found.reached) == (0, 0, False)
        assert math.isnan(found.accuracy)
        assert (found.low, found.high) == (0, 1)

    def test_the_margin_is_compared_where_the_margin_was_asked_for(self) -> None:
        rows = np.tile(np.array([[0.8, 0.1, 0.1]], np.float32), (100, 1))
        by_margin = replace(self.THRESHOLD, by="margin")  # 0.75, above the margin of .7, below the confidence of .8
        labels = np.zeros(100, np.int64)
        assert (evaluate(self.THRESHOLD, labels, rows).answered, evaluate(by_margin, labels, rows).answered) == (100, 0)

    def test_a_threshold_that_was_not_found_cannot_be_checked(self) -> None:
        missing = threshold_for(accuracy_coverage_curve(*of_two([0.8], [True])), 0.9)
        with pytest.raises(ValueError, match=r"no threshold to check: The target accuracy of 90\.00 % is not reached"):
            evaluate(missing, *of_two([0.8], [True]))

    def test_no_rows_are_refused(self) -> None:
        with pytest.raises(ValueError, match="no rows to measure coverage on"):
            evaluate(self.THRESHOLD, *of_two([], []))


@st.composite
def scored(draw: st.DrawFn) -> tuple[Labels, Probabilities]:
    """Rows of three classes with many ties."""
    row = st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(any)
    weights: NDArray[np.float64] = np.array(draw(st.lists(row, min_size=1, max_size=40)), np.float64)
    labels = draw(st.lists(st.integers(0, 2), min_size=len(weights), max_size=len(weights)))
    return np.array(labels, np.int64), (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


bys: st.SearchStrategy[By] = st.sampled_from(["confidence", "margin"])


def sureness(row: Probabilities, by: By) -> float:
    second, first = sorted(row.astype(float))[-2:]
    return float(first - second if by == "margin" else first)


@settings(deadline=None)  # a busy machine is no failure
@given(rows=scored(), by=bys)
def test_every_point_counts_the_rows_that_reach_it_and_those_that_are_right(
    rows: tuple[Labels, Probabilities], by: By
) -> None:
    labels, probabilities = rows
    found: Curve = accuracy_coverage_curve(labels, probabilities, by)
    assert (np.diff(found.values) < 0).all()
    for value, answered, right in zip(found.values, found.answered, found.right, strict=True):
        reaching = [index for index, row in enumerate(probabilities) if sureness(row, by) >= value]
        assert len(reaching) == answered
        assert sum(int(probabilities[index].argmax()) == labels[index] for index in reaching) == right
    assert found.coverage[-1] == 1
    exact = sum(
        Fraction(int(more - before), found.rows) * (1 - Fraction(int(right), int(more)))
        for before, more, right in zip([0, *found.answered[:-1]], found.answered, found.right, strict=True)
    )
    assert found.risk_area == pytest.approx(float(exact), abs=1e-12)


@settings(deadline=None)  # a busy machine is no failure
@given(rows=scored(), by=bys, target=st.integers(1, 20).map(lambda each: each / 20))
def test_no_smaller_threshold_reaches_the_target_and_the_chosen_one_does(
    rows: tuple[Labels, Probabilities], by: By, target: float
) -> None:
    found = accuracy_coverage_curve(*rows, by)
    chosen = threshold_for(found, target)
    bounds = [wilson(int(right), int(answered)) for right, answered in zip(found.right, found.answered, strict=True)]
    if chosen.value is None:
        assert chosen.lower == pytest.approx(max(bounds))
        assert max(bounds) < target
        return
    point = list(found.coverage).index(chosen.coverage)
    assert bounds[point] >= target - 1e-12
    assert all(bound < target + 1e-12 for bound in bounds[point + 1 :])
    again = evaluate(chosen, *rows)
    assert [again.coverage, again.accuracy] == pytest.approx([chosen.coverage, chosen.accuracy])
