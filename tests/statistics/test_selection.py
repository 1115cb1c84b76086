"""Which network is chosen, and what is said of it."""

import math
from collections.abc import Container, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from pipeline.statistics.selection import Candidate, Rule, choose, ranked
from pipeline.statistics.selection.difference import difference
from tests.fixtures.golden import check

RULES: list[Rule] = ["one_standard_error", "best_loss", "best_accuracy"]


def network(name: str, accuracy: float, gap: float, *, loss: float = 0.3, parameters: int = 1000) -> Candidate:
    return Candidate(name, loss, accuracy, gap, parameters)


# sqrt(.9 * .1 / 10,000) is exactly .003: one standard error of a best accuracy of .9 reaches down to .897.
SURE = network("784-512-10", 0.900, 0.050)
CALM = network("784-256(0.3)-10", 0.898, 0.030)
WEAK = network("784-32(0.5)-10", 0.896, 0.010)


def test_the_smallest_gap_within_one_standard_error_is_chosen() -> None:
    choice = choose([SURE, CALM, WEAK], "one_standard_error", validation_size=10_000)
    assert choice.index == 1


def test_fewer_validation_images_let_weaker_networks_in() -> None:
    # sqrt(.9 * .1 / 2,500) is .006: down to .894.
    assert choose([SURE, CALM, WEAK], "one_standard_error", validation_size=2_500).index == 2


def test_a_network_alone_within_the_error_is_chosen_whatever_its_gap() -> None:
    choice = choose([SURE, WEAK], "one_standard_error", validation_size=10_000)
    assert choice.index == 0


def test_a_network_that_is_best_on_both_is_chosen() -> None:
    choice = choose([CALM, replace(SURE, val_accuracy_gap=0.02)], "one_standard_error", validation_size=10_000)
    assert choice.index == 1


@pytest.mark.parametrize("kind", ["trial", "finalist"])
def test_the_reason_calls_the_candidates_what_they_are(kind: str) -> None:
    near, alone = [SURE, CALM, WEAK], [SURE, WEAK]
    for candidates, text in ((near, f"gap of 2 {kind}s: "), (alone, f"No other {kind} is within")):
        those = [replace(each, kind=kind) for each in candidates]
        reason = choose(those, "one_standard_error", validation_size=10_000).reason
        assert text in reason
        assert "network" not in reason


def test_equal_gaps_go_to_fewer_parameters() -> None:
    small = network("small", 0.898, 0.030, loss=0.9, parameters=10)
    choice = choose([CALM, small, SURE], "one_standard_error", validation_size=10_000)
    assert choice.index == 1


def test_equal_gaps_and_sizes_go_to_the_lower_validation_loss() -> None:
    better = network("better", 0.897001, 0.030, loss=0.29)
    assert choose([CALM, better, SURE], "one_standard_error", validation_size=10_000).index == 1


def test_equals_in_everything_go_to_the_first() -> None:
    twins = [replace(CALM, name=name) for name in ("first", "second")]
    assert choose([SURE, *twins], "one_standard_error", validation_size=10_000).index == 1


def test_a_perfect_accuracy_has_no_standard_error() -> None:
    perfect, almost = network("perfect", 1.0, 0.0), network("almost", 0.9999, -0.1)
    assert choose([almost, perfect], "one_standard_error", validation_size=100).index == 1


def test_best_loss_looks_at_the_loss_alone() -> None:
    low = network("low", 0.7, 0.3, loss=0.1)
    choice = choose([SURE, low, CALM], "best_loss", validation_size=10_000)
    assert choice.index == 1


def test_best_accuracy_looks_at_accuracy_and_between_equals_at_the_loss() -> None:
    equal = network("equal", 0.900, 0.2, loss=0.2)
    choice = choose([SURE, equal, CALM], "best_accuracy", validation_size=10_000)
    assert choice.index == 1


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("broken", ["val_loss", "val_accuracy", "val_accuracy_gap"])
def test_a_network_without_finite_figures_is_passed_over(rule: Rule, broken: str) -> None:
    for value in (math.nan, math.inf, -math.inf):
        figures = {"val_loss": 0.01, "val_accuracy": 0.99, "val_accuracy_gap": -0.5} | {broken: value}
        loss, accuracy, gap = figures.values()
        diverged = Candidate("diverged", loss, accuracy, gap, parameters=1, seeds=2)
        assert choose([diverged, SURE, CALM], rule, validation_size=10_000).index != 0


