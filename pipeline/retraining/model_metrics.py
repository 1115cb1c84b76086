"""What the gate compares: a network's predictions on the test images, and the metrics computed from them."""

from dataclasses import dataclass

import numpy as np

from pipeline.data.dataset import Labels
from pipeline.statistics.calibration import reliability
from pipeline.statistics.cross_entropy import cross_entropy
from pipeline.statistics.gaps import honest_gap
from pipeline.statistics.monitoring.control_chart import ModelScores
from pipeline.training.result import Probabilities, Score


@dataclass(frozen=True)
class ModelMetrics(ModelScores):
    """Metrics of one network, dropout off. Shares are 0 to 1, losses in nats; `accuracy_gap` is train minus test."""

    loss_gap: float
    """Test minus train loss."""
    calibration_error: float
    """Expected calibration error on the test images."""


@dataclass(frozen=True, eq=False)
class ModelPredictions:
    """Predictions of one network on the current test images, and its score on its own training images; dropout off."""

    labels: Labels
    """(n,): labels of the test images."""
    probabilities: Probabilities
    """(n, classes): predicted for the test images."""
    train: Score
    """On the images that the network was trained on; for the champion, those of its own retraining run."""
    train_rows: int
    """Number of those training images."""

    def __post_init__(self) -> None:
        if not len(self.labels) or self.probabilities.shape[:1] != self.labels.shape or self.train_rows < 1:
            raise ValueError(
                f"{len(self.labels)} labels, probabilities of shape {self.probabilities.shape} and {self.train_rows} "
                "training images; expected one row per label and at least one of each"
            )
        if not np.isfinite(self.probabilities).all():
            raise ValueError("probabilities contain NaN or infinity; expected values from 0 to 1")

    @property
    def metrics(self) -> ModelMetrics:
        """The loss is the mean of `cross_entropy`."""
        accuracy = float(np.mean(self.probabilities.argmax(axis=1) == self.labels))
        loss = float(cross_entropy(self.labels, self.probabilities).mean())
        accuracy_gap, loss_gap = honest_gap(self.train, Score(loss, accuracy))
        error = reliability(self.labels, self.probabilities).expected_calibration_error
        return ModelMetrics(accuracy, loss, accuracy_gap, loss_gap, error)
