"""Metrics of a trained network by their names in the tracking store."""

from collections.abc import Iterator

import numpy as np

from pipeline.data.split import Split
from pipeline.statistics.gaps import gaps
from pipeline.statistics.per_class import class_scores
from pipeline.tracking.names import recall_metrics
from pipeline.training.result import TrialResult

MOST_RECALLS = 100
"""Classes whose recall is logged: of more, a run would have hundreds of metrics."""


def trial_metrics(result: TrialResult) -> dict[str, float]:
    """Metrics of the kept weights, once per trial."""
    scores = {
        f"{part}_{measure}": value
        for part, score in (("train", result.train), ("val", result.validation), ("test", result.test))
        for measure, value in (("loss", score.loss), ("accuracy", score.accuracy))
    }
    epochs = {"best_epoch": float(result.best_epoch), "epochs_run": float(result.epochs_run)}
    return scores | gaps(result).as_metrics() | epochs


def class_metrics(result: TrialResult, split: Split) -> dict[str, float]:
    """Metrics of the kept weights that count every class alike: balanced accuracy, macro F1 and recall per class."""
    found: dict[str, float] = {}
    for name, part in (("train", split.train), ("val", split.validation), ("test", split.test)):
        probabilities = result.probabilities.get("validation" if name == "val" else name)
        if probabilities is None or not len(part):
            continue
        scores = class_scores(part.labels, probabilities)
        found |= {f"{name}_balanced_accuracy": scores.balanced_accuracy, f"{name}_macro_f1": scores.macro_f1}
        if name != "train" and split.classes <= MOST_RECALLS:
            recalls = zip(recall_metrics(name, split.class_names), scores.recall, strict=True)
            found |= {metric: float(recall) for metric, recall in recalls if not np.isnan(recall)}
    return found


def epoch_metrics(result: TrialResult) -> Iterator[tuple[str, float, int]]:
    """Yields (name, value, epoch from 0); gaps are between a sample of the training images and validation, dropout off."""
    history = result.history
    for name, values in history.items():
        yield from ((f"epoch/{name}", value, epoch) for epoch, value in enumerate(values))
    for epoch, (train, validation) in enumerate(zip(history["train_accuracy"], history["val_accuracy"], strict=True)):
        yield "epoch/accuracy_gap", train - validation, epoch
    for epoch, (train, validation) in enumerate(zip(history["train_loss"], history["val_loss"], strict=True)):
        yield "epoch/loss_gap", validation - train, epoch
