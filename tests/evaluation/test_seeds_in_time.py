"""What is trained of an evaluation when there is not time for all of it; the clock is a number."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from pipeline.evaluation.finalists import BASELINE, NOTEBOOK, label
from pipeline.evaluation.plan import Plan, Plans, Racer
from pipeline.evaluation.seeds_in_time import SECONDS_AFTER, SeedsInTime, makespan, refits_to_come
from pipeline.experiment import Training, load
from pipeline.search.deadline import Refits
from pipeline.search.trials import full_seconds
from pipeline.statistics.selection import Candidate
from pipeline.time_limit import TimeLimit
from tests.evaluation.samples import figures, relu, trial

ONE, TWO, THREE = "finalist 1", "finalist 2", "finalist 3"
SHOWN = {NOTEBOOK: "for reference only, cannot be chosen", BASELINE: "the headline compares with it"}
RACE = Plan(
    {ONE: 3, TWO: 3, THREE: 3, BASELINE: 10, NOTEBOOK: 3},
    {ONE: 10, TWO: 10, THREE: 10, BASELINE: 10, NOTEBOOK: 3},
    SHOWN,
)
DECIDED = Plan(
    {ONE: 10, TWO: 3, THREE: 3, BASELINE: 10, NOTEBOOK: 3},
    {ONE: 10, TWO: 3, THREE: 3, BASELINE: 10, NOTEBOOK: 3},
    {**SHOWN, ONE: "chosen after 3 seeds"},
    ONE,
    "It is the best.",
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def racers(plan: Plan, seconds: float = 1.0) -> list[Racer]:
    return [
        Racer(role, Candidate(role, 0.3, 0.9, 0.03, 10), [{}] * count, seconds) for role, count in plan.wanted.items()
    ]


def of(before: Plan, after: Plan) -> Plan:
    """What a race says of the networks that it knows."""
    wanted, most = ({role: those[role] for role in before.wanted} for those in (after.wanted, after.most))
    return replace(after, wanted=wanted, most=most, notes={**before.notes, ONE: "chosen after 3 seeds"})


def trained(
    left: float,
    plan: Plan = RACE,
    later: Plan = DECIDED,
    *,
    seconds: float = 1.0,
    workers: int = 1,
    on_hand: Callable[[str, int], bool] = lambda _role, _place: False,
) -> tuple[list[Mapping[str, int]], Plan]:
    """The parts that are trained if every refit takes `seconds`, with so much time for them; and the last plan.
    Those on hand take no time.
    """
    clock = Clock()
    limit = TimeLimit((left + SECONDS_AFTER) / 60, 0.0, clock)
    timed = SeedsInTime(
        Plans(plan, lambda _racers, before: of(before, later), seconds), limit=limit, workers=workers, on_hand=on_hand
    )
    part, parts, done = timed.first(), [], dict.fromkeys(plan.wanted, 0)
    while True:
        parts.append(part.wanted)
        for role, count in part.wanted.items():
            clock.now += seconds * sum(not on_hand(role, place) for place in range(done[role], count)) / workers
            done[role] = count
        if part.final:
            return parts, part
        part = timed.following(racers(part, seconds), part)


def test_with_time_for_all_the_networks_end_with_the_seeds_that_the_race_gives_and_nothing_is_left_out() -> None:
    """15 refits, then 7 more of the chosen network and of the baseline: 29 seconds."""
    parts, last = trained(29.5)
    assert parts == [{ONE: 3, TWO: 3, THREE: 3, BASELINE: 3, NOTEBOOK: 3}, DECIDED.wanted]
    assert (last, last.left_out) == (DECIDED, "")


def test_the_chosen_network_and_the_baseline_get_as_many_seeds_as_there_is_time_for() -> None:
    """After 15 seconds 5.5 are left: two more refits of each."""
    parts, last = trained(20.5)
    assert parts[1] == last.wanted == {ONE: 5, TWO: 3, THREE: 3, BASELINE: 5, NOTEBOOK: 3}
    assert (last.final, last.chosen, last.reason) == (True, ONE, "It is the best.")
    assert last.left_out.startswith(
        "finalist 1 and baseline have 5 of up to 10 seeds, since more would not have been finished within minutes="
    )
    assert last.notes == {
        NOTEBOOK: "for reference only, cannot be chosen",
        BASELINE: "the headline compares with it; no time for more",
        ONE: "chosen after 3 seeds; no time for more",
    }


def test_a_round_that_is_cut_leaves_all_networks_of_the_race_with_the_same_number_of_seeds() -> None:
    """Two could be chosen and want six seeds: with the baseline 9 refits, of which there is time for 6."""
    later = replace(RACE, wanted={ONE: 6, TWO: 6, THREE: 3, BASELINE: 10, NOTEBOOK: 3}, most={**RACE.most, THREE: 3})
    parts, last = trained(21.5, later=later)
    assert parts[1] == last.wanted == {ONE: 5, TWO: 5, THREE: 3, BASELINE: 5, NOTEBOOK: 3}
    assert last.chosen is None
    assert last.left_out.startswith("finalist 1, finalist 2 and baseline have 5 of up to 10 seeds")


def test_networks_without_a_race_get_the_same_number_of_seeds_each() -> None:
    everything = Plan(dict.fromkeys((ONE, TWO, BASELINE), 10), dict.fromkeys((ONE, TWO, BASELINE), 10))
    parts, last = trained(14.5, everything)
    assert parts[:2] == [dict.fromkeys((ONE, TWO, BASELINE), 3), dict.fromkeys((ONE, TWO, BASELINE), 4)]
    assert last.wanted == parts[1]
    assert last.left_out.startswith("finalist 1, finalist 2 and baseline have 4 of up to 10 seeds")
    assert trained(30.5, everything)[1] == everything


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        (-100, [ONE, BASELINE]),
        (8.5, [ONE, BASELINE]),
        (9.5, [ONE, TWO, BASELINE]),
        (12.5, [ONE, TWO, THREE, BASELINE]),
        (15.5, [ONE, TWO, THREE, BASELINE, NOTEBOOK]),
    ],
)
def test_the_first_finalist_and_the_baseline_are_trained_with_three_seeds_in_any_case_others_if_there_is_time(
    left: float, kept: list[str]
) -> None:
    parts, last = trained(left)
    assert parts[0] == dict.fromkeys(kept, 3)
    dropped = [role for role in RACE.wanted if role not in kept]
    assert all(label(role) in last.left_out for role in dropped)
    assert not set(dropped) & set(last.notes)


def test_refits_of_a_stopped_evaluation_take_no_time() -> None:
    """Three of finalist 2 are on hand, two of finalist 1, one of finalist 3: 1 + 3 seconds in any case, 2 for finalist 3."""
    kept = {(ONE, 0), (ONE, 1), *((TWO, place) for place in range(3)), (THREE, 0)}
    parts, last = trained(-100, on_hand=lambda *each: each in kept)
    assert parts[0] == {ONE: 3, TWO: 3, BASELINE: 3}
    assert "finalist 3 and notebook with dropout were not trained" in last.left_out
    parts, _ = trained(6.5, on_hand=lambda *each: each in kept)
    assert parts[0] == {ONE: 3, TWO: 3, THREE: 3, BASELINE: 3}


def test_further_seeds_that_are_on_hand_are_taken_although_the_time_is_over() -> None:
    """Five of the chosen network and of the baseline were trained before, and nothing of the others."""
    kept = {(role, place) for role in (ONE, BASELINE) for place in range(5)}
    parts, last = trained(-100, on_hand=lambda *each: each in kept)
    assert parts[:2] == [{ONE: 3, BASELINE: 3}, {ONE: 5, BASELINE: 5}]
    assert last.wanted == parts[1]
    assert "finalist 1 and baseline have 5 of up to 10 seeds" in last.left_out


def test_what_is_left_out_names_networks_and_seeds() -> None:
    alone = Plan({ONE: 10, BASELINE: 10}, {ONE: 10, BASELINE: 10}, {}, ONE)
    _, last = trained(-100, later=alone)
    assert last.left_out.startswith(
        "finalist 2, finalist 3 and notebook with dropout were not trained; finalist 1 and baseline have 3 of up to 10 "
        "seeds, since more would not have been finished within minutes="
    )


def test_a_plan_that_was_cut_goes_on_if_refits_are_faster_than_expected() -> None:
    """Expected are 2 seconds; a refit then takes one."""
    clock = Clock()
    limit = TimeLimit((100 + SECONDS_AFTER) / 60, 0.0, clock)
    timed = SeedsInTime(Plans(DECIDED, lambda _racers, plan: plan, 2.0), limit=limit, workers=1)
    part = timed.first()
    clock.now = 92
    part = timed.following(racers(part, 2.0), part)
    assert part.wanted[ONE] == 5
    assert not part.final
    clock.now = 94
    assert timed.following(racers(part, 1.0), part).wanted[ONE] == 8


def test_a_network_that_failed_gets_no_more_seeds_and_its_share_goes_to_the_others() -> None:
    """Two of three that do not race: 9 refits, then 8 seconds are left for 4 more of each of the two that go on."""
    everything = Plan(dict.fromkeys((ONE, TWO, BASELINE), 10), dict.fromkeys((ONE, TWO, BASELINE), 10))
    clock = Clock()
    limit = TimeLimit((17.5 + SECONDS_AFTER) / 60, 0.0, clock)
    timed = SeedsInTime(Plans(everything, lambda _racers, plan: plan, 1.0), limit=limit, workers=1)
    part = timed.first()
    clock.now = 9
    part = timed.following([each for each in racers(part) if each.role != TWO], part)
    assert part.wanted == {ONE: 7, TWO: 3, BASELINE: 7}
    assert part.most == {ONE: 10, TWO: 3, BASELINE: 10}
    clock.now = 17
    part = timed.following([each for each in racers(part) if each.role != TWO], part)
    assert part.final
    assert part.left_out.startswith("finalist 1 and baseline have 7 of up to 10 seeds")


@pytest.mark.parametrize("alike", [True, False])
def test_when_all_networks_failed_nothing_more_is_trained(alike: bool) -> None:
    everything = Plan(dict.fromkeys((ONE, BASELINE), 10), dict.fromkeys((ONE, BASELINE), 10))
    limit = TimeLimit(60, 0.0, Clock())
    timed = SeedsInTime(Plans(everything if alike else RACE, lambda _racers, plan: plan, 1.0), limit=limit, workers=1)
    last = timed.following([], timed.first())
    assert last.final
    assert set(last.wanted.values()) == {3}
    assert last.left_out == ""


def test_with_few_seeds_nothing_is_cut_and_a_single_network_is_trained() -> None:
    few = Plan({ONE: 2, BASELINE: 2}, {ONE: 2, BASELINE: 2})
    assert trained(-100, few) == ([few.wanted], few)
    alone = Plan({"challenger": 5}, {"challenger": 5})
    assert trained(-100, alone)[1].left_out.startswith("challenger has 3 of up to 5 seeds, since")


@pytest.mark.parametrize(
    ("timed", "seconds"),
    [
        ([(9, 0, 90.0), (9, 0, 96.0)], 93),
        ([(3, 0, 30.0), (9, 3, 60.0)], 90),  # two thirds of the epochs
        ([(3, 0, 30.0), (9, 3, 60.0), (9, 0, 96.0)], 93),
        ([(1, 0, 10.0), (3, 1, 21.0)], 94.5),  # two of nine
    ],
)
def test_a_refit_is_expected_to_take_as_long_as_a_training_with_all_epochs_from_the_first_one(
    timed: list[tuple[int, int, float]], seconds: float
) -> None:
    """Hyperband, to nine epochs: the last epoch of each trial, the epochs of the one that it continues, and its seconds."""
    found = [
        trial(
            number,
            relu(16),
            figures(accuracy=0.9) | {"seconds": each},
            proposed={"tuner/epochs": until, "tuner/initial_epoch": begins},
        )
        for number, (until, begins, each) in enumerate(timed)
    ]
    assert full_seconds(found, Training(epochs=9)) == pytest.approx(seconds)


def test_without_hyperband_it_is_the_mean_trial() -> None:
    found = [trial(number, relu(16), figures(accuracy=0.9) | {"seconds": 10.0 * number}) for number in (1, 2)]
    assert full_seconds(found, Training(epochs=9)) == 15


def test_the_longest_job_is_handed_out_first() -> None:
    """Two workers: 5 and 4 + 3; on one worker their sum."""
    assert makespan([3, 4, 5], 2) == 7
    assert makespan([3, 4, 5], 1) == 12
    assert makespan([], 2) == 0


def test_an_evaluation_needs_three_seeds_of_each_finalist_and_reference_and_at_most_all() -> None:
    asked = load("digits", {"evaluation.seeds": "10"})
    assert refits_to_come(asked, trials=24) == Refits(fewest=15, most=50, seconds_after=SECONDS_AFTER)
    assert refits_to_come(asked, trials=1) == Refits(fewest=9, most=30, seconds_after=SECONDS_AFTER)
    assert refits_to_come(load("digits", {"evaluation.seeds": "2"}), trials=2).fewest == 8
    assert refits_to_come(load("placement"), trials=4).fewest == 12
