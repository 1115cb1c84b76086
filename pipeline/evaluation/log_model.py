"""The network that is kept as a model. Enters: a group of refits. Leaves: an MLflow model on a run."""

from pipeline.data.split import Split
from pipeline.evaluation.refits import Refit, RefitGroup
from pipeline.models.dense import dense
from pipeline.models.keras_model import build
from pipeline.serving.model import Serving, log_model
from pipeline.statistics.selective import conformal, thresholds
from pipeline.tracking.names import MODEL_REFIT_TAG, MODEL_TAG
from pipeline.tracking.store import Run


def log_chosen_model(run: Run, split: Split, group: RefitGroup, *, target_accuracy: float | None) -> str:
    """Logs the group's typical refit, with its conformal quantile and, where an accuracy is wished for and within reach, the
    threshold that reaches it on validation; returns the model's address.
    """
    height, width = split.train.images.shape[1:]
    refit = group.median_refit
    model = build(
        dense(group.finalist.recipe.spec),
        image_shape=(height, width),
        classes=split.classes,
        pixel_max=split.pixel_max,
        seed=refit.seed,
    )
    model.set_weights(refit.weights)
    serving = Serving(
        class_names=tuple(split.class_names),
        image_shape=(height, width),
        pixel_max=split.pixel_max,
        quantile=conformal.fit(split.validation.labels, refit.validation).quantile,
        min_confidence=_threshold(split, refit, target_accuracy),
    )
    address = log_model(run, model, split.test.images[:5], serving)
    run.log(tags={MODEL_TAG: address, MODEL_REFIT_TAG: refit.run.id})
    return address


def _threshold(split: Split, refit: Refit, target_accuracy: float | None) -> float:
    """From which confidence on answers are accepted when a request does not say."""
    if target_accuracy is None:
        return Serving.min_confidence
    chosen = thresholds.threshold_for(thresholds.curve(split.validation.labels, refit.validation), target_accuracy)
    return Serving.min_confidence if chosen.value is None else chosen.value
