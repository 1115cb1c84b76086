"""Drift: what has not moved is quiet, what has is named, and every size is the one worked by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from pipeline.data.dataset import Images, Labels
from pipeline.statistics.monitoring import drift as tested
from pipeline.statistics.monitoring.drift import ALPHA, Drift, DriftTest, drift_sentence, drift_table
from pipeline.statistics.monitoring.image_features import ImageFeatures, described_by, image_figures

NAMES = ("cat", "dog")


def noisy(count: int, *, seed: int, level: float = 100, scatter: float = 40) -> tuple[Images, Labels]:
    """Images of 4x4, pixel by pixel noise, half of them cats."""
    generator = np.random.default_rng(seed)
    pixels = np.clip(generator.normal(level, scatter, (count, 4, 4)), 0, 255).astype(np.uint8)
    return pixels, np.arange(count) % 2


def figures(data: tuple[Images, Labels], *, classes: int = 2, pixel_max: int = 255) -> ImageFeatures:
    return image_figures(*data, classes=classes, pixel_max=pixel_max)


def drift(
    before: tuple[Images, Labels], now: tuple[Images, Labels], names: tuple[str, ...], *, pixel_max: int, seed: int
) -> Drift:
    then, today = (figures(each, classes=len(names), pixel_max=pixel_max) for each in (before, now))
    return tested.drift(then, today, names, seed=seed)


def classifier_two_sample_test(before: Images, now: Images, *, seed: int) -> tuple[float, float]:
    then, today = (figures((images, np.zeros(len(images), int))) for images in (before, now))
    return tested.classifier_two_sample_test(then, today, seed=seed)


def warned(before: tuple[Images, Labels], now: tuple[Images, Labels]) -> list[str]:
    found = drift(before, now, NAMES, pixel_max=255, seed=1)
    assert found.warning == any(each.warning for each in found.tests)
    return [each.what for each in found.tests if each.warning]


def test_new_images_of_the_same_kind_have_not_moved() -> None:
    assert warned(noisy(800, seed=1), noisy(800, seed=2)) == []


def test_the_same_images_have_not_moved() -> None:
    data = noisy(800, seed=1)
    found = drift(data, data, NAMES, pixel_max=255, seed=1)
    assert [each.size for each in found.tests[:2]] == [0, 0]
    # Half of them against the other half: chance, and not an image met on both sides.
    assert found.tests[2].size == pytest.approx(0.5, abs=0.1)
    assert drift_sentence(found).startswith("No data drift")


def test_the_champions_images_with_some_more_of_the_same_have_not_moved() -> None:
    old, more = noisy(600, seed=1), noisy(200, seed=2)
    now = np.concatenate((old[0], more[0])), np.concatenate((old[1], more[1]))
    assert warned(old, now) == []
    assert drift(old, now, NAMES, pixel_max=255, seed=1).tests[2].size == pytest.approx(0.5, abs=0.1)


def test_brighter_images_are_named() -> None:
    assert warned(noisy(800, seed=1), noisy(800, seed=2, level=130)) == ["brightness", "classifier"]


def test_the_classifier_sees_what_neither_shares_nor_brightness_show() -> None:
    # The same pixels, each image's rows in another order: the first row is now the brightest.
    before = noisy(800, seed=1)
    after = noisy(800, seed=2)[0]
    assert warned(before, (np.sort(after, axis=1)[:, ::-1], before[1])) == ["classifier"]


def test_a_class_that_vanishes_is_named() -> None:
    images, labels = noisy(800, seed=2)
    cats = labels == 0
    found = drift(noisy(800, seed=1), (images[cats], labels[cats]), NAMES, pixel_max=255, seed=1)
    assert [each.what for each in found.tests if each.warning] == ["class shares"]
    assert drift_sentence(found) == (
        "Data drift since the champion was trained: class shares differ by 50.0 % of the images."
    )


def test_labels_that_are_wrong_are_no_drift_of_images() -> None:
    images, labels = noisy(800, seed=1)
    assert warned((images, labels), (images, 1 - labels)) == []


def test_a_move_that_is_beyond_doubt_but_small_does_not_warn() -> None:
    # 50 % to 47 % of 60,000: no chance, and nothing that matters.
    count = 60_000
    images = np.random.default_rng(1).integers(0, 256, (count, 1, 1)).astype(np.uint8)
    before, now = (np.arange(count) >= share * count for share in (0.5, 0.47))
    found = drift((images, before.astype(int)), (images, now.astype(int)), NAMES, pixel_max=255, seed=1).tests[0]
    assert found.size == pytest.approx(0.03)
    assert found.p < 1e-20
    assert not found.warning


def test_the_size_and_p_of_class_shares_are_those_worked_by_hand() -> None:
    # 50 and 50 against 60 and 40: half of .1 + .1. With Yates' half: expected 55 and 45, each off by 5 - .5.
    images = np.zeros((100, 2, 2), np.uint8)
    before, now = np.repeat([0, 1], [50, 50]), np.repeat([0, 1], [60, 40])
    found = drift((images, before), (images, now), NAMES, pixel_max=255, seed=1).tests[0]
    statistic = 2 * 4.5**2 / 55 + 2 * 4.5**2 / 45
    assert found.size == pytest.approx(0.1)
    assert found.p == pytest.approx(float(chi2.sf(statistic, 1)))
    assert found.p_holm >= found.p


def test_a_side_is_told_in_shares_and_in_parts_of_the_largest_pixel() -> None:
    images = np.array([[[0, 16]], [[8, 8]]], np.uint8)
    side = drift((images, np.array([0, 1])), (images, np.array([1, 1])), NAMES, pixel_max=16, seed=1)
    assert side.before.shares.tolist() == [0.5, 0.5]
    assert side.now.shares.tolist() == [0, 1]
    assert side.before.mean == pytest.approx(0.5)
    assert side.before.sd == pytest.approx(math.sqrt((0.25 + 0.25) / 4))
    assert side.before.mean_image.tolist() == [[0.25, 0.75]]


def test_the_pixels_of_many_images_are_all_counted() -> None:
    images, labels = noisy(2500, seed=3)
    side = drift((images, labels), (images, labels), NAMES, pixel_max=255, seed=1).before
    assert side.mean == pytest.approx(float((images / 255).mean()))
    assert side.sd == pytest.approx(float((images / 255).std()))


def test_too_few_images_leave_the_classifier_out() -> None:
    found = drift(noisy(38, seed=1), noisy(38, seed=2), NAMES, pixel_max=255, seed=1)
    assert [math.isnan(each.size) for each in found.tests] == [False, False, True]
    assert not found.tests[2].warning


def test_a_single_class_and_a_single_image_are_compared() -> None:
    images = np.zeros((1, 2, 2), np.uint8)
    found = drift((images, np.array([0])), (images, np.array([0])), ("cat",), pixel_max=255, seed=1)
    assert found.tests[0] == DriftTest("class shares", 0.0, 1.0, 1.0)
    assert not found.warning


def test_the_same_seed_gives_the_same_figures() -> None:
    one, other = (classifier_two_sample_test(noisy(300, seed=1)[0], noisy(300, seed=2)[0], seed=7) for _ in range(2))
    assert one == other


def test_where_nothing_has_moved_the_classifier_rarely_says_so() -> None:
    wrong = [
        classifier_two_sample_test(noisy(120, seed=each)[0], noisy(120, seed=each + 1000)[0], seed=each)[1] < 0.1
        for each in range(20)
    ]
    # Binomial: of 20 at a tenth, more than 6 come once in 400.
    assert sum(wrong) <= 6


def test_images_of_another_size_are_refused() -> None:
    images, labels = noisy(10, seed=1)
    with pytest.raises(ValueError, match="the champion's images are 4x4, the current ones 4x2; expected the same size"):
        drift((images, labels), (images[:, :, :2], labels), NAMES, pixel_max=255, seed=1)


def test_no_images_are_refused() -> None:
    images, labels = noisy(10, seed=1)
    with pytest.raises(ValueError, match="0 images and 0 labels"):
        drift((images, labels), (images[:0], labels[:0]), NAMES, pixel_max=255, seed=1)


def test_the_figures_of_an_image_are_those_worked_by_hand() -> None:
    # 4x4 pixels of 0 to 16: four blocks of 2x2, of which the first is half black and half white.
    image = np.zeros((1, 4, 4), np.uint8)
    image[0, 0, :2] = 16
    found = figures((image, np.array([1])), pixel_max=16)
    assert found.counts.tolist() == [0, 1]
    assert found.brightness.tolist() == [2 / 16]
    blocks = [0.5, 0.5, 0, 0, 0, 0, 0, 0]  # mean and scatter of each
    levels = [14 / 16, 0, 0, 0, 0, 0, 0, 2 / 16]
    roughness = [2 / 12, 1 / 12]  # down: 2 edges in 12 pairs; across: 1
    assert found.figures[0].tolist() == pytest.approx(blocks + levels + roughness)
    assert described_by(4, 4) == 18


def test_an_image_of_people_is_sixteen_blocks_however_large_it_is() -> None:
    assert described_by(28, 28) == described_by(256, 200) == 2 * 16 + 8 + 2
    assert described_by(1, 1) == 2 + 8 + 2
    assert figures(noisy(3, seed=1)).figures.shape == (3, described_by(4, 4))


def test_a_warning_needs_both_a_size_and_a_p() -> None:
    sure = DriftTest("classifier", 0.7, 0.0001, ALPHA / 2)
    assert sure.warning
    assert not replace(sure, size=0.59).warning
    assert not replace(sure, p_holm=ALPHA).warning
    assert not replace(sure, size=math.nan).warning


def test_the_table_has_the_three_questions_and_both_sides() -> None:
    lines = drift_table(drift(noisy(100, seed=1), noisy(200, seed=2), NAMES, pixel_max=255, seed=1))
    assert lines["what"].tolist() == [
        "class shares", "brightness", "classifier", "images", "mean pixel", "sd of pixels", "share of cat", "share of dog",
    ]  # fmt: skip
    assert lines["before"].tolist()[3] == 100
    assert lines["now"].tolist()[3] == 200
    assert lines["warning"].tolist()[:3] == [False] * 3


def test_each_colour_has_figures_of_its_own() -> None:
    images = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3), np.uint8)
    found = figures((images, np.zeros(5, int)))
    green = figures((images[..., 1], np.zeros(5, int)))
    assert found.figures.shape == (5, described_by(8, 8, 3))
    assert np.array_equal(found.figures[:, described_by(8, 8) : 2 * described_by(8, 8)], green.figures)
    assert found.mean_image.shape == (8, 8, 3)
    assert found.brightness.tolist() == pytest.approx((images.mean(axis=(1, 2, 3)) / 255).tolist())
