"""The chosen network is compared with its rival, on the same images and seed by seed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from pipeline.data.split import Part, Split
from pipeline.evaluation.analyses import significance
from pipeline.evaluation.finalists import BASELINE, NOTEBOOK
from pipeline.evaluation.result import EvaluationResult
from tests.evaluation.analyses.evaluated import WORSE, evaluated, finalist, section, table
from tests.evaluation.samples import figures, group, relu

pytestmark = pytest.mark.tensorflow


def compared(split: Split, *roles: str) -> EvaluationResult:
    return evaluated(split, *(group(finalist(role, relu(8 + place)), WORSE) for place, role in enumerate(roles)))


def test_the_comparison_agrees_with_an_independent_test(real: EvaluationResult) -> None:
    look = significance.analyse(real)
    assert look is not None
    labels = real.split.test.labels
    ours, theirs = (each.median_refit.test.argmax(axis=1) == labels for each in real.groups)
    assert look.metrics["baseline_accuracy_difference"] == pytest.approx(ours.mean() - theirs.mean())
    only = int(np.sum(ours & ~theirs)), int(np.sum(theirs & ~ours))
    assert look.metrics["baseline_mcnemar_p"] == pytest.approx(binomtest(only[0], sum(only)).pvalue)
    listed = table(look, "comparison.csv")
    assert set(listed["first"]) == {"64-16(0.2)-10"}
    assert set(listed["second"]) == {"64-128-64-32-10"}
    assert list(listed.loc[0, ["only_first", "only_second"]]) == list(only)


def test_the_chosen_one_is_compared_with_the_baseline(digits_split: Split) -> None:
    found = compared(digits_split, "finalist 2", "finalist 1", BASELINE)
    assert found.rival is found.groups[2]
    assert section(significance.analyse(found)).title == "Chosen against baseline"


def test_a_chosen_baseline_is_compared_with_the_first_of_the_others(digits_split: Split) -> None:
    found = compared(digits_split, BASELINE, NOTEBOOK)
    look = significance.analyse(found)
    assert section(look).title == "Chosen against notebook with dropout"
    assert look is not None
    assert look.metrics == {}, "the baseline was not compared with"


def test_other_seeds_have_a_say_in_the_difference_pair_by_pair(digits_split: Split) -> None:
    ours = [figures(accuracy=accuracy, gap=0.02) for accuracy in (0.90, 0.92, 0.94)]
    theirs = [figures(accuracy=accuracy, gap=0.05) for accuracy in (0.89, 0.90, 0.91)]
    groups = group(finalist("finalist 1", relu(8)), ours), group(finalist(BASELINE, relu(16)), theirs)
    # Differences of 1, 2 and 3 points: sd 1, by t(.975, 2) ± 2.48.
    assert section(significance.analyse(evaluated(digits_split, *groups))).text.endswith(
        "Over 3 seeds, the chosen network and the baseline do not differ significantly in test accuracy (+2.00 ± 2.48 "
        "points); the chosen network's honest gap is smaller, by 3.00 ± 0.00 points. A plus sign means that the "
        "chosen network's value is higher. ± is half of the 95 % interval; differences are computed before rounding."
    )
    single = section(significance.analyse(compared(digits_split, "finalist 1", BASELINE))).text
    assert single.endswith("One seed cannot show how results vary between seeds.")


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ((0.90, 0.91), (0.80, 0.81), "is more accurate than the baseline on test, by 10.00 ± 0.00 points"),
        ((0.80, 0.81), (0.90, 0.91), "is less accurate than the baseline on test, by 10.00 ± 0.00 points"),
        ((0.90, 0.91), (0.90, 0.91), "do not differ significantly in test accuracy (+0.00 ± 0.00 points)"),
    ],
)
def test_the_answer_says_in_words_which_network_is_more_accurate(
    digits_split: Split, ours: tuple[float, ...], theirs: tuple[float, ...], words: str
) -> None:
    chosen, plain = (
        group(finalist(role, relu(8)), [figures(accuracy=each) for each in accuracies])
        for role, accuracies in (("finalist 1", ours), (BASELINE, theirs))
    )
    look = significance.analyse(evaluated(digits_split, chosen, plain))
    assert look is not None
    assert words in look.answer


def test_one_network_alone_is_compared_with_nothing(digits_split: Split) -> None:
    assert significance.analyse(compared(digits_split, "network 1")) is None


def test_people_read_shares_in_points_and_losses_in_nats(digits_split: Split) -> None:
    shown = section(significance.analyse(compared(digits_split, "finalist 1", BASELINE))).tables[0].frame
    assert shown["measure"].tolist()[:3] == ["accuracy, points", "loss, nats", "recall, points"]
    assert shown.loc[0, "difference"] == "+0.00"
    assert shown.loc[1, "difference"] == "+0.0000"
    assert {"only chosen right", "only baseline right"} <= set(shown.columns)


def test_roles_are_unique_and_the_chosen_ones_is_chosen(digits_split: Split) -> None:
    found = compared(digits_split, "finalist 2", "finalist 1", BASELINE)
    assert [found.role(each) for each in found.groups] == ["chosen", "finalist 1", "baseline"]
    assert found.of_role("finalist 2") is None, "that is the chosen one"


def test_a_class_without_test_images_has_no_figures(digits_split: Split) -> None:
    """The refits' two test images are of classes 0 and 1."""
    labels = Part(digits_split.test.images[:2], np.array([0, 1]))
    look = significance.analyse(
        replace(compared(digits_split, "finalist 1", BASELINE), split=replace(digits_split, test=labels))
    )
    rows = section(look).tables[0].frame.set_index("class")
    assert rows.loc["5", "images"] == 0
    assert list(rows.loc["5", ["difference", "95 % interval"]].isna()) == [True, True]
    assert rows.loc["1", "difference"] == "+0.00"
