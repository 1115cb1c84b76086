"""Proposals by ask and tell. Run as a program, it answers with the proposals of the cases on its standard input."""

import json
import os
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.experiment import parse
from pipeline.models import dense_space
from pipeline.search.proposals.proposals import NoProposal, Proposal, Proposals

pytestmark = pytest.mark.tensorflow

TUNERS = ("random", "grid", "bayesian", "hyperband", "bayesian_stock")
WINDOWS = (1, 2, 4)
LAYERED = {"depth": [1, 3], "hidden": [32, 64, 128], "dropout": [0, 0.2, 0.5], "input_dropout": [0, 0.1]}
FIXED = {
    "networks": [
        {"hidden": [units], "dropout": [rate, 0], "activations": ["relu"]}
        for units in (32, 64, 128, 256)
        for rate in (0, 0.1)
    ]
}


def experiment(tuner, *, given=LAYERED, epochs=9, **search):
    return parse(
        {
            "name": "tried",
            "question": "Which?",
            "space": given,
            "training": {"epochs": epochs},
            "search": {"tuner": tuner, **search},
        },
        where="a test",
    )


def driven(tuner, window, scores):
    """What is proposed when trial n is asked for once n - `window` trials are told, in their order: a list per trial
    of number, id, values, seed, until and parent; the names of `Nothing` where there was none.
    """
    # The stock oracle models from 3 results per choice on, and slowly: one choice and 8 trials for it.
    proposals = Proposals(experiment(tuner, given=FIXED if tuner == "bayesian_stock" else LAYERED))
    pending: deque[tuple[str, float | None]] = deque()
    seen: list[Any] = []
    left = deque(scores[:8] if tuner == "bayesian_stock" else scores)
    while left or pending:
        while left and len(pending) < window:
            asked = proposals.ask()
            if isinstance(asked, NoProposal):
                seen.append(asked.name)
                if asked is NoProposal.EXHAUSTED:
                    left.clear()
                break
            seen.append([asked.number, asked.trial_id, dict(asked.values), asked.seed, asked.until, asked.parent])
            pending.append((asked.trial_id, left.popleft()))
        if pending:
            proposals.tell(*pending.popleft())
    return seen


def asked(proposals):
    proposal = proposals.ask()
    assert isinstance(proposal, Proposal)
    return proposal


def run_through(proposals, *, score=lambda proposal: proposal.number / 100):
    """Asks and tells one by one until there is nothing left."""
    seen = []
    while isinstance(proposal := proposals.ask(), Proposal):
        seen.append(proposal)
        proposals.tell(proposal.trial_id, score(proposal))
    assert proposal is NoProposal.EXHAUSTED
    return seen


scores_of_trials = st.lists(
    st.one_of(st.none(), st.just(float("nan")), st.sampled_from([0.3, 0.4]), st.floats(0.2, 3.0)),
    min_size=16,
    max_size=26,
)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("tuner", TUNERS)
def test_the_same_asks_and_tells_propose_the_same(tuner, window):
    @settings(max_examples=4 if tuner == "bayesian_stock" else 12, deadline=None, derandomize=True, database=None)
    @given(scores=scores_of_trials)
    def check(scores):
        assert driven(tuner, window, scores) == driven(tuner, window, scores)

    check()


def test_another_process_with_another_hash_seed_and_other_threads_proposes_the_same():
    scores = [None if n % 7 == 3 else 0.3 + (n * 37 % 17) / 50 for n in range(18)]
    cases = [[tuner, window, scores] for tuner in TUNERS for window in WINDOWS]
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(cases),
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": "4711", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ran.stdout) == [driven(*case) for case in cases]


