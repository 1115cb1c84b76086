"""The area that a front encloses with a reference point. (The front itself: test_classes.py.)"""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.statistics.pareto import REFERENCE, hypervolume

CORNER = (0.8, 0.15)


def test_one_network_encloses_a_rectangle() -> None:
    assert hypervolume([0.9], [0.05], reference=CORNER) == pytest.approx(0.1 * 0.1)


def test_a_front_encloses_its_steps() -> None:
    # Gaps .02, .05, .10 with accuracies .85, .88, .90: (.05 - .02) .05 + (.10 - .05) .08 + (.15 - .10) .10.
    found = hypervolume([0.90, 0.85, 0.88], [0.10, 0.02, 0.05], reference=CORNER)
    assert found == pytest.approx(0.03 * 0.05 + 0.05 * 0.08 + 0.05 * 0.10)


def test_a_network_that_another_beats_adds_nothing() -> None:
    assert hypervolume([0.9, 0.89], [0.05, 0.06], reference=CORNER) == hypervolume([0.9], [0.05], reference=CORNER)


def test_equals_count_once() -> None:
    assert hypervolume([0.9, 0.9], [0.05, 0.05], reference=CORNER) == hypervolume([0.9], [0.05], reference=CORNER)


@pytest.mark.parametrize(("accuracy", "gap"), [(0.8, 0.05), (0.7, 0.0), (0.9, 0.15), (0.95, 0.2), (0.5, 0.5)])
def test_a_network_that_does_not_beat_the_reference_on_both_adds_nothing(accuracy: float, gap: float) -> None:
    assert hypervolume([accuracy], [gap], reference=CORNER) == 0
    assert hypervolume([accuracy, 0.9], [gap, 0.05], reference=CORNER) == pytest.approx(0.01)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_network_without_figures_adds_nothing(broken: float) -> None:
    assert hypervolume([broken, 0.9, 0.99], [0.0, 0.05, broken], reference=CORNER) == pytest.approx(0.01)


def test_no_networks_enclose_nothing() -> None:
    assert hypervolume([], []) == 0
    assert hypervolume([math.nan], [0.1]) == 0


def test_a_network_that_does_better_on_test_encloses_more_than_one_without_a_gap() -> None:
    assert hypervolume([0.9], [-0.05], reference=CORNER) == pytest.approx(0.1 * 0.2)


def test_the_fixed_reference_leaves_a_perfect_network_three_hundredths() -> None:
    assert hypervolume([1.0], [0.0]) == pytest.approx(0.03)
    assert hypervolume([0.9], [0.05]) == hypervolume([0.9], [0.05], reference=REFERENCE)


eighths = st.integers(0, 8).map(lambda each: each / 8) | st.just(math.nan)


def cells(networks: list[tuple[float, float]], reference: tuple[float, float]) -> float:
    """The same area, counted in cells of a grid on which all points lie."""
    steps = [each / 8 for each in range(9)]
    return sum(
        1 / 64
        for low, high in pairwise(steps)
        for left, right in pairwise(steps)
        if low >= reference[0]
        and right <= reference[1]
        and any(accuracy >= high and gap <= left for accuracy, gap in networks)
    )


@settings(deadline=None)  # a busy machine is no failure
@given(networks=st.lists(st.tuples(eighths, eighths), max_size=12), low=st.integers(0, 7), high=st.integers(1, 8))
def test_the_area_is_that_counted_in_cells(networks: list[tuple[float, float]], low: int, high: int) -> None:
    reference = (low / 8, high / 8)
    accuracies, gaps = np.array(networks, float).reshape(-1, 2).T
    assert hypervolume(accuracies, gaps, reference=reference) == pytest.approx(cells(networks, reference), abs=1e-12)


@settings(deadline=None)  # a busy machine is no failure
@given(networks=st.lists(st.tuples(st.floats(0, 1), st.floats(-0.1, 0.3)), min_size=1, max_size=12), data=st.data())
def test_one_more_network_never_makes_it_smaller_and_order_does_not_matter(
    networks: list[tuple[float, float]], data: st.DataObject
) -> None:
    accuracies, gaps = zip(*data.draw(st.permutations(networks)), strict=True)
    whole = hypervolume(accuracies, gaps)
    assert whole >= hypervolume(accuracies[1:], gaps[1:]) - 1e-12
    assert whole == pytest.approx(hypervolume(*zip(*networks, strict=True)))
