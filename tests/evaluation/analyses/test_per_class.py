"""Precision, recall and F1 of every class."""

from dataclasses import replace

import pytest

from pipeline.evaluation.analyses import per_class
from pipeline.evaluation.result import EvaluationResult
from tests.evaluation.analyses.evaluated import section, table

pytestmark = pytest.mark.tensorflow


def test_the_words_for_the_bars_of_the_classes_name_the_weakest(real: EvaluationResult) -> None:
    look = per_class.analyse(real)
    weakest = table(look, "classes.csv").sort_values("f1", kind="stable").iloc[0]
    shown = {name: f"{100 * weakest[name]:.2f} %" for name in ("f1", "precision", "recall")}
    figures = f"{shown['f1']}: its precision is {shown['precision']}, its recall {shown['recall']}."
    assert section(look).pictures[0].alt.endswith(f"class {weakest['class']:.0f} has the lowest F1, {figures}")


def test_the_name_of_a_class_is_no_formula_in_the_table(real: EvaluationResult) -> None:
    names = ("=1+1", *real.split.class_names[1:])
    look = per_class.analyse(replace(real, split=replace(real.split, class_names=names)))
    assert table(look, "classes.csv")["class"].tolist() == ["'=1+1", *names[1:]]
