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
from pipeline.findings.control import Scores
from pipeline.network import build
from pipeline.network.result import Score
from pipeline.registry.model import fetch
from pipeline.registry.rule import Scored
from pipeline.registry.versions import Version
from pipeline.search.proposals import seed_of
from pipeline.search.workers import Workers
from pipeline.steps import record
from pipeline.steps import search as searching
from pipeline.steps.evaluate import evaluate
from pipeline.steps.finalists import Finalist
from pipeline.steps.kept import MODEL_TAG, keep
from pipeline.steps.plan import NIGHT_TAG, Mode
from pipeline.steps.refits import FIRST_SEED, Group, refit
from pipeline.steps.session import Session
from pipeline.tracking.store import Run

SEEDS_PER_NIGHT = 1000
"""So many seeds lie between those of one night and of the next."""


@dataclass(frozen=True, eq=False)
class Challenger:
    """A network that may become the champion, with all of its refits."""

    mode: Mode
    group: Group
    source: str
    """The address of its model."""
    run_id: str
    """The run that the model is on."""

    @property
    def scores(self) -> list[Scores]:
        """One per seed of its recipe."""
        return [Scores(each["test_accuracy"], each["test_loss"], each["accuracy_gap"]) for each in self.group.metrics]


def refitted(session: Session, root: Run, crew: Workers, champion: Version, night: int) -> Challenger:
    """The champion's recipe, trained on the present data with seeds of this night."""
    recipe = record.recipe_of(champion.tags)
    first = FIRST_SEED + night * SEEDS_PER_NIGHT
    seeds = [
        seed_of(session.experiment.search.seed, first + number) for number in range(session.experiment.evaluation.seeds)
    ]
    finalist = Finalist("challenger", recipe, recipe.settings(session.experiment.training))
    (group,) = refit(session, root, [finalist], crew, seeds=seeds)
    target = session.experiment.evaluation.target_accuracy
    return Challenger("refit", group, keep(root, session.prepared.split, group, target_accuracy=target), root.id)


def searched(session: Session, root: Run, crew: Workers, night: int) -> Challenger:
    """The network that a new search on the present data finds, chosen on validation; each night draws its own lots."""
    asked = session.experiment
    own = asked.search.model_copy(update={"seed": asked.search.seed + night - 1})
    session = replace(session, experiment=asked.model_copy(update={"search": own}))
    with searching.search_run(session, root, None, alone=False) as run:
        search = searching.search(session, run, crew)
    with session.child(root, step="evaluate", name="evaluate") as run:
        found = evaluate(session, run, search, crew)
    return Challenger("search", found.chosen, run.tags[MODEL_TAG], run.id)


def scored(challenger: Challenger, split: Split) -> Scored:
    """The challenger's typical refit."""
    refit = challenger.group.typical
    train = Score(refit.metrics["train_loss"], refit.metrics["train_accuracy"])
    return Scored(split.test.labels, refit.test, train, len(split.train))


TRAIN_TAGS = ("narrowgap.train_loss", "narrowgap.train_accuracy", "narrowgap.train_rows")


def train_tags(of: Scored) -> dict[str, str]:
    """What a version must remember of its own day."""
    return dict(zip(TRAIN_TAGS, map(repr, (of.train.loss, of.train.accuracy, of.train_rows)), strict=True))


def known(champion: Version, split: Split) -> Any:
    """The champion as a Keras model. Raises InputError when it cannot be loaded, was not made by `retrain`, or answers
    another question than the data put: other classes, another size, another scale of pixels.
    """
    lacking = {*TRAIN_TAGS, NIGHT_TAG, record.NETWORK_TAG} - set(champion.tags)
    if lacking:
        raise InputError(
            f"champion version {champion.number} was not made by retrain: it has no tag {min(lacking)}; expected one that "
            "was, or no champion: roll back to one (-P version=N), or take the alias away"
        )
    with tempfile.TemporaryDirectory() as folder:
        file, serving = fetch(champion.source, Path(folder))
        model = build.load(file)
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