@pytest.mark.parametrize("rule", RULES)
def test_the_only_network_with_finite_figures_is_chosen(rule: Rule) -> None:
    choice = choose([replace(SURE, val_loss=math.nan), WEAK], rule, validation_size=10_000)
    assert choice.index == 1
    assert "is the only network with finite figures" in choice.reason


@pytest.mark.parametrize("rule", RULES)
def test_nothing_to_choose_from_is_refused(rule: Rule) -> None:
    with pytest.raises(ValueError, match="none of 0 candidates has finite figures; expected at least one"):
        choose([], rule, validation_size=10_000)
    with pytest.raises(ValueError, match="none of 1 candidates"):
        choose([replace(SURE, val_loss=math.nan)], rule, validation_size=10_000)


def test_a_validation_set_without_images_is_refused() -> None:
    with pytest.raises(ValueError, match="validation_size is 0; expected the number of validation images"):
        choose([SURE, CALM], "one_standard_error", validation_size=0)


def test_a_candidate_has_no_figure_of_the_test_set() -> None:
    assert [each.name for each in fields(Candidate)] == [
        "name", "val_loss", "val_accuracy", "val_accuracy_gap", "parameters", "seeds", "outcomes", "kind",
        "role",
    ]  # fmt: skip


def metrics(accuracy: float, *, loss: float = 0.3, gap: float = 0.03) -> dict[str, float]:
    """Of one seed; with more than a selection may know."""
    return {"val_loss": loss, "val_accuracy": accuracy, "val_accuracy_gap": gap, "test_accuracy": 0.5}


def test_a_candidate_of_seeds_holds_their_means() -> None:
    seeds = [metrics(0.898, loss=0.2, gap=0.02), metrics(0.900, loss=0.3, gap=0.03), metrics(0.902, loss=0.4, gap=0.04)]
    candidate = Candidate.of_seeds("a", seeds, 10)
    assert (candidate.name, candidate.parameters, candidate.seeds) == ("a", 10, 3)
    assert (candidate.val_loss, candidate.val_accuracy, candidate.val_accuracy_gap) == pytest.approx((0.3, 0.9, 0.03))


def test_a_candidate_of_one_seed_is_that_of_a_trial() -> None:
    assert Candidate.of_seeds("a", [metrics(0.9)], 10) == Candidate("a", 0.3, 0.9, 0.03, 10)


def test_a_candidate_without_seeds_or_with_a_seed_that_diverged_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one per seed, at least one"):
        Candidate.of_seeds("a", [], 10)
    with pytest.raises(ValueError, match="expected finite numbers only"):
        Candidate.of_seeds("a", [metrics(0.9), metrics(0.9, loss=math.nan)], 10)


IMAGES = 1000
"""Validation images of the networks below."""


def answers(name: str, wrong: Sequence[Container[int]], gap: float) -> Candidate:
    """A network that gets the images of these numbers wrong, one set per seed."""
    outcomes = {seed: np.array([image not in each for image in range(IMAGES)]) for seed, each in enumerate(wrong)}
    seeds = [metrics(outcome.mean(), gap=gap) for outcome in outcomes.values()]
    return Candidate.of_seeds(name, seeds, 10, outcomes)


BEST = answers("best", [range(100)] * 4, 0.05)
"""90 % with every seed."""


def test_the_error_is_that_of_the_difference_on_the_same_images() -> None:
    """Both miss their images with every seed, so only images matter. `few` misses 4 more: a difference of .4 points,
    standard error sqrt((.004 - .004^2) / 999) = .20 points. `others` misses as many more, but 40 that `best` gets
    and 36 fewer of its own: the error is sqrt((.076 - .004^2) / 999) = .87 points.
    """
    few, others = answers("few", [range(104)] * 4, 0.01), answers("others", [range(36, 140)] * 4, 0.01)
    assert choose([BEST, few], "one_standard_error", validation_size=IMAGES).index == 0
    choice = choose([BEST, others], "one_standard_error", validation_size=IMAGES)
    assert choice.index == 1
    assert "is 0.40 points less accurate than" in choice.reason
    assert "within one standard error of the difference (0.87 points; same 1,000 images and 4 seeds)" in choice.reason


