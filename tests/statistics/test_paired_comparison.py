"""Two models on the same rows: differences, intervals, tests, and what is said of them."""

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import accuracy_score, log_loss, recall_score

from pipeline.data.dataset import Labels
from pipeline.statistics.paired_comparison import Comparison, Interval, McNemar, compare, sentence, table
from pipeline.training.result import Probabilities
from tests.figures.samples import CLASS_NAMES, labels_and_probabilities


def answers(predicted: list[int] | NDArray[np.int64], classes: int, *, confidence: float = 0.8) -> Probabilities:
    """float32 (n, classes): so sure of each predicted class, the rest shared by the others."""
    rest = (1 - confidence) / (classes - 1)
    return np.where(np.eye(classes)[predicted] > 0, confidence, rest).astype(np.float32)


def outcomes(only_first: int, only_second: int, agreed: int) -> tuple[Labels, Probabilities, Probabilities]:
    """Rows of class 0 of two that one model, the other, or both take rightly."""
    first = [0] * only_first + [1] * only_second + [0] * agreed
    second = [1] * only_first + [0] * only_second + [0] * agreed
    return np.zeros(len(first), np.int64), answers(first, 2), answers(second, 2)


@pytest.fixture(scope="module")
def sample() -> tuple[Labels, Probabilities, Probabilities]:
    """Two synthetic models of ten classes, the first with less noise."""
    labels, first = labels_and_probabilities(800, noise=1.2, seed=1)
    return labels, first, labels_and_probabilities(800, noise=1.6, seed=2)[1]


@pytest.fixture(scope="module")
def compared(sample: tuple[Labels, Probabilities, Probabilities]) -> Comparison:
    return compare(*sample, seed=1)


def test_differences_are_those_of_scikit_learns_scores(
    sample: tuple[Labels, Probabilities, Probabilities], compared: Comparison
) -> None:
    labels, first, second = sample
    one, other = first.argmax(axis=1), second.argmax(axis=1)
    assert compared.accuracy.estimate == pytest.approx(accuracy_score(labels, one) - accuracy_score(labels, other))
    assert compared.loss.estimate == pytest.approx(log_loss(labels, first) - log_loss(labels, second), rel=1e-5)
    recalls = recall_score(labels, one, average=None) - recall_score(labels, other, average=None)
    assert [each.recall.estimate for each in compared.classes] == pytest.approx(recalls)
    assert [each.rows for each in compared.classes] == [80] * 10


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [(5, 0, 2 / 32), (0, 6, 2 / 64), (8, 1, 2 * (1 + 9) / 512), (3, 3, 1.0), (1, 0, 1.0)],
)
def test_mcnemars_test_is_the_one_worked_by_hand(only_first: int, only_second: int, p: float) -> None:
    test = compare(*outcomes(only_first, only_second, 4), seed=1, resamples=10).test
    assert (test.only_first, test.only_second) == (only_first, only_second)
    assert test.p == pytest.approx(p)


def test_mcnemars_test_is_scipys_binomial_test_of_the_discordant_rows(compared: Comparison) -> None:
    for test in (compared.test, *(each.test for each in compared.classes)):
        count = test.only_first + test.only_second
        assert test.p == pytest.approx(stats.binomtest(test.only_first, count).pvalue)


def test_rows_on_which_both_agree_do_not_change_mcnemars_test() -> None:
    few, many = (compare(*outcomes(8, 1, agreed), seed=1, resamples=10).test for agreed in (0, 500))
    assert few == many


def test_the_interval_of_accuracy_has_the_quantiles_of_the_exact_bootstrap() -> None:
    # A resample of 12 rows adds up 12 draws of +1 (4 in 12), -1 (1 in 12) or 0 (7 in 12): all its sums, by convolution.
    shares = np.array([1.0])
    for _ in range(12):
        shares = np.convolve(shares, [1 / 12, 7 / 12, 4 / 12])
    cumulated = np.cumsum(shares)
    low, high = (int(np.searchsorted(cumulated, level)) - 12 for level in (0.025, 0.975))
    assert min(
        abs(cumulated[each + 12 - step] - level) for each, level in ((low, 0.025), (high, 0.975)) for step in (0, 1)
    ) > (4 * math.sqrt(0.025 * 0.975 / 20_000))  # no quantile is so near an edge that chance could move it
    found = compare(*outcomes(4, 1, 7), seed=1, resamples=20_000).accuracy
    assert (found.low, found.estimate, found.high) == pytest.approx((low / 12, 3 / 12, high / 12))


