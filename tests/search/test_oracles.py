"""Our oracles, and the lattice of networks under them, on spaces small enough to count by hand."""

import itertools

import keras_tuner
import numpy as np
import pytest

from pipeline.experiment import Space
from pipeline.models import dense_space
from pipeline.search.proposals import oracles
from pipeline.search.proposals.grid_encoding import INACTIVE, GridEncoding

pytestmark = pytest.mark.tensorflow

SMALL = Space(depth=[1, 2], hidden=[32, 64], dropout=[0, 0.5], input_dropout=[0])  # 4 + 16 networks
WIDE = Space()  # 2,513,790


def lattice(of):
    return GridEncoding(dense_space.hyperparameters(of).space)


def oracle(kind, of, *, direction="min", seed=5, **more):
    objective = keras_tuner.Objective("val_loss", direction)
    given = dense_space.hyperparameters(of)
    if kind is not oracles.HyperbandOracle:
        more = {"max_trials": None} | more
    return kind(objective=objective, hyperparameters=given, seed=seed, allow_new_entries=False, **more)


def ask(asked):
    return asked.create_trial(f"worker-{len(asked.trials)}")


def tell(oracle, trial, score):
    if score is None:
        trial.status = "FAILED"
    else:
        oracle.update_trial(trial.trial_id, {"val_loss": score})
        trial.status = "COMPLETED"
    oracle.end_trial(trial)


def drive(driven, scores):
    """Asks and tells one by one; returns the values that were proposed."""
    proposed = []
    for score in scores:
        trial = ask(driven)
        proposed.append(dict(trial.hyperparameters.values))
        tell(driven, trial, score)
    return proposed


def distinct(proposed):
    return {tuple(sorted(values.items())) for values in proposed}


def test_everything_is_every_network_once_with_what_a_network_lacks_inactive():
    rows = lattice(SMALL).everything(limit=20)
    assert len(rows) == len(np.unique(rows, axis=0)) == 20
    # Columns: depth, dropout_0, hidden_1, dropout_1, hidden_2, dropout_2.
    shallow = rows[rows[:, 0] == 0]
    assert sorted(map(tuple, shallow)) == [
        (0, 0, hidden, rate, INACTIVE, INACTIVE) for hidden, rate in itertools.product(range(2), range(2))
    ]
    assert (rows[rows[:, 0] == 1] != INACTIVE).all()


def test_a_space_of_more_networks_than_the_limit_is_not_listed():
    assert lattice(SMALL).everything(limit=19) is None
    assert lattice(WIDE).everything(limit=100_000) is None


def test_a_row_and_its_values_name_the_same_network():
    rows = lattice(SMALL)
    values = {"depth": 1, "dropout_0": 0.0, "hidden_1": 64, "dropout_1": 0.5}
    assert rows.rows([values]).tolist() == [[0, 0, 1, 1, INACTIVE, INACTIVE]]
    assert rows.values(rows.rows([values])[0]) == values


def test_samples_are_networks_of_the_space_with_every_depth_as_often():
    rows = lattice(WIDE).sample(4_000, np.random.default_rng(1))
    depths = rows[:, 0] + 1
    # A share of 1/4 of 4,000 has a standard deviation of 27.
    assert (np.abs(np.bincount(depths)[1:] - 1_000) < 5 * 27).all()
    for layer in range(1, 5):
        columns = rows[:, 2 * layer : 2 * layer + 2]
        assert ((columns != INACTIVE).all(axis=1) == (depths >= layer)).all()


def test_neighbours_differ_in_one_choice_and_in_the_layers_that_come_or_go_with_it():
    rows = lattice(SMALL)
    deep = np.array([[1, 0, 0, 1, 1, 1]], np.int16)
    found = set(map(tuple, rows.neighbours(deep, np.random.default_rng(1))))
    assert found == {
        (1, 0, 0, 1, 1, 1),
        (0, 0, 0, 1, INACTIVE, INACTIVE),
        (1, 0, 1, 1, 1, 1),
        (1, 0, 0, 0, 1, 1),
        (1, 0, 0, 1, 0, 1),
        (1, 0, 0, 1, 1, 0),
    }


