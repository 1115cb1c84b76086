"""Where a challenger comes from, and how both it and the champion are scored. Enters: data and workers. Leaves: records.

The champion is asked on the present test images; its training score is that of its own day.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.split import Split
from pipeline.errors import InputError
from pipeline.evaluation.finalists import Finalist
from pipeline.evaluation.log_model import log_chosen_model
from pipeline.evaluation.refits import FIRST_SEED, RefitGroup, refit
from pipeline.evaluation.step import evaluate
from pipeline.models import keras_model
from pipeline.models.recipe import Recipe
from pipeline.retraining.plan import Mode
from pipeline.retraining.rule import Scored
from pipeline.search import step as searching
from pipeline.search.seeds import seed_of
from pipeline.search.workers.jobs import Workers
from pipeline.serving.model import fetch
from pipeline.session import Session
from pipeline.statistics.monitoring.control_chart import Scores
from pipeline.tracking.names import (
    MODEL_TAG,
    NETWORK_TAG,
    RETRAIN_RUN_TAG,
    TRAIN_ACCURACY_TAG,
    TRAIN_LOSS_TAG,
    TRAIN_ROWS_TAG,
)
from pipeline.tracking.registry import Version
from pipeline.tracking.store import Run
from pipeline.training.result import Score

SEEDS_PER_NIGHT = 1000
"""So many seeds lie between those of one night and of the next."""


@dataclass(frozen=True, eq=False)
class Challenger:
    """A network that may become the champion, with all of its refits."""

    mode: Mode
    group: RefitGroup
    source: str
    """The address of its model."""
    run_id: str
    """The run that the model is on."""

    @property
    def scores(self) -> list[Scores]:
        """One per seed of its recipe."""
        return [Scores(each["test_accuracy"], each["test_loss"], each["accuracy_gap"]) for each in self.group.metrics]


def refitted(session: Session, root: Run, workers: Workers, champion: Version, night: int) -> Challenger:
    """The champion's recipe, trained on the present data with seeds of this night."""
    recipe = Recipe.from_tags(champion.tags)
    first = FIRST_SEED + night * SEEDS_PER_NIGHT
    seeds = [
        seed_of(session.experiment.search.seed, first + number) for number in range(session.experiment.evaluation.seeds)
    ]
    finalist = Finalist("challenger", recipe, recipe.settings(session.experiment.training))
    (group,) = refit(session, root, [finalist], workers, seeds=seeds)
    target = session.experiment.evaluation.target_accuracy
    return Challenger(
        "refit", group, log_chosen_model(root, session.prepared.split, group, target_accuracy=target), root.id
    )


def searched(session: Session, root: Run, workers: Workers, night: int) -> Challenger:
    """The network that a new search on the present data finds, chosen on validation; each night draws its own lots."""
    asked = session.experiment
    own = asked.search.model_copy(update={"seed": asked.search.seed + night - 1})
    session = replace(session, experiment=asked.model_copy(update={"search": own}))
    with searching.search_run(session, root, None, alone=False) as run:
        search = searching.search(session, run, workers)
    with session.child(root, step="evaluate", name="evaluate") as run:
        found = evaluate(session, run, search, workers)
    return Challenger("search", found.chosen, run.tags[MODEL_TAG], run.id)


def scored(challenger: Challenger, split: Split) -> Scored:
    """The challenger's typical refit."""
    refit = challenger.group.median_refit
    train = Score(refit.metrics["train_loss"], refit.metrics["train_accuracy"])
    return Scored(split.test.labels, refit.test, train, len(split.train))


TRAIN_TAGS = (TRAIN_LOSS_TAG, TRAIN_ACCURACY_TAG, TRAIN_ROWS_TAG)


def train_tags(of: Scored) -> dict[str, str]:
    """What a version must remember of its own day."""
    return dict(zip(TRAIN_TAGS, map(repr, (of.train.loss, of.train.accuracy, of.train_rows)), strict=True))


def known(champion: Version, split: Split) -> Any:
    """The champion as a Keras model. Raises InputError when it cannot be loaded, was not made by `retrain`, or answers
    another question than the data put: other classes, another size, another scale of pixels.
    """
    lacking = {*TRAIN_TAGS, RETRAIN_RUN_TAG, NETWORK_TAG} - set(champion.tags)
    if lacking:
        raise InputError(
            f"champion version {champion.number} was not made by retrain: it has no tag {min(lacking)}; expected one that "
            "was, or no champion: roll back to one (-P version=N), or take the alias away"
        )
    with tempfile.TemporaryDirectory() as folder:
        file, serving = fetch(champion.source, Path(folder))
        model = keras_model.load(file)
    for what, theirs, ours in (
        ("images (height, width)", serving.image_shape, split.test.images.shape[1:]),
        ("pixels up to", serving.pixel_max, split.pixel_max),
        ("the classes", ", ".join(serving.class_names), ", ".join(split.class_names)),
    ):
        if theirs != ours:
            raise InputError(
                f"champion version {champion.number} knows {what} {theirs}; the data have {ours}: no comparing them. Put "
                "the data right, or retrain under another experiment's name"
            )
    return model


def champion_scored(champion: Version, split: Split) -> Scored:
    """The champion on the present test images; InputError when they are not of the kind that it knows."""
    model = known(champion, split)
    loss, accuracy, rows = (champion.tags[tag] for tag in TRAIN_TAGS)
    probabilities = np.asarray(model.predict(split.test.images, verbose=0), np.float32)
    return Scored(split.test.labels, probabilities, Score(float(loss), float(accuracy)), int(rows))
