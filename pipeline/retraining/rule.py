"""What the promotion gate judges by: two networks on the same images, and what is asked. Enters: arrays and margins."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pipeline.data.dataset import Labels
from pipeline.retraining.decision import Figures
from pipeline.statistics.calibration import reliability
from pipeline.statistics.monitoring.control_chart import Noise
from pipeline.statistics.paired_comparison import LEAST
from pipeline.training.result import Probabilities, Score


@dataclass(frozen=True, eq=False)
class Scored:
    """One network, dropout off, on the current test images and on those that it was trained on."""

    labels: Labels
    """(n,): of the test images."""
    probabilities: Probabilities
    """(n, classes): of the test images."""
    train: Score
    """On its own training images: for the champion, those of its day."""
    train_rows: int
    """How many those are."""

    def __post_init__(self) -> None:
        if not len(self.labels) or self.probabilities.shape[:1] != self.labels.shape or self.train_rows < 1:
            raise ValueError(
                f"{len(self.labels)} labels, probabilities of shape {self.probabilities.shape} and {self.train_rows} "
                "training images; expected one row per label and at least one of each"
            )
        if not np.isfinite(self.probabilities).all():
            raise ValueError("probabilities hold NaN or infinity; expected shares from 0 to 1")

    @property
    def figures(self) -> Figures:
        """All that people compare. The loss is mean cross-entropy, probabilities raised to `LEAST`."""
        accuracy = float(np.mean(self.probabilities.argmax(axis=1) == self.labels))
        of_label = self.probabilities[np.arange(len(self.labels)), self.labels].astype(float)
        loss = float(-np.log(np.maximum(of_label, LEAST)).mean())
        error = reliability(self.labels, self.probabilities).expected_calibration_error
        return Figures(accuracy, loss, self.train.accuracy - accuracy, loss - self.train.loss, error)


@dataclass(frozen=True)
class Rule:
    """What is asked of a challenger. Accuracies, recalls, gaps and calibration errors 0 to 1."""

    margin: float = 0.005
    """It may be less accurate by so much at most, at the lower bound of the difference."""
    class_margin: float = 0.05
    """No class may lose more recall, where the loss is beyond noise."""
    gap_margin: float = 0.01
    """Its honest gap may be larger by so much."""
    calibration_margin: float = 0.02
    """Its calibration error may be larger by so much."""
    min_accuracy: float = 0.8
    """Without a champion: at least so accurate."""
    max_gap: float = 0.15
    """Without a champion: an honest gap of at most so much."""
    max_calibration_error: float = 0.15
    """Without a champion: a calibration error of at most so much."""
    alpha: float = 0.05
    """How often a challenger that is not better may be promoted, at most."""
    noise: Mapping[str, Noise] = field(default_factory=dict)
    """How far seeds move `accuracy`, `loss` and `accuracy_gap` of the recipe; see `control_chart.noise`. An improvement in a measure that is missing here cannot be shown."""
    seed: int = 1
    """Of the bootstrap."""
    resamples: int = 2000
    """Of the bootstrap."""

    def __post_init__(self) -> None:
        margins = (self.margin, self.class_margin, self.gap_margin, self.calibration_margin)
        if not all(each >= 0 for each in margins) or not 0 < self.alpha < 0.5:
            raise ValueError(f"margins are {margins} and alpha is {self.alpha}; expected 0 or more, and 0 to 0.5")
