"""Thresholds are chosen on validation; what they accept, and how often that is right, is reported on test."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.data.split import Part, Split
from pipeline.evaluation.analyses import thresholds
from pipeline.evaluation.result import EvaluationResult
from pipeline.statistics.selective import thresholds as on_validation
from tests.evaluation.analyses.evaluated import BETTER, evaluated, experiment, finalist, section, table
from tests.evaluation.samples import group, relu

pytestmark = pytest.mark.tensorflow


def test_policies_answer_the_shares_of_test_that_reach_their_threshold(real: EvaluationResult) -> None:
    answers = table(thresholds.analyse(real), "policies.csv").set_index("policy")
    probabilities, labels = real.chosen.median_refit.test, real.split.test.labels
    sure, right = probabilities.max(axis=1) >= 0.5, probabilities.argmax(axis=1) == labels
    assert list(answers.loc["min_confidence", ["threshold", "answered", "right"]]) == pytest.approx(
        [0.5, sure.mean(), right[sure].mean()]
    )
    assert list(answers.loc["argmax", ["answered", "right", "classes"]]) == pytest.approx([1, right.mean(), 1])


def test_a_wished_accuracy_gives_the_threshold_of_validation_and_its_figures_on_test(real: EvaluationResult) -> None:
    look = thresholds.analyse(replace(real, experiment=experiment(evaluation={"target_accuracy": 0.6})))
    probabilities, labels = real.chosen.median_refit.test, real.split.test.labels
    answered = probabilities.max(axis=1) >= look.metrics["min_confidence"]
    assert look.metrics["answered_share"] == pytest.approx(answered.mean())
    right = probabilities.argmax(axis=1) == labels
    assert look.metrics["answered_accuracy"] == pytest.approx(right[answered].mean())
    assert "The target accuracy of 60.00 % is reached" in section(look).text


def test_an_accuracy_out_of_reach_is_said_to_be_and_leaves_an_example_of_one_half(real: EvaluationResult) -> None:
    look = thresholds.analyse(replace(real, experiment=experiment(evaluation={"target_accuracy": 1.0})))
    assert "The target accuracy of 100.00 % is not reached" in section(look).text
    assert "min_confidence" not in look.metrics
    assert table(look, "policies.csv").set_index("policy").loc["min_confidence", "threshold"] == 0.5


def test_the_margin_too_is_chosen_on_validation_for_a_wished_accuracy(real: EvaluationResult) -> None:
    look = thresholds.analyse(replace(real, experiment=experiment(evaluation={"target_accuracy": 0.6})))
    threshold = table(look, "policies.csv").set_index("policy").loc["min_margin", "threshold"]
    curve = on_validation.accuracy_coverage_curve(
        real.split.validation.labels, real.chosen.median_refit.validation, "margin"
    )
    assert threshold == pytest.approx(on_validation.threshold_for(curve, 0.6).value)
    assert threshold != thresholds.EXAMPLE
    assert "is an example" not in section(look).text


@pytest.mark.parametrize("target", [None, 0.6, 1.0])
def test_the_served_thresholds_are_those_of_the_report(real: EvaluationResult, target: float | None) -> None:
    look = thresholds.analyse(replace(real, experiment=experiment(evaluation={"target_accuracy": target})))
    shown = table(look, "policies.csv").set_index("policy")["threshold"]
    found = thresholds.serving_defaults(real.split, real.chosen.median_refit, target)
    assert look.serving == found
    for policy in ("min_confidence", "min_margin"):
        served = getattr(found, policy)
        assert served == shown[policy] if target == 0.6 else (served is None and shown[policy] == 0.5)


def test_sets_that_hold_the_label_less_often_than_stated_are_said_to(digits_split: Split) -> None:
    """On validation the label always has .7; on test it is a class of probability 0 in every tenth row."""
    labels = np.zeros(1000, np.int64)
    on_test = np.where(np.arange(1000) % 10 == 0, 5, 0)
    part = Part(digits_split.test.images[np.zeros(1000, int)], labels)
    split = replace(digits_split, validation=part, test=Part(part.images, on_test))
    chosen = group(finalist("finalist 1", relu(8)), BETTER, labels=[0] * 1000)
    on_other_images = replace(evaluated(digits_split, chosen), split=split)
    text = section(thresholds.analyse(on_other_images)).text
    assert "On test the coverage is 90.00 % (95 % interval" in text
    assert "That is below the target." in text
    on_the_same = replace(on_other_images, split=replace(split, test=part))
    assert "below the target" not in section(thresholds.analyse(on_the_same)).text


def test_images_where_no_class_is_probable_enough_are_counted_in_words(digits_split: Split) -> None:
    """On validation the label always has .7; on test no class reaches that in every fourth row."""
    part = Part(digits_split.test.images[np.zeros(1000, int)], np.zeros(1000, np.int64))
    split = replace(digits_split, validation=part, test=part)
    chosen = group(finalist("finalist 1", relu(8)), BETTER, labels=[0] * 1000)
    assert (
        "no class is probable enough"
        not in section(thresholds.analyse(replace(evaluated(digits_split, chosen), split=split))).text
    )
    unsure = chosen.refits[0].test.copy()
    unsure[::4, :2] = 0.6, 0.4
    result = evaluated(digits_split, replace(chosen, refits=[replace(chosen.refits[0], test=unsure)]))
    text = section(thresholds.analyse(replace(result, split=split))).text
    assert "100.00 % of the sets have a single class. In 25.00 % of the images no class is probable enough" in text
    assert "they are not accepted. 75.00 % are." in text
