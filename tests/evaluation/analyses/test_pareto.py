"""Trials and means of refits share one Pareto front."""

import pytest

from pipeline.data.split import Split
from pipeline.evaluation.analyses import pareto
from pipeline.evaluation.finalists import BASELINE
from pipeline.search.trials import fully_trained, unpruned
from pipeline.search.trials import table as trials_table
from tests.evaluation.analyses.evaluated import WORSE, evaluated, finalist, section, table
from tests.evaluation.samples import figures, group, relu, trial

pytestmark = pytest.mark.tensorflow


def test_trials_and_means_share_one_front(digits_split: Split) -> None:
    searched = [
        trial(0, relu(8), figures(accuracy=0.91, gap=0.06)),
        trial(1, relu(4), figures(accuracy=0.87, gap=0.06)),
    ]
    chosen = group(
        finalist("finalist 1", relu(8)), [figures(accuracy=0.89, gap=0.02), figures(accuracy=0.91, gap=0.04)]
    )
    plain = group(finalist(BASELINE, relu(16), reference=True), WORSE)
    look = pareto.analyse(evaluated(digits_split, chosen, plain, trials=searched))
    found = table(look, "pareto.csv")
    assert found["kind"].tolist() == ["trial", "trial", "chosen", "baseline"]
    assert found["test_accuracy"].tolist() == pytest.approx([0.91, 0.87, 0.90, 0.88])
    # (.91, .06) and (.90, .03) beat each other on one; (.88, .05) is beaten by (.90, .03).
    assert found["on_front"].tolist() == [True, False, True, False]
    # Against (.8, .15): .1 wide from gap .03 to .06, then .11 wide to .15.
    assert look.metrics["hypervolume"] == pytest.approx(0.10 * 0.03 + 0.11 * 0.09)


def test_a_pruned_trial_has_no_part_in_the_front_and_is_counted(digits_split: Split) -> None:
    best, pruned = (trial(number, relu(8), figures(accuracy=0.91, gap=0.01 * (2 - number))) for number in (0, 1))
    pruned.run.tags = {**pruned.run.tags, "narrowgap.pruned": "true"}
    chosen = group(finalist("finalist 1", relu(8)), WORSE)
    result = evaluated(digits_split, chosen, trials=[best, pruned])
    look = pareto.analyse(result)
    assert table(look, "pareto.csv")["kind"].tolist() == ["trial", "chosen"]
    assert "Of 2 dots (1 trial and 1 refitted network), 1 is on the Pareto front." in section(look).text
    assert "1 trial that the search pruned is left out" in section(look).text
    assert fully_trained([best, pruned]) == unpruned([pruned, best]) == [best]
    assert trials_table([best, pruned])["pruned"].tolist() == [False, True]


def test_a_trial_that_hyperband_stopped_early_has_no_part_in_the_front(digits_split: Split) -> None:
    early = trial(0, relu(8), figures(accuracy=0.91, gap=0.001), proposed={"tuner/epochs": 7})
    full = trial(1, relu(8), figures(accuracy=0.90, gap=0.03), proposed={"tuner/epochs": 20})
    look = pareto.analyse(evaluated(digits_split, group(finalist("finalist 1", relu(8)), WORSE), trials=[early, full]))
    assert table(look, "pareto.csv")["test_accuracy"].tolist() == pytest.approx([0.90, 0.88])
    assert "1 trial that Hyperband stopped early is left out" in section(look).text