def test_a_neighbour_with_a_layer_more_has_drawn_values_for_it():
    shallow = np.array([[0, 0, 1, 0, INACTIVE, INACTIVE]], np.int16)
    found = lattice(SMALL).neighbours(np.repeat(shallow, 50, axis=0), np.random.default_rng(1))
    deeper = {tuple(row) for row in found if row[0] == 1}
    assert deeper == {(1, 0, 1, 0, hidden, rate) for hidden, rate in itertools.product(range(2), range(2))}


def test_values_are_encoded_by_their_rank_however_the_space_lists_them():
    listed = lattice(Space(depth=[1, 2], hidden=[512, 32, 64, 128], dropout=[0], input_dropout=[0]))
    rows = np.array([[0, 0, place, 0, INACTIVE, INACTIVE] for place in range(4)], np.int16)
    assert listed.encoded(rows)[:, 2] == pytest.approx([0.875, 0.125, 0.375, 0.625])
    # A layer that is not there is the smallest, without dropout.
    assert listed.encoded(rows)[0, 4:] == pytest.approx([0.125, 0.5])


@pytest.mark.parametrize("kind", [oracles.RandomOracle, oracles.BayesianOracle, oracles.GridOracle])
@pytest.mark.parametrize("failures", [False, True], ids=["all complete", "every other fails"])
def test_every_network_of_a_small_space_is_proposed_once_before_the_end(kind, failures):
    driven = oracle(kind, SMALL)
    proposed = drive(driven, [None if failures and n % 2 else n / 20 for n in range(20)])
    assert len(distinct(proposed)) == 20
    assert ask(driven).status == "STOPPED"
    assert ask(driven).status == "STOPPED"


@pytest.mark.parametrize("kind", [oracles.RandomOracle, oracles.BayesianOracle, oracles.GridOracle])
def test_a_small_space_is_exhausted_as_exactly_when_no_trial_has_ended(kind):
    driven = oracle(kind, SMALL)
    proposed = [dict(ask(driven).hyperparameters.values) for _ in range(20)]
    assert len(distinct(proposed)) == 20
    assert ask(driven).status == "STOPPED"


def test_a_space_larger_than_the_candidates_is_exhausted_as_exactly(monkeypatch):
    monkeypatch.setattr(oracles, "CANDIDATES", 6)
    driven = oracle(oracles.BayesianOracle, SMALL)
    assert len(distinct(drive(driven, [n / 20 for n in range(20)]))) == 20
    assert ask(driven).status == "STOPPED"


def test_a_space_of_one_network_is_proposed_once():
    only = Space(depth=[1, 1], hidden=[8], dropout=[0], input_dropout=[0])
    for kind in (oracles.RandomOracle, oracles.BayesianOracle, oracles.GridOracle):
        driven = oracle(kind, only)
        assert len(drive(driven, [0.5])) == 1
        assert ask(driven).status == "STOPPED"


def test_with_a_model_the_proposals_are_better_than_random_ones_on_average():
    def loss(values):
        return abs(values["hidden_1"] - 256) / 512 + abs(values["dropout_1"] - 0.2) + values["dropout_0"]

    mean = {}
    for kind in (oracles.BayesianOracle, oracles.RandomOracle):
        driven = oracle(kind, WIDE)
        for _ in range(oracles.INITIAL_POINTS + 25):
            trial = ask(driven)
            tell(driven, trial, loss(trial.hyperparameters.values))
        mean[kind] = np.mean([trial.score for trial in driven.trials.values()][oracles.INITIAL_POINTS :])
    # A random network has .3125 + .15 + .1 on average.
    assert mean[oracles.RandomOracle] == pytest.approx(0.5625, abs=0.1)
    assert mean[oracles.BayesianOracle] < 0.75 * mean[oracles.RandomOracle]


def test_maximising_a_score_proposes_what_minimising_its_negative_does():
    scores = np.sin(np.arange(14.0))
    assert drive(oracle(oracles.BayesianOracle, WIDE), scores) == drive(
        oracle(oracles.BayesianOracle, WIDE, direction="max"), -scores
    )


