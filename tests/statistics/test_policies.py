"""What each policy answers, above all where nothing is known."""

import ast
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.statistics.selective import policies
from pipeline.statistics.selective.policies import POLICIES, Policy, answer, conformal_set

TIE = np.full((1, 10), 0.1, np.float32)
# The surest first: .9 against .1, .6 against .3, .4 against .4.
ROWS = np.array([[0.9, 0.1, 0.0], [0.1, 0.3, 0.6], [0.4, 0.4, 0.2]])


class TestTenWayTie:
    def test_argmax_answers_the_first_class_and_accepts_it(self) -> None:
        found = answer(TIE, "argmax")
        assert (found.label.tolist(), found.accepted.tolist(), found.margin.tolist()) == ([0], [True], [0.0])
        assert found.confidence == pytest.approx([0.1])
        assert found.candidates.tolist() == [[True] + [False] * 9]

    def test_min_confidence_refuses_it_above_a_tenth(self) -> None:
        assert answer(TIE, "min_confidence", min_confidence=0.11).accepted.tolist() == [False]
        assert answer(TIE, "min_confidence", min_confidence=0.1).accepted.tolist() == [True]
        assert answer(TIE, "min_confidence", min_confidence=0.11).label.tolist() == [0]

    def test_min_margin_refuses_it_above_nothing(self) -> None:
        assert answer(TIE, "min_margin", min_margin=0.001).accepted.tolist() == [False]
        assert answer(TIE, "min_margin", min_margin=0.0).accepted.tolist() == [True]

    def test_coin_flip_draws_any_of_the_ten_equally_often(self) -> None:
        drawn = Counter(int(answer(TIE, "coin_flip", seed=seed).label[0]) for seed in range(5000))
        # Binomial: 500 each, standard deviation 21; 4 of them is out of reach for a fair coin with these fixed seeds.
        assert sorted(drawn) == list(range(10))
        assert all(abs(count - 500) < 85 for count in drawn.values())

    def test_coin_flip_says_that_all_ten_were_tied(self) -> None:
        found = answer(TIE, "coin_flip", near=0.0)
        assert found.candidates.all()
        assert (found.accepted.tolist(), found.margin.tolist()) == ([True], [0.0])
        assert found.confidence == pytest.approx([0.1])

    @pytest.mark.parametrize("quantile", [0.95, 0.3])  # keeps all ten; keeps none, and all ten are the most probable
    def test_candidates_names_all_ten_and_accepts_none(self, quantile: float) -> None:
        found = answer(TIE, "candidates", quantile=quantile)
        assert found.candidates.all()
        assert (found.label.tolist(), found.accepted.tolist()) == ([0], [False])


def test_confidence_and_margin_are_the_highest_and_its_distance_from_the_second() -> None:
    found = answer(ROWS, "argmax")
    assert found.label.tolist() == [0, 2, 0]
    assert found.confidence == pytest.approx([0.9, 0.6, 0.4])
    assert found.margin == pytest.approx([0.8, 0.3, 0.0])


def test_a_row_that_equals_the_threshold_is_accepted() -> None:
    assert answer(ROWS, "min_confidence", min_confidence=0.6).accepted.tolist() == [True, True, False]
    assert answer(ROWS, "min_margin", min_margin=0.3).accepted.tolist() == [True, True, False]
    assert answer(ROWS, "min_confidence", min_confidence=0.61).accepted.tolist() == [True, False, False]


def test_coin_flip_leaves_rows_without_a_tie_alone() -> None:
    for seed in range(20):
        found = answer(ROWS, "coin_flip", near=0.29, seed=seed)
        assert found.label[:2].tolist() == [0, 2]
        assert found.candidates.tolist() == [[True, False, False], [False, False, True], [True, True, True]]


def test_coin_flip_gives_the_confidence_of_the_class_that_was_drawn() -> None:
    row = np.array([[0.35, 0.40, 0.25]])
    found = {int(each.label[0]): each for each in (answer(row, "coin_flip", near=0.06, seed=s) for s in range(30))}
    assert sorted(found) == [0, 1]
    assert found[0].confidence == pytest.approx([0.35])
    assert found[0].margin == pytest.approx([0.05])


def test_a_coin_does_not_see_the_last_bits_that_a_batch_moves() -> None:
    rows = np.array([[0.3333, 0.3333, 0.3334], [0.45, 0.449, 0.101]], np.float32)
    moved = np.nextafter(rows, np.float32(1))
    for seed in range(30):
        assert (
            answer(rows, "coin_flip", seed=seed).label.tolist() == answer(moved, "coin_flip", seed=seed).label.tolist()
        )


def test_candidates_accepts_only_what_is_left_alone_by_the_quantile_itself() -> None:
    # A probability of .35 or more is kept: one class, one class, two classes.
    found = answer(ROWS, "candidates", quantile=0.65)
    assert found.candidates.tolist() == [[True, False, False], [False, False, True], [True, True, False]]
    assert found.accepted.tolist() == [True, True, False]


