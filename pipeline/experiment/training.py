"""The section `training`: how every trial trains, and what one network trains differently."""

from typing import Literal

from pipeline.experiment.base import Count, LearningRate, Rate, Section


class TrainingOverrides(Section):
    """Training settings of one fixed network; a key that is left out is taken from `training`."""

    epochs: Count | None = None
    """As in `training`."""
    batch_size: Count | None = None
    """As in `training`."""
    learning_rate: LearningRate | None = None
    """As in `training`."""
    schedule: Literal["constant", "cosine"] | None = None
    """As in `training`."""
    monitor: Literal["val_loss", "val_accuracy", "loss"] | None = None
    """As in `training`."""
    patience: Count | None = None
    """As in `training`, but cannot be null here."""
    restore_best: bool | None = None
    """As in `training`."""
    class_weight: Literal["none", "balanced"] | None = None
    """As in `training`."""
    weight_decay: Rate | None = None
    """As in `training`."""
    label_smoothing: Rate | None = None
    """As in `training`."""


class Training(Section):
    """How every trial trains."""

    epochs: Count = 20
    """Maximum number of epochs; early stopping can end training sooner."""
    batch_size: Count = 64
    """Images per training step; the last, smaller batch of an epoch is used too."""
    learning_rate: LearningRate = 0.001
    """Initial learning rate of Adam."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """Learning rate schedule: `constant`, or `cosine`, which decays to 0 over `epochs`."""
    monitor: Literal["val_loss", "val_accuracy", "loss"] = "val_loss"
    """Metric of early stopping and of the best epoch; `loss` is the training loss, as in the teaching notebook."""
    patience: Count | None = 5
    """Epochs without improvement before training stops; null disables early stopping."""
    restore_best: bool = True
    """Keep the weights of the best epoch; false keeps those of the last epoch."""
    class_weight: Literal["none", "balanced"] = "none"
    """`balanced` multiplies the training loss of an image by images / (classes x images of its class), so that every class
    counts alike; `none` counts every image alike. Scores are never weighted."""

    weight_decay: Rate = 0
    """Decoupled weight decay as in AdamW: every step shrinks the weights by this share times the learning rate, biases
    excepted; 0 means none."""
    label_smoothing: Rate = 0
    """Share of every label that the training loss spreads evenly over all classes; 0 means none. Scores are by the labels
    as they are."""

    def merged(self, overrides: TrainingOverrides) -> "Training":
        """These settings with what `overrides` names put in their place."""
        return self.model_copy(update=overrides.model_dump(exclude_none=True))