def test_the_interval_of_loss_is_that_of_another_bootstrap(sample: tuple[Labels, Probabilities, Probabilities]) -> None:
    # Each resample as how often it holds each row; rows are too unlike for a normal interval.
    labels, first, second = sample
    count = len(labels)
    losses = [-np.log(each[np.arange(count), labels].astype(float)) for each in (first, second)]
    often = np.random.default_rng(9).multinomial(count, np.full(count, 1 / count), size=10_000)
    means = often @ (losses[0] - losses[1]) / count
    found = compare(*sample, seed=1, resamples=10_000).loss
    # Two quantiles of 10,000 draws differ by .04 standard errors (one sigma).
    assert (found.low, found.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.16 * float(means.std()))


@pytest.mark.parametrize(
    ("only_first", "only_second", "agreed", "low", "high"),
    [
        # (4 - 2) / 12 and 1.959964 sqrt((6/12 - (2/12)^2) / 12).
        (
            3,
            1,
            6,
            1 / 6 - 1.959964 * math.sqrt((1 / 2 - 1 / 36) / 12),
            1 / 6 + 1.959964 * math.sqrt((1 / 2 - 1 / 36) / 12),
        ),
        # No row tells them apart: still not certain. 1.959964 sqrt(2/100 / 100).
        (0, 0, 98, -1.959964 * math.sqrt(2e-4), 1.959964 * math.sqrt(2e-4)),
        # (3 - 1) / 4 and 1.959964 sqrt((1 - 1/4) / 4) = .849, cut to 1.
        (2, 0, 0, 0.5 - 1.959964 * math.sqrt(3 / 16), 1),
        (0, 2, 0, -1, -0.5 + 1.959964 * math.sqrt(3 / 16)),
    ],
)
def test_a_recalls_interval_is_the_adjusted_wald_one_worked_by_hand(
    only_first: int, only_second: int, agreed: int, low: float, high: float
) -> None:
    found = compare(*outcomes(only_first, only_second, agreed), seed=1, resamples=10).classes[0].recall
    assert found.estimate == pytest.approx((only_first - only_second) / (only_first + only_second + agreed))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6)


def test_exchanging_the_models_turns_every_sign(
    sample: tuple[Labels, Probabilities, Probabilities], compared: Comparison
) -> None:
    labels, first, second = sample
    turned = compare(labels, second, first, seed=1)
    pairs = [(compared.accuracy, turned.accuracy), (compared.loss, turned.loss)]
    pairs += [(one.recall, other.recall) for one, other in zip(compared.classes, turned.classes, strict=True)]
    for one, other in pairs:
        assert (one.low, one.estimate, one.high) == pytest.approx((-other.high, -other.estimate, -other.low))
    assert (compared.test.only_first, compared.test.p) == (turned.test.only_second, turned.test.p)
    assert [each.p_holm for each in compared.classes] == [each.p_holm for each in turned.classes]


def test_a_seed_gives_the_same_figures_and_another_others(
    sample: tuple[Labels, Probabilities, Probabilities], compared: Comparison
) -> None:
    assert compare(*sample, seed=1) == compared
    assert compare(*sample, seed=2).loss != compared.loss


def test_a_higher_level_has_a_wider_interval(
    sample: tuple[Labels, Probabilities, Probabilities], compared: Comparison
) -> None:
    wide = compare(*sample, seed=1, level=0.99)
    for one, other in ((wide.accuracy, compared.accuracy), (wide.classes[6].recall, compared.classes[6].recall)):
        assert one.low < other.low < other.high < one.high
    assert wide.level == 0.99


def test_a_model_compared_with_itself_differs_in_nothing(sample: tuple[Labels, Probabilities, Probabilities]) -> None:
    labels, first, _ = sample
    same = compare(labels, first, first, seed=1, resamples=50)
    assert same.accuracy == same.loss == Interval(0, 0, 0)
    assert same.test == McNemar(0, 0, 1.0)
    assert {each.p_holm for each in same.classes} == {1.0}


def per_class(*cells: tuple[int, int]) -> Comparison:
    """One class per (only first, only second), each taken for the next where it is mistaken; an empty class at the end."""
    count = len(cells) + 1
    labels, one, other = [], [], []
    for label, (only_first, only_second) in enumerate(cells):
        wrong = label + 1
        labels += [label] * (only_first + only_second + 1)
        one += [label] * only_first + [wrong] * only_second + [label]
        other += [wrong] * only_first + [label] * only_second + [label]
    return compare(np.array(labels), answers(one, count), answers(other, count), seed=1, resamples=50)


