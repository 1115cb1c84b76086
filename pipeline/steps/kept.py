"""The network that is kept as a model. Enters: a group of refits. Leaves: an MLflow model on a run."""

from pipeline.data.split import Split
from pipeline.findings import conformal
from pipeline.network.build import build
from pipeline.registry.model import Serving, log_model
from pipeline.steps.refits import Group
from pipeline.tracking.store import Run

MODEL_TAG, REFIT_TAG = "narrowgap.model", "narrowgap.model_refit"


def keep(run: Run, split: Split, group: Group, *, min_confidence: float | None = None) -> str:
    """Logs the group's typical refit, with its conformal quantile and, if there is one, the threshold of its evaluation;
    returns the model's address.
    """
    height, width = split.train.images.shape[1:]
    refit = group.typical
    model = build(
        group.finalist.spec,
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
        min_confidence=Serving.min_confidence if min_confidence is None else min_confidence,
    )
    address = log_model(run, model, split.test.images[:5], serving)
    run.log(tags={MODEL_TAG: address, REFIT_TAG: refit.run.id})
    return address
