"""Results class by class, and the most confident errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from pipeline.data.dataset import Labels
from pipeline.training.result import Probabilities


def confusion(labels: Labels, probabilities: Probabilities) -> NDArray[np.int64]:
    """Confusion matrix, int64 (classes, classes): images of the class of the row that were predicted as the class of
    the column.
    """
    classes = np.arange(probabilities.shape[1])
    return np.asarray(confusion_matrix(labels, probabilities.argmax(axis=1), labels=classes), np.int64)


def per_class(labels: Labels, probabilities: Probabilities, class_names: Sequence[str]) -> pd.DataFrame:
    """One row per class: precision, recall, F1 (0 where undefined), number of images."""
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, probabilities.argmax(axis=1), labels=np.arange(len(class_names)), zero_division=0.0
    )
    return pd.DataFrame(
        {"class": list(class_names), "precision": precision, "recall": recall, "f1": f1, "images": support}
    )


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Scores that count every class alike."""

    recall: NDArray[np.float64]
    """(classes,), 0 to 1; NaN for a class without images."""
    balanced_accuracy: float
    """Mean recall of the classes with images."""
    macro_f1: float
    """Mean F1 of the classes that occur in labels or predictions."""


def class_scores(labels: Labels, probabilities: Probabilities) -> ClassScores:
    """Recall, balanced accuracy and macro F1, as scikit-learn defines them."""
    counts = np.bincount(
        labels * probabilities.shape[1] + probabilities.argmax(axis=1), minlength=probabilities.shape[1] ** 2
    ).reshape(probabilities.shape[1], -1)
    right, images, answers = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    recall = np.divide(right, images, out=np.full(len(right), np.nan), where=images > 0)
    seen = images + answers > 0
    return ClassScores(recall, float(np.nanmean(recall)), float(np.mean(2 * right[seen] / (images + answers)[seen])))


@dataclass(frozen=True)
class Mistake:
    """One misclassified image."""

    row: int
    label: int
    predicted: int
    confidence: float
    """Probability of the predicted class."""


def most_confident_errors(labels: Labels, probabilities: Probabilities, *, most: int) -> list[Mistake]:
    """At most `most` misclassified images, by descending confidence, then by row."""
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    order = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return [Mistake(int(row), int(labels[row]), int(predicted[row]), float(confidence[row])) for row in order]