def test_a_network_alone_within_the_error_of_its_difference_names_the_nearest() -> None:
    few = answers("few", [range(104)] * 4, 0.01)
    far = answers("far", [range(200)] * 4, 0.0)
    choice = choose([far, BEST, few], "one_standard_error", validation_size=IMAGES)
    assert choice.index == 1
    assert "Second is few (" in choice.reason
    assert "0.40 points less accurate (standard error of the difference: 0.20 points;" in choice.reason


def test_seeds_that_scatter_let_a_network_in_that_images_alone_would_shut_out() -> None:
    # One seed misses 16 images more, a difference of .4 points; the scatter of seeds alone is an error of .8 / sqrt(4).
    loose = answers("loose", [range(100), range(100), range(100), range(116)], 0.01)
    assert choose([BEST, loose], "one_standard_error", validation_size=IMAGES).index == 1


def test_the_same_answers_are_within_no_error_and_the_gap_decides() -> None:
    twin = answers("twin", [range(100)] * 4, 0.01)
    choice = choose([BEST, twin], "one_standard_error", validation_size=IMAGES)
    assert choice.index == 1
    assert "is as accurate as the most accurate network" in choice.reason
    assert "within one standard error of the difference (0.00 points" in choice.reason


def test_one_seed_has_the_error_of_the_images_alone_and_says_so() -> None:
    best, others = answers("best", [range(100)], 0.05), answers("others", [range(36, 140)], 0.01)
    choice = choose([best, others], "one_standard_error", validation_size=IMAGES)
    assert choice.index == 1
    assert "within one standard error of the difference (0.87 points; same 1,000 images, one seed)" in choice.reason


def test_the_best_network_with_the_smallest_gap_is_said_to_be_and_how_far_the_nearest_is() -> None:
    others = answers("others", [range(36, 140)] * 4, 0.06)
    choice = choose([others, BEST], "one_standard_error", validation_size=IMAGES)
    assert choice.index == 1
    assert "is the most accurate network, and has the smallest validation gap of the 2 within one" in choice.reason
    assert "Second is others (" in choice.reason
    assert "), 0.40 points less accurate (standard error" in choice.reason


def test_a_network_that_diverged_has_no_part_in_a_choice_by_difference() -> None:
    broken = replace(answers("broken", [range(0)] * 4, -1), val_loss=math.nan)
    few = answers("few", [range(104)] * 4, 0.01)
    assert choose([broken, few, BEST], "one_standard_error", validation_size=IMAGES).index == 2


def test_a_difference_of_two_seeds_and_four_images_by_hand() -> None:
    """Rows of d: (1, 0, 0, 0) and (1, 1, 0, 0); the mean is 3/8.

    Seed means 1/4 and 1/2: mean square 4 (1/64 + 1/64) / 1 = 1/8. Image means 1, 1/2, 0, 0:
    2 (25 + 1 + 9 + 9) / 64 / 3 = 11/24. The whole sum of squares is 3 - 9/8 = 15/8; what is left is
    15/8 - 1/8 - 11/8 = 3/8 over 3 degrees: 1/8. Variance (1/8 + 11/24 - 1/8) / 8 = 11/192.
    """
    first = {0: np.array([True, True, False, False]), 1: np.array([True, True, True, False])}
    second = {0: np.array([False, True, False, False]), 1: np.array([False, False, True, False])}
    apart = difference(first, second)
    assert (apart.mean, apart.seeds, apart.images) == (0.375, 2, 4)
    assert apart.error == pytest.approx(math.sqrt(11 / 192))
    low, high = apart.interval()
    assert (low + high) / 2 == pytest.approx(0.375)
    assert high - 0.375 == pytest.approx(float(t.ppf(0.975, apart.degrees)) * apart.error)


def test_a_difference_uses_the_seeds_that_both_have() -> None:
    one, other = np.array([True, False]), np.array([False, False])
    assert difference({1: one, 2: one, 3: other}, {3: one, 2: other, 4: one}).seeds == 2
    assert difference({1: one, 2: one, 3: other}, {3: one, 2: other, 4: one}).mean == 0
    with pytest.raises(ValueError, match="expected a common seed"):
        difference({1: one}, {2: one})
    with pytest.raises(ValueError, match=r"\[2, 3\] images"):
        difference({1: one}, {1: np.array([True, True, False])})


