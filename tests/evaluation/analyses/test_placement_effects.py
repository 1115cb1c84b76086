"""Effects of dropout by its position, estimated from the trials of the search."""

from dataclasses import replace

import pytest

from pipeline.evaluation.analyses import pareto, placement_effects
from pipeline.evaluation.result import EvaluationResult
from tests.evaluation.analyses.evaluated import section, table
from tests.evaluation.samples import figures, trial

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("small_forests")]


def test_effects_are_those_of_the_trials(real: EvaluationResult) -> None:
    effects = table(placement_effects.analyse(real), "effects.csv").set_index(["outcome", "column"])
    # The gap was made to fall by 1 point per 0.1 of rate after the only layer.
    assert effects.loc[("accuracy_gap", "dropout_1"), "estimate"] == pytest.approx(-1)
    assert effects.loc[("accuracy_gap", "dropout_1"), "verdict"] == "lowers"


def test_verdicts_and_what_a_forest_leans_on_stand_in_the_report(real: EvaluationResult) -> None:
    look = placement_effects.analyse(real)
    (shown,) = section(look).tables
    effects = table(look, "effects.csv").set_index(["outcome", "column"])
    row = shown.frame.set_index("effect").loc["after hidden layer 1"]
    assert (row["change"], row["gap, points"]) == (
        "dropout rate +0.1",
        "lowers: -1.00 (-1.00 to -1.00)",
    )
    assert row["importance for gap"] == pytest.approx(effects.loc[("accuracy_gap", "dropout_1"), "importance"])
    verdicts = {str(verdict).partition(":")[0] for verdict in shown.frame["accuracy, points"]}
    assert verdicts == {"not significant", "cannot tell"}
    assert row["accuracy, points"].startswith("not significant: ")


def test_where_there_is_no_estimate_the_report_says_why(real: EvaluationResult) -> None:
    """Nothing but the rate after the only layer was varied."""
    (shown,) = section(placement_effects.analyse(real)).tables
    assert shown.frame.set_index("effect").loc["after the input", "gap, points"] == "cannot tell: never varied"


def test_too_few_trials_leave_words_and_no_picture_of_nothing(real: EvaluationResult) -> None:
    look = placement_effects.analyse(replace(real, trials=real.trials[:3]))
    assert look is not None
    assert list(look.artifacts) == ["effects.csv"]
    assert not section(look).pictures
    assert not section(look).tables
    assert section(look).text == "3 trials are too few to estimate effects; at least 7 are needed."
    assert section(look).method == "", "nothing was fitted"
    assert look.answer == ""


def test_the_reports_answer_is_the_effect_without_positions_that_never_varied(real: EvaluationResult) -> None:
    look = placement_effects.analyse(real)
    assert look is not None
    assert section(look).text.startswith(f"{look.answer}\n\nImportance in the table is ")
    assert look.answer.startswith("Dropout narrows the gap after hidden layer 1: by 1.00 points per 0.1 of rate ")
    assert "after the input" not in look.answer


def test_trials_that_hyperband_stopped_early_do_not_count_for_the_effects(real: EvaluationResult) -> None:
    """Those of fewer epochs were made to have a gap of 0, whatever their dropout."""
    stopped = [
        trial(100 + number, each.recipe.spec, figures(accuracy=0.5, gap=0.0), proposed={"tuner/epochs": 3})
        for number, each in enumerate(real.trials)
    ]
    full = [
        trial(each.number, each.recipe.spec, each.run.metrics, proposed={"tuner/epochs": 20}) for each in real.trials
    ]
    look = placement_effects.analyse(replace(real, trials=[*stopped, *full]))
    effects = table(look, "effects.csv").set_index(["outcome", "column"])
    assert effects.loc[("accuracy_gap", "dropout_1"), "estimate"] == pytest.approx(-1)
    assert "12 trials that Hyperband stopped early are left out" in section(look).text
    front = section(pareto.analyse(replace(real, trials=[*stopped, *full])))
    assert "12 trials that Hyperband stopped early are left out" in front.text
    assert "Hyperband" not in section(pareto.analyse(real)).text
