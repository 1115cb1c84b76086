"""The section `training`: how every trial trains, and what one network trains differently."""

from typing import Literal

from pipeline.experiment.base import Count, LearningRate, Section


class TrainingOverrides(Section):
    """What one fixed network trains differently from the experiment; a key left out is as in `training`."""

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
    """As in `training`; cannot be switched off here."""
    restore_best: bool | None = None
    """As in `training`."""


class Training(Section):
    """How every trial trains."""

    epochs: Count = 20
    """At most; early stopping can end sooner."""
    batch_size: Count = 64
    """Images per step; the last, partial batch of an epoch is used too."""
    learning_rate: LearningRate = 0.001
    """Of Adam, at the start."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """`cosine` lets the learning rate fall to 0 over `epochs`."""
    monitor: Literal["val_loss", "val_accuracy", "loss"] = "val_loss"
    """What early stopping watches and the best epoch is chosen by; `loss` is the training loss, as in the notebook."""
    patience: Count | None = 5
    """Epochs without improvement before training stops; null never stops early."""
    restore_best: bool = True
    """Keep the weights of the best epoch; false keeps the last."""

    def merged(self, overrides: TrainingOverrides) -> "Training":
        """These settings with what `overrides` names put in their place."""
        return self.model_copy(update=overrides.model_dump(exclude_none=True))
