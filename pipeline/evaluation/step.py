"""The step `evaluate`: the search's finalists beside the notebook's networks, trained again with several seeds.

Leaves a run with tables, pictures, the model and the report, and a nested run per refit.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from pipeline.data.split import Split
from pipeline.evaluation.analyses import all_trials, chosen_model, comparison
from pipeline.evaluation.analyses.base import Analysis, EvaluationResult
from pipeline.evaluation.finalists import finalists
from pipeline.evaluation.find_search import recorded
from pipeline.evaluation.log_model import log_chosen_model
from pipeline.evaluation.refits import RefitGroup, fresh_seeds, refit
from pipeline.evaluation.report.report import report
from pipeline.experiment import Experiment
from pipeline.preparation.step import record_inputs
from pipeline.search import trials
from pipeline.search.workers.jobs import Workers
from pipeline.session import Session
from pipeline.statistics.gap_table import markdown
from pipeline.statistics.selection import Candidate, choose
from pipeline.tracking.names import CHOSEN_TAG, REASON_CHOSEN_TAG, REPORT, ROLE_TAG, SEARCH_RUN_TAG, TEST_DIGEST_TAG
from pipeline.tracking.store import Run

ANALYSES: Sequence[Callable[[EvaluationResult], Analysis | None]] = (
    comparison.gaps,
    comparison.published,
    comparison.selection,
    all_trials.pareto,
    all_trials.placement_effects,
    all_trials.designed_placement,
    comparison.significance,
    chosen_model.training,
    chosen_model.by_class,
    chosen_model.calibrated,
    chosen_model.unsure,
)
"""In the order of the report."""
HEADLINES = ("test_accuracy", "accuracy_gap", "test_loss", "loss_gap", "fit_accuracy_gap", "val_accuracy")
"""Of these, the evaluate run carries scatter and interval too."""


def evaluate(session: Session, run: Run, search: Run, workers: Workers) -> EvaluationResult:
    """Trains the finalists again, chooses among them on validation, and records what there is to see."""
    prepared = session.prepared
    run.log(tags={**prepared.tags, SEARCH_RUN_TAG: search.id})
    record_inputs(run, prepared)
    searched = recorded(search)
    asked = searched.model_copy(
        update={"evaluation": session.experiment.evaluation, "selection": session.experiment.selection}
    )
    found = trials.finished_trials(session.store, search)
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
    seen = [each for look in ANALYSES if (each := look(evaluated)) is not None]
    _record(session, run, evaluated, seen)
    log_chosen_model(
        run, prepared.split, evaluated.chosen, target_accuracy=session.experiment.evaluation.target_accuracy
    )
    page = report(session, run, evaluated, [each.section for each in seen if each.section])
    run.write(REPORT, page)
    return replace(evaluated, report=page)


def _chosen(
    experiment: Experiment, split: Split, found: list[trials.Trial], groups: Sequence[RefitGroup]
) -> EvaluationResult:
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
    return EvaluationResult(experiment, split, found, [chosen, *others], choice)


def _record(session: Session, run: Run, evaluated: EvaluationResult, seen: Sequence[Analysis]) -> None:
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
    on_test = {TEST_DIGEST_TAG: session.prepared.tags[TEST_DIGEST_TAG]}
    uses = sum(session.store.count(step=step, tags=on_test) for step in ("trial", "refit"))
    run.log(
        metrics=metrics | {"test_uses": uses, "seeds": len(evaluated.chosen.refits)},
        tags={
            CHOSEN_TAG: evaluated.chosen.architecture,
            REASON_CHOSEN_TAG: evaluated.choice.reason,
            **evaluated.chosen.finalist.recipe.tags(),
        },
    )
    parts = [
        f"**{session.experiment.question}**",
        evaluated.choice.reason,
        markdown(evaluated.first_gaps(comparison.MOST_IN_PICTURE)),
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
