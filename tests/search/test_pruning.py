"""Which trials a pruner stops, worked by hand."""

import pytest

from pipeline.errors import InputError
from pipeline.experiment import load
from pipeline.search.pruning import FIRST_TRIALS, Pruner, Pruning, reached, rungs


def after(pruner: Pruner, scores: list[tuple[float, ...]]) -> Pruner:
    for each in scores:
        pruner.tell(each)
    return pruner


def test_rungs_are_shares_of_the_epochs_of_a_trial() -> None:
    assert rungs("median", 20) == (5, 10)
    assert rungs("successive_halving", 9) == (1, 3)
    assert rungs("successive_halving", 20) == (3, 7)
    assert rungs("none", 20) == ()


def test_the_median_of_five_trials_has_to_be_reached_and_an_equal_score_goes_on() -> None:
    pruner = after(Pruner("median", "val_loss"), [(0.5, 0.3), (0.6, 0.2), (0.4,), (0.9,), (0.7, 0.1)])
    asked = pruner.ask(20)
    assert asked == Pruning("val_loss", {5: 0.6})  # 0.4 0.5 [0.6] 0.7 0.9; three reached the second rung, too few
    assert not asked.stops([0.9, 0.9, 0.9, 0.9])
    assert not asked.stops([0.9, 0.9, 0.6, 0.9, 0.9])  # the best so far, an equal one
    assert asked.stops([0.9, 0.9, 0.61, 0.9, 0.9])


def test_nothing_is_stopped_before_five_trials_reached_the_rung() -> None:
    pruner = Pruner("median", "val_loss")
    for _ in range(FIRST_TRIALS - 1):
        assert pruner.ask(20) is None
        pruner.tell((0.5, 0.4))
    assert pruner.ask(20) is None
    pruner.tell(())  # one that failed counts for nothing
    assert pruner.ask(20) is None


def test_successive_halving_lets_the_best_third_go_on() -> None:
    pruner = Pruner("successive_halving", "val_accuracy")
    assert pruner.ask(9) is None
    pruner.tell((0.5, 0.8))
    assert pruner.ask(9) is None  # a third of two is none: both go on
    pruner.tell((0.7, 0.9))
    assert pruner.ask(9) == Pruning("val_accuracy", {1: 0.7, 3: 0.9})  # the best of three
    for score in (0.1, 0.2, 0.3):
        pruner.tell((score,))
    asked = pruner.ask(9)
    assert asked == Pruning("val_accuracy", {1: 0.5, 3: 0.9})  # the two best of six
    assert asked.stops([0.49])
    assert not asked.stops([0.5])
    assert not asked.stops([0.5, 0.6])
    assert asked.stops([0.5, 0.6, 0.89])


def test_scores_that_are_no_numbers_are_not_counted() -> None:
    pruner = after(Pruner("successive_halving", "val_loss"), [(float("nan"),), (0.5,), (0.6,)])
    assert pruner.ask(9) == Pruning("val_loss", {1: 0.5})


def test_a_trial_of_one_epoch_cannot_be_stopped() -> None:
    assert after(Pruner("median", "val_loss"), [(0.5, 0.5)] * 9).ask(1) is None
    assert after(Pruner("none", "val_loss"), [()] * 9).ask(20) is None


def test_a_trial_reaches_the_rungs_before_it_was_pruned_and_all_of_them_if_it_stopped_by_itself() -> None:
    history = {"val_loss": (0.9, 0.4, 0.5), "val_accuracy": (0.1, 0.6, 0.7)}
    for objective, at_5_epochs in (("val_loss", 0.4), ("val_accuracy", 0.7), ("val_balanced_accuracy", 0.7)):
        ended = reached("median", objective, history, epochs=20, pruned=False)
        assert ended == (at_5_epochs, at_5_epochs)
        assert reached("median", objective, history, epochs=20, pruned=True) == ()
    assert reached("median", "val_loss", history, epochs=4, pruned=True) == (0.9, 0.4)
    assert reached("none", "val_loss", history, epochs=20, pruned=False) == ()


def test_hyperband_with_a_pruner_is_refused_in_one_line() -> None:
    with pytest.raises(
        InputError, match=r"pruner is median, and tuner=hyperband stops weak trials by itself; expected"
    ):
        load("smoke", {"search.tuner": "hyperband", "search.pruner": "median"})
