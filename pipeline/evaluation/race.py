"""A race of refits: every network gets three seeds, further ones go to those that the rule could still choose.

Decided on the results of complete rounds, so the speed of workers changes nothing. The baseline gets all seeds at once,
since the headline compares with it.
"""

from collections.abc import Sequence

from pipeline.data.dataset import Labels
from pipeline.evaluation.finalists import BASELINE, Finalist
from pipeline.evaluation.plan import Plan, Racer, all_seeds
from pipeline.evaluation.refits import RefitGroup
from pipeline.experiment import Experiment
from pipeline.statistics.selection import Choice, choose
from pipeline.statistics.selection.race import Round, Standing, rounds, standings


def first_plan(experiment: Experiment, finalists: Sequence[Finalist]) -> Plan:
    """The first round. Fixed networks do not race: their experiment compares all of them."""
    seeds, racing = experiment.evaluation.seeds, [each.role for each in finalists if not each.reference]
    first = rounds(seeds)[0]
    if not experiment.evaluation.race or experiment.space.networks is not None or first == seeds:
        return all_seeds(finalists, seeds)
    notes = {each.role: "for reference only, cannot be chosen" for each in finalists if each.reference}
    notes |= {BASELINE: "the chosen network is compared with it"} if BASELINE in notes else {}
    wanted = {each.role: seeds if each.role == BASELINE else first for each in finalists}
    if len(racing) == 1:
        wanted, notes = wanted | {racing[0]: seeds}, notes | {racing[0]: "the only finalist"}
    return Plan(wanted, wanted | dict.fromkeys(racing, seeds), notes)


def next_plan(experiment: Experiment, validation_size: int, racers: Sequence[Racer], plan: Plan) -> Plan:
    """The next round.

    Args:
        experiment: Its rule, and the seeds at the end.
        validation_size: Validation images.
        racers: Networks that were trained with all seeds that `plan` wants.
        plan: The round that is complete, not the last one.
    """
    seeds = experiment.evaluation.seeds
    racing = [racer for racer in racers if plan.wanted[racer.role] < plan.most[racer.role]]
    if not racing:
        return Plan(plan.wanted, plan.wanted, plan.notes)
    known = len(racing[0].metrics)
    state = standings(
        [racer.candidate for racer in racing],
        [racer.metrics for racer in racing],
        experiment.selection.rule,
        seeds=seeds,
        validation_size=validation_size,
        tolerance=experiment.selection.tolerance,
        seed=experiment.search.seed,
    )
    until = seeds if state.choice is not None else next(each for each in rounds(seeds) if each > known)
    roles = [racer.role for racer in racing]
    staying = {role for role, standing in zip(roles, state.standings, strict=True) if standing.stays}
    return Plan(
        {**plan.wanted, **dict.fromkeys(staying, until)},
        {**plan.wanted, **dict.fromkeys(staying, seeds)},
        {**plan.notes, **{role: _note(each, state, known) for role, each in zip(roles, state.standings, strict=True)}},
        roles[state.choice.index] if state.choice is not None else None,
        _reason(state, known, seeds),
    )


def final_choice(
    experiment: Experiment, labels: Labels, groups: Sequence[RefitGroup], plan: Plan
) -> tuple[RefitGroup, Choice]:
    """The network that the last plan has chosen; if there is none, or its later refits failed, the choice among those with
    most seeds. References are never chosen.
    """
    eligible = [group for group in groups if not group.finalist.reference]
    for index, group in enumerate(eligible):
        if group.finalist.role == plan.chosen:
            return group, Choice(index, plan.reason)
    most = max(len(group.refits) for group in eligible)
    longest = [group for group in eligible if len(group.refits) == most]
    choice = choose(
        [group.candidate(labels) for group in longest],
        experiment.selection.rule,
        validation_size=len(labels),
        tolerance=experiment.selection.tolerance,
    )
    return longest[choice.index], choice


def _note(standing: Standing, state: Round, known: int) -> str:
    chance = f"with a probability of about {100 * standing.chance:.0f} % (simulated)"
    if not standing.stays:
        return f"unlikely to be chosen: after all seeds the rule would choose it {chance}"
    if state.choice is not None:
        return f"chosen after {known} seeds; further seeds only narrow its interval"
    if standing.leads:
        return f"after {known} seeds the rule would choose it, after all seeds {chance}"
    if standing.measures:
        return (
            f"unlikely to be chosen: after all seeds the rule would choose it {chance}, but it may be the most accurate, "
            "from which the rule measures the others"
        )
    return f"after {known} seeds the rule would choose another, but this one after all seeds {chance}"


def _reason(state: Round, known: int, seeds: int) -> str:
    if state.choice is None:
        return ""
    if len(state.standings) == 1:
        return state.choice.reason
    return f"{state.choice.reason} Decided after {known} of {seeds} seeds: no other network was likely to be chosen."
