"""An evaluation of real refits."""

import numpy as np
import pytest

from pipeline.evaluation.result import EvaluationResult
from pipeline.statistics.selection import Choice
from tests.evaluation.analyses.evaluated import experiment
from tests.evaluation.refitted import Refitted
from tests.evaluation.samples import figures, relu, trial


@pytest.fixture
def real(refitted: Refitted) -> EvaluationResult:
    """The small network of two real seeds as chosen, the notebook's beside it, and twelve trials that never were."""
    generator = np.random.default_rng(1)
    searched = [
        trial(number, relu(16, dropout=(0.0, rate)), figures(accuracy=0.9 + generator.normal(0, 0.01), gap=0.05 - rate / 10))
        for number, rate in enumerate(np.tile([0.0, 0.1, 0.2], 4))
    ]  # fmt: skip
    split = refitted.session.prepared.split
    return EvaluationResult(experiment(), split, searched, refitted.groups, Choice(0, "It is the best."))
