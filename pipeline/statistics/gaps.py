"""The two measures of the generalisation gap.

Honest gap: train and test scored by the same weights, both with dropout off. Fit gap: as in the teaching notebook, the
last training score that training itself reported, with dropout on and averaged while the weights changed. It flatters
networks with dropout.
"""

from dataclasses import asdict, dataclass

from pipeline.training.result import Score, TrialResult


@dataclass(frozen=True)
class Gaps:
    """Gaps of one network, positive if train is better. Accuracies 0 to 1, losses in nats."""

    accuracy_gap: float
    """Train minus test accuracy."""
    loss_gap: float
    """Test minus train loss."""
    val_accuracy_gap: float
    """Train minus validation accuracy; a selection may use it."""
    val_loss_gap: float
    """Validation minus train loss."""
    fit_accuracy_gap: float
    """Accuracy that training last reported minus test accuracy."""
    fit_loss_gap: float
    """Test loss minus the loss that training last reported."""

    def as_metrics(self) -> dict[str, float]:
        """By their names in the tracking store."""
        return asdict(self)


def honest_gap(train: Score, held_out: Score) -> tuple[float, float]:
    """Train minus held-out accuracy, and held-out minus train loss, both of the same weights with dropout off."""
    return train.accuracy - held_out.accuracy, held_out.loss - train.loss


def gaps(result: TrialResult) -> Gaps:
    """Computes all gaps of one trained network."""
    test = result.test
    accuracy_gap, loss_gap = honest_gap(result.train, test)
    val_accuracy_gap, val_loss_gap = honest_gap(result.train, result.validation)
    return Gaps(
        accuracy_gap=accuracy_gap,
        loss_gap=loss_gap,
        val_accuracy_gap=val_accuracy_gap,
        val_loss_gap=val_loss_gap,
        fit_accuracy_gap=result.history["accuracy"][-1] - test.accuracy,
        fit_loss_gap=test.loss - result.history["loss"][-1],
    )
