"""Trials, refits and groups with figures that are made up; no network was trained, no store is needed."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
from mlflow.tracking import MlflowClient

from pipeline.evaluation.finalists import Finalist
from pipeline.evaluation.refits import Refit, RefitGroup
from pipeline.experiment import Training
from pipeline.figures.style import canvas, png
from pipeline.models.dense import DenseSpec
from pipeline.models.recipe import Recipe
from pipeline.models.spec import ModelSpec
from pipeline.search.trials import Trial
from pipeline.statistics.trial_metrics import trial_metrics
from pipeline.tracking.names import PROPOSAL_TAG
from pipeline.tracking.store import Run
from pipeline.training.result import Score
from tests.figures.samples import scored

SETTINGS = Training(epochs=1, batch_size=64, learning_rate=0.01)


def relu(*hidden: int, dropout: Sequence[float] | None = None) -> DenseSpec:
    return DenseSpec(hidden, tuple(dropout or [0.0] * (len(hidden) + 1)), ("relu",) * len(hidden))


def run(name: str, *, metrics: Mapping[str, float] | None = None, tags: Mapping[str, str] | None = None) -> Run:
    """A run that is in no store."""
    return Run(
        MlflowClient("sqlite:///:memory:"), name, "1", name, "FINISHED", dict(tags or {}), {}, dict(metrics or {}), "", 0
    )  # fmt: skip


def figures(*, accuracy: float, gap: float = 0.03, test: float | None = None, loss: float = 0.3) -> dict[str, float]:
    """Metrics of one trained network: its accuracy on validation, and on test the same unless told; train is `gap` better
    than either.
    """
    on_test = accuracy if test is None else test
    result = scored(
        train=Score(loss - 0.1, on_test + gap),
        validation=Score(loss, accuracy),
        test=Score(loss, on_test),
        fit=Score(loss, on_test + gap - 0.01),
    )
    return trial_metrics(result) | {"val_accuracy_gap": gap, "seconds": 1.0}


def trial(
    number: int, spec: ModelSpec, measured: Mapping[str, float], *, proposed: Mapping[str, object] | None = None
) -> Trial:
    made = run(f"trial{number}", metrics=measured, tags={PROPOSAL_TAG: json.dumps(dict(proposed or {}))})
    made.params = {"architecture": spec.architecture(64, 10), "parameters": str(spec.parameters(64, 10))}
    return Trial(number, made, Recipe(spec))


def group(finalist: Finalist, seeds: Sequence[Mapping[str, float]], *, labels: Sequence[int] = (0, 1)) -> RefitGroup:
    """Refits whose probabilities are .7 for the labels and .3 for the class after."""
    rows = np.zeros((len(labels), 10), np.float32)
    rows[np.arange(len(labels)), labels] = 0.7
    rows[np.arange(len(labels)), (np.array(labels) + 1) % 10] = 0.3
    picture = png(canvas(1, 1)[0])
    pictures = {"curves.png": picture, "confusion_matrix.png": picture}
    refits = [
        Refit(seed, each, rows, rows, (), pictures, run(f"{finalist.role} {seed}")) for seed, each in enumerate(seeds)
    ]
    spec = finalist.recipe.spec
    return RefitGroup(finalist, spec.architecture(64, 10), spec.parameters(64, 10), refits)
