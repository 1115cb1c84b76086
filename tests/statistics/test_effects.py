"""What dropout, sizes and depth do over a search's trials: known effects come back, and what cannot be told is said."""

import math

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]  # has no types

from pipeline.evaluation.analyses.effect_sentences import answer, sentence
from pipeline.evaluation.analyses.placement_effects import factors, model_text
from pipeline.experiment import load
from pipeline.statistics.effects.design import Factor, design
from pipeline.statistics.effects.importance import importance
from pipeline.statistics.effects.model import Effects, effects, judged, table
from pipeline.statistics.effects.regression import regress
from pipeline.statistics.holm import holm
from tests.statistics.trials import known, networks

pytestmark = pytest.mark.usefixtures("small_forests")


@pytest.fixture(scope="module")
def told() -> Effects:
    """Two hundred networks with the effects of `trials.TRUTH`, told once, with forests of full size."""
    return effects(known(200))


def verdict_on(found: Effects, column: str) -> tuple[str, str]:
    """Verdict and reason, of the honest gap."""
    effect = found.fit("accuracy_gap").effect(column)
    return effect.verdict, effect.why


def by_hand(
    design_: NDArray[np.float64], outcome: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients and HC3 covariance by their formulas: (X'X)^-1 X' diag(e² / (1 - h)²) X (X'X)^-1."""
    estimate = np.asarray(np.linalg.lstsq(design_, outcome, rcond=None)[0], np.float64)
    inverse = np.linalg.inv(design_.T @ design_)
    leverage = np.einsum("ij,jk,ik->i", design_, inverse, design_)
    weight = ((outcome - design_ @ estimate) / (1 - leverage)) ** 2
    return estimate, inverse @ (design_.T * weight) @ design_ @ inverse


@pytest.mark.parametrize(
    ("outcome", "column", "truth"),
    [
        ("test_accuracy", "dropout_0", -0.1),
        ("test_accuracy", "dropout_2", 0.0),
        ("test_accuracy", "hidden_1", 0.3),
        ("accuracy_gap", "dropout_0", -0.5),
        ("accuracy_gap", "dropout_1", -0.3),
        ("accuracy_gap", "dropout_3", 0.0),
        ("accuracy_gap", "hidden_1", 0.4),
        ("accuracy_gap", "depth_3", 0.5),
        ("loss_gap", "dropout_0", -1.5),
    ],
)
def test_known_effects_lie_in_their_intervals(outcome: str, column: str, truth: float, told: Effects) -> None:
    effect = told.fit(outcome).effect(column)
    assert effect.low < truth < effect.high
    assert effect.low < effect.estimate < effect.high


def test_strong_effects_are_told_by_their_direction_and_no_effect_is_not(told: Effects) -> None:
    gap = told.fit("accuracy_gap")
    assert [gap.effect(f"dropout_{place}").verdict for place in range(4)] == [
        "lowers",
        "lowers",
        "cannot tell",
        "cannot tell",
    ]
    assert gap.effect("hidden_1").verdict == "raises"


def test_estimates_intervals_and_p_are_those_of_lstsq_and_hc3_by_hand() -> None:
    trials = known(60)
    columns = design(trials).to_numpy()
    estimate, covariance = by_hand(columns, 100 * trials["accuracy_gap"].to_numpy())
    error = np.sqrt(np.diag(covariance))
    freedom = 60 - columns.shape[1]
    reach = stats.t.ppf(0.975, freedom) * error
    found = effects(trials).fit("accuracy_gap")
    for place, effect in enumerate(found.effects, start=1):
        assert effect.estimate == pytest.approx(estimate[place])
        assert effect.low == pytest.approx(estimate[place] - reach[place])
        assert effect.high == pytest.approx(estimate[place] + reach[place])
        assert effect.p == pytest.approx(2 * stats.t.sf(abs(estimate[place]) / error[place], freedom))
    residual = 100 * trials["accuracy_gap"].to_numpy() - columns @ estimate
    spread = 100 * trials["accuracy_gap"].to_numpy()
    share = 1 - residual @ residual / ((spread - spread.mean()) ** 2).sum()
    assert found.regression.r_squared == pytest.approx(share)
    assert found.regression.adjusted_r_squared == pytest.approx(1 - (1 - share) * 59 / freedom)
    assert found.regression.residual_sd == pytest.approx(math.sqrt(residual @ residual / freedom))
    difference = estimate[1] - estimate[2]
    its_error = math.sqrt(covariance[1, 1] + covariance[2, 2] - 2 * covariance[1, 2])
    assert found.regression.difference_p(1, 2) == pytest.approx(2 * stats.t.sf(abs(difference) / its_error, freedom))


def test_a_row_of_the_design_is_the_one_worked_by_hand() -> None:
    # 784(0.2)-512(0.1)-10 beside 784-32-64(0.5)-10: log2(512 / 128) = 2, log2(32 / 128) = -2, log2(64 / 128) = -1.
    trials = pd.DataFrame(
        {
            "depth": [1, 2],
            "hidden_1": [512.0, 32.0],
            "hidden_2": [np.nan, 64.0],
            "dropout_0": [0.2, 0.0],
            "dropout_1": [0.1, 0.0],
            "dropout_2": [np.nan, 0.5],
        }
    )
    columns = design(trials)
    assert list(columns) == ["constant", "dropout_0", "dropout_1", "dropout_2", "hidden_1", "hidden_2", "depth_2"]
    assert columns.to_numpy().tolist() == [pytest.approx([1, 2, 1, 0, 2, 0, 0]), pytest.approx([1, 0, 0, 5, -2, -1, 1])]


def test_the_tenth_position_comes_after_the_ninth() -> None:
    names = [f"dropout_{place}" for place in (10, 9, 0)]
    assert list(design(pd.DataFrame(1.0, index=[0], columns=["depth", *names])))[1:] == [
        "dropout_0",
        "dropout_9",
        "dropout_10",
    ]


def test_a_position_that_never_varied_is_not_told_and_the_others_are() -> None:
    found = effects(known(100).assign(dropout_0=0.2))
    assert verdict_on(found, "dropout_0") == ("cannot tell", "never varied")
    assert verdict_on(found, "dropout_1") == ("lowers", "")
    assert "after the input" not in sentence(found)
    assert "after hidden layer 4 (" in sentence(found)


def test_without_any_rate_that_varied_the_sentence_is_about_sizes() -> None:
    """The truth is .4 points per doubling of the first layer."""
    trials = networks(100, np.random.default_rng(1), depths=(1, 1)).assign(dropout_0=0.0, dropout_1=0.3)
    noise = np.random.default_rng(2).normal(0, 1e-4, 100)
    gap = 0.04 + 0.004 * np.log2(trials["hidden_1"] / 128) + noise
    found = effects(trials.assign(test_accuracy=0.9 + noise, accuracy_gap=gap, loss_gap=noise))
    text = "With 100 networks, the gap depends significantly on hidden layer 1 (+0.40 points per doubling)."
    assert sentence(found) == answer(found) == text


def test_rates_that_always_move_together_are_not_said_to_have_no_effect() -> None:
    trials = known(100, depths=(1, 1))
    found = effects(trials.assign(dropout_1=trials["dropout_0"]))
    assert sentence(found) == (
        "With 100 networks, the effect of dropout on the gap cannot be estimated: it is not separable from other "
        "effects."
    )


def test_two_positions_that_always_move_together_are_neither_told_and_the_others_are() -> None:
    trials = known(200)
    trials = trials.assign(
        depth=4, hidden_2=64.0, hidden_3=64.0, hidden_4=64.0, dropout_2=trials["dropout_1"], dropout_3=0.0
    )
    trials = trials.assign(dropout_4=0.0)
    found = effects(trials)
    for column in ("dropout_1", "dropout_2"):
        assert verdict_on(found, column) == ("cannot tell", "not separable from other effects")
    assert (
        "It cannot be estimated after hidden layer 1 (not separable from other effects) and after hidden layer 2 (not"
        in sentence(found)
    )
    assert verdict_on(found, "dropout_0") == ("lowers", "")


def test_the_only_network_of_a_depth_tells_of_nothing_but_itself() -> None:
    trials = known(80)
    lone = trials[trials["depth"] == 4].iloc[:1]
    shallow = trials[trials["depth"] < 4]
    with_it, without = effects(pd.concat([shallow, lone])), effects(shallow)
    assert with_it.fit("accuracy_gap").effect("depth_4").why == "not separable from other effects"
    assert with_it.fit("accuracy_gap").regression.rows == len(shallow)
    for column in ("dropout_0", "dropout_3", "hidden_2", "depth_3"):
        one, other = (each.fit("accuracy_gap").effect(column) for each in (with_it, without))
        assert (one.estimate, one.low, one.high) == pytest.approx((other.estimate, other.low, other.high))


@pytest.mark.parametrize("count", [0, 1, 2, 13, 17])
def test_too_few_networks_tell_nothing_at_all(count: int) -> None:
    # Thirteen coefficients: the constant, five positions, four sizes, three depths. Five degrees of freedom are to be left.
    found = effects(known(200).iloc[:count])
    assert all(
        effect.verdict == "cannot tell" and math.isnan(effect.low) for fit in found.fits for effect in fit.effects
    )
    trials = "1 trial is" if count == 1 else f"{count} trials are"
    assert sentence(found).startswith(f"{trials} too few to estimate effects; at least ")
    assert answer(found) == ""
    assert model_text(found) == "", "there is no model"


def test_with_too_few_networks_the_sentence_says_how_many_are_needed() -> None:
    assert sentence(effects(known(200).iloc[:17])).endswith("; at least 18 are needed.")
    assert "too few" not in sentence(effects(known(200).iloc[:18]))


def test_with_too_few_networks_those_left_out_are_counted() -> None:
    trials = known(5)
    trials.loc[0, "test_accuracy"] = 0.01
    assert sentence(effects(trials)).startswith("4 trials are too few to estimate effects (1 more is left out: ")


def test_too_few_networks_of_a_users_own_model_tell_nothing_either() -> None:
    # Constant and one step: six networks leave four degrees of freedom, and five are needed.
    trials = known(7).assign(blocks=[1, 2, 1, 2, 1, 2, 1])
    few, enough = (effects(trials.iloc[:count], {"blocks": Factor()}, layers=False) for count in (6, 7))
    assert sentence(few) == "6 trials are too few to estimate effects; at least 7 are needed."
    assert answer(few) == ""
    assert sentence(enough) == answer(enough) == (
        "With 7 networks, no hyperparameter has a significant effect on the gap."
    )  # fmt: skip


def test_an_outcome_that_never_varied_is_not_told() -> None:
    found = effects(known(60).assign(accuracy_gap=0.03))
    assert verdict_on(found, "dropout_1") == ("cannot tell", "the outcome never varied")
    assert sentence(found) == "With 60 networks, effects cannot be estimated: all networks have the same gap."
    assert answer(found) == ""


def test_a_network_that_was_tried_again_and_again_tells_nothing() -> None:
    again = pd.concat([known(1)] * 9).assign(accuracy_gap=np.linspace(0.02, 0.04, 9))
    assert (
        sentence(effects(again)) == "With 9 networks, effects cannot be estimated: none is separable from the others."
    )


def test_networks_that_learned_nothing_or_broke_are_counted_and_change_nothing() -> None:
    sound = known(100)
    broken = known(100).iloc[:4].assign(test_accuracy=[0.1, 0.1, np.nan, 0.4], accuracy_gap=[0.0, 0.0, 0.5, 0.0])
    found, alone = effects(pd.concat([sound, broken], ignore_index=True)), effects(sound)
    assert (found.trials, found.failed) == (104, 4)
    assert table(found).equals(table(alone))
    assert "(4 left out:" in model_text(found)


def test_holm_corrects_within_a_family_as_worked_by_hand() -> None:
    # Family a: .01 x 3, .02 x 2, .04 x 1, each at least the one before. Family b: NaN counts for nothing.
    nothing = np.full((5, 5), np.nan)
    regression = regress(nothing[:0], np.empty(0))
    object.__setattr__(regression, "p", np.array([0.02, 0.04, 0.01, np.nan, 0.03]))
    object.__setattr__(regression, "estimate", np.array([1.0, -1, -1, np.nan, 1]))
    verdicts, corrected = judged(regression, ["a", "a", "a", "b", "b"])
    assert corrected.tolist() == pytest.approx([0.04, 0.04, 0.03, math.nan, 0.03], nan_ok=True)
    assert verdicts == ["raises", "lowers", "lowers", "cannot tell", "raises"]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_holm_agrees_with_statsmodels_ties_and_ones_included(count: int) -> None:
    p = np.round(np.random.default_rng(count).uniform(0, 0.2, count), 2)
    p[-1] = 1.0 if count > 2 else p[-1]
    assert holm(p).tolist() == pytest.approx(multipletests(p, method="holm")[1].tolist())
    assert holm([]).tolist() == []


def test_missing_columns_are_named() -> None:
    with pytest.raises(
        ValueError, match=r"the trials lack accuracy_gap, loss_gap; expected the columns of trials\.csv"
    ):
        effects(known(20).drop(columns=["accuracy_gap", "loss_gap"]))


def test_the_table_has_a_row_per_outcome_and_effect_in_its_unit(told: Effects) -> None:
    rows = table(told)
    assert len(rows) == 3 * (5 + 4 + 3)
    first = rows.iloc[0]
    assert (first["outcome"], first["effect"], first["per"], first["unit"]) == (
        "test_accuracy", "after the input", "per 0.1 of rate", "points",
    )  # fmt: skip
    assert set(rows["verdict"]) == {"raises", "lowers", "cannot tell"}


def test_the_sentence_says_where_at_what_cost_and_what_it_cannot_tell(told: Effects) -> None:
    gap, accuracy = (told.fit(outcome).effect("dropout_0") for outcome in ("accuracy_gap", "test_accuracy"))
    text = sentence(told)
    assert text.startswith(
        f"Dropout narrows the gap most after the input: by {-gap.estimate:.2f} points per 0.1 of rate (95 % interval "
        f"{-gap.high:.2f} to {-gap.low:.2f}), at a cost of {-accuracy.estimate:.2f} points of test accuracy "
    )
    assert "It also narrows the gap, but less, after hidden layer 1 (by 0.3" in text
    assert "The effect of dropout on the gap is not significant after hidden layer" in text
    assert "after hidden layer 4 (" in text


def test_the_answer_has_what_closes_and_widens_the_gap_and_what_else_moves_it() -> None:
    """Two more points per .1 after hidden layer 2, three points of weight decay; the truth of the others is in `TRUTH`."""
    trials = known(200)
    decay = np.tile([0.0, 0.1], 100)
    gap = trials["accuracy_gap"] + 0.02 * trials["dropout_2"].fillna(0) / 0.1 - 0.03 * decay / 0.1
    found = effects(trials.assign(weight_decay=decay, accuracy_gap=gap), {"weight_decay": Factor()})
    first, *_ = sentence(found).partition(" It also narrows the gap, but less, after hidden layer 1 (by 0.3")
    widens, on = (found.fit("accuracy_gap").effect(each) for each in ("dropout_2", "range:weight_decay 0 to 0.1"))
    assert widens.estimate == pytest.approx(2, abs=0.1)
    assert on.estimate == pytest.approx(-3, abs=0.1)
    assert first.startswith("Dropout narrows the gap most after the input: by 0.")
    assert answer(found) == (
        f"{first} It widens the gap after hidden layer 2 ({widens.estimate:+.2f}), in points per 0.1 of rate. The gap also "
        f"depends significantly on weight_decay 0 to 0.1 ({on.estimate:+.2f} points from the lowest to the highest)."
    )
    assert "The effect of dropout on the gap is not significant after hidden layer 3 (" in sentence(found)


def test_an_interval_off_0_without_a_verdict_is_said_to_be_off_0_alone() -> None:
    """With 24 networks some effects are off 0 one at a time, and not after the correction; the words say which."""
    found = effects(known(24, seed=3))
    gap = found.fit("accuracy_gap")
    places = [each for each in gap.effects if each.kind == "dropout" and each.verdict == "cannot tell"]
    off = [each for each in places if each.low > 0 or each.high < 0]
    assert off
    assert len(off) < len(places)
    for each in places:
        span = f"{each.label} ({each.low:+.2f} to {each.high:+.2f}"
        ending = ": excludes 0, but not after correction)" if each in off else ")"
        assert f"{span}{ending}" in sentence(found)


def test_positions_of_the_same_effect_are_not_ranked() -> None:
    trials = known(200)
    trials["accuracy_gap"] -= 0.002 / 0.1 * trials["dropout_1"].fillna(0)
    assert "; the difference is not significant." in sentence(effects(trials))


def test_dropout_that_widens_the_gap_is_said_to() -> None:
    trials = known(200)
    found = effects(trials.assign(accuracy_gap=0.1 - trials["accuracy_gap"]))
    text = sentence(found)
    assert text.startswith(
        "Dropout narrows the gap significantly at no position. It widens the gap after the input (+0."
    )
    assert answer(found) == text.partition(" The effect of dropout")[0]


def test_the_forest_leans_on_what_matters_and_not_on_what_does_not(told: Effects) -> None:
    gap = told.fit("accuracy_gap")
    strong, none = gap.effect("dropout_0"), gap.effect("dropout_4")
    assert strong.importance > 2 * strong.importance_sd / math.sqrt(15) > 0
    assert abs(none.importance) < strong.importance / 5
    assert 0.3 < gap.forest_r_squared < 1
    assert gap.effect("depth_2").importance == gap.effect("depth_4").importance


def test_the_same_seed_gives_the_same_importance_and_another_seed_another() -> None:
    columns, outcome = design(known(40)).to_numpy(), known(40)["accuracy_gap"].to_numpy()
    one, same, other = (importance(columns, outcome, seed=seed) for seed in (1, 1, 2))
    assert one.mean.tolist() == same.mean.tolist() != other.mean.tolist()


def test_a_forest_of_noise_predicts_no_better_than_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # forests of full size
    generator = np.random.default_rng(1)
    assert importance(generator.normal(size=(100, 5)), generator.normal(size=100), seed=1).r_squared < 0.1


def test_too_few_rows_grow_no_forest() -> None:
    assert np.isnan(importance(np.zeros((9, 2)), np.zeros(9), seed=1).mean).all()


def test_the_model_is_stated_with_its_fit(told: Effects) -> None:
    text = model_text(told)
    assert "predicts accuracy and gap of 200 networks from the dropout rate at each position" in text
    of = told.fit("test_accuracy").regression
    assert f"in-sample R² {of.r_squared:.2f} (adjusted {of.adjusted_r_squared:.2f})" in text
    assert "187 degrees of freedom" in text
    assert "Test accuracy: 200 networks, in-sample R²" in text


def test_networks_that_the_model_fits_exactly_are_counted_as_left_out() -> None:
    """The only network of four layers has a coefficient of its own, and so nothing to say of the others."""
    trials = known(60, depths=(1, 3))
    lone = known(1, seed=7, depths=(4, 4))
    text = model_text(effects(pd.concat([trials, lone], ignore_index=True)))
    assert "predicts accuracy and gap of 61 networks from" in text
    assert "60 networks (1 left out: alone in some setting, so that any score would fit exactly), in-sample R²" in text


def test_networks_of_one_depth_have_no_effect_of_depth() -> None:
    found: Effects = effects(known(200, depths=(3, 3)))
    assert [effect.kind for effect in found.fits[0].effects] == ["dropout"] * 4 + ["hidden"] * 3


def test_absent_layers_are_nan_in_the_samples_as_in_trials_csv() -> None:
    drawn = networks(50, np.random.default_rng(1))
    assert (drawn["hidden_4"].isna() == (drawn["depth"] < 4)).all()
    assert drawn["dropout_0"].notna().all()


def test_a_row_of_a_users_own_design_is_the_one_worked_by_hand() -> None:
    # Rates in tenths; log2(32) = 5, and a missing size has the mean of 5, 7 and 9; blocks from 2 to 3 are 0 to 1.
    trials = pd.DataFrame(
        {
            "dropout_dense": [0.2, np.nan, 0.4, 0.4],
            "filters": [32.0, np.nan, 128.0, 512.0],
            "blocks": [2, 3, 3, 3],
            "norm": [True, False, True, True],
            "optimizer": ["sgd", "adam", "sgd", "sgd"],
        }
    )
    columns = design(trials, {str(name): Factor() for name in trials}, layers=False)
    assert list(columns) == [
        "constant",
        "dropout:dropout_dense",
        "size:filters",
        "range:blocks 2 to 3",
        "range:norm 0 to 1",
        "choice:optimizer=sgd, not adam",
    ]
    assert columns.to_numpy().tolist() == [
        pytest.approx([1, 2, 5, 0, 1, 1]),
        pytest.approx([1, 0, 7, 1, 0, 0]),
        pytest.approx([1, 4, 7, 1, 1, 1]),
        pytest.approx([1, 4, 9, 1, 1, 1]),
    ]


def test_of_two_numbers_the_higher_is_compared_with_the_lower_however_far_apart_they_are() -> None:
    """With what `regularisers` searches: on or off. A rate stays per .1, and a logarithmic range in doublings."""
    trials = pd.DataFrame({
        "patience": [3, 30, 30], "weight_decay": [0.1, 0, 0], "label_smoothing": [0, 0.1, 0],
        "normalization": ["layer", "none", "batch"], "dropout_dense": [0.1, 0.4, 0.1],
        "learning_rate": [0.001, 0.008, 0.001],
    })  # fmt: skip
    asked = factors(load("regularisers"), ["patience", "weight_decay", "label_smoothing", "normalization"])
    columns = design(trials, asked | {"dropout_dense": Factor(), "learning_rate": Factor(log=True)}, layers=False)
    assert list(columns)[1:] == [
        "range:patience 3 to 30", "range:weight_decay 0 to 0.1", "range:label_smoothing 0 to 0.1",
        "choice:normalization=batch, not none", "choice:normalization=layer, not none",
        "dropout:dropout_dense", "size:learning_rate",
    ]  # fmt: skip
    # From .001 to .008: three doublings.
    assert (columns.iloc[1] - columns.iloc[0]).tolist() == pytest.approx([0, 1, -1, 1, 0, -1, 3, 3])


def test_the_effects_of_a_users_own_model_are_told_by_name() -> None:
    generator = np.random.default_rng(1)
    rate, filters = generator.choice([0, 0.2, 0.4], 40), generator.choice([16, 32, 64], 40)
    noise = generator.normal(0, 1e-3, 40)
    trials = pd.DataFrame({"dropout": rate, "filters": filters, "test_accuracy": 0.9 + noise, "loss_gap": noise})
    asked = {"dropout": Factor(), "filters": Factor()}
    found = effects(trials.assign(accuracy_gap=0.05 - 0.1 * rate + noise), asked, layers=False)
    lowers, nothing = found.fit("accuracy_gap").effects
    assert (lowers.kind, lowers.label, lowers.verdict) == ("dropout", "at dropout", "lowers")
    assert lowers.estimate == pytest.approx(-1, abs=0.05)  # points per 0.1 of rate
    assert (nothing.kind, nothing.label, nothing.verdict) == ("size", "filters", "cannot tell")


def test_a_hyperparameter_that_no_kept_network_has_never_varied() -> None:
    """The networks with a second block learned nothing, and are left out: nothing is left of `filters_1`."""
    generator = np.random.default_rng(1)
    trials = pd.DataFrame({
        "blocks": [1] * 20 + [2] * 5, "filters_1": [np.nan] * 20 + [16.0, 32.0, 64.0, 16.0, 32.0],
        "rate": generator.uniform(0, 1, 25), "test_accuracy": [0.9] * 20 + [0.1] * 5, "loss_gap": generator.normal(0, 1, 25),
        "accuracy_gap": generator.normal(0, 1, 25),
    })  # fmt: skip
    found = effects(trials, {name: Factor() for name in ("blocks", "filters_1", "rate")}, layers=False)
    assert found.failed == 5
    blocks, filters, rate = found.fit("accuracy_gap").effects
    assert (blocks.label, blocks.why) == ("blocks 1", "never varied")
    assert (filters.label, filters.why) == ("filters_1", "never varied")
    assert math.isfinite(rate.estimate)


def test_what_is_searched_besides_layers_has_columns_on_its_scale_between_sizes_and_depths() -> None:
    # From .001 to .002 is a doubling on a logarithmic range, and (.002 - .001) / .003 of a linear one.
    trials = pd.DataFrame(
        {
            "depth": [1, 2, 2],
            "dropout_0": [0.1, 0.0, 0.0],
            "hidden_1": [128.0, 256.0, 64.0],
            "learning_rate": [0.001, 0.002, 0.004],
            "weight_decay": [0.001, 0.002, 0.004],
            "batch_size": [64, 128, 256],
            "activation": ["relu", "gelu", "elu"],
        }
    )
    asked = {
        "learning_rate": Factor(log=True),
        "weight_decay": Factor(log=False),
        "batch_size": Factor(),
        "activation": Factor(first="relu"),
    }
    columns = design(trials, asked)
    assert list(columns) == [
        "constant", "dropout_0", "hidden_1", "size:learning_rate", "range:weight_decay 0.001 to 0.004", "size:batch_size",
        "choice:activation=elu, not relu", "choice:activation=gelu, not relu", "depth_2",
    ]  # fmt: skip
    assert columns.diff().iloc[1:].to_numpy().tolist() == [
        pytest.approx([0, -1, 1, 1, 1 / 3, 1, 0, 1, 1]),
        pytest.approx([0, 0, -2, 1, 2 / 3, 1, 1, -1, 0]),
    ]


def test_a_searched_setting_does_not_pass_for_an_effect_of_dropout() -> None:
    """The learning rate alone moves the gap, a point per doubling, and the search tried high rates with much dropout."""
    trials = known(200)
    generator = np.random.default_rng(2)
    doublings = 10 * trials["dropout_1"].fillna(0) + generator.normal(0, 1, 200)
    trials = trials.assign(learning_rate=0.001 * 2**doublings)
    trials["accuracy_gap"] = 0.05 + 0.01 * doublings + generator.normal(0, 0.003, 200)
    confounded = effects(trials).fit("accuracy_gap").effect("dropout_1")
    assert confounded.verdict == "raises"
    found = effects(trials, {"learning_rate": Factor(log=True)})
    gap = found.fit("accuracy_gap")
    assert gap.effect("dropout_1").verdict == "cannot tell"
    assert gap.effect("dropout_1").low < 0 < gap.effect("dropout_1").high
    assert gap.effect("size:learning_rate").low < 1 < gap.effect("size:learning_rate").high
    assert sentence(found).endswith(
        f"The gap also depends significantly on learning_rate ({gap.effect('size:learning_rate').estimate:+.2f} points per "
        "doubling)."
    )
    assert "the depth, and learning_rate (each number by its log2 or its range, and each choice)" in model_text(
        found, ["learning_rate"]
    )


def test_depths_and_not_factors_share_the_forests_last_column() -> None:
    trials = known(60).assign(batch_size=np.tile([32, 64, 128], 20), activation=np.tile(["relu", "gelu"], 30))
    fit = effects(trials, {"batch_size": Factor(), "activation": Factor(first="relu")}).fit("accuracy_gap")
    shared = {effect.importance for effect in fit.effects if effect.kind == "depth"}
    assert len(shared) == 1
    assert shared.isdisjoint(effect.importance for effect in fit.effects if effect.kind in {"size", "choice"})
    assert fit.effect("choice:activation=gelu, not relu").label == "activation=gelu, not relu"
