"""Every analysis of real refits leaves pictures, tables and figures that can be read, under names of its own."""

import math

import pytest

from pipeline.evaluation.analyses import ANALYSES
from pipeline.evaluation.result import EvaluationResult
from tests.evaluation.analyses.evaluated import table

pytestmark = pytest.mark.tensorflow


def test_every_analysis_leaves_pictures_that_are_png_tables_that_can_be_read_and_finite_figures(
    real: EvaluationResult,
) -> None:
    for look in ANALYSES:
        seen = look(real)
        for name, content in seen.artifacts.items() if seen else ():
            if name.endswith(".png"):
                assert bytes(content).startswith(b"\x89PNG"), name  # type: ignore[arg-type]  # a picture is bytes
            else:
                assert len(table(seen, name)) > 0, name
        assert all(math.isfinite(value) for value in (seen.metrics.values() if seen else ()))


def test_together_they_leave_what_the_run_is_to_hold(real: EvaluationResult) -> None:
    seen = [each for look in ANALYSES if (each := look(real)) is not None]
    names = [name for each in seen for name in each.artifacts]
    assert sorted(names) == [
        "classes.csv", "classes.png", "comparison.csv", "confusion_matrix.png", "coverage.png", "curves.png",
        "effects.csv", "effects.png", "gaps.csv", "gaps.png", "mistakes.png", "pareto.csv", "pareto.png",
        "policies.csv", "refits.csv", "reliability.png", "seeds.csv",
    ]  # fmt: skip
    metrics = [name for each in seen for name in each.metrics]
    assert len(metrics) == len(set(metrics))
    assert {"selection_bias", "hypervolume", "temperature", "conformal_coverage"} <= set(metrics)
