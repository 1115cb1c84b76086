"""The analyses of an evaluation: one file per question that the report answers.

To add one, add a file with a function `analyse` from `EvaluationResult` to `Analysis` (None if it does not apply), and a
line in `ANALYSES`. The file computes with `statistics`, draws with `figures` and words its section. A picture is a
`Picture` in the `Section` (both in `report/page.py`), and a PNG file in the artifacts: see `pareto.py`.
"""

from collections.abc import Callable, Sequence

from pipeline.evaluation.analyses import (
    calibration,
    designed_placement,
    gaps,
    pareto,
    per_class,
    placement_effects,
    published,
    selection,
    significance,
    thresholds,
    training_curves,
)
from pipeline.evaluation.result import Analysis, EvaluationResult

ANALYSES: Sequence[Callable[[EvaluationResult], Analysis | None]] = (
    gaps.analyse,
    published.analyse,
    selection.analyse,
    pareto.analyse,
    significance.analyse,
    placement_effects.analyse,
    designed_placement.analyse,
    training_curves.analyse,
    per_class.analyse,
    calibration.analyse,
    thresholds.analyse,
)
"""In the order of the report."""
