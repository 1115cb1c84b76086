"""The promotion gate: what it promotes, what it refuses, and what the decision contains."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from pipeline.experiment import Promotion
from pipeline.retraining import gate
from pipeline.retraining.decision import Condition, Decision, as_json, as_markdown
from pipeline.retraining.gate import SignificanceSettings, gap_difference
from pipeline.retraining.model_metrics import ModelPredictions
from pipeline.statistics.monitoring.control_chart import MEASURES, SeedNoise
from pipeline.statistics.paired_comparison import compare
from pipeline.training.result import Score

QUIET = {name: SeedNoise(0.001, 4, "5 refits") for name in MEASURES}
"""Seed noise of a tenth of a point."""
TRAIN = Score(0.1, 0.95)
GOLDEN = Path(__file__).parent / "golden"


def decide(
    champion: ModelPredictions | None,
    challenger: ModelPredictions,
    *,
    noise: Mapping[str, SeedNoise] = QUIET,
    alpha: float = 0.05,
    resamples: int = 400,
    **named: Any,
) -> Decision:
    """The gate with the default margins."""
    significance = SignificanceSettings(noise, resamples=resamples)
    return gate.decide(champion, challenger, Promotion(alpha=alpha), significance, **named)


def network(right: NDArray[np.bool_], *, sure: float = 0.9, train: Score = TRAIN, classes: int = 2) -> ModelPredictions:
    """Labels go round; the network puts `sure` on the right class or on the next one, the rest on its successor."""
    count = len(right)
    labels = np.arange(count) % classes
    taken = np.where(right, labels, (labels + 1) % classes)
    shares = np.zeros((count, classes), np.float32)
    shares[np.arange(count), taken] = sure
    shares[np.arange(count), (taken + 1) % classes] += 1 - sure
    return ModelPredictions(labels, shares, train, 10_000)


def first(count: int, of: int = 1000) -> NDArray[np.bool_]:
    """The first `count` rows are right."""
    return np.arange(of) < count


def named(decision: Decision, name: str) -> Condition:
    (found,) = [each for each in (*decision.conditions, *decision.improvements) if each.name == name]
    return found


def unmet(decision: Decision) -> set[str]:
    return {each.name for each in decision.conditions if not each.met}


def test_a_network_that_is_right_where_the_champion_is_and_more_is_promoted() -> None:
    decision = decide(network(first(850)), network(first(900)))
    assert decision.promote
    assert named(decision, "more accurate").figure == pytest.approx(0.05)
    assert named(decision, "more accurate").met


def test_the_same_network_again_is_not_worse_and_is_kept_out() -> None:
    decision = decide(network(first(900)), network(first(900)))
    assert not decision.promote
    assert unmet(decision) == set()
    assert not any(each.met for each in decision.improvements)


def test_an_improvement_must_beat_other_seeds_of_the_recipe() -> None:
    # A third of .075 is .025; t(.975) of 4 degrees of freedom is 2.776 in the tables; 2.776 sqrt(2) .01 is .03926.
    noise = {"accuracy": SeedNoise(0.01, 4, "5 refits")}
    kept = named(decide(network(first(900)), network(first(939)), noise=noise, alpha=0.075), "more accurate")
    shown = named(decide(network(first(900)), network(first(940)), noise=noise, alpha=0.075), "more accurate")
    assert kept.bound == pytest.approx(0.03926, abs=1e-5)
    assert (kept.met, shown.met) == (False, True)


def test_an_improvement_must_beat_other_images_also_where_seeds_are_silent() -> None:
    noise = {name: SeedNoise(0.0, 4, "5 refits") for name in MEASURES}
    champion, challenger = first(50, 100), first(50, 100)
    challenger[:2], challenger[50:54] = False, True  # two lost, four won: plus two of a hundred
    found = named(decide(network(champion), network(challenger), noise=noise), "more accurate")
    assert found.figure == pytest.approx(0.02)
    assert found.bound > 0.02
    assert not found.met


def test_without_the_noise_of_seeds_no_improvement_can_be_shown() -> None:
    decision = decide(network(first(800)), network(first(1000)), noise={})
    assert not decision.promote
    assert all(math.isnan(each.bound) and not each.met for each in decision.improvements)


def test_noise_that_is_not_a_number_shows_no_improvement() -> None:
    noise = {name: SeedNoise(math.nan, 4, "5 refits") for name in MEASURES}
    assert not decide(network(first(800)), network(first(1000)), noise=noise).promote


def test_a_lower_loss_alone_promotes() -> None:
    decision = decide(network(first(900), sure=0.85), network(first(900), sure=0.9))
    assert decision.promote
    assert [each.name for each in decision.improvements if each.met] == ["lower loss"]
    # 900 rows gain log(.9 / .85), 100 lose log(.15 / .10).
    gain = 0.9 * math.log(0.9 / 0.85) - 0.1 * math.log(0.15 / 0.10)
    assert named(decision, "lower loss").figure == pytest.approx(gain, abs=1e-6)


def test_a_smaller_gap_alone_promotes() -> None:
    smaller = replace(TRAIN, accuracy=0.93)
    decision = decide(network(first(900)), network(first(900), train=smaller))
    assert [each.name for each in decision.improvements if each.met] == ["smaller gap"]
    assert decision.promote
    assert named(decision, "smaller gap").figure == pytest.approx(0.02)


def test_the_interval_of_the_gap_is_newcombes_where_the_test_images_tell_no_difference() -> None:
    # 56 of 70 against 48 of 80: .0524 to .3339 in Newcombe (1998), table II, example (a), method 10.
    champion = replace(network(first(90, 100), train=Score(0.1, 48 / 80)), train_rows=80)
    challenger = replace(network(first(90, 100), train=Score(0.1, 56 / 70)), train_rows=70)
    compared = compare(champion.labels, challenger.probabilities, champion.probabilities, seed=1, level=0.95)
    found = gap_difference(champion, challenger, compared)
    assert (found.low, found.estimate, found.high) == pytest.approx((0.0524, 0.2, 0.3339), abs=5e-5)


def test_the_interval_of_the_gap_is_that_of_the_test_images_where_training_is_beyond_doubt() -> None:
    certain = Score(0.0, 1.0)
    champion, challenger = network(first(850), train=certain), network(first(900), train=certain)
    champion, challenger = (replace(each, train_rows=10**9) for each in (champion, challenger))
    compared = compare(champion.labels, challenger.probabilities, champion.probabilities, seed=1)
    found, test = gap_difference(champion, challenger, compared), compared.accuracy
    assert (found.low, found.high) == pytest.approx((-test.high, -test.low), abs=1e-6)


def test_a_loss_of_accuracy_beyond_the_margin_keeps_the_champion() -> None:
    decision = decide(network(first(900)), network(first(880), sure=0.99))
    assert "not less accurate" in unmet(decision)
    assert not decision.promote
    found = named(decision, "not less accurate")
    assert found.bound == -0.005
    assert found.figure < -0.02


def test_the_margin_is_held_by_the_bound_and_not_by_the_difference() -> None:
    # On 100 images, 5 won and 5 lost: no difference, but it could be several points.
    challenger = first(50, 100)
    challenger[:5], challenger[50:55] = False, True
    decision = decide(network(first(50, 100)), network(challenger))
    assert named(decision, "not less accurate").figure < -0.03
    assert "not less accurate" in unmet(decision)


def test_a_class_that_loses_recall_beyond_noise_keeps_the_champion() -> None:
    labels = np.arange(1000) % 2
    champion = (labels == 1) & first(800) | (labels == 0) & first(800)
    challenger = np.where(labels == 0, first(650), True)  # class 0 falls from 80 to 65 %, class 1 rises to 100 %
    decision = decide(network(champion), network(challenger), class_names=("cat", "dog"))
    found = named(decision, "no class lost")
    assert unmet(decision) == {"no class lost"}
    assert found.figure == pytest.approx(-0.15)
    assert "cat -15.00 points on 500 test images, significant" in found.sentence
    assert not decision.promote


def test_a_class_may_lose_within_noise_or_within_the_margin() -> None:
    # Class 0 has 10 images and loses 1: 10 points, one image.
    challenger = first(20, 20)
    challenger[0] = False
    few = named(decide(network(first(20, 20)), network(challenger)), "no class lost")
    assert few.met
    assert few.figure == pytest.approx(-0.1)
    # Class 0 loses 20 of 500: beyond doubt, but 4 points.
    challenger = np.where(np.arange(1000) % 2 == 0, np.arange(1000) >= 40, True)
    many = named(decide(network(first(1000)), network(challenger)), "no class lost")
    assert many.met
    assert many.figure == pytest.approx(-0.04)
    assert ", significant" in many.sentence


def test_a_class_without_test_images_is_named_and_the_others_decide() -> None:
    champion, better = network(first(800), classes=3), network(first(900), classes=3)
    worse = network(np.where(np.arange(1000) % 3 == 2, np.arange(1000) > 300, first(800)), classes=3)
    present = champion.labels != 1
    champion, better, worse = (
        replace(each, labels=each.labels[present], probabilities=each.probabilities[present])
        for each in (champion, better, worse)
    )
    decision = decide(champion, better, class_names=("cat", "dog", "owl"))
    assert decision.promote
    assert named(decision, "no class lost").sentence.endswith("; not judged, without test images: dog")
    assert "no class lost" in unmet(decide(champion, worse, class_names=("cat", "dog", "owl")))


def test_of_hundreds_of_classes_without_test_images_a_few_are_named() -> None:
    champion, better = network(first(800)), network(first(900))
    shares = [np.pad(each.probabilities, ((0, 0), (0, 300))) for each in (champion, better)]
    wide = [replace(each, probabilities=one) for each, one in zip((champion, better), shares, strict=True)]
    decision = decide(*wide, class_names=[f"class number {place}" for place in range(302)])
    sentence = named(decision, "no class lost").sentence
    assert sentence.endswith("class number 5, class number 6 and 295 more")
    assert len(as_markdown(decision)) < 5000


def test_a_larger_gap_keeps_the_champion() -> None:
    decision = decide(network(first(900)), network(first(930), sure=0.92, train=Score(0.1, 0.995)))
    assert unmet(decision) == {"honest gap not worse"}
    assert named(decision, "honest gap not worse").figure == pytest.approx(0.015)
    assert named(decision, "honest gap not worse").bound == 0.01


def test_a_worse_calibration_keeps_the_champion() -> None:
    # Sure to .9 and right in .9: no error. Sure to .99 and right in .94: off by 5 points.
    decision = decide(network(first(900)), network(first(940), sure=0.99))
    assert unmet(decision) == {"calibration error not worse"}
    assert named(decision, "calibration error not worse").figure == pytest.approx(0.05, abs=1e-6)


def test_what_was_judged_elsewhere_must_hold_too() -> None:
    drifted = Condition("no drift", met=False, figure=0.3, bound=0.1, sentence="the data has moved")
    decision = decide(network(first(850)), network(first(900)), further=[drifted])
    assert not decision.promote
    assert decision.reason == "the data has moved"


@pytest.mark.parametrize(
    ("challenger", "failed"),
    [
        (network(first(900)), set()),
        (network(first(799), sure=0.8, train=Score(0.1, 0.85)), {"accuracy"}),
        (network(first(820), sure=0.8, train=Score(0.1, 0.99)), {"honest gap"}),
        (network(first(810), sure=0.99, train=Score(0.1, 0.9)), {"calibration error"}),
    ],
)
def test_without_a_champion_the_floors_decide(challenger: ModelPredictions, failed: set[str]) -> None:
    decision = decide(None, challenger)
    assert (unmet(decision), decision.promote) == (failed, not failed)
    assert (decision.champion, decision.improvements) == (None, ())


def test_networks_scored_on_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"scored on 1000 and 999 test images .* expected the same images"):
        decide(network(first(900)), network(first(900, 999)))


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_probabilities_that_are_no_numbers_are_refused(broken: float) -> None:
    with pytest.raises(ValueError, match="probabilities contain NaN or infinity"):
        ModelPredictions(np.array([0]), np.array([[broken, 0.5]], np.float32), TRAIN, 1)


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0 labels, .* at least one of each"):
        network(first(0, 0))


@pytest.mark.parametrize("broken", [{"margin": -0.1}, {"alpha": 0.5}, {"gap_margin": math.nan}])
def test_a_negative_margin_and_an_alpha_of_one_half_are_refused(broken: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(broken))):
        Promotion(**broken)


def test_two_attempts_are_each_tested_at_half_of_alpha() -> None:
    champion, challenger = network(first(850)), network(first(900))
    two = gate.decide(
        champion, challenger, Promotion(alpha=0.1), SignificanceSettings(QUIET, attempts=2, resamples=400)
    )
    assert two == decide(champion, challenger, alpha=0.05)
    assert two.rule["alpha"] == 0.05


def test_a_single_image_promotes_nothing() -> None:
    labels, wrong, right = np.array([0]), np.array([[0.1, 0.9]], np.float32), np.array([[0.9, 0.1]], np.float32)
    decision = decide(ModelPredictions(labels, wrong, TRAIN, 100), ModelPredictions(labels, right, TRAIN, 100))
    assert not decision.promote
    assert math.isnan(named(decision, "not less accurate").figure)


def test_the_metrics_are_those_worked_by_hand() -> None:
    metrics = network(first(900), train=Score(0.1, 0.95)).metrics
    loss = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    assert metrics.accuracy == pytest.approx(0.9)
    assert metrics.loss == pytest.approx(loss, abs=1e-6)
    assert metrics.accuracy_gap == pytest.approx(0.05)
    assert metrics.loss_gap == pytest.approx(loss - 0.1, abs=1e-6)
    assert metrics.calibration_error == pytest.approx(0, abs=1e-6)


@settings(deadline=None, max_examples=6)  # a busy machine is no failure
@given(seed=st.integers(0, 10_000), lift=st.floats(-0.1, 0.2), sd=st.floats(0, 0.02))
def test_a_promotion_is_all_conditions_and_one_improvement(seed: int, lift: float, sd: float) -> None:
    generator = np.random.default_rng(seed)
    old, new = generator.random(200) < 0.8, generator.random(200) < 0.8 + lift
    noise = {name: SeedNoise(sd, 4, "5 refits") for name in MEASURES}
    decision = decide(network(old), network(new), noise=noise, resamples=50)
    assert decision.promote == (
        all(each.met for each in decision.conditions) and any(each.met for each in decision.improvements)
    )
    assert all(each.met == (each.figure > each.bound) for each in decision.improvements)


def test_the_same_networks_are_judged_the_same_each_time() -> None:
    assert decide(network(first(850)), network(first(900))) == decide(network(first(850)), network(first(900)))


def test_the_json_holds_every_condition_and_the_rule_that_was_in_force() -> None:
    decision = decide(network(first(850)), network(first(900)), noise={"accuracy": QUIET["accuracy"]})
    read = json.loads(as_json(decision))
    assert read["promote"] is True
    assert [each["name"] for each in read["conditions"]] == [each.name for each in decision.conditions]
    assert list(read["rule"]) == [
        "margin", "class_margin", "gap_margin", "calibration_margin", "min_accuracy", "max_gap", "max_calibration_error",
        "alpha", "noise", "seed", "resamples",
    ]  # fmt: skip
    assert read["rule"]["noise"] == {"accuracy": {"sd": 0.001, "freedom": 4, "how": "5 refits"}}
    assert read["challenger"]["accuracy"] == pytest.approx(0.9)
    # The noise of loss and gap is unknown: their bounds are NaN, which JSON does not have.
    assert [each["bound"] for each in read["improvements"]][1:] == [None, None]


def test_the_markdown_starts_with_the_verdict_and_has_every_condition_with_its_values() -> None:
    decision = decide(network(first(850)), network(first(900)), class_names=("a|b", "c"))
    text = as_markdown(decision)
    assert text == (GOLDEN / "promoted.md").read_text()
    assert "a&#124;b" in text
    for each in (*decision.conditions, *decision.improvements):
        assert f"| {each.name} | {'yes' if each.met else '**no**'} |" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {4, 5}


def test_the_markdown_of_a_refused_challenger_gives_the_failed_conditions_as_the_reason() -> None:
    decision = decide(network(first(900)), network(first(880), sure=0.99), noise={"accuracy": QUIET["accuracy"]})
    assert as_markdown(decision) == (GOLDEN / "kept.md").read_text()


def test_the_markdown_without_a_champion_leaves_its_column_empty() -> None:
    text = as_markdown(decide(None, network(first(700))))
    assert text == (GOLDEN / "not_promoted.md").read_text()
    assert "| accuracy, % |  | 70.00 |  |" in text
