"""What is seen in networks that were trained again: real ones on digits, and ones whose figures are worked by hand."""

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from pipeline.data.split import Part, Split
from pipeline.evaluation.analyses import (
    ANALYSES,
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
from pipeline.evaluation.analyses.base import Analysis, EvaluationResult
from pipeline.evaluation.finalists import BASELINE, NOTEBOOK, NOTEBOOK_DROPOUT, Finalist
from pipeline.evaluation.refits import RefitGroup
from pipeline.evaluation.report.page import Section
from pipeline.experiment import Experiment, Published
from pipeline.models.dense import DenseSpec, notebook_network
from pipeline.models.recipe import Recipe
from pipeline.search.trials import fully_trained, unpruned
from pipeline.search.trials import table as trials_table
from pipeline.statistics.selection import Choice
from pipeline.statistics.selective import thresholds as on_validation
from tests.evaluation.refitted import Refitted
from tests.evaluation.samples import SETTINGS, figures, group, relu, trial

pytestmark = pytest.mark.tensorflow

BETTER, WORSE = [figures(accuracy=0.90, gap=0.02)], [figures(accuracy=0.88, gap=0.05)]
PUBLISHED = Published(source="a book", train_accuracy=0.95, train_loss=0.11, test_accuracy=0.89, test_loss=0.7)


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


class TestRealNetworks:
    def test_every_look_leaves_pictures_that_are_png_tables_that_can_be_read_and_finite_figures(
        self, real: EvaluationResult
    ) -> None:
        for look in ANALYSES:
            seen = look(real)
            for name, content in seen.artifacts.items() if seen else ():
                if name.endswith(".png"):
                    assert bytes(content).startswith(b"\x89PNG"), name  # type: ignore[arg-type]  # a picture is bytes
                else:
                    assert len(table(seen, name)) > 0, name
            assert all(math.isfinite(value) for value in (seen.metrics.values() if seen else ()))

    def test_together_they_leave_what_the_run_is_to_hold(self, real: EvaluationResult) -> None:
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

    def test_curves_and_confusion_are_those_of_the_typical_seed(self, real: EvaluationResult) -> None:
        look = training_curves.analyse(real)
        for name in ("curves.png", "confusion_matrix.png"):
            assert look.artifacts[name] == real.chosen.median_refit.pictures[name]

    def test_a_chosen_network_without_pictures_is_described_without_them(self, digits_split: Split) -> None:
        made = group(finalist("finalist 1", relu(16)), BETTER)
        bare = replace(made, refits=[replace(each, pictures={}) for each in made.refits])
        look = training_curves.analyse(evaluated(digits_split, bare))
        assert not look.artifacts
        assert not section(look).pictures
        assert "test accuracy 90.00 %" in section(look).text

    def test_refits_are_listed_with_seed_figures_and_run(self, real: EvaluationResult) -> None:
        listed = table(selection.analyse(real), "refits.csv")
        assert listed["network"].tolist() == ["chosen", "chosen", "baseline", "baseline"]
        expected = [refit for each in real.groups for refit in each.refits]
        assert listed["seed"].tolist() == [refit.seed for refit in expected]
        assert listed["run_id"].tolist() == [refit.run.id for refit in expected]
        assert listed["test_accuracy"].tolist() == pytest.approx([refit.metrics["test_accuracy"] for refit in expected])

    def test_the_comparison_agrees_with_an_independent_test(self, real: EvaluationResult) -> None:
        look = significance.analyse(real)
        assert look is not None
        labels = real.split.test.labels
        ours, theirs = (each.median_refit.test.argmax(axis=1) == labels for each in real.groups)
        assert look.metrics["baseline_accuracy_difference"] == pytest.approx(ours.mean() - theirs.mean())
        only = int(np.sum(ours & ~theirs)), int(np.sum(theirs & ~ours))
        assert look.metrics["baseline_mcnemar_p"] == pytest.approx(binomtest(only[0], sum(only)).pvalue)
        compared = table(look, "comparison.csv")
        assert set(compared["first"]) == {"64-16(0.2)-10"}
        assert set(compared["second"]) == {"64-128-64-32-10"}
        assert list(compared.loc[0, ["only_first", "only_second"]]) == list(only)

    def test_policies_answer_the_shares_of_test_that_reach_their_threshold(self, real: EvaluationResult) -> None:
        answers = table(thresholds.analyse(real), "policies.csv").set_index("policy")
        probabilities, labels = real.chosen.median_refit.test, real.split.test.labels
        sure, right = probabilities.max(axis=1) >= 0.5, probabilities.argmax(axis=1) == labels
        assert list(answers.loc["min_confidence", ["threshold", "answered", "right"]]) == pytest.approx(
            [0.5, sure.mean(), right[sure].mean()]
        )
        assert list(answers.loc["argmax", ["answered", "right", "classes"]]) == pytest.approx([1, right.mean(), 1])

    def test_a_wished_accuracy_gives_the_threshold_of_validation_and_its_figures_on_test(
        self, real: EvaluationResult
    ) -> None:
        look = thresholds.analyse(replace(real, experiment=experiment(evaluation={"target_accuracy": 0.6})))
        probabilities, labels = real.chosen.median_refit.test, real.split.test.labels
        answered = probabilities.max(axis=1) >= look.metrics["min_confidence"]
        assert look.metrics["answered_share"] == pytest.approx(answered.mean())
        right = probabilities.argmax(axis=1) == labels
        assert look.metrics["answered_accuracy"] == pytest.approx(right[answered].mean())
        assert "The target accuracy of 60.00 % is reached" in section(look).text

    def test_an_accuracy_out_of_reach_is_said_to_be_and_leaves_an_example_of_one_half(
        self, real: EvaluationResult
    ) -> None:
        look = thresholds.analyse(replace(real, experiment=experiment(evaluation={"target_accuracy": 1.0})))
        assert "The target accuracy of 100.00 % is not reached" in section(look).text
        assert "min_confidence" not in look.metrics
        assert table(look, "policies.csv").set_index("policy").loc["min_confidence", "threshold"] == 0.5

    def test_the_margin_too_is_chosen_on_validation_for_a_wished_accuracy(self, real: EvaluationResult) -> None:
        look = thresholds.analyse(replace(real, experiment=experiment(evaluation={"target_accuracy": 0.6})))
        threshold = table(look, "policies.csv").set_index("policy").loc["min_margin", "threshold"]
        curve = on_validation.curve(real.split.validation.labels, real.chosen.median_refit.validation, "margin")
        assert threshold == pytest.approx(on_validation.threshold_for(curve, 0.6).value)
        assert threshold != thresholds.EXAMPLE
        assert "is an example" not in section(look).text

    def test_sets_that_hold_the_label_less_often_than_stated_are_said_to(self, digits_split: Split) -> None:
        """On validation the label always has .7; on test it is a class of probability 0 in every tenth row."""
        labels = np.zeros(1000, np.int64)
        on_test = np.where(np.arange(1000) % 10 == 0, 5, 0)
        part = Part(digits_split.test.images[np.zeros(1000, int)], labels)
        split = replace(digits_split, validation=part, test=Part(part.images, on_test))
        chosen = group(finalist("finalist 1", relu(8)), BETTER, labels=[0] * 1000)
        on_other_images = replace(evaluated(digits_split, chosen), split=split)
        text = section(thresholds.analyse(on_other_images)).text
        assert "contain the label of 90.00 % of the test images" in text
        assert "The coverage on test is below the stated one" in text
        on_the_same = replace(on_other_images, split=replace(split, test=part))
        assert "below the stated one" not in section(thresholds.analyse(on_the_same)).text

    def test_effects_are_those_of_the_trials(self, real: EvaluationResult) -> None:
        effects = table(placement_effects.analyse(real), "effects.csv").set_index(["outcome", "column"])
        # The gap was made to fall by 1 point per 0.1 of rate after the only layer.
        assert effects.loc[("accuracy_gap", "dropout_1"), "estimate"] == pytest.approx(-1)
        assert effects.loc[("accuracy_gap", "dropout_1"), "verdict"] == "lowers"

    def test_verdicts_and_what_a_forest_leans_on_stand_in_the_report(self, real: EvaluationResult) -> None:
        look = placement_effects.analyse(real)
        (shown,) = section(look).tables
        effects = table(look, "effects.csv").set_index(["outcome", "column"])
        row = shown.frame.set_index("effect").loc["after hidden layer 1"]
        assert (row["per, or against"], row["gap, points"]) == (
            "0.1 of rate",
            "lowers: -1.00 (-1.00 to -1.00)",
        )
        assert row["importance for gap"] == pytest.approx(effects.loc[("accuracy_gap", "dropout_1"), "importance"])
        assert all(told.startswith("cannot tell: ") for told in shown.frame["accuracy, points"])

    def test_where_there_is_no_estimate_the_report_says_why(self, real: EvaluationResult) -> None:
        """Nothing but the rate after the only layer was varied."""
        (shown,) = section(placement_effects.analyse(real)).tables
        assert shown.frame.set_index("effect").loc["after the input", "gap, points"] == "cannot tell: never varied"

    def test_too_few_trials_leave_words_and_no_picture_of_nothing(self, real: EvaluationResult) -> None:
        look = placement_effects.analyse(replace(real, trials=real.trials[:3]))
        assert look is not None
        assert list(look.artifacts) == ["effects.csv"]
        assert not section(look).pictures
        assert not section(look).tables
        assert section(look).text.startswith(
            "With 3 networks, dropout has no significant effect on the gap at any position"
        )

    def test_trials_that_hyperband_stopped_early_do_not_count_for_the_effects(self, real: EvaluationResult) -> None:
        """Those of fewer epochs were made to have a gap of 0, whatever their dropout."""
        stopped = [
            trial(100 + number, each.recipe.spec, figures(accuracy=0.5, gap=0.0), proposed={"tuner/epochs": 3})
            for number, each in enumerate(real.trials)
        ]
        full = [
            trial(each.number, each.recipe.spec, each.run.metrics, proposed={"tuner/epochs": 20})
            for each in real.trials
        ]
        look = placement_effects.analyse(replace(real, trials=[*stopped, *full]))
        effects = table(look, "effects.csv").set_index(["outcome", "column"])
        assert effects.loc[("accuracy_gap", "dropout_1"), "estimate"] == pytest.approx(-1)
        assert "12 trials that Hyperband stopped early are left out" in section(look).text
        front = section(pareto.analyse(replace(real, trials=[*stopped, *full])))
        assert "12 trials that Hyperband stopped early are included" in front.text
        assert "Hyperband" not in section(pareto.analyse(real)).text

    def test_the_words_for_the_bars_of_the_classes_name_the_weakest(self, real: EvaluationResult) -> None:
        look = per_class.analyse(real)
        weakest = table(look, "classes.csv").sort_values("f1", kind="stable").iloc[0]
        figures = (
            f"with a precision of {100 * weakest['precision']:.2f} % and a recall of {100 * weakest['recall']:.2f} %."
        )
        assert section(look).pictures[0].alt.endswith(f"class {weakest['class']:.0f} has the lowest F1, {figures}")

    def test_the_name_of_a_class_is_no_formula_in_the_table(self, real: EvaluationResult) -> None:
        names = ("=1+1", *real.split.class_names[1:])
        look = per_class.analyse(replace(real, split=replace(real.split, class_names=names)))
        assert table(look, "classes.csv")["class"].tolist() == ["'=1+1", *names[1:]]


class TestGaps:
    def test_a_network_has_dropout_when_any_rate_is_above_0(self, digits_split: Split) -> None:
        dropped = group(finalist("finalist 1", relu(8, dropout=(0.1, 0.0))), BETTER)
        plain = group(finalist(BASELINE, relu(8), reference=True), WORSE)
        found = table(gaps.analyse(evaluated(digits_split, dropped, plain)), "gaps.csv")
        assert found["network"].tolist() == ["chosen", "baseline"] * 2
        assert found["dropout"].tolist() == ["Y", "N"] * 2

    def test_the_picture_shows_ten_networks_and_the_table_all(self, digits_split: Split) -> None:
        groups = [group(finalist(f"network {place}", relu(8 + place)), BETTER) for place in range(12)]
        look = gaps.analyse(evaluated(digits_split, *groups))
        assert len(table(look, "gaps.csv")) == 24
        assert look.summary_picture is not None
        assert "of 10 networks" in look.summary_picture.alt

    def test_people_read_percent_and_half_of_the_interval(self, digits_split: Split) -> None:
        seeds = [figures(accuracy=accuracy, gap=0.02) for accuracy in (0.89, 0.90, 0.91)]
        honest, _ = section(gaps.analyse(evaluated(digits_split, group(finalist("a", relu(8)), seeds)))).tables
        # t(.975, 2) = 4.30265: .01 * 4.30265 / sqrt(3) = .0248.
        assert honest.frame.loc[0, "test accuracy, %"] == "90.00 ± 2.48"
        assert honest.frame.loc[0, "accuracy gap, points"] == "+2.00 ± 0.00"

    def test_one_seed_is_said_to_have_no_interval(self, digits_split: Split) -> None:
        seen = section(gaps.analyse(evaluated(digits_split, group(finalist("a", relu(8)), BETTER))))
        assert "One seed: no intervals." in seen.text
        assert seen.tables[0].frame.loc[0, "test accuracy, %"] == "90.00"


class TestPublished:
    def test_published_figures_stand_beside_ours_by_both_measures(self, digits_split: Split) -> None:
        seeds = [figures(accuracy=0.90, gap=gap) for gap in (0.04, 0.05, 0.06)]
        theirs = group(finalist(BASELINE, notebook_network(), published=PUBLISHED), seeds)
        other = group(finalist("network 2", relu(8)), WORSE)
        look = published.analyse(evaluated(digits_split, other, theirs))
        found = table(look, "published.csv").set_index("figure")
        assert set(found["architecture"]) == {"64-128-64-32-10"}
        train = found.loc["train_accuracy"]
        # Training itself reported a point less than its network scored: .93, .94, .95, by t(.975, 2) ± .0248.
        assert (train["published"], train["fit"], train["honest"]) == pytest.approx((0.95, 0.94, 0.95))
        assert (train["fit_low"], train["fit_high"]) == pytest.approx((0.915159, 0.964841), abs=1e-6)
        assert list(found.loc["test_loss", ["published", "fit", "honest"]]) == pytest.approx([0.7, 0.3, 0.3])
        # Published: .95 less .89, and .7 less .11.
        assert found.loc["accuracy_gap", "published"] == pytest.approx(0.06)
        assert found.loc["loss_gap", "published"] == pytest.approx(0.59)
        assert list(found.loc["accuracy_gap", ["fit", "honest"]]) == pytest.approx([0.04, 0.05])
        assert set(found["source"]) == {"a book"}
        assert look is not None
        assert "train accuracy, %" in look.message
        assert "94.00 ± 2.48" in look.message

    def test_nobody_published_nothing_to_see(self, digits_split: Split) -> None:
        assert published.analyse(evaluated(digits_split, group(finalist("a", relu(8)), BETTER))) is None


class TestSelection:
    def test_the_bias_is_the_score_at_selection_less_the_means_of_fresh_seeds(self, digits_split: Split) -> None:
        seeds = [figures(accuracy=0.90, test=0.88), figures(accuracy=0.91, test=0.89)]
        look = selection.analyse(
            evaluated(digits_split, group(finalist("finalist 1", relu(8), at_selection=0.93), seeds))
        )
        assert look.metrics == pytest.approx({"selection_bias": 0.025, "selection_bias_test": 0.045})
        assert "It is the best." in section(look).text
        assert "its validation accuracy was 93.00 %" in section(look).text
        # t(.975, 1) = 12.7062: .007071 * 12.7062 / sqrt(2) = .0635.
        assert "differences of +2.50 ± 6.35 and +4.50 ± 6.35 points" in section(look).text

    def test_a_finalist_that_turned_out_better_on_test_is_named_and_changes_nothing(self, digits_split: Split) -> None:
        def text_of(*groups: RefitGroup) -> str:
            return section(selection.analyse(evaluated(digits_split, *groups))).text

        chosen = group(finalist("finalist 1", relu(8)), [figures(accuracy=0.90, gap=0.03)])
        other = group(finalist("finalist 2", relu(4)), [figures(accuracy=0.91, gap=0.02)])
        assert text_of(chosen, other) == (
            "It is the best. On test, finalist 2 (91.00 %, gap +2.00 points) is at least as good as the chosen network "
            "(90.00 %, gap +3.00 points) in both. The choice does not use the test set: test scores would no longer be "
            "unbiased."
        )
        wider = group(finalist("finalist 2", relu(4)), [figures(accuracy=0.91, gap=0.04)])
        same = group(finalist("finalist 3", relu(2)), chosen.metrics)
        plain = group(finalist(BASELINE, relu(16), reference=True), other.metrics)
        assert text_of(chosen, wider, same, plain) == "It is the best."

    def test_the_fall_to_test_stands_beside_that_of_networks_that_no_search_selected(self, digits_split: Split) -> None:
        """All fall by 2 points from validation to test, so none of it is the selection's."""
        seeds = [figures(accuracy=0.90, test=0.88), figures(accuracy=0.92, test=0.90)]
        chosen = group(finalist("finalist 1", relu(8), at_selection=0.91), seeds)
        alone = section(selection.analyse(evaluated(digits_split, chosen))).text
        assert alone.endswith("differences of +0.00 ± 12.71 and +2.00 ± 12.71 points (selection bias).")
        other, plain = finalist("finalist 2", relu(4), at_selection=0.91), finalist(BASELINE, relu(16), reference=True)
        beside = evaluated(digits_split, chosen, group(other, seeds), group(plain, seeds))
        text = section(selection.analyse(beside)).text
        assert text.endswith("test accuracy of networks that were not selected: baseline +2.00 ± 0.00 points.")

    def test_every_figure_of_every_network_has_its_mean_scatter_and_interval(self, digits_split: Split) -> None:
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

    def test_a_network_that_was_not_selected_has_no_bias(self, digits_split: Split) -> None:
        look = selection.analyse(evaluated(digits_split, group(finalist("network 1", relu(8)), BETTER)))
        assert look.metrics == {}
        assert section(look).text == "It is the best."


class TestPareto:
    def test_trials_and_means_share_one_front(self, digits_split: Split) -> None:
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

    def test_a_pruned_trial_has_no_part_in_the_front_and_is_counted(self, digits_split: Split) -> None:
        best, pruned = (trial(number, relu(8), figures(accuracy=0.91, gap=0.01 * (2 - number))) for number in (0, 1))
        pruned.run.tags = {**pruned.run.tags, "narrowgap.pruned": "true"}
        chosen = group(finalist("finalist 1", relu(8)), WORSE)
        result = evaluated(digits_split, chosen, trials=[best, pruned])
        look = pareto.analyse(result)
        assert table(look, "pareto.csv")["kind"].tolist() == ["trial", "chosen"]
        assert (
            "1 of 2 networks are on the Pareto front. 1 trial that the search pruned is left out" in section(look).text
        )
        assert fully_trained([best, pruned]) == unpruned([pruned, best]) == [best]
        assert trials_table([best, pruned])["pruned"].tolist() == [False, True]


class TestPlacement:
    def test_fixed_networks_have_no_effects_and_searched_ones_no_designed_check(self, real: EvaluationResult) -> None:
        assert designed_placement.analyse(real) is None
        fixed_ones = replace(real, experiment=experiment(space=fixed(relu(8))))
        assert placement_effects.analyse(fixed_ones) is None

    def test_a_dropout_layer_that_is_moved_shows_its_differences_seed_by_seed(self, digits_split: Split) -> None:
        specs = [relu(8, 8), relu(8, 8, dropout=(0.2, 0, 0)), relu(8, 8, dropout=(0, 0, 0.2))]
        gaps = ([0.05, 0.06], [0.03, 0.05], [0.05, 0.06])
        groups = [
            group(finalist(f"network {place}", spec), [figures(accuracy=0.9, gap=gap) for gap in seeds])
            for place, (spec, seeds) in enumerate(zip(specs, gaps, strict=True), start=1)
        ]
        look = designed_placement.analyse(evaluated(digits_split, *groups, experiment=experiment(space=fixed(*specs))))
        found = table(look, "placement.csv").set_index(["outcome", "position", "rate"])
        # -2 and -1 points after the input; nothing after the second hidden layer.
        assert found.loc[("accuracy_gap", 0, 0.2), "mean"] == pytest.approx(-1.5)
        assert found.loc[("accuracy_gap", 2, 0.2), "mean"] == pytest.approx(0)
        assert found.loc[("accuracy_gap", 0, 0.2), "n"] == 2

    def test_networks_that_were_trained_otherwise_too_have_no_designed_check(self, digits_split: Split) -> None:
        plain, moved = relu(8, 8), relu(8, 8, dropout=(0.2, 0, 0))
        alike = [group(finalist(BASELINE, plain), BETTER * 2), group(finalist("finalist 1", moved), WORSE * 2)]
        asked = experiment(space=fixed(plain, moved))
        assert designed_placement.analyse(evaluated(digits_split, *alike, experiment=asked)) is not None
        longer = Finalist("finalist 1", Recipe(moved), SETTINGS.model_copy(update={"epochs": 99}))
        otherwise = [alike[0], group(longer, WORSE * 2)]
        assert designed_placement.analyse(evaluated(digits_split, *otherwise, experiment=asked)) is None

    def test_networks_without_a_plain_one_have_no_designed_check(self, digits_split: Split) -> None:
        spec = relu(8, dropout=(0.2, 0))
        alone = evaluated(
            digits_split, group(finalist("network 1", spec), BETTER), experiment=experiment(space=fixed(spec))
        )
        assert designed_placement.analyse(alone) is None


class TestRival:
    def compared(self, split: Split, *roles: str) -> EvaluationResult:
        return evaluated(split, *(group(finalist(role, relu(8 + place)), WORSE) for place, role in enumerate(roles)))

    def test_the_chosen_one_is_compared_with_the_baseline(self, digits_split: Split) -> None:
        found = self.compared(digits_split, "finalist 2", "finalist 1", BASELINE)
        assert found.rival is found.groups[2]
        assert section(significance.analyse(found)).title == "Chosen against baseline"

    def test_a_chosen_baseline_is_compared_with_the_first_of_the_others(self, digits_split: Split) -> None:
        found = self.compared(digits_split, BASELINE, NOTEBOOK)
        look = significance.analyse(found)
        assert section(look).title == "Chosen against notebook, dropout"
        assert look is not None
        assert look.metrics == {}, "the baseline was not compared with"

    def test_other_seeds_have_a_say_in_the_difference_pair_by_pair(self, digits_split: Split) -> None:
        ours = [figures(accuracy=accuracy, gap=0.02) for accuracy in (0.90, 0.92, 0.94)]
        theirs = [figures(accuracy=accuracy, gap=0.05) for accuracy in (0.89, 0.90, 0.91)]
        groups = group(finalist("finalist 1", relu(8)), ours), group(finalist(BASELINE, relu(16)), theirs)
        # Differences of 1, 2 and 3 points: sd 1, by t(.975, 2) ± 2.48.
        assert section(significance.analyse(evaluated(digits_split, *groups))).text.endswith(
            "Chosen minus baseline over 3 seeds: +2.00 ± 2.48 points of test accuracy, -3.00 ± 0.00 points of honest gap "
            "(± half of the 95 % interval)."
        )
        single = section(significance.analyse(self.compared(digits_split, "finalist 1", BASELINE))).text
        assert single.endswith("One seed cannot show how results vary between seeds.")

    def test_one_network_alone_is_compared_with_nothing(self, digits_split: Split) -> None:
        assert significance.analyse(self.compared(digits_split, "network 1")) is None

    def test_people_read_shares_in_points_and_losses_in_nats(self, digits_split: Split) -> None:
        shown = section(significance.analyse(self.compared(digits_split, "finalist 1", BASELINE))).tables[0].frame
        assert shown["measure"].tolist()[:3] == ["accuracy, points", "loss, nats", "recall, points"]
        assert shown.loc[0, "difference"] == "+0.00"
        assert shown.loc[1, "difference"] == "+0.0000"
        assert {"only chosen right", "only baseline right"} <= set(shown.columns)

    def test_roles_are_unique_and_the_chosen_ones_is_chosen(self, digits_split: Split) -> None:
        found = self.compared(digits_split, "finalist 2", "finalist 1", BASELINE)
        assert [found.role(each) for each in found.groups] == ["chosen", "finalist 1", "baseline"]
        assert found.of_role("finalist 2") is None, "that is the chosen one"


def test_the_notebooks_dropout_is_where_the_notebook_has_it() -> None:
    assert notebook_network(dropout=NOTEBOOK_DROPOUT).architecture(784, 10) == "784-128-64(0.1)-32-10"
