"""Who gets how many seeds in a race of refits."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from pipeline.evaluation.finalists import BASELINE, NOTEBOOK, Finalist
from pipeline.evaluation.plan import Plan, Racer, opening
from pipeline.evaluation.race import _note, final_choice, first_plan, next_plan
from pipeline.evaluation.refits import RefitGroup
from pipeline.experiment import Experiment, load
from pipeline.statistics.selection.race import Round, Standing
from tests.evaluation.refitted import PLAIN, SMALL
from tests.evaluation.samples import figures, group

LABELS = np.array([0, 1])
ONE, TWO, THREE = (replace(SMALL, role=f"finalist {number}") for number in (1, 2, 3))
SHOWN = replace(PLAIN, role=NOTEBOOK)
ALL = [ONE, TWO, THREE, PLAIN, SHOWN]


def asked(**changed: str) -> Experiment:
    return load("digits", {"evaluation.seeds": "10", "selection.tolerance": "0.01"} | changed)


def refitted(finalist: Finalist, gaps: Sequence[float], accuracy: float = 0.9) -> RefitGroup:
    return group(finalist, [figures(accuracy=accuracy, gap=gap) for gap in gaps])


def racers(*groups: RefitGroup) -> list[Racer]:
    return [Racer(each.finalist.role, each.candidate(LABELS), each.metrics) for each in groups]


def test_the_first_round_is_three_seeds_for_all_and_all_seeds_for_the_baseline() -> None:
    plan = first_plan(asked(), ALL)
    assert dict(plan.wanted) == {ONE.role: 3, TWO.role: 3, THREE.role: 3, BASELINE: 10, NOTEBOOK: 3}
    assert dict(plan.most) == {ONE.role: 10, TWO.role: 10, THREE.role: 10, BASELINE: 10, NOTEBOOK: 3}
    assert not plan.final


def test_three_seeds_or_no_race_or_fixed_networks_are_trained_with_all_seeds_and_no_word() -> None:
    fixed = load("placement")
    off = {"evaluation.race": "false"}
    for experiment in (asked(**{"evaluation.seeds": "3"}), asked(**off), fixed):
        plan = first_plan(experiment, ALL)
        assert plan == Plan(plan.most, plan.most)
        assert set(plan.wanted.values()) == {experiment.evaluation.seeds}


def test_a_single_finalist_gets_all_seeds_at_once() -> None:
    plan = first_plan(asked(), [ONE, PLAIN, SHOWN])
    assert dict(plan.wanted) == {ONE.role: 10, BASELINE: 10, NOTEBOOK: 3}
    assert plan.final


def test_networks_that_could_be_chosen_get_twice_as_many_seeds_and_the_others_no_more() -> None:
    """One and two have the same gaps; three has two points more, with a spread of a tenth of a point."""
    gaps = (0.029, 0.030, 0.031)
    groups = [refitted(ONE, gaps), refitted(TWO, gaps[::-1]), refitted(THREE, [gap + 0.02 for gap in gaps])]
    plan = next_plan(asked(), 2, racers(*groups), first_plan(asked(), ALL))
    assert dict(plan.wanted) == {ONE.role: 6, TWO.role: 6, THREE.role: 3, BASELINE: 10, NOTEBOOK: 3}
    assert dict(plan.most) == {ONE.role: 10, TWO.role: 10, THREE.role: 3, BASELINE: 10, NOTEBOOK: 3}
    assert (plan.chosen, plan.final) == (None, False)
    assert (
        plan.notes[THREE.role]
        == "unlikely to be chosen: after all seeds the rule would choose it with a probability of about 0 % (simulated)"
    )
    assert plan.notes[ONE.role].startswith(
        "after 3 seeds the rule would choose it, after all seeds with a probability of "
    )
    assert plan.notes[TWO.role].startswith(
        "after 3 seeds the rule would choose another, but this one after all seeds with "
    )
    assert next_plan(asked(), 2, racers(*groups), first_plan(asked(), ALL)) == plan


@pytest.mark.parametrize(
    ("standing", "note"),
    [
        (Standing(0.03, stays=True, leads=True), "after 3 seeds the rule would choose it, after all seeds "),
        (Standing(0.0, stays=True, measures=True), "(simulated), but it may be the most accurate, from which "),
        (Standing(0.4, stays=True), "after 3 seeds the rule would choose another, but this one "),
    ],
)
def test_a_network_that_goes_on_is_told_why(standing: Standing, note: str) -> None:
    assert note in _note(standing, Round((standing,), None), 3)


def test_the_screen_says_who_gets_how_many_seeds_and_who_may_get_more() -> None:
    notes = {BASELINE: "the chosen network is compared with it", NOTEBOOK: "for reference only, cannot be chosen"}
    few, most = {ONE.role: 3, BASELINE: 3, NOTEBOOK: 3}, {ONE.role: 5, BASELINE: 5, NOTEBOOK: 3}
    racing = (
        "3 for finalist 1 and notebook with dropout, 5 for baseline; finalists that are then still likely to be chosen"
    )
    assert opening(Plan(few | {BASELINE: 5}, most, notes), 1).endswith(f"{racing} get up to 5")
    cut = opening(Plan(few, most, notes), 2)
    assert cut.startswith(
        "training 3 networks again, 2 at a time, with fresh seeds, the same for all: 3 for finalist 1, "
    )
    assert cut.endswith("; baseline and finalists that are then still likely to be chosen get up to 5 if there is time")
    alone = opening(Plan(few, most, notes | {ONE.role: "the only finalist"}), 1)
    assert alone.endswith("; finalist 1 and baseline get up to 5 if there is time")
    assert opening(Plan(few, most), 1).endswith("; finalist 1 and baseline get up to 5 if there is time")
    assert opening(Plan(few, few), 1).endswith(": 3 for finalist 1, baseline and notebook with dropout")


def test_the_last_round_is_up_to_all_seeds() -> None:
    gaps = (0.029, 0.030, 0.031) * 2
    groups = [refitted(ONE, gaps), refitted(TWO, gaps[::-1]), refitted(PLAIN, [0.05] * 10)]
    before = Plan({ONE.role: 6, TWO.role: 6, BASELINE: 10}, {ONE.role: 10, TWO.role: 10, BASELINE: 10})
    plan = next_plan(asked(), 2, racers(*groups), before)
    assert plan.final
    assert set(plan.wanted.values()) == {10}


def decided() -> tuple[list[RefitGroup], Plan]:
    """Two has a gap of a point less; the tolerance, 1 point, is far above half a point of accuracy."""
    groups = [
        refitted(ONE, (0.029, 0.030, 0.031)),
        refitted(TWO, (0.019, 0.020, 0.021), 0.895),
        refitted(PLAIN, [0.05] * 10),
    ]
    return groups, next_plan(asked(), 2, racers(*groups), first_plan(asked(), [ONE, TWO, PLAIN]))


def test_a_network_that_alone_could_be_chosen_is_chosen_and_gets_all_seeds_for_its_interval() -> None:
    groups, plan = decided()
    assert dict(plan.wanted) == {ONE.role: 3, TWO.role: 10, BASELINE: 10}
    assert (plan.final, plan.chosen) == (True, TWO.role)
    assert plan.notes[TWO.role] == "chosen after 3 seeds; further seeds only narrow its interval"
    chosen, choice = final_choice(asked(), LABELS, groups, plan)
    assert chosen is groups[1]
    assert "and those within 1.00 points of it" in choice.reason
    assert choice.reason.endswith("Decided after 3 of 10 seeds: no other network was likely to be chosen.")


def test_a_chosen_network_whose_later_refits_failed_leaves_the_choice_to_the_others() -> None:
    groups, plan = decided()
    chosen, choice = final_choice(asked(), LABELS, [groups[0], groups[2]], plan)
    assert chosen is groups[0]
    assert "only finalist" in choice.reason


def test_the_last_choice_is_among_those_with_most_seeds() -> None:
    """Three was stopped after three seeds; its gap is the smallest of all, by luck."""
    groups = [refitted(ONE, [0.03] * 5), refitted(TWO, [0.02] * 5), refitted(THREE, [0.01] * 3)]
    wanted = {ONE.role: 5, TWO.role: 5, THREE.role: 3}
    chosen, _ = final_choice(asked(), LABELS, groups, Plan(wanted, wanted))
    assert chosen is groups[1]


def test_a_race_without_any_network_that_was_trained_ends() -> None:
    plan = first_plan(asked(), ALL)
    ended = next_plan(asked(), 2, racers(refitted(PLAIN, [0.05] * 10)), plan)
    assert ended.final
    assert ended.wanted == plan.wanted
