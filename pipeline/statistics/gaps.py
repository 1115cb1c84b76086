"""The two measures of the gap between train and test. Enters: a `TrialResult`. Leaves: `Gaps`.

Honest: train and test scored by the same weights, both with dropout off. Fit: the teaching notebook's, which takes the
last value that training itself reported, dropout on and averaged while the weights moved; it flatters dropout.
"""

from dataclasses import asdict, dataclass

from pipeline.training.result import TrialResult


@dataclass(frozen=True)
class Gaps:
    """Positive where train does better. Accuracies 0 to 1, losses in nats."""

    accuracy_gap: float
    """Train less test accuracy."""
    loss_gap: float
    """Test less train loss."""
    val_accuracy_gap: float
    """Train less validation accuracy: what a selection may look at."""
    val_loss_gap: float
    """Validation less train loss."""
    fit_accuracy_gap: float
    """Accuracy that training last reported, less test accuracy."""
    fit_loss_gap: float
    """Test loss, less the loss that training last reported."""

    def as_metrics(self) -> dict[str, float]:
        """By their names in the tracking store."""
        return asdict(self)


def gaps(result: TrialResult) -> Gaps:
    """All gaps of one trained network."""
    train, validation, test = result.train, result.validation, result.test
    return Gaps(
        accuracy_gap=train.accuracy - test.accuracy,
        loss_gap=test.loss - train.loss,
        val_accuracy_gap=train.accuracy - validation.accuracy,
        val_loss_gap=validation.loss - train.loss,
        fit_accuracy_gap=result.history["accuracy"][-1] - test.accuracy,
        fit_loss_gap=test.loss - result.history["loss"][-1],
    )