@pytest.mark.parametrize("tuner", ["random", "grid", "bayesian"])
@pytest.mark.parametrize("window", WINDOWS)
def test_no_network_is_proposed_twice_and_every_one_once_before_the_end(tuner, window):
    small = {"depth": [1, 2], "hidden": [32, 64], "dropout": [0, 0.5], "input_dropout": [0]}
    asking = experiment(tuner, given=small)
    proposals = Proposals(asking)
    pending: deque[str] = deque()
    specs = []
    for _ in range(dense_space.size(asking.space)):
        if len(pending) == window:
            proposals.tell(pending.popleft(), 0.5)
        proposal = asked(proposals)
        pending.append(proposal.trial_id)
        specs.append(proposal.recipe.spec)
    assert len(set(specs)) == 4 + 16
    assert proposals.ask() is NoProposal.EXHAUSTED


def test_the_grid_lists_the_default_values_first_and_the_last_choice_moves_fastest():
    small = {"depth": [1, 2], "hidden": [32, 64], "dropout": [0, 0.5], "input_dropout": [0]}
    seen = run_through(Proposals(experiment("grid", given=small)))
    assert [(proposal.recipe.spec.hidden, proposal.recipe.spec.dropout) for proposal in seen[:5]] == [
        ((32,), (0, 0)),
        ((32,), (0, 0.5)),
        ((64,), (0, 0)),
        ((64,), (0, 0.5)),
        ((32, 32), (0, 0, 0)),
    ]
    assert (seen[-1].recipe.spec.hidden, seen[-1].recipe.spec.dropout) == ((64, 64), (0, 0.5, 0.5))
    assert len(seen) == 20


@pytest.mark.parametrize("tuner", ["random", "grid", "bayesian"])
def test_every_combination_of_network_and_training_in_lists_is_proposed_once(tuner):
    small = {"depth": [1, 1], "hidden": [32], "dropout": [0, 0.5], "input_dropout": [0], "activation": ["relu", "gelu"]}
    asking = parse(
        {
            "name": "x",
            "question": "y?",
            "space": small,
            "training": {"batch_size": [32, 64]},
            "search": {"tuner": tuner},
        },
        where="a test",
    )
    seen = run_through(Proposals(asking))
    combinations = {(each.recipe.spec, each.settings.batch_size) for each in seen}
    assert len(seen) == len(combinations) == 2 * 2 * 2


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband"])
def test_a_searched_range_is_drawn_inside_its_ends_and_again_the_same(tuner):
    rate = {"from": 1e-4, "to": 1e-2, "log": True}
    asking = parse(
        {
            "name": "x",
            "question": "y?",
            "space": LAYERED | {"activation": ["relu", "gelu", "tanh"]},
            "training": {"epochs": 9, "learning_rate": rate, "label_smoothing": [0, 0.1]},
            "search": {"tuner": tuner},
        },
        where="a test",
    )

    def first_fourteen():
        proposals, seen = Proposals(asking), []
        for number in range(14):
            seen.append(asked(proposals))
            proposals.tell(seen[-1].trial_id, (number * 37 % 17) / 50)
        return seen

    drawn = first_fourteen()
    assert drawn == first_fourteen()
    rates = {each.settings.learning_rate for each in drawn}
    assert all(1e-4 <= each <= 1e-2 for each in rates)
    assert len(rates) > 5
    assert {each.recipe.own.learning_rate for each in drawn} == rates
    assert {each.settings.label_smoothing for each in drawn} == {0.0, 0.1}


def test_fixed_networks_are_proposed_as_given_with_their_own_training():
    networks = [
        {"hidden": [128, 64], "dropout": [0, 0.1, 0], "activations": ["linear", "relu"]},
        {"hidden": [32], "dropout": [0, 0], "activations": ["relu"], "training": {"epochs": 3}},
    ]
    first, second = run_through(Proposals(experiment("grid", given={"networks": networks})))
    assert (first.recipe.spec.hidden, first.settings.epochs, first.until) == ((128, 64), 9, 9)
    assert (second.recipe.spec.hidden, second.settings.epochs, second.until) == ((32,), 3, 3)


@pytest.mark.parametrize("other", [2, 3, 5])
def test_searches_with_seeds_side_by_side_draw_different_networks(other):
    drawn = []
    for seed in (1, other):
        proposals = Proposals(experiment("random", given={}, seed=seed))
        drawn.append({asked(proposals).recipe.spec for _ in range(50)})
    # Of 2,513,790 networks; a quarter of the draws are among the 90 of one layer.
    assert len(drawn[0] & drawn[1]) < 10


