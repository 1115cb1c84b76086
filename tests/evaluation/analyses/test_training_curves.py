"""Curves and confusion matrix are those of the median refit."""

from dataclasses import replace

import pytest

from pipeline.data.split import Split
from pipeline.evaluation.analyses import training_curves
from pipeline.evaluation.result import EvaluationResult
from tests.evaluation.analyses.evaluated import BETTER, evaluated, finalist, section
from tests.evaluation.samples import group, relu

pytestmark = pytest.mark.tensorflow


def test_curves_and_confusion_are_those_of_the_typical_seed(real: EvaluationResult) -> None:
    look = training_curves.analyse(real)
    for name in ("curves.png", "confusion_matrix.png"):
        assert look.artifacts[name] == real.chosen.median_refit.pictures[name]


def test_a_chosen_network_without_pictures_is_described_without_them(digits_split: Split) -> None:
    made = group(finalist("finalist 1", relu(16)), BETTER)
    bare = replace(made, refits=[replace(each, pictures={}) for each in made.refits])
    look = training_curves.analyse(evaluated(digits_split, bare))
    assert not look.artifacts
    assert not section(look).pictures
    assert "test accuracy 90.00 %" in section(look).text
