"""One dropout layer moved through a fixed network: differences paired by seed, worked by hand."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline.evaluation.analyses.designed_placement import sentence
from pipeline.experiment import load
from pipeline.models.dense import DenseSpec
from pipeline.statistics.effects.placement import Placement, placement, table

NETWORK = (256, 128, 64)


def refit(
    seed: int, accuracy: float, gap: float, hidden: tuple[int, ...] = NETWORK, /, **rates: float
) -> dict[str, float]:  # fmt: skip
    """One row; `dropout_1=.2` is a layer, what is not named has none."""
    sizes = {f"hidden_{layer}": float(units) for layer, units in enumerate(hidden, start=1)}
    places = {f"dropout_{place}": rates.get(f"dropout_{place}", 0.0) for place in range(len(hidden) + 1)}
    return {"depth": len(hidden), **sizes, **places, "seed": seed, "test_accuracy": accuracy, "accuracy_gap": gap}


# After layer 1 at .2: gaps fall by 1.0, 1.2 and 1.4 points, accuracies move by +.1, +.2 and +.6.
PLAIN = [refit(1, 0.880, 0.050), refit(2, 0.884, 0.053), refit(3, 0.882, 0.049)]
FIRST = [
    refit(1, 0.881, 0.040, dropout_1=0.2),
    refit(2, 0.886, 0.041, dropout_1=0.2),
    refit(3, 0.888, 0.035, dropout_1=0.2),
]


def placed(*rows: dict[str, float]) -> Placement:
    return placement(pd.DataFrame(rows))


def simulated(*, seeds: int, noise: float = 0.001) -> pd.DataFrame:
    """All of experiments/placement.yaml: gaps close by 6, 4, 4, 1 points per 1.0 of rate; the input costs 3 in accuracy."""
    generator = np.random.default_rng(2)
    rows = []
    for seed in range(1, seeds + 1):
        for network in load("placement").space.networks or []:
            rates = {f"dropout_{place}": rate for place, rate in enumerate(network.dropout)}
            closed = float(np.dot([0.06, 0.04, 0.04, 0.01], network.dropout))
            one, other = generator.normal(0, noise, 2)
            rows.append(refit(seed, 0.885 - 0.03 * network.dropout[0] + one, 0.05 - closed + other, **rates))
    return pd.DataFrame(rows)


def test_differences_are_paired_by_seed_with_students_interval() -> None:
    found = placed(*PLAIN, *FIRST)
    (gap,) = found.at("accuracy_gap", 1)
    # -1.0, -1.2, -1.4: mean -1.2, sd .2; t(.975, 2) = 4.302653, times .2 / sqrt(3) = .496828.
    assert (gap.rate, gap.difference.n) == (0.2, 3)
    assert gap.difference.mean == pytest.approx(-1.2)
    assert gap.difference.low == pytest.approx(-1.2 - 0.496828, abs=1e-5)
    assert gap.difference.high == pytest.approx(-1.2 + 0.496828, abs=1e-5)
    (accuracy,) = found.at("test_accuracy", 1)
    reference = stats.ttest_rel([0.881, 0.886, 0.888], [0.880, 0.884, 0.882]).confidence_interval()
    assert (accuracy.difference.low, accuracy.difference.high) == pytest.approx(
        (100 * reference.low, 100 * reference.high)
    )


def test_the_order_of_rows_changes_nothing() -> None:
    assert placed(*reversed([*PLAIN, *FIRST])).cells == placed(*PLAIN, *FIRST).cells


def test_the_slope_of_a_seed_is_the_least_squares_line_through_no_dropout() -> None:
    # (.1 x -1 + .3 x -2) / (.01 + .09) = -7 per 1.0 of rate: -.7 per 0.1.
    rows = [refit(1, 0.9, 0.05), refit(1, 0.9, 0.04, dropout_2=0.1), refit(1, 0.9, 0.03, dropout_2=0.3)]
    (slope,) = [each for each in placed(*rows).slopes if each.outcome == "accuracy_gap"]
    assert slope.per_seed == {1: pytest.approx(-0.7)}
    reference = np.linalg.lstsq(np.array([[0.1], [0.3]]), np.array([-1.0, -2.0]), rcond=None)[0]
    assert slope.per_seed[1] == pytest.approx(reference[0] / 10)


def test_networks_of_other_sizes_and_with_more_layers_of_dropout_are_passed_over() -> None:
    others = [
        refit(1, 0.1, 0.9, dropout_1=0.2, dropout_2=0.2),
        refit(1, 0.2, 0.8, (32,), dropout_1=0.2),
        refit(1, 0.3, 0.7, (32,)),
    ]
    found = placed(*others, *PLAIN, *FIRST)
    assert found.hidden == NETWORK
    assert found.cells == placed(*PLAIN, *FIRST).cells


def test_a_network_never_trained_without_dropout_is_not_the_fixed_one() -> None:
    unpaired = [refit(seed, 0.9, 0.01, (512,), dropout_0=rate) for seed in (1, 2, 3) for rate in (0.1, 0.2)]
    assert placed(*unpaired, *PLAIN, *FIRST).hidden == NETWORK


def test_a_seed_without_its_plain_network_is_no_pair() -> None:
    (gap,) = placed(*PLAIN[:2], *FIRST).at("accuracy_gap", 1)
    assert gap.difference.n == 2
    assert gap.difference.mean == pytest.approx(-1.1)


def test_figures_that_are_not_finite_are_no_pair() -> None:
    found = placed(*PLAIN, *FIRST[:2], {**FIRST[2], "accuracy_gap": math.nan})
    assert found.at("accuracy_gap", 1)[0].difference.n == 2
    assert found.at("test_accuracy", 1)[0].difference.n == 3


def test_one_seed_has_no_interval_and_the_sentence_says_so() -> None:
    found = placed(PLAIN[0], FIRST[0])
    assert all(math.isnan(cell.difference.low) and math.isnan(cell.difference.high) for cell in found.cells)
    assert sentence(found) == (
        "In 256-128-64, one dropout layer moves the gap most after hidden layer 1: -0.50 points per 0.1 of rate. One seed "
        "gives no interval, so this may be luck."
    )


def test_without_a_plain_network_there_is_nothing_to_compare() -> None:
    for found in (placed(*FIRST), placed(*PLAIN), placement(pd.DataFrame(PLAIN).iloc[:0])):
        assert (found.hidden, found.cells, found.seeds) == ((), (), 0)
        assert sentence(found).endswith("nothing to compare.")
        assert table(found).empty


def test_missing_columns_are_named() -> None:
    with pytest.raises(
        ValueError, match="the refits lack seed; expected depth, seed and test_accuracy and accuracy_gap"
    ):
        placement(pd.DataFrame(PLAIN).drop(columns="seed"))


def test_the_sentence_ranks_positions_and_names_the_free_lunch() -> None:
    text = sentence(placement(simulated(seeds=5)))
    assert "over 5 seeds, one dropout layer narrows the gap most after the input: -0.59 points (" in text
    assert "The difference to" not in text
    assert "Without a significant loss of test accuracy, the gap falls most after hidden layer " in text
    assert "the best of 20 settings, intervals not corrected." in text


def test_positions_of_the_same_effect_are_not_ranked() -> None:
    alike = simulated(seeds=5, noise=0.002)
    alike = alike[alike["dropout_0"] == 0]
    text = sentence(placement(alike))
    best, other = ("1", "2") if "most after hidden layer 1" in text else ("2", "1")
    assert f"narrows the gap most after hidden layer {best}" in text
    assert f"The difference to a layer after hidden layer {other} is not significant." in text


def test_positions_are_ranked_although_the_plain_network_scatters_too_much_to_tell_of_any() -> None:
    """Its scatter of 4 points moves all differences to it alike, and none of those between positions."""
    rows = simulated(seeds=5)
    plain = rows[[f"dropout_{place}" for place in range(4)]].eq(0).all(axis=1)
    rows.loc[plain, "accuracy_gap"] += rows.loc[plain, "seed"].map({1: 0.04, 2: -0.04, 3: 0.04, 4: -0.04, 5: 0.0})
    text = sentence(placement(rows))
    assert text.startswith(
        "In 256-128-64, over 5 seeds, one dropout layer has no significant effect on the gap at any position"
    )
    assert "the gap is smaller with a layer after the input than after hidden layer" in text
    # Layers 1 and 2 are alike, .4 points per 0.1 of rate; the input has .6 and layer 3 has .1.
    found = re.findall(r"(after [a-z0-9 ]+) \(by (\d\.\d\d)\)", text.split("after the input than ")[1].split(";")[0])
    assert {where.removeprefix("and "): float(by) for where, by in found} == pytest.approx(
        {"after hidden layer 1": 0.2, "after hidden layer 2": 0.2, "after hidden layer 3": 0.5}, abs=0.06
    )
    assert "smaller after hidden layer 1 than after hidden layer 3 (by " in text
    assert "smaller after hidden layer 2 than after hidden layer 3 (by " in text


def test_of_a_hundred_experiments_of_noise_about_five_rank_any_positions() -> None:
    """Ranked at 5 % for all pairs together. More than 10 of 100 come by chance in 1 case of 100 (binomial)."""
    generator = np.random.default_rng(1)
    rows = simulated(seeds=4)
    noise = (rows.assign(accuracy_gap=generator.normal(0.05, 0.003, len(rows))) for _ in range(100))
    assert 0 < sum("Positions differ" in sentence(placement(each)) for each in noise) <= 10


def test_noise_closes_no_gap() -> None:
    noise = simulated(seeds=4).assign(accuracy_gap=np.random.default_rng(4).normal(0.05, 0.003, 84))
    assert sentence(placement(noise)) == (
        "In 256-128-64, over 4 seeds, one dropout layer has no significant effect on the gap at any position."
    )


def test_a_gap_that_falls_only_with_accuracy_is_said_to() -> None:
    costly = simulated(seeds=5)
    dropped = costly[[f"dropout_{place}" for place in range(4)]].sum(axis=1)
    assert sentence(placement(costly.assign(test_accuracy=costly["test_accuracy"] - 0.2 * dropped))).endswith(
        "No position and rate reduces the gap without a loss of test accuracy."
    )


def test_the_table_has_every_position_and_rate_and_then_the_slopes() -> None:
    rows = table(placement(simulated(seeds=2)))
    assert len(rows) == 2 * (20 + 4)
    assert rows["rate"].isna().sum() == 8
    assert rows.iloc[0][["outcome", "after", "rate", "n"]].tolist() == ["test_accuracy", "after the input", 0.1, 2]


def test_the_experiment_moves_one_layer_through_all_positions_and_rates() -> None:
    asked = load("placement")
    networks = [DenseSpec.of(network) for network in asked.space.networks or []]
    layers = {tuple((place, rate) for place, rate in enumerate(each.dropout) if rate) for each in networks}
    assert layers == {(), *(((place, rate),) for place in range(4) for rate in (0.1, 0.2, 0.3, 0.4, 0.5))}
    assert {each.hidden for each in networks} == {NETWORK}
    assert len(networks) == asked.search.trials == 21
    assert asked.training == load("fashion_mnist").training
