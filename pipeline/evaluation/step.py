"""The step `evaluate`: refits the finalists over seeds, chooses one on validation, and reports.

The result is a run with tables, pictures, the model and the report, and a nested run per refit.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from pipeline.evaluation.analyses import ANALYSES
from pipeline.evaluation.analyses.gaps import MOST_IN_PICTURE
from pipeline.evaluation.finalists import finalists
from pipeline.evaluation.find_search import recorded
from pipeline.evaluation.log_model import log_chosen_model
from pipeline.evaluation.plan import Plans
from pipeline.evaluation.race import final_choice, first_plan, next_plan
from pipeline.evaluation.refits import fresh_seeds, refit_by_plan
from pipeline.evaluation.report.build import build_report
from pipeline.evaluation.result import Analysis, EvaluationResult
from pipeline.preparation.step import record_inputs
from pipeline.search import trials
from pipeline.search.workers.jobs import Workers
from pipeline.session import Session
from pipeline.statistics.gap_table import markdown
from pipeline.tracking.names import (
    CHOSEN_TAG,
    LEFT_OUT_TAG,
    REASON_CHOSEN_TAG,
    REPORT,
    ROLE_TAG,
    SEARCH_RUN_TAG,
    TEST_DIGEST_TAG,
)
from pipeline.tracking.store import Run

HEADLINES = ("test_accuracy", "accuracy_gap", "test_loss", "loss_gap", "fit_accuracy_gap", "val_accuracy")
"""Metrics of which the evaluate run also has standard deviation and interval."""


def evaluate(session: Session, run: Run, search: Run, workers: Workers) -> EvaluationResult:
    """Refits the finalists of a search over seeds, chooses one on validation, and records the analyses.

    Args:
        session: What every step is given.
        run: The run of this evaluation.
        search: The run of the search.
        workers: Where the refits are trained.

    Raises:
        SearchFailedError: If no finalist could be trained.
    """
    prepared = session.prepared
    run.log(tags={**prepared.tags, SEARCH_RUN_TAG: search.id})
    record_inputs(run, prepared)
    experiment = recorded(search).model_copy(
        update={"evaluation": session.experiment.evaluation, "selection": session.experiment.selection}
    )
    finished = trials.finished_trials(session.store, search, experiment.model)
    contestants = finalists(experiment, trials.unpruned(finished), len(prepared.split.validation))
    labels = prepared.split.validation.labels
    groups, plan = refit_by_plan(
        session,
        run,
        contestants,
        workers,
        seeds=fresh_seeds(experiment),
        plans=Plans(
            first_plan(experiment, contestants),
            partial(next_plan, experiment, len(labels)),
            trials.full_seconds(finished, experiment.training),
        ),
    )
    chosen, choice = final_choice(experiment, labels, groups, plan)
    asked = experiment.model_copy(update={"question": session.experiment.question})
    others = [group for group in groups if group is not chosen]
    left_out = "; ".join(part for part in (search.tags.get(LEFT_OUT_TAG), plan.left_out) if part)
    result = EvaluationResult(asked, prepared.split, finished, [chosen, *others], choice, plan.notes, left_out)
    for refitted in result.chosen.refits:
        refitted.run.log(tags={ROLE_TAG: "chosen"})
    analyses = [analysis for analyse in ANALYSES if (analysis := analyse(result)) is not None]
    _record(session, run, result, analyses)
    serving = next(analysis.serving for analysis in analyses if analysis.serving is not None)
    log_chosen_model(run, prepared, result.chosen, serving)
    page = build_report(session, run, result, analyses)
    run.write(REPORT, page)
    return replace(result, report=page)


def _record(session: Session, run: Run, result: EvaluationResult, analyses: Sequence[Analysis]) -> None:
    """Writes the artifacts, the metrics of the chosen network, and the note of the run."""
    for analysis in analyses:
        for name, content in analysis.artifacts.items():
            run.write(name, content)
    uses = _test_uses(session)
    run.log(
        metrics=_metrics(result, analyses) | {"test_uses": uses, "seeds": len(result.chosen.refits)},
        tags={
            CHOSEN_TAG: result.chosen.architecture,
            REASON_CHOSEN_TAG: result.choice.reason,
            **result.chosen.finalist.recipe.tags(),
            **({LEFT_OUT_TAG: result.left_out} if result.left_out else {}),
        },
    )
    messages = [analysis.message for analysis in analyses if analysis.message]
    parts = [
        f"**{session.experiment.question}**",
        result.choice.reason,
        *([f"Left out for time: {result.left_out}."] if result.left_out else []),
        markdown(result.first_gaps(MOST_IN_PICTURE)),
        *(f"```\n{message}\n```" for message in messages),
        (
            f"This test set has been scored {uses} times in this store. The more often a test set is reused, the more "
            "optimistic it becomes. No choice here used it."
        ),
    ]
    run.note("\n\n".join(parts))
    session.say(
        f"evaluate: choice by the rule {session.experiment.selection.rule}, on validation: {result.choice.reason}"
    )
    for message in messages:
        session.say(message)


def _metrics(result: EvaluationResult, analyses: Sequence[Analysis]) -> dict[str, float]:
    """Means of the chosen network over its seeds, headline metrics with spread, and the metrics of the analyses."""
    summaries = result.chosen.summaries
    metrics = {name: summary.mean for name, summary in summaries.items()}
    if len(result.chosen.refits) > 1:
        for name in HEADLINES:
            summary = summaries[name]
            metrics |= {f"{name}_sd": summary.sd, f"{name}_low": summary.low, f"{name}_high": summary.high}
    for analysis in analyses:
        metrics |= analysis.metrics
    return metrics


def _test_uses(session: Session) -> int:
    """How many trials and refits of the store were scored on this test set."""
    on_test = {TEST_DIGEST_TAG: session.prepared.tags[TEST_DIGEST_TAG]}
    return sum(session.store.count(step=step, tags=on_test) for step in ("trial", "refit"))