def test_failed_trials_teach_the_gaussian_process_nothing_and_are_not_tried_again():
    scores = [0.3, None, 0.5, None, 0.4, 0.6, None, 0.2, 0.35, None, 0.3, 0.31]
    driven = oracle(oracles.BayesianOracle, WIDE)
    assert len(distinct(drive(driven, scores))) == 12
    assert driven.gpr.X_train_.shape == (7, 10)  # of the eleven told before the last proposal, four had failed


def test_equal_scores_and_failures_alone_do_not_stop_the_proposals():
    assert len(distinct(drive(oracle(oracles.BayesianOracle, WIDE), [0.5] * 12))) == 12
    assert len(distinct(drive(oracle(oracles.BayesianOracle, WIDE), [None] * 12))) == 12


def test_trials_under_way_move_the_next_proposals_away_and_leave_the_length_scale_alone():
    driven = oracle(oracles.BayesianOracle, SMALL, num_initial_points=4)
    drive(driven, [0.3, 0.5, 0.4, 0.6])
    first, second, third = (ask(driven) for _ in range(3))
    assert len(distinct(trial.hyperparameters.values for trial in (first, second, third))) == 3
    alone = oracle(oracles.BayesianOracle, SMALL, num_initial_points=4)
    drive(alone, [0.3, 0.5, 0.4, 0.6])
    ask(alone)
    # The process was fitted to the four completed ones each time.
    assert driven.gpr.X_train_.shape == (4, 6)
    assert driven.gpr.kernel_ == alone.gpr.kernel_


@pytest.mark.parametrize(
    ("scores", "capped"),
    [
        pytest.param([0.3, 0.4, 0.5, 0.6, 900.0], [0.3, 0.4, 0.5, 0.6, 0.9], id="median .5, lead .2: at most .5 + .4"),
        pytest.param([0.3, 0.4, 0.5], [0.3, 0.4, 0.5], id="nothing is that bad"),
        pytest.param([0.3, 0.3, 0.3, 9.0], [0.3, 0.3, 0.3, 9.0], id="the median is the best: no scale to cap by"),
        pytest.param([0.3], [0.3], id="one"),
    ],
)
def test_bad_scores_are_capped_in_proportion_to_the_good_ones(scores, capped):
    assert oracles._capped(np.array(scores)) == pytest.approx(capped)


def test_the_length_scale_is_the_likeliest_of_those_on_offer():
    offered = oracles.LENGTH_SCALES

    def loss_of(theta, *, eval_gradient):
        return (theta[0] - np.log(2.0)) ** 2

    theta, loss = oracles._likeliest(loss_of, np.zeros(1), np.zeros((1, 2)))
    nearest = min(offered, key=lambda scale: abs(np.log(scale) - np.log(2.0)))
    assert np.exp(theta) == pytest.approx([nearest])
    assert loss == pytest.approx((np.log(nearest) - np.log(2.0)) ** 2)


def test_hyperband_counts_the_networks_that_it_starts():
    # Factor 3: brackets of 9, 5 and 3 for 9 epochs.
    assert oracle(oracles.HyperbandOracle, WIDE, max_epochs=9, factor=3).networks == 9 + 5 + 3


def test_the_stock_oracle_is_keras_tuners_own_but_for_files_and_screen(capsys):
    stock = oracle(oracles.StockBayesianOracle, SMALL, num_initial_points=3)
    drive(stock, [0.3, None, 0.5, 0.4, 0.2])
    assert isinstance(stock, keras_tuner.oracles.BayesianOptimizationOracle)
    assert stock.gpr.n_restarts_optimizer == 20
    assert capsys.readouterr().out == ""


def test_texts_have_no_order_and_a_long_range_is_varied_near_and_far():
    hp = keras_tuner.HyperParameters()
    hp.Choice("end", ["a", "b", "c"])
    hp.Choice("rate", [place / 1000 for place in range(1000)])
    rows = GridEncoding(hp.space)
    points = rows.encoded(rows.rows([{"end": end, "rate": 0.5} for end in "abc"]))
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert apart == pytest.approx(1 - np.eye(3))
    assert rows.everything(limit=2_999) is None
    found = rows.neighbours(rows.rows([{"end": "a", "rate": 0.5}]), np.random.default_rng(1))
    assert len(found) == 3 + 32
    changed = found[3:, 1]
    assert (np.abs(changed[:16] - 500) < 150).all()
    assert np.ptp(changed[16:]) > 500
