"""Finalists for the tests of refits, and what `refit` made of them."""

from dataclasses import dataclass

from pipeline.evaluation.finalists import BASELINE, Finalist
from pipeline.evaluation.refits import RefitGroup
from pipeline.experiment import Training
from pipeline.models.dense import DenseSpec, notebook_network
from pipeline.models.recipe import Recipe
from pipeline.session import Session
from pipeline.tracking.store import Run
from tests.evaluation.samples import SETTINGS, relu

DIVERGING = Finalist(
    "finalist 2",
    Recipe(DenseSpec((64,) * 20, (0.0,) * 21, ("linear",) * 20)),
    Training(epochs=1, batch_size=512, learning_rate=10.0, schedule="constant"),
    0.9,
)
"""Twenty linear layers of weights that jump by 10 with every step: its loss is no number any more after a few."""
SMALL = Finalist("finalist 1", Recipe(relu(16, dropout=(0.0, 0.2))), SETTINGS, 0.9)
PLAIN = Finalist(BASELINE, Recipe(notebook_network()), SETTINGS, reference=True)


@dataclass(frozen=True)
class Refitted:
    """What `refit` made of three finalists and two seeds, of which one finalist diverges."""

    session: Session
    run: Run
    seeds: list[int]
    groups: list[RefitGroup]
    said: str