def test_an_empty_set_is_answered_with_the_most_probable_class_and_not_accepted() -> None:
    # .7 or more is kept: of the second row nothing, of the third nothing either.
    assert conformal_set(ROWS, 0.3).any(axis=1).tolist() == [True, False, False]
    found = answer(ROWS, "candidates", quantile=0.3)
    assert found.candidates.tolist() == [[True, False, False], [False, False, True], [True, True, False]]
    assert found.accepted.tolist() == [True, False, False]


def test_quantiles_of_zero_and_one_keep_the_certain_and_all() -> None:
    assert conformal_set(np.array([[1.0, 0.0], [0.9, 0.1]]), 0.0).tolist() == [[True, False], [False, False]]
    assert conformal_set(np.array([[1.0, 0.0], [0.9, 0.1]]), 1.0).all()


@pytest.mark.parametrize("policy", POLICIES)
def test_no_rows_are_answered_with_no_answers(policy: Policy) -> None:
    found = answer(np.zeros((0, 4), np.float32), policy, quantile=0.5)
    assert (found.label.shape, found.accepted.shape, found.candidates.shape) == ((0,), (0,), (0, 4))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("row", [[np.nan, 0.5], [np.inf, -np.inf], [1.2, -0.2], [3.0, 2.0], [0.0, 0.0]])
def test_what_is_no_probability_is_refused_by_its_row(policy: Policy, row: list[float]) -> None:
    with pytest.raises(ValueError, match=r"row 1 is .*; expected probabilities of 0 or more that sum to 1"):
        answer(np.array([[0.5, 0.5], row]), policy, quantile=0.5)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (2, 2, 2)])
def test_other_shapes_than_rows_of_classes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(n, classes\), two classes or more"):
        answer(np.ones(shape), "argmax")


def test_an_unknown_policy_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        ValueError, match="unknown policy 'guess'; expected one of argmax, min_confidence, min_margin, coin"
    ):
        answer(ROWS, "guess")  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_an_option_out_of_range_is_refused_by_the_policy_that_reads_it(value: float) -> None:
    given_wrongly: dict[str, Any] = {"min_confidence": value, "min_margin": value, "near": value, "quantile": value}
    for policy, option in zip(POLICIES[1:], given_wrongly, strict=True):
        with pytest.raises(ValueError, match=f"{option} is .*; expected 0 to 1"):
            answer(ROWS, policy, **given_wrongly)
    assert answer(ROWS, "argmax", **given_wrongly).accepted.all()


def test_candidates_without_a_calibration_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"candidates needs a quantile; expected the one that conformal\.calibrate finds"
    ):
        answer(ROWS, "candidates")


@st.composite
def batches(draw: st.DrawFn) -> NDArray[np.float32]:
    """Rows of few different weights, so that ties are many."""
    classes = draw(st.integers(2, 6))
    row = st.lists(st.integers(0, 4), min_size=classes, max_size=classes).filter(any)
    weights = np.array(draw(st.lists(row, min_size=1, max_size=12)), np.float64)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


share = st.integers(0, 20).map(lambda each: each / 20)


@settings(deadline=None)  # a busy machine is no failure
@given(rows=batches(), policy=st.sampled_from(POLICIES), threshold=share, seed=st.integers(-5, 5))
def test_a_row_is_answered_the_same_whatever_stands_beside_it(
    rows: NDArray[np.float32], policy: Policy, threshold: float, seed: int
) -> None:
    options = {"min_confidence": threshold, "min_margin": threshold, "near": threshold, "quantile": threshold}
    whole = answer(rows, policy, seed=seed, **options)
    for index in range(len(rows)):
        alone = answer(rows[index : index + 1], policy, seed=seed, **options)
        for name in ("label", "confidence", "margin", "accepted", "candidates"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(whole, name)[index], err_msg=name)


@settings(deadline=None)  # a busy machine is no failure
@given(rows=batches(), policy=st.sampled_from(POLICIES), threshold=share, seed=st.integers(-5, 5))
def test_the_answer_is_always_among_its_candidates_and_its_confidence_its_own(
    rows: NDArray[np.float32], policy: Policy, threshold: float, seed: int
) -> None:
    found = answer(
        rows, policy, min_confidence=threshold, min_margin=threshold, near=threshold, quantile=threshold, seed=seed
    )
    index = np.arange(len(rows))
    assert found.candidates[index, found.label].all()
    np.testing.assert_array_equal(found.confidence, rows[index, found.label])
    assert ((found.margin >= 0) & (found.margin <= 1)).all()
    if policy == "candidates":
        assert (found.candidates.sum(axis=1)[found.accepted] == 1).all()


@settings(deadline=None)  # a busy machine is no failure
@given(rows=batches(), low=share, high=share)
def test_a_higher_threshold_accepts_no_row_more(rows: NDArray[np.float32], low: float, high: float) -> None:
    low, high = min(low, high), max(low, high)
    options: list[dict[str, Any]] = [{"min_confidence": each, "min_margin": each} for each in (high, low)]
    thresholds: tuple[Policy, ...] = ("min_confidence", "min_margin")
    for policy in thresholds:
        strict, mild = (answer(rows, policy, **each).accepted for each in options)
        assert not (strict & ~mild).any()


def test_the_module_travels_with_nothing_but_numpy() -> None:
    tree = ast.parse(Path(policies.__file__).read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names == {"numpy"}