def test_holms_correction_of_the_classes_is_the_one_worked_by_hand() -> None:
    # Alone: 2/64, 2/32, 2 * 10/512 and 1. In order: 4 * 2/64, 3 * 20/512, then 2 * 2/32, made at least the one before.
    found = per_class((6, 0), (0, 5), (8, 1), (2, 2))
    assert [each.test.p for each in found.classes[:4]] == pytest.approx([2 / 64, 2 / 32, 20 / 512, 1])
    assert [each.p_holm for each in found.classes[:4]] == pytest.approx([0.125, 0.125, 0.125, 1])
    # Alone: 2/1024 and 2/64: doubled, and as it is.
    found = per_class((10, 0), (0, 6))
    assert [each.p_holm for each in found.classes[:2]] == pytest.approx([4 / 1024, 2 / 64])


def test_a_class_without_rows_has_no_figures_and_is_left_out_of_the_correction() -> None:
    found = per_class((10, 0), (0, 6))
    empty = found.classes[2]
    assert (empty.rows, empty.test.only_first, empty.test.only_second) == (0, 0, 0)
    figures = (empty.recall.low, empty.recall.estimate, empty.recall.high, empty.test.p, empty.p_holm)
    assert all(map(math.isnan, figures))
    # Three tests would make it 6/1024.
    assert found.classes[0].p_holm == pytest.approx(4 / 1024)


def test_one_row_has_a_difference_and_no_interval() -> None:
    found = compare(np.array([0]), answers([0], 2), answers([1], 2), seed=1)
    assert found.accuracy.estimate == 1
    assert math.isnan(found.accuracy.low)
    assert math.isnan(found.loss.high)
    assert found.test == McNemar(1, 0, 1.0)
    assert found.classes[0].recall.estimate == 1


def test_a_probability_of_zero_costs_87_nats_and_no_more() -> None:
    sure = answers([0, 0], 2, confidence=1.0)
    found = compare(np.array([1, 0]), sure, answers([1, 0], 2, confidence=1.0), seed=1, resamples=10)
    # One of two rows: -log(2^-126) = 126 log 2 = 87.3.
    assert found.loss.estimate == pytest.approx(126 * math.log(2) / 2)


def test_a_tie_between_probabilities_goes_to_the_first_class() -> None:
    torn = np.full((2, 2), 0.5, np.float32)
    assert compare(np.array([0, 1]), torn, answers([1, 1], 2), seed=1, resamples=10).test == McNemar(1, 1, 1.0)


