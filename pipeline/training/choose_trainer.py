"""Chooses the trainer of a recipe: the compiled one for dense networks, the Keras trainer for a user's own model."""

from pipeline.data.split import Split
from pipeline.experiment import Training
from pipeline.models.recipe import Recipe
from pipeline.models.user.spec import UserSpec
from pipeline.training import dense_trainer
from pipeline.training.result import TrainingState, TrialResult
from pipeline.training.training_loop import OnEpoch


def train(
    recipe: Recipe,
    settings: Training,
    split: Split,
    *,
    seed: int,
    state: TrainingState | None = None,
    until: int | None = None,
    on_epoch: OnEpoch | None = None,
) -> TrialResult:
    """Trains one network; arguments, result and errors are those of `dense_trainer.train`, whatever the kind of model."""
    if isinstance(recipe.spec, UserSpec):
        from pipeline.training import keras_trainer  # noqa: PLC0415 - Keras Tuner, only for a user's own model

        return keras_trainer.train(recipe, settings, split, seed=seed, state=state, until=until, on_epoch=on_epoch)
    return dense_trainer.train(recipe, settings, split, seed=seed, state=state, until=until, on_epoch=on_epoch)