def test_a_trials_seed_is_its_own_and_follows_from_the_searchs_seed():
    first, second, other = (Proposals(experiment("random", seed=seed)) for seed in (1, 1, 2))
    seeds = [asked(first).seed for _ in range(20)]
    assert len(set(seeds)) == 20
    assert all(1 <= seed < 2**31 for seed in seeds)
    assert seeds == [asked(second).seed for _ in range(20)]
    assert not set(seeds) & {asked(other).seed for _ in range(20)}


@pytest.mark.parametrize("tuner", TUNERS)
@pytest.mark.parametrize("score", [None, float("nan"), float("inf"), float("-inf")])
def test_a_trial_without_a_finite_score_has_failed_and_the_search_goes_on(tuner, score):
    proposals = Proposals(experiment(tuner))
    specs = []
    for _ in range(6):
        proposal = asked(proposals)
        specs.append(proposal.recipe.spec)
        proposals.tell(proposal.trial_id, score)
    assert len(set(specs)) == 6


def test_results_may_be_told_in_any_order():
    proposals = Proposals(experiment("bayesian"))
    names = [asked(proposals).trial_id for _ in range(10)]
    for score, name in enumerate(reversed(names)):
        proposals.tell(name, score / 10)
    assert asked(proposals).number == 10


def test_hyperband_over_nine_epochs_is_23_trials_of_75_epochs_trained():
    seen = run_through(Proposals(experiment("hyperband")))
    trained = [
        proposal.until - (seen[proposal.parent].until if proposal.parent is not None else 0) for proposal in seen
    ]
    # By bracket: 9 to 1 epoch, 3 of them to 3, 1 to 9; 5 to 3, 2 of them to 9; 3 to 9.
    # 9*1 + 3*2 + 1*6 + 5*3 + 2*6 + 3*9 = 75.
    assert (len(seen), sum(trained)) == (9 + 3 + 1 + 5 + 2 + 3, 75)
    assert sorted(proposal.until for proposal in seen) == [1] * 9 + [3] * 8 + [9] * 6
    assert len({proposal.recipe.spec for proposal in seen}) == 9 + 5 + 3


def test_hyperband_promotes_the_best_with_its_parents_network_seed_and_settings():
    seen = run_through(Proposals(experiment("hyperband")))
    promoted = [proposal for proposal in seen if proposal.parent is not None]
    assert len(promoted) == 6
    for proposal in promoted:
        parent = seen[proposal.parent]
        assert (proposal.recipe, proposal.seed, proposal.settings) == (parent.recipe, parent.seed, parent.settings)
        assert proposal.until == 3 * parent.until
    # Told 0, .01, .02 …: the first of the first round are its best.
    assert {proposal.parent for proposal in promoted if proposal.until == 3} == {0, 1, 2}


def test_hyperband_waits_for_results_that_decide_who_is_promoted():
    proposals = Proposals(experiment("hyperband"))
    pending: deque[Proposal] = deque()
    while isinstance(proposal := proposals.ask(), Proposal):
        pending.append(proposal)
    assert proposal is NoProposal.WAIT
    assert len(pending) == 9 + 5 + 3  # without results, only the first rounds
    while pending:
        proposals.tell(pending.popleft().trial_id, 0.5)
        while isinstance(proposal := proposals.ask(), Proposal):
            pending.append(proposal)
    assert proposal is NoProposal.EXHAUSTED


def test_hyperband_refuses_a_space_of_fewer_networks_than_it_starts():
    few = {"depth": [1, 1], "hidden": [32, 64, 128, 256], "dropout": [0, 0.1, 0.2, 0.3], "input_dropout": [0]}
    with pytest.raises(InputError, match=r"holds 16 networks; hyperband starts 17 .*epochs=9.*search\.tuner=grid"):
        Proposals(experiment("hyperband", given=few))


if __name__ == "__main__":
    print(json.dumps([driven(*case) for case in json.load(sys.stdin)]))
