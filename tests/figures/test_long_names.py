"""Class names as long as a folder's name can be leave room for the picture."""

import warnings

import numpy as np
import pandas as pd
import pytest

from pipeline.data.dataset import Dataset
from pipeline.data.exploration import explore
from pipeline.data.split import Part, Split
from pipeline.figures import drift as drift_picture
from pipeline.figures import exploration as exploration_picture
from pipeline.figures.networks import confusion_matrix, mistakes, per_class
from pipeline.figures.style import png, short
from pipeline.statistics.monitoring.drift import drift
from pipeline.statistics.monitoring.image_features import image_figures
from pipeline.statistics.per_class import Mistake

NAMES = ("a" * 255, "b" * 255)
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 4, 4), np.uint8)
LABELS = np.array([0, 1] * 4)


def class_counts():
    part = Part(IMAGES, LABELS)
    split = Split(part, part, part, NAMES, 255, "digest", "fingerprint")
    return exploration_picture.class_counts(
        explore(Dataset("own", IMAGES, LABELS, IMAGES, LABELS, NAMES, pixel_max=255, source="x"), split)
    )


def classes():
    columns = ("precision", "recall", "f1")
    return per_class.classes(pd.DataFrame({"class": NAMES, **{key: [0.5, 0.6] for key in columns}}), part="test")


FIGURES = image_figures(IMAGES, LABELS, classes=2, pixel_max=255)
PICTURES = {
    "class counts": class_counts,
    "samples": lambda: exploration_picture.samples(IMAGES, NAMES[0], pixel_max=255),
    "confusion": lambda: confusion_matrix.confusion(np.eye(2, dtype=int), np.eye(2, dtype=int), NAMES),
    "classes": classes,
    "mistakes": lambda: mistakes.mistakes(IMAGES, [Mistake(0, 0, 1, 0.9)], NAMES, pixel_max=255, part="test"),
    "drift": lambda: drift_picture.drift(drift(FIGURES, FIGURES, NAMES, seed=1)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_of_classes_with_long_names_is_laid_out(name):
    figure = PICTURES[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Matplotlib's, that axes collapse to nothing
        png(figure)
    width, height = figure.get_size_inches()
    assert max(width, height) < 20
    box = figure.axes[0].get_position()
    assert min(box.width, box.height) > 0.1


def test_a_name_of_more_than_40_letters_is_cut():
    assert short("a" * 40) == "a" * 40
    assert short("a" * 41) == "a" * 39 + "…"
