"""Duplicates, constant images, wrong labels and imbalance."""

import numpy as np
import pytest

from pipeline.data.formats import digits
from pipeline.statistics.data_quality.duplicates import constant, twins
from pipeline.statistics.data_quality.imbalance import imbalance
from pipeline.statistics.data_quality.label_errors import (
    FOLDS,
    MOST_IMAGES,
    out_of_fold_probabilities,
    rows_to_judge,
    suspects,
)

NOISE = np.random.default_rng(0).integers(0, 256, (40, 12, 12), np.uint8)


def test_an_exact_and_a_near_duplicate_are_found_where_they_are() -> None:
    near = NOISE[7].copy()
    near[0, 0] = near[0, 0] // 2 + 60
    found = twins(np.stack([NOISE[3], near, 255 - NOISE[5]]), NOISE[:20])
    assert [(twin.row, twin.other, twin.exact) for twin in found] == [(0, 3, True), (1, 7, False)]
    correlation = np.corrcoef(near.ravel(), NOISE[7].ravel())[0, 1]
    assert found[1].correlation == pytest.approx(correlation)


def test_a_brighter_copy_is_a_near_duplicate_and_other_images_are_not() -> None:
    halved = NOISE[:1] // 2 + 60
    assert [twin.other for twin in twins(halved, NOISE)] == [0]
    assert twins(NOISE[:20], NOISE[20:]) == []


def test_duplicates_in_colour_are_found() -> None:
    colours = np.random.default_rng(1).integers(0, 256, (9, 6, 5, 3), np.uint8)
    assert [twin.other for twin in twins(colours[4:5], colours)] == [4]


def test_constant_images_are_found_and_are_near_duplicates_of_nothing() -> None:
    images = NOISE[:4].copy()
    images[1], images[3] = 0, 255
    assert constant(images).tolist() == [1, 3]
    assert twins(images[1:2], images[3:]) == []
    assert [twin.exact for twin in twins(images[1:2], images)] == [True]


def test_an_image_of_one_colour_is_constant_and_one_of_two_is_not() -> None:
    images = np.zeros((4, 3, 3, 3), np.uint8)
    images[0] = 255, 0, 0
    images[1] = 10, 20, 30
    images[2] = 10, 20, 30
    images[2, 1, 1] = 10, 20, 31
    assert constant(images).tolist() == [0, 1, 3]
    assert twins(images[:1], images[1:2]) == []


def test_confident_disagreement_is_worked_by_hand() -> None:
    """Class 0 has the mean self-confidence (.9 + .8 + .1) / 3 = .6, class 1 (.7 + .3) / 2 = .5."""
    labels = np.array([0, 0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.7, 0.3]])
    found = suspects(labels, probabilities)
    assert [(each.row, each.label, each.suggested) for each in found] == [(2, 0, 1), (4, 1, 0)]
    assert found[0].confidence == 0.9


def test_a_disagreement_below_the_threshold_of_the_other_class_is_none() -> None:
    labels = np.array([0, 1, 1])
    probabilities = np.array([[0.45, 0.55], [0.1, 0.9], [0.1, 0.9]])
    assert suspects(labels, probabilities) == []


def test_wrong_labels_of_digits_are_found_and_few_others() -> None:
    dataset = digits()
    labels, generator = dataset.labels_train[:600].copy(), np.random.default_rng(3)
    wrong = generator.permutation(600)[:10]
    labels[wrong] = (labels[wrong] + generator.integers(1, 10, 10)) % 10
    found = {
        each.row for each in suspects(labels, out_of_fold_probabilities(dataset.images_train[:600], labels, seed=1))
    }
    assert len(found & set(wrong.tolist())) >= 7
    assert len(found - set(wrong.tolist())) <= 5


def test_classes_of_too_few_images_for_the_folds_and_images_beyond_the_most_are_not_judged() -> None:
    labels = np.array([0] * FOLDS + [1] * (FOLDS - 1))
    assert rows_to_judge(labels, seed=1).tolist() == list(range(FOLDS))
    assert len(rows_to_judge(np.arange(MOST_IMAGES + 10) % 2, seed=1)) == MOST_IMAGES


def test_the_largest_class_is_named_with_its_rate() -> None:
    found = imbalance(np.array([0, 1, 1, 1]), ("cat", "dog"))
    assert (found.largest, found.largest_rate, found.ratio) == ("dog", 0.75, 3)
    assert found.text == "largest class 'dog', 75.0 % of train; smallest class 'cat', 25.0 %"
    assert imbalance(np.array([0, 1]), ("cat", "dog")).text == "classes of equal size"
    assert imbalance(np.array([0, 1, 1]), ("cat", "dog")).text == "largest class 'dog', 66.7 % of train"
    assert imbalance(np.array([0, 0]), ("cat", "dog")).ratio == np.inf
