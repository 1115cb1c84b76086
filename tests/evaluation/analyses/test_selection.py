"""The chosen network: all refits with their figures, and how much the selection flattered it."""

import pytest

from pipeline.data.split import Split
from pipeline.evaluation.analyses import selection
from pipeline.evaluation.finalists import BASELINE
from pipeline.evaluation.refits import RefitGroup
from pipeline.evaluation.result import EvaluationResult
from tests.evaluation.analyses.evaluated import BETTER, WORSE, evaluated, finalist, section, table
from tests.evaluation.samples import figures, group, relu

pytestmark = pytest.mark.tensorflow


def test_refits_are_listed_with_seed_figures_and_run(real: EvaluationResult) -> None:
    listed = table(selection.analyse(real), "refits.csv")
    assert listed["network"].tolist() == ["chosen", "chosen", "baseline", "baseline"]
    expected = [refit for each in real.groups for refit in each.refits]
    assert listed["seed"].tolist() == [refit.seed for refit in expected]
    assert listed["run_id"].tolist() == [refit.run.id for refit in expected]
    assert listed["test_accuracy"].tolist() == pytest.approx([refit.metrics["test_accuracy"] for refit in expected])


def test_the_bias_is_the_score_at_selection_less_the_means_of_fresh_seeds(digits_split: Split) -> None:
    seeds = [figures(accuracy=0.90, test=0.88), figures(accuracy=0.91, test=0.89)]
    look = selection.analyse(evaluated(digits_split, group(finalist("finalist 1", relu(8), at_selection=0.93), seeds)))
    assert look.metrics == pytest.approx({"selection_bias": 0.025, "selection_bias_test": 0.045})
    assert "It is the best." in section(look).text
    assert "the chosen network had a validation accuracy of 93.00 %" in section(look).text
    # t(.975, 1) = 12.7062: .007071 * 12.7062 / sqrt(2) = .0635.
    assert (
        "(selection bias: +2.50 ± 6.35 points) and 88.50 % on test (validation accuracy in the search minus this: "
        "+4.50 ± 6.35 points)" in section(look).text
    )


def test_a_network_that_turned_out_better_on_test_is_named_and_changes_nothing(digits_split: Split) -> None:
    def text_of(*groups: RefitGroup) -> str:
        return section(selection.analyse(evaluated(digits_split, *groups))).text

    chosen = group(finalist("finalist 1", relu(8)), [figures(accuracy=0.90, gap=0.03)])
    other = group(finalist("finalist 2", relu(4)), [figures(accuracy=0.91, gap=0.02)])
    assert text_of(chosen, other) == (
        "It is the best. On test, finalist 2 (91.00 %, gap +2.00 points) is at least as good as the chosen network "
        "(90.00 %, gap +3.00 points) in both. The choice ignores test scores; otherwise they would be "
        "biased."
    )
    wider = group(finalist("finalist 2", relu(4)), [figures(accuracy=0.91, gap=0.04)])
    same = group(finalist("finalist 3", relu(2)), chosen.metrics)
    assert text_of(chosen, wider, same) == "It is the best."
    plain = group(finalist(BASELINE, relu(16), reference=True), other.metrics)
    assert "On test, the baseline (reference, never chosen; 91.00 %, gap +2.00 points) is at least" in text_of(
        chosen, wider, plain
    )


def test_the_fall_to_test_stands_beside_that_of_networks_that_no_search_selected(digits_split: Split) -> None:
    """All fall by 2 points from validation to test, so none of it is the selection's."""
    seeds = [figures(accuracy=0.90, test=0.88), figures(accuracy=0.92, test=0.90)]
    chosen = group(finalist("finalist 1", relu(8), at_selection=0.91), seeds)
    alone = section(selection.analyse(evaluated(digits_split, chosen))).text
    assert alone.endswith("on test (validation accuracy in the search minus this: +2.00 ± 12.71 points).")
    other, plain = finalist("finalist 2", relu(4), at_selection=0.91), finalist(BASELINE, relu(16), reference=True)
    beside = evaluated(digits_split, chosen, group(other, seeds), group(plain, seeds))
    text = section(selection.analyse(beside)).text
    assert text.endswith("validation accuracy minus test accuracy is +2.00 ± 0.00 points for the baseline.")


def test_every_figure_of_every_network_has_its_mean_scatter_and_interval(digits_split: Split) -> None:
    seeds = [figures(accuracy=0.89), figures(accuracy=0.90), figures(accuracy=0.91)]
    chosen, plain = group(finalist("finalist 1", relu(8)), seeds), group(finalist(BASELINE, relu(16)), WORSE * 3)
    found = table(selection.analyse(evaluated(digits_split, chosen, plain)), "seeds.csv")
    assert found["network"].unique().tolist() == ["chosen", "baseline"]
    assert set(found["metric"]) == set(seeds[0])
    row = found[(found["network"] == "chosen") & (found["metric"] == "test_accuracy")].iloc[0]
    assert row["architecture"] == "64-8-10"
    # t(.975, 2) = 4.30265: .01 * 4.30265 / sqrt(3) = .024841.
    assert [row[name] for name in ("mean", "sd", "low", "high", "n")] == pytest.approx(
        [0.90, 0.01, 0.875159, 0.924841, 3], abs=1e-6
    )


def test_a_network_that_was_not_selected_has_no_bias(digits_split: Split) -> None:
    look = selection.analyse(evaluated(digits_split, group(finalist("network 1", relu(8)), BETTER)))
    assert look.metrics == {}
    assert section(look).text == "It is the best."
