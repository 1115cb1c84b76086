"""Logs the chosen network as an MLflow model."""

import numpy as np

from pipeline.data.dataset import Labels
from pipeline.data.split import Rows
from pipeline.evaluation.refits import RefitGroup
from pipeline.evaluation.result import ServingDefaults
from pipeline.models import networks
from pipeline.models.user.spec import UserSpec
from pipeline.serving.model import Serving, log_model
from pipeline.serving.resize import frame_of
from pipeline.session import PreparedData
from pipeline.tracking.names import MODEL_REFIT_TAG, MODEL_TAG
from pipeline.tracking.store import Run

EXAMPLES = 5
"""Training images in the input example of the model."""
MEASURED = 200
"""Training images whose background and extent are measured; more if there are more classes."""


def log_chosen_model(run: Run, prepared: PreparedData, group: RefitGroup, defaults: ServingDefaults) -> str:
    """Logs the median refit of a group with its serving defaults; returns the address of the model."""
    refit, split = group.median_refit, prepared.split
    rows = spread_over_classes(split.train.labels, max(MEASURED, split.classes))
    frame = frame_of(split.train.images[rows], pixel_max=split.pixel_max)
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
        read_as=prepared.dataset.read_as,
        light=frame.light,
        extent=frame.extent,
    )
    spec = group.finalist.recipe.spec
    code = spec.code.source if isinstance(spec, UserSpec) and networks.has_custom_parts(model) else None
    address = log_model(run, model, split.train.images[rows[:EXAMPLES]], serving, code=code)
    run.log(tags={MODEL_TAG: address, MODEL_REFIT_TAG: refit.run.id})
    return address


def spread_over_classes(labels: Labels, count: int) -> Rows:
    """So many rows, or all: the first one of each class, then the second one of each, and so on."""
    by_class = np.argsort(labels, kind="stable")
    _, first, counts = np.unique(labels[by_class], return_index=True, return_counts=True)
    turn = np.arange(len(labels)) - np.repeat(first, counts)
    return by_class[np.argsort(turn, kind="stable")][:count]
