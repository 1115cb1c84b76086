"""Metrics of a trained network by their names in the tracking store."""

from collections.abc import Iterator

from pipeline.statistics.gaps import gaps
from pipeline.training.result import TrialResult


def trial_metrics(result: TrialResult) -> dict[str, float]:
    """Metrics of the kept weights, once per trial."""
    scores = {
        f"{part}_{measure}": value
        for part, score in (("train", result.train), ("val", result.validation), ("test", result.test))
        for measure, value in (("loss", score.loss), ("accuracy", score.accuracy))
    }
    epochs = {"best_epoch": float(result.best_epoch), "epochs_run": float(result.epochs_run)}
    return scores | gaps(result).as_metrics() | epochs


def epoch_metrics(result: TrialResult) -> Iterator[tuple[str, float, int]]:
    """Yields (name, value, epoch from 0); gaps are between a sample of the training images and validation, dropout off."""
    history = result.history
    for name, values in history.items():
        yield from ((f"epoch/{name}", value, epoch) for epoch, value in enumerate(values))
    for epoch, (train, validation) in enumerate(zip(history["train_accuracy"], history["val_accuracy"], strict=True)):
        yield "epoch/accuracy_gap", train - validation, epoch
    for epoch, (train, validation) in enumerate(zip(history["train_loss"], history["val_loss"], strict=True)):
        yield "epoch/loss_gap", validation - train, epoch
