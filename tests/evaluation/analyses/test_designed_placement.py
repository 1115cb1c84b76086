"""Effects of dropout by its position, in fixed networks that differ in it alone."""

from dataclasses import replace

import pytest

from pipeline.data.split import Split
from pipeline.evaluation.analyses import designed_placement, placement_effects
from pipeline.evaluation.finalists import BASELINE, Finalist
from pipeline.evaluation.result import EvaluationResult
from pipeline.models.recipe import Recipe
from tests.evaluation.analyses.evaluated import BETTER, WORSE, evaluated, experiment, finalist, fixed, table
from tests.evaluation.samples import SETTINGS, figures, group, relu

pytestmark = pytest.mark.tensorflow


def test_fixed_networks_have_no_effects_and_searched_ones_no_designed_check(real: EvaluationResult) -> None:
    assert designed_placement.analyse(real) is None
    fixed_ones = replace(real, experiment=experiment(space=fixed(relu(8))))
    assert placement_effects.analyse(fixed_ones) is None


def test_a_dropout_layer_that_is_moved_shows_its_differences_seed_by_seed(digits_split: Split) -> None:
    specs = [relu(8, 8), relu(8, 8, dropout=(0.2, 0, 0)), relu(8, 8, dropout=(0, 0, 0.2))]
    gaps = ([0.05, 0.06], [0.03, 0.05], [0.05, 0.06])
    groups = [
        group(finalist(f"network {place}", spec), [figures(accuracy=0.9, gap=gap) for gap in seeds])
        for place, (spec, seeds) in enumerate(zip(specs, gaps, strict=True), start=1)
    ]
    look = designed_placement.analyse(evaluated(digits_split, *groups, experiment=experiment(space=fixed(*specs))))
    found = table(look, "placement.csv").set_index(["outcome", "position", "rate"])
    # -2 and -1 points after the input; nothing after the second hidden layer.
    assert found.loc[("accuracy_gap", 0, 0.2), "mean"] == pytest.approx(-1.5)
    assert found.loc[("accuracy_gap", 2, 0.2), "mean"] == pytest.approx(0)
    assert found.loc[("accuracy_gap", 0, 0.2), "n"] == 2


def test_networks_that_were_trained_otherwise_too_have_no_designed_check(digits_split: Split) -> None:
    plain, moved = relu(8, 8), relu(8, 8, dropout=(0.2, 0, 0))
    alike = [group(finalist(BASELINE, plain), BETTER * 2), group(finalist("finalist 1", moved), WORSE * 2)]
    asked = experiment(space=fixed(plain, moved))
    assert designed_placement.analyse(evaluated(digits_split, *alike, experiment=asked)) is not None
    longer = Finalist("finalist 1", Recipe(moved), SETTINGS.model_copy(update={"epochs": 99}))
    otherwise = [alike[0], group(longer, WORSE * 2)]
    assert designed_placement.analyse(evaluated(digits_split, *otherwise, experiment=asked)) is None


def test_networks_without_a_plain_one_have_no_designed_check(digits_split: Split) -> None:
    spec = relu(8, dropout=(0.2, 0))
    alone = evaluated(
        digits_split, group(finalist("network 1", spec), BETTER), experiment=experiment(space=fixed(spec))
    )
    assert designed_placement.analyse(alone) is None


def test_a_network_with_other_normalization_is_not_the_plain_one(digits_split: Split) -> None:
    plain, moved = relu(8), relu(8, dropout=(0.2, 0))
    other = replace(plain, normalization="batch")
    gaps = ((plain, 0.05), (other, 0.09), (moved, 0.04))
    groups = [
        group(finalist(f"network {place}", spec), [figures(accuracy=0.9, gap=gap)] * 2)
        for place, (spec, gap) in enumerate(gaps, start=1)
    ]
    asked = experiment(space=fixed(plain, moved))
    found = table(designed_placement.analyse(evaluated(digits_split, *groups, experiment=asked)), "placement.csv")
    # 4 - 5 points; not 4 - 7, the mean of both plain ones.
    found = found.set_index(["outcome", "position", "rate"])
    assert found.loc[("accuracy_gap", 0, 0.2), "mean"] == pytest.approx(-1)
    assert designed_placement.analyse(evaluated(digits_split, groups[1], groups[2], experiment=asked)) is None