def test_a_difference_that_never_varies_is_sure() -> None:
    none, every = {seed: np.zeros(3, bool) for seed in range(2)}, {seed: np.ones(3, bool) for seed in range(2)}
    assert difference(every, none).interval() == (1, 1)
    assert difference({0: np.array([True])}, {0: np.array([False])}).error == 0


def test_outcomes_of_another_number_of_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="outcomes of 1 seeds for metrics of 2"):
        Candidate.of_seeds("a", [metrics(0.9)] * 2, 10, {0: np.ones(3, bool)})


@pytest.mark.parametrize("rule", ["best_loss", "best_accuracy"])
def test_the_other_rules_look_at_means_and_say_so(rule: Rule) -> None:
    # The first has the best single seed, the second the better means.
    lucky = Candidate.of_seeds("lucky", [metrics(0.95, loss=0.1), metrics(0.85, loss=0.5)], 10)
    steady = Candidate.of_seeds("steady", [metrics(0.91, loss=0.2), metrics(0.91, loss=0.2)], 10)
    choice = choose([lucky, steady], rule, validation_size=10_000)
    assert choice.index == 1
    assert "mean validation " in choice.reason
    assert "2 seeds" in choice.reason


def test_a_tolerance_takes_the_place_of_the_standard_error() -> None:
    # A point below .900 is .890; by the standard error, .003, Weak (.896) would not come into question.
    choice = choose([SURE, CALM, WEAK], "one_standard_error", validation_size=10_000, tolerance=0.01)
    assert choice.index == 2


def test_a_tolerance_smaller_than_the_error_shuts_networks_out() -> None:
    choice = choose([SURE, CALM, WEAK], "one_standard_error", validation_size=10_000, tolerance=0.001)
    assert choice.index == 0
    assert "No other network is within 0.10 points of it" in choice.reason


def test_a_tolerance_knows_neither_seeds_nor_validation_images() -> None:
    answered = [BEST, answers("others", [range(36, 140)] * 4, 0.01)]
    for size in (10, 1_000_000):
        assert choose(answered, "one_standard_error", validation_size=size, tolerance=0.003).index == 0
        assert choose(answered, "one_standard_error", validation_size=size, tolerance=0.005).index == 1


@pytest.mark.parametrize("rule", ["best_loss", "best_accuracy"])
def test_the_other_rules_give_no_accuracy_up_for_a_smaller_gap(rule: Rule) -> None:
    low = replace(SURE, val_loss=0.1)
    assert choose([low, CALM, WEAK], rule, validation_size=10_000, tolerance=0.5).index == 0


def test_ranks_are_chosen_one_after_the_other_among_those_left() -> None:
    """Calm has the smallest gap within .003 of Sure; without Calm, Sure is alone within its error; Weak is what is left."""
    order = ranked([SURE, CALM, WEAK], "one_standard_error", validation_size=10_000)
    assert list(order) == [1, 0, 2]


@pytest.mark.parametrize(("rule", "order"), [("best_accuracy", [0, 1, 2]), ("best_loss", [2, 1, 0])])
def test_ranks_by_one_figure_are_its_order(rule: Rule, order: list[int]) -> None:
    networks = [replace(SURE, val_loss=0.5), replace(CALM, val_loss=0.4), replace(WEAK, val_loss=0.3)]
    assert list(ranked(networks, rule, validation_size=10_000)) == order


def test_a_tolerance_changes_the_ranks() -> None:
    order = ranked([SURE, CALM, WEAK], "one_standard_error", validation_size=10_000, tolerance=0.01)
    assert list(order) == [2, 1, 0]


def test_networks_without_finite_figures_have_no_rank() -> None:
    broken = replace(SURE, val_accuracy=math.nan)
    assert list(ranked([broken, SURE, replace(CALM, val_loss=math.inf)], "best_loss", validation_size=10)) == [1]
    assert list(ranked([broken], "best_loss", validation_size=10)) == []
    assert list(ranked([], "best_loss", validation_size=10)) == []


