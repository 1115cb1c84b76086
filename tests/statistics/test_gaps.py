"""Gaps by both measures, the metrics under their contract names, and the notebook's table."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.models.dense import notebook_network
from pipeline.statistics.gap_table import Row, gap_table, markdown
from pipeline.statistics.gaps import gaps
from pipeline.statistics.trial_metrics import epoch_metrics, trial_metrics
from pipeline.training.result import Score, TrialResult
from tests.figures.samples import scored, trial

shares = st.floats(0, 1)
losses = st.floats(0, 10)
scores = st.builds(Score, loss=losses, accuracy=shares)


def worked() -> TrialResult:
    """Dropout on, training reports .86; with it off the same weights score .93."""
    return scored(train=Score(0.2, 0.93), validation=Score(0.35, 0.90), test=Score(0.4, 0.88), fit=Score(0.5, 0.86))


def test_the_honest_gap_scores_the_same_weights_on_both_sides() -> None:
    found = gaps(worked())
    assert found.accuracy_gap == pytest.approx(0.05)
    assert found.loss_gap == pytest.approx(0.2)


def test_the_validation_gap_reads_validation() -> None:
    found = gaps(worked())
    assert found.val_accuracy_gap == pytest.approx(0.03)
    assert found.val_loss_gap == pytest.approx(0.15)


def test_the_fit_gap_takes_what_training_last_reported() -> None:
    found = gaps(worked())
    assert found.fit_accuracy_gap == pytest.approx(-0.02)
    assert found.fit_loss_gap == pytest.approx(-0.1)


def test_the_notebooks_published_figures_give_its_published_gaps() -> None:
    # No dropout: train .9590 / .1097 (fit), test .8823 / .7011.
    notebook = scored(
        train=Score(0.1, 0.96), validation=Score(0.7, 0.88), test=Score(0.7011, 0.8823), fit=Score(0.1097, 0.959)
    )
    assert gaps(notebook).fit_accuracy_gap == pytest.approx(0.0767)
    assert gaps(notebook).fit_loss_gap == pytest.approx(0.5914)


@settings(deadline=None)  # a busy machine is no failure
@given(train=scores, validation=scores, test=scores, fit=scores)
def test_every_gap_is_positive_exactly_where_train_does_better(
    train: Score, validation: Score, test: Score, fit: Score
) -> None:
    found = gaps(scored(train=train, validation=validation, test=test, fit=fit))
    assert (found.accuracy_gap > 0) == (train.accuracy > test.accuracy)
    assert (found.val_accuracy_gap > 0) == (train.accuracy > validation.accuracy)
    assert (found.fit_accuracy_gap > 0) == (fit.accuracy > test.accuracy)
    assert (found.loss_gap > 0) == (train.loss < test.loss)
    assert (found.val_loss_gap > 0) == (train.loss < validation.loss)
    assert (found.fit_loss_gap > 0) == (fit.loss < test.loss)


@settings(deadline=None)  # a busy machine is no failure
@given(test=scores, other=scores)
def test_validation_gaps_do_not_move_with_the_test_set(test: Score, other: Score) -> None:
    one, another = gaps(replace(worked(), test=test)), gaps(replace(worked(), test=other))
    assert (one.val_accuracy_gap, one.val_loss_gap) == (another.val_accuracy_gap, another.val_loss_gap)


def test_a_loss_that_is_not_a_number_leaves_the_accuracy_gap_alone() -> None:
    found = gaps(replace(worked(), train=Score(math.nan, 0.93)))
    assert math.isnan(found.loss_gap)
    assert found.accuracy_gap == pytest.approx(0.05)


def test_a_trial_is_logged_under_the_names_of_the_contract() -> None:
    assert trial_metrics(worked()) == pytest.approx(
        {
            "train_loss": 0.2,
            "train_accuracy": 0.93,
            "val_loss": 0.35,
            "val_accuracy": 0.90,
            "test_loss": 0.4,
            "test_accuracy": 0.88,
            "accuracy_gap": 0.05,
            "loss_gap": 0.2,
            "val_accuracy_gap": 0.03,
            "val_loss_gap": 0.15,
            "fit_accuracy_gap": -0.02,
            "fit_loss_gap": -0.1,
            "best_epoch": 0.0,
            "epochs_run": 2.0,
        }
    )


def test_epochs_are_logged_from_0_with_the_gap_to_validation() -> None:
    history = {
        "loss": (0.9, 0.7),
        "accuracy": (0.6, 0.7),
        "train_loss": (0.5, 0.3),
        "train_accuracy": (0.8, 0.9),
        "val_loss": (0.6, 0.55),
        "val_accuracy": (0.78, 0.82),
    }
    logged = {(name, epoch): value for name, value, epoch in epoch_metrics(replace(worked(), history=history))}
    assert logged == pytest.approx(
        {(f"epoch/{name}", epoch): values[epoch] for name, values in history.items() for epoch in (0, 1)}
        | {("epoch/accuracy_gap", 0): 0.02, ("epoch/accuracy_gap", 1): 0.08}
        | {("epoch/loss_gap", 0): 0.1, ("epoch/loss_gap", 1): 0.25}
    )


def test_no_name_and_epoch_is_logged_twice() -> None:
    logged = [(name, epoch) for name, _, epoch in epoch_metrics(trial(epochs=7))]
    assert len(logged) == len(set(logged)) == 8 * 7


def seed(*, train: float, test: float = 0.88, fit: float = 0.86) -> dict[str, float]:
    """Metrics of one seed: accuracies as given, losses of .2 (train), .4 (test) and .5 (fit)."""
    return trial_metrics(
        scored(train=Score(0.2, train), validation=Score(0.35, 0.9), test=Score(0.4, test), fit=Score(0.5, fit))
    )


def rows() -> list[Row]:
    """Two networks of one seed each."""
    measured = [trial_metrics(worked())]
    return [
        Row("chosen", "784(0.1)-512(0.3)-256(0.3)-10", dropout=True, seeds=measured),
        Row("baseline", "784-128-64-32-10", dropout=False, seeds=measured),
    ]


def three_seeds() -> Row:
    """Honest gaps of .04, .05 and .06; gaps by the other measure of -.03, -.02 and -.01."""
    return Row(
        "chosen", "a", dropout=True, seeds=[seed(train=0.88 + gap, fit=0.81 + gap) for gap in (0.04, 0.05, 0.06)]
    )


def test_the_table_shows_both_networks_by_both_measures() -> None:
    table = gap_table(rows())
    shown = list(table[["measure", "network", "dropout", "seeds"]].itertuples(index=False, name=None))
    assert shown == [
        ("honest", "chosen", "Y", 1),
        ("honest", "baseline", "N", 1),
        ("fit", "chosen", "Y", 1),
        ("fit", "baseline", "N", 1),
    ]
    assert table["train_accuracy"].tolist() == pytest.approx([0.93, 0.93, 0.86, 0.86])
    assert table["test_accuracy"].tolist() == pytest.approx([0.88, 0.88, 0.88, 0.88])
    assert table["accuracy_gap"].tolist() == pytest.approx([0.05, 0.05, -0.02, -0.02])
    assert table["train_loss"].tolist() == pytest.approx([0.2, 0.2, 0.5, 0.5])
    assert table["loss_gap"].tolist() == pytest.approx([0.2, 0.2, -0.1, -0.1])


def test_the_fit_measure_shows_what_training_last_reported() -> None:
    result = trial()
    table = gap_table([Row("a", "x", dropout=True, seeds=[trial_metrics(result)])]).set_index("measure")
    assert table.loc["fit", "train_accuracy"] == pytest.approx(result.history["accuracy"][-1])
    assert table.loc["fit", "train_loss"] == pytest.approx(result.history["loss"][-1])


def test_over_seeds_a_row_holds_means_and_students_interval() -> None:
    table = gap_table([three_seeds()]).set_index("measure")
    # sd .01 of three: t(.975, 2) = 4.30265, so .05 +- 4.30265 * .01 / sqrt(3) = .05 +- .024841.
    honest = table.loc["honest"]
    assert honest["seeds"] == 3
    assert list(honest[["accuracy_gap", "accuracy_gap_low", "accuracy_gap_high"]]) == pytest.approx(
        [0.05, 0.025159, 0.074841], abs=1e-6
    )
    assert list(table.loc["fit", ["accuracy_gap", "accuracy_gap_low", "accuracy_gap_high"]]) == pytest.approx(
        [-0.02, -0.044841, 0.004841], abs=1e-6
    )
    # The test accuracy is the same for all: a mean without any doubt.
    assert list(honest[["test_accuracy", "test_accuracy_low", "test_accuracy_high"]]) == pytest.approx([0.88] * 3)


def test_one_seed_has_no_interval() -> None:
    table = gap_table(rows())
    bounds = [name for name in table if str(name).endswith(("_low", "_high"))]
    assert len(bounds) == 12
    assert table[bounds].isna().all(axis=None)


def test_in_every_row_of_the_table_the_gap_is_the_difference_of_its_columns() -> None:
    one, other = trial_metrics(trial()), trial_metrics(trial(epochs=3, spec=notebook_network()))
    table = gap_table([Row("a", "x", dropout=True, seeds=[one, other]), Row("b", "y", dropout=False, seeds=[other])])
    assert (table["train_accuracy"] - table["test_accuracy"]).tolist() == pytest.approx(table["accuracy_gap"].tolist())
    assert (table["test_loss"] - table["train_loss"]).tolist() == pytest.approx(table["loss_gap"].tolist())


def test_a_seed_without_a_finite_figure_is_refused() -> None:
    with pytest.raises(ValueError, match="expected finite numbers only"):
        gap_table([Row("a", "x", dropout=True, seeds=[seed(train=math.nan)])])


def test_the_note_has_a_line_per_network_and_measure_in_percent_and_points() -> None:
    lines = markdown(gap_table(rows())).splitlines()
    assert (
        "| chosen: 784(0.1)-512(0.3)-256(0.3)-10 | Y | 1 | 93.00 | 88.00 | +5.00 | 0.2000 | 0.4000 | +0.2000 |" in lines
    )
    assert "| baseline: 784-128-64-32-10 | N | 1 | 86.00 | 88.00 | -2.00 | 0.5000 | 0.4000 | -0.1000 |" in lines
    assert sum(line.startswith(("| chosen", "| baseline")) for line in lines) == 4


def test_the_note_shows_half_of_the_interval_over_several_seeds() -> None:
    honest = next(line for line in markdown(gap_table([three_seeds()])).splitlines() if line.startswith("| chosen"))
    assert honest == (
        "| chosen: a | Y | 3 | 93.00 ± 2.48 | 88.00 ± 0.00 | +5.00 ± 2.48 | 0.2000 ± 0.0000 | 0.4000 ± 0.0000 | "
        "+0.2000 ± 0.0000 |"
    )


def test_every_line_of_a_markdown_table_has_as_many_cells_as_its_heading() -> None:
    cells = {line.count("|") for line in markdown(gap_table(rows())).splitlines() if line.startswith("|")}
    assert cells == {10}
