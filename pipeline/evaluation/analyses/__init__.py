"""The analyses of an evaluation: one file per question that the report answers.

To add one, add a file with a function `analyse` from `EvaluationResult` to `Analysis` (None if it does not apply), and a
line in `ANALYSES`. The file computes with `statistics`, draws with `figures` and words its section; `pareto.py` is one.

The way of a picture into the report:

1. `analyse` draws it and returns it as a `Picture` in the `Section` of its `Analysis`. (The picture beside the answer is the
   `summary_picture` of an `Analysis`.)
2. `evaluate` in `evaluation/step.py` calls every function of `ANALYSES`.
3. `build_report` in `evaluation/report/build.py` gets their results, and puts the sections in order.
4. `render` in `evaluation/report/page.py` makes the page. It embeds every PNG file as a data URI (`Picture.source`).

The PNG file is also an artifact of the `Analysis`, so that it can be opened by itself; its name stands in
`tracking/names.py`.
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