candidates = st.lists(
    st.builds(
        network,
        name=st.just("n"),
        accuracy=st.integers(850, 900).map(lambda each: each / 1000),
        gap=st.integers(-10, 80).map(lambda each: each / 1000),
        loss=st.integers(20, 60).map(lambda each: each / 100),
        parameters=st.integers(1, 5),
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None)  # a busy machine is no failure
@given(candidates=candidates, size=st.integers(10, 20_000))
def test_no_network_within_the_error_has_a_smaller_gap_than_the_chosen(candidates: list[Candidate], size: int) -> None:
    chosen = candidates[choose(candidates, "one_standard_error", validation_size=size).index]
    best = max(each.val_accuracy for each in candidates)
    floor = best - math.sqrt(best * (1 - best) / size)
    assert chosen.val_accuracy >= floor
    assert chosen.val_accuracy_gap == min(each.val_accuracy_gap for each in candidates if each.val_accuracy >= floor)


@pytest.mark.parametrize("rule", RULES)
@settings(deadline=None)  # a busy machine is no failure
@given(candidates=candidates, data=st.data())
def test_the_order_of_candidates_does_not_change_what_is_chosen(
    rule: Rule, candidates: list[Candidate], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(candidates))
    chosen = candidates[choose(candidates, rule, validation_size=1000).index]
    again = shuffled[choose(shuffled, rule, validation_size=1000).index]
    key = {"best_loss": "val_loss", "best_accuracy": "val_accuracy", "one_standard_error": "val_accuracy_gap"}[rule]
    assert getattr(chosen, key) == getattr(again, key)


@pytest.mark.parametrize("rule", RULES)
@settings(deadline=None)  # a busy machine is no failure
@given(candidates=candidates)
def test_every_network_has_one_rank_and_the_first_is_the_chosen(rule: Rule, candidates: list[Candidate]) -> None:
    order = list(ranked(candidates, rule, validation_size=1000))
    assert sorted(order) == list(range(len(candidates)))
    assert order[0] == choose(candidates, rule, validation_size=1000).index


def test_the_sentences_of_all_reasons_read_as_agreed() -> None:
    """Rewording changes the golden file alone."""
    named = [
        replace(answers("a", [range(100)] * 4, 0.05), role="the notebook with dropout"),
        replace(answers("b", [range(36, 140)] * 4, 0.01), role="the baseline"),
        replace(answers("c", [range(200)] * 4, 0.0), role="network 3"),
    ]
    near, far = answers("near", [range(36, 140)] * 4, 0.01), answers("far", [range(200)] * 4, 0.0)
    small = network("small", 0.898, 0.030, loss=0.9, parameters=10)
    many = [answers(f"far {number}", [range(200 + number)] * 4, 0.0) for number in range(4)]
    cases: dict[str, tuple[Sequence[Candidate], Rule, float | None]] = {
        "one network": ([SURE], "one_standard_error", None),
        "one with finite figures": ([SURE, replace(CALM, val_loss=math.nan)], "one_standard_error", None),
        "lowest loss": ([SURE, replace(CALM, val_loss=0.1)], "best_loss", None),
        "highest accuracy": ([SURE, CALM], "best_accuracy", None),
        "highest accuracy, equal": ([SURE, network("equal", 0.900, 0.2, loss=0.2), CALM], "best_accuracy", None),
        "smallest gap": ([SURE, CALM, WEAK], "one_standard_error", None),
        "best in both": ([CALM, replace(SURE, val_accuracy_gap=0.02)], "one_standard_error", None),
        "no other within the error": ([SURE, WEAK], "one_standard_error", None),
        "equal gaps": ([CALM, small, SURE], "one_standard_error", None),
        "a tolerance": ([SURE, CALM, WEAK], "one_standard_error", 0.01),
        "over seeds, smallest gap": ([BEST, near, far], "one_standard_error", None),
        "over seeds, roles": (named, "one_standard_error", None),
        "over seeds, as accurate": ([BEST, answers("twin", [range(100)] * 4, 0.01)], "one_standard_error", None),
        "over seeds, many too far away": ([BEST, near, *many], "one_standard_error", None),
        "over seeds, best in both": ([replace(near, val_accuracy_gap=0.06), BEST, far], "one_standard_error", None),
        "over seeds, no other within the error": ([BEST, far], "one_standard_error", None),
    }
    texts = [
        f"{title}:\n{choose(candidates, rule, validation_size=10_000, tolerance=tolerance).reason}\n"
        for title, (candidates, rule, tolerance) in cases.items()
    ]
    check(Path(__file__).parent / "golden" / "reasons.txt", "\n".join(texts))
