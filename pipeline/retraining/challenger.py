"""Trains a challenger, and predicts the test images with challenger and champion.

The champion is scored on the current test images; its training score is that of its own retraining run.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.split import Split
from pipeline.errors import InputError
from pipeline.evaluation.analyses.thresholds import serving_defaults
from pipeline.evaluation.finalists import Finalist
from pipeline.evaluation.log_model import log_chosen_model
from pipeline.evaluation.refits import FIRST_SEED, RefitGroup, refit
from pipeline.evaluation.seeds_in_time import refits_to_come
from pipeline.evaluation.step import evaluate
from pipeline.formatting import few
from pipeline.models import dense_keras, networks
from pipeline.models.recipe import Recipe
from pipeline.retraining.model_metrics import ModelPredictions
from pipeline.retraining.plan import Mode
from pipeline.search import step as searching
from pipeline.search.seeds import seed_of
from pipeline.search.workers.jobs import Workers
from pipeline.serving.model import CODE, fetch
from pipeline.session import Session
from pipeline.statistics.monitoring.control_chart import ModelScores
from pipeline.tracking.names import (
    LEFT_OUT_TAG,
    MODEL_TAG,
    NETWORK_TAG,
    RETRAIN_RUN_TAG,
    TRAIN_ACCURACY_TAG,
    TRAIN_LOSS_TAG,
    TRAIN_ROWS_TAG,
)
from pipeline.tracking.registry import Registry, Version
from pipeline.tracking.store import Run
from pipeline.training.result import Score

MOST_CLASSES = 10
"""Most class names in a message."""
SEEDS_PER_RUN = 1000
"""Distance between the first seeds of two consecutive retraining runs, so that they share none."""


@dataclass(frozen=True, eq=False)
class Challenger:
    """A network that may replace the champion, with all its refits."""

    mode: Mode
    group: RefitGroup
    source: str
    """Address of its logged model."""
    run_id: str
    """Run that the model was logged on."""
    left_out: str = ""
    """The trials and seeds that there was no time for."""

    @property
    def scores(self) -> list[ModelScores]:
        """Test scores, one per seed of its recipe."""
        return [
            ModelScores(each["test_accuracy"], each["test_loss"], each["accuracy_gap"]) for each in self.group.metrics
        ]


def refit_champion(session: Session, root: Run, workers: Workers, champion: Version, number: int) -> Challenger:
    """Trains the champion's recipe on the current data, with seeds that only retraining run `number` uses."""
    recipe = Recipe.from_tags(champion.tags, session.experiment.model)
    first = FIRST_SEED + number * SEEDS_PER_RUN
    seeds = [
        seed_of(session.experiment.search.seed, first + offset) for offset in range(session.experiment.evaluation.seeds)
    ]
    finalist = Finalist("challenger", recipe, recipe.settings(session.experiment.training))
    (group,) = refit(session, root, [finalist], workers, seeds=seeds)
    prepared, target = session.prepared, session.experiment.evaluation.target_accuracy
    defaults = serving_defaults(prepared.split, group.median_refit, target)
    source, left_out = log_chosen_model(root, prepared, group, defaults), root.tags.get(LEFT_OUT_TAG, "")
    return Challenger("refit", group, source, root.id, left_out)


def search_challenger(session: Session, root: Run, workers: Workers, number: int) -> Challenger:
    """Runs a new search on the current data; its chosen network is the challenger. Each retraining run uses its own search
    seed.
    """
    asked = session.experiment
    own = asked.search.model_copy(update={"seed": asked.search.seed + number - 1})
    session = replace(session, experiment=asked.model_copy(update={"search": own}))
    with searching.search_run(session, root, None, alone=False) as run:
        search = searching.search(session, run, workers, refits=partial(refits_to_come, session.experiment))
    with session.child(root, step="evaluate", name="evaluate") as run:
        found = evaluate(session, run, search, workers)
    return Challenger("search", found.chosen, run.tags[MODEL_TAG], run.id, found.left_out)


def challenger_predictions(challenger: Challenger, split: Split) -> ModelPredictions:
    """Predictions of the challenger's median refit."""
    refit = challenger.group.median_refit
    train = Score(refit.metrics["train_loss"], refit.metrics["train_accuracy"])
    return ModelPredictions(split.test.labels, refit.test, train, len(split.train))


TRAIN_TAGS = (TRAIN_LOSS_TAG, TRAIN_ACCURACY_TAG, TRAIN_ROWS_TAG)


def train_tags(predictions: ModelPredictions) -> dict[str, str]:
    """Tags of a version for its training score: later runs have other training images."""
    train = predictions.train
    return dict(zip(TRAIN_TAGS, map(repr, (train.loss, train.accuracy, predictions.train_rows)), strict=True))


def load_champion(registry: Registry, champion: Version, split: Split) -> Any:
    """Loads the champion as a Keras model.

    Raises:
        InputError: It cannot be loaded, was not made by `retrain`, or does not fit the data: other classes, another size of
            image, another range of pixels.
    """
    missing = {*TRAIN_TAGS, RETRAIN_RUN_TAG, NETWORK_TAG} - set(champion.tags)
    if missing:
        raise InputError(
            f"champion version {champion.number} was not made by retrain: it has no tag {min(missing)}; expected a champion "
            "made by retrain, or none: roll back to another version (-P version=N), or remove the alias"
        )
    with tempfile.TemporaryDirectory() as folder:
        file, serving = registry.read(lambda: fetch(champion.source, Path(folder)))
        with networks.custom_parts(file.with_name(CODE)):
            model = dense_keras.load(file)
    for what, theirs, ours in (
        ("images of the shape", serving.image_shape, split.image_shape),
        ("pixels up to", serving.pixel_max, split.pixel_max),
        ("the classes", *_class_names(serving.class_names, split.class_names)),
    ):
        if theirs != ours:
            raise InputError(
                f"champion version {champion.number} expects {what} {theirs}; the data have {ours}, so they cannot be "
                "compared. Correct the data, or retrain under another experiment name"
            )
    return model


def _class_names(theirs: Sequence[str], ours: Sequence[str]) -> tuple[str, str]:
    """Both lists as text; of long ones the few names from the first difference on."""
    same = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(theirs, ours, strict=False))))
    start = same if max(len(theirs), len(ours)) > MOST_CLASSES else 0
    before = "…, " if start else ""
    return f"{before}{few(theirs[start:], most=MOST_CLASSES)}", f"{before}{few(ours[start:], most=MOST_CLASSES)}"


def champion_predictions(registry: Registry, champion: Version, split: Split) -> ModelPredictions:
    """Predictions of the champion on the current test images; InputError as for `load_champion`."""
    model = load_champion(registry, champion, split)
    loss, accuracy, rows = (champion.tags[tag] for tag in TRAIN_TAGS)
    probabilities = np.asarray(model.predict(split.test.images, verbose=0), np.float32)
    return ModelPredictions(split.test.labels, probabilities, Score(float(loss), float(accuracy)), int(rows))