def test_ten_thousand_rows_need_less_than_100_megabytes() -> None:
    labels, first = labels_and_probabilities(10_000, noise=1.2)
    second = first[::-1].copy()
    tracemalloc.start()
    compare(labels, first, second, seed=1, resamples=2000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6


GOOD = answers([0, 1], 2)


@pytest.mark.parametrize(
    ("labels", "first", "second", "message"),
    [
        ([], GOOD[:0], GOOD[:0], "no rows to compare two models on; expected at least one"),
        (
            [0, 1],
            GOOD,
            GOOD[:1],
            r"2 labels for probabilities of shapes \(2, 2\) and \(1, 2\); expected one row per label",
        ),
        ([0], GOOD, GOOD, "1 labels for probabilities of shapes"),
        ([0, 1], GOOD, answers([0, 1], 3), r"shapes \(2, 2\) and \(2, 3\)"),
        ([0, 1], GOOD[:, 0], GOOD[:, 0], r"shapes \(2,\) and \(2,\)"),
        ([0, 2], GOOD, GOOD, "labels are 0 to 2; expected 0 to 1"),
        ([-1, 1], GOOD, GOOD, "labels are -1 to 1; expected 0 to 1"),
        ([0, 1], GOOD, np.full((2, 2), np.nan, np.float32), "the second model's rows are no probabilities"),
        ([0, 1], 10 * GOOD, GOOD, "the first model's rows are no probabilities; expected 0 or more, adding up to 1"),
        ([0, 1], np.array([[2, -1], [0, 1]], np.float32), GOOD, "the first model's rows are no probabilities"),
    ],
)
def test_what_does_not_fit_is_refused(
    labels: list[int], first: Probabilities, second: Probabilities, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        compare(np.array(labels, np.int64), first, second, seed=1)


@pytest.mark.parametrize(("resamples", "level"), [(1, 0.95), (10, 0.0), (10, 1.0), (10, math.nan)])
def test_resamples_and_levels_out_of_range_are_refused(resamples: int, level: float) -> None:
    with pytest.raises(ValueError, match=f"resamples is {resamples}, level {level}; expected 2 or more, and a share"):
        compare(np.array([0, 1]), GOOD, GOOD, seed=1, resamples=resamples, level=level)


def test_the_table_has_a_line_for_accuracy_loss_and_each_class(compared: Comparison) -> None:
    lines = table(compared, CLASS_NAMES)
    assert lines.columns.tolist() == [
        "measure", "class", "rows", "difference", "low", "high", "only_first", "only_second", "p", "p_holm",
    ]  # fmt: skip
    assert lines["measure"].tolist() == ["accuracy", "loss"] + ["recall"] * 10
    assert lines["class"].tolist() == ["all", "all", *CLASS_NAMES]
    assert lines["rows"].tolist() == [800, 800] + [80] * 10
    assert lines["p"].isna().tolist() == [False, True] + [False] * 10
    assert lines["p_holm"].isna().tolist() == [True, True] + [False] * 10
    shirt, expected = lines.iloc[8], compared.classes[6]
    assert (shirt["difference"], shirt["low"], shirt["high"]) == (
        expected.recall.estimate, expected.recall.low, expected.recall.high,
    )  # fmt: skip
    assert (shirt["only_first"], shirt["p"], shirt["p_holm"]) == (
        expected.test.only_first, expected.test.p, expected.p_holm,
    )  # fmt: skip


def test_a_table_needs_one_name_per_class(compared: Comparison) -> None:
    with pytest.raises(ValueError, match="9 class names for 10 classes; expected one each"):
        table(compared, CLASS_NAMES[:9])


# Of 1,000 rows, 30 only the first got right and 10 only the second: 2 * P(at most 10 of 40) = .0022.
APART = Comparison(
    rows=1000,
    level=0.95,
    accuracy=Interval(0.008, 0.02, 0.032),
    loss=Interval(-0.05, -0.03, -0.01),
    test=McNemar(30, 10, 0.00222),
    classes=per_class((10, 0), (0, 6)).classes,
)


def test_the_sentence_says_which_is_better_by_how_much_and_within_what() -> None:
    assert sentence(APART, "dropout", "baseline", ("a", "b", "c")) == (
        "On the same 1,000 images, dropout is more accurate than baseline: +2.00 points (95 % interval +0.80 to +3.20). "
        "On 30 images only dropout is right, on 10 only baseline (exact McNemar p = 0.0022). The loss of dropout is "
        "lower: -0.0300 "
        "(95 % interval -0.0500 to -0.0100). Recall differs significantly in 2 of 2 classes (Holm-corrected): a, b."
    )


def test_the_sentence_turns_with_the_signs() -> None:
    turned = replace(
        APART, accuracy=Interval(-0.032, -0.02, -0.008), test=McNemar(10, 30, 0.00222), loss=Interval(0.01, 0.03, 0.05)
    )
    text = sentence(turned, "dropout", "baseline", ("a", "b", "c"))
    assert "dropout is less accurate than baseline: -2.00 points" in text
    assert "The loss of dropout is higher: +0.0300" in text


@pytest.mark.parametrize("loss", [Interval(-0.03, -0.01, 0.01), Interval(0, 0, 0), Interval(math.nan, 0.5, math.nan)])
def test_the_sentence_claims_nothing_that_is_not_shown(loss: Interval) -> None:
    text = sentence(replace(APART, test=McNemar(12, 10, 0.83), loss=loss), "dropout", "baseline", ("a", "b", "c"))
    assert "dropout and baseline do not differ significantly in accuracy: +2.00 points" in text
    assert "Their losses do not differ significantly" in text


def test_the_sentence_tests_at_the_level_of_the_comparison() -> None:
    assert "do not differ significantly in accuracy" in sentence(
        replace(APART, level=0.999), "dropout", "baseline", ("a", "b", "c")
    )
    assert "Recall differs significantly in 1 of 2 classes" in sentence(
        replace(APART, level=0.99), "dropout", "baseline", ("a", "b", "c")
    )
