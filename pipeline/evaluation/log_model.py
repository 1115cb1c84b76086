"""Logs the chosen network as an MLflow model."""

from pipeline.data.split import Split
from pipeline.evaluation.analyses.base import ServingDefaults
from pipeline.evaluation.refits import RefitGroup
from pipeline.models import networks
from pipeline.models.user.spec import UserSpec
from pipeline.serving.model import Serving, log_model
from pipeline.tracking.names import MODEL_REFIT_TAG, MODEL_TAG
from pipeline.tracking.store import Run


def log_chosen_model(run: Run, split: Split, group: RefitGroup, defaults: ServingDefaults) -> str:
    """Logs the median refit of a group with its serving defaults; returns the address of the model."""
    refit = group.median_refit
    model = networks.build(
        group.finalist.recipe.spec,
        image_shape=split.image_shape,
        classes=split.classes,
        pixel_max=split.pixel_max,
        seed=refit.seed,
    )
    model.set_weights(refit.weights)
    serving = Serving(
        class_names=tuple(split.class_names),
        image_shape=split.image_shape,
        pixel_max=split.pixel_max,
        quantile=defaults.quantile,
        min_confidence=Serving.min_confidence if defaults.min_confidence is None else defaults.min_confidence,
        min_margin=Serving.min_margin if defaults.min_margin is None else defaults.min_margin,
    )
    spec = group.finalist.recipe.spec
    code = spec.code.source if isinstance(spec, UserSpec) and networks.has_custom_parts(model) else None
    address = log_model(run, model, split.test.images[:5], serving, code=code)
    run.log(tags={MODEL_TAG: address, MODEL_REFIT_TAG: refit.run.id})
    return address
