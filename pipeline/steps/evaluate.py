"""The step `evaluate`: the search's finalists beside the notebook's networks, trained again with several seeds.

Leaves a run with tables, pictures, the model and the report, and a nested run per refit.
"""

from collections.abc import Callable, Sequence

from pipeline.data.split import Split
from pipeline.experiment import Experiment
from pipeline.findings.selection import Candidate, choose
from pipeline.findings.table import gaps_table, markdown
from pipeline.search.workers import Workers
from pipeline.steps import closeup, contest, landscape, record, trials
from pipeline.steps.finalists import finalists
from pipeline.steps.found import recorded
from pipeline.steps.kept import keep
from pipeline.steps.looks import Evaluated, Look
from pipeline.steps.prepare import record_inputs
from pipeline.steps.refits import ROLE_TAG, Group, fresh_seeds, refit
from pipeline.steps.report import REPORT, report
from pipeline.steps.session import TEST_TAG, Session
from pipeline.tracking.store import Run

LOOKS: Sequence[Callable[[Evaluated], Look | None]] = (
    contest.gaps,
    contest.published,
    contest.selection,
    landscape.pareto,
    landscape.placement_effects,
    landscape.designed_placement,
    contest.significance,
    closeup.training,
    closeup.by_class,
    closeup.calibrated,
    closeup.unsure,
)
"""In the order of the report."""
HEADLINES = ("test_accuracy", "accuracy_gap", "test_loss", "loss_gap", "fit_accuracy_gap", "val_accuracy")
"""Of these, the evaluate run carries scatter and interval too."""


def evaluate(session: Session, run: Run, search: Run, workers: Workers) -> Evaluated:
    """Trains the finalists again, chooses among them on validation, and records what there is to see."""
    prepared = session.prepared
    run.log(tags={**prepared.tags, "narrowgap.search_run_id": search.id})
    record_inputs(run, prepared)
    searched = recorded(search)
    asked = searched.model_copy(
        update={"evaluation": session.experiment.evaluation, "selection": session.experiment.selection}
    )
    found = trials.finished(session.store, search)
    contestants = finalists(asked, found, len(prepared.split.validation))
    seeds = fresh_seeds(asked)
    session.say(
        f"evaluate: training {len(contestants)} networks again, each with the same {len(seeds)} fresh seeds: "
        f"{'; '.join(each.role for each in contestants)}"
    )
    groups = refit(session, run, contestants, workers, seeds=seeds)
    evaluated = _chosen(
        asked.model_copy(update={"question": session.experiment.question}), prepared.split, found, groups
    )
    for refitted in evaluated.chosen.refits:
        refitted.run.log(tags={ROLE_TAG: "chosen"})
    seen = [each for look in LOOKS if (each := look(evaluated)) is not None]
    _record(session, run, evaluated, seen)
    keep(run, prepared.split, evaluated.chosen, target_accuracy=session.experiment.evaluation.target_accuracy)
    run.write(REPORT, report(session, run, evaluated, [each.section for each in seen if each.section]))
    return evaluated


def _chosen(experiment: Experiment, split: Split, found: list[trials.Trial], groups: Sequence[Group]) -> Evaluated:
    """The choice among the finalists by the means over their seeds; references only stand beside them."""
    eligible = [group for group in groups if not group.finalist.reference]
    choice = choose(
        [Candidate.of_seeds(each.architecture, each.metrics, each.parameters) for each in eligible],
        experiment.selection.rule,
        validation_size=len(split.validation),
        tolerance=experiment.selection.tolerance,
    )
    chosen = eligible[choice.index]
    others = [group for group in groups if group is not chosen]
    return Evaluated(experiment, split, found, [chosen, *others], choice)


def _record(session: Session, run: Run, evaluated: Evaluated, seen: Sequence[Look]) -> None:
    """Artifacts, the winner's means under the names of the contract, and the note."""
    for look in seen:
        for name, content in look.artifacts.items():
            run.write(name, content)
    summaries = evaluated.chosen.summaries
    metrics = {name: summary.mean for name, summary in summaries.items()}
    if len(evaluated.chosen.refits) > 1:
        for name in HEADLINES:
            summary = summaries[name]
            metrics |= {f"{name}_sd": summary.sd, f"{name}_low": summary.low, f"{name}_high": summary.high}
    for look in seen:
        metrics |= look.metrics
    on_test = {TEST_TAG: session.prepared.tags[TEST_TAG]}
    uses = sum(session.store.count(step=step, tags=on_test) for step in ("trial", "refit"))
    run.log(
        metrics=metrics | {"test_uses": uses, "seeds": len(evaluated.chosen.refits)},
        tags={
            "narrowgap.chosen": evaluated.chosen.architecture,
            "narrowgap.reason_chosen": evaluated.choice.reason,
            **record.recipe_tags(evaluated.chosen.finalist.recipe),
        },
    )
    parts = [
        f"**{session.experiment.question}**",
        evaluated.choice.reason,
        markdown(gaps_table(contest.rows(evaluated)[: contest.MOST_IN_PICTURE])),
        *(f"```\n{look.told}\n```" for look in seen if look.told),
        (
            f"This test set has been scored {uses} times in this store: the more often, the more a choice that looks at it "
            "is luck. Nothing here was chosen by it."
        ),
    ]
    run.note("\n\n".join(parts))
    session.say(f"evaluate: chosen {evaluated.choice.reason}")
    for look in seen:
        if look.told:
            session.say(look.told)
