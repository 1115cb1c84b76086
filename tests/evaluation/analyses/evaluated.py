"""Results of an evaluation whose figures are made up, and what an analysis makes of them."""

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data.split import Part, Split
from pipeline.evaluation.finalists import Finalist
from pipeline.evaluation.refits import RefitGroup
from pipeline.evaluation.report.page import Section
from pipeline.evaluation.result import Analysis, EvaluationResult
from pipeline.experiment import Experiment
from pipeline.models.dense import DenseSpec
from pipeline.models.recipe import Recipe
from pipeline.statistics.selection import Choice
from tests.evaluation.samples import SETTINGS, figures

BETTER, WORSE = [figures(accuracy=0.90, gap=0.02)], [figures(accuracy=0.88, gap=0.05)]


def experiment(**sections: Any) -> Experiment:
    return Experiment(name="x", question="Why?", **sections)


def fixed(*specs: DenseSpec) -> dict[str, Any]:
    networks = [{"hidden": each.hidden, "dropout": each.dropout, "activations": each.activations} for each in specs]
    return {"networks": [{key: list(value) for key, value in each.items()} for each in networks]}


def labelled(split: Split, labels: Sequence[int]) -> Split:
    """The split with validation and test of those labels; images do not matter."""
    part = Part(split.test.images[: len(labels)], np.array(labels))
    return replace(split, validation=part, test=part)


def evaluated(split: Split, *groups: RefitGroup, **changes: Any) -> EvaluationResult:
    made = EvaluationResult(experiment(), labelled(split, [0, 1]), [], groups, Choice(0, "It is the best."))
    return replace(made, **changes)


def finalist(role: str, spec: DenseSpec, **changes: Any) -> Finalist:
    return Finalist(role, Recipe(spec), SETTINGS, **changes)


def table(look: Analysis | None, name: str) -> pd.DataFrame:
    assert look is not None
    return pd.read_csv(io.StringIO(str(look.artifacts[name])))


def section(look: Analysis | None) -> Section:
    assert look is not None
    assert look.section is not None
    return look.section
