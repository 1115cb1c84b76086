"""Builds the report of an evaluation from its analyses: summary, facts, sections, commands."""

from collections.abc import Sequence
from shlex import quote

import pandas as pd

from pipeline.evaluation.finalists import in_sentence, label
from pipeline.evaluation.refits import RefitGroup
from pipeline.evaluation.report.page import Picture, Report, Table, render
from pipeline.evaluation.result import Analysis, EvaluationResult, mean_text
from pipeline.experiment import Experiment, load, names
from pipeline.session import Session
from pipeline.statistics.data_quality.imbalance import imbalance
from pipeline.tracking.names import METRICS, SEARCH_RUN_TAG
from pipeline.tracking.store import Run

MOST_IN_SUMMARY = 6
"""Networks in the table below the answer."""


def build_report(session: Session, run: Run, result: EvaluationResult, analyses: Sequence[Analysis]) -> str:
    """The page, self-contained."""
    experiment, prepared = session.experiment, session.prepared
    search = run.tags[SEARCH_RUN_TAG]
    parts = ", ".join(f"{len(part):,} {name}" for name, part in prepared.split.parts())
    shares = imbalance(prepared.split.train.labels, prepared.split.class_names)
    facts = [
        ("Experiment", experiment.name),
        ("Data", f"{prepared.dataset.name}: {parts}"),
        ("Classes", f"{prepared.split.classes}; {shares.text}"),
        ("Trials", _trials(result)),
        ("Refitted networks", _refitted(result)),
        ("Parameters of the chosen network", f"{result.chosen.parameters:,}"),
        ("Trials and refits scored on this test set, of all runs in this store", f"{run.metrics['test_uses']:.0f}"),
        ("Evaluate run", run.id),
        ("Search run", search),
        ("Data digest", prepared.dataset.digest),
    ]
    return render(
        Report(
            experiment.name,
            experiment.question,
            "\n\n".join([_answer(result), *(analysis.answer for analysis in analyses if analysis.answer)]),
            summary=_summary(result, analyses),
            facts=facts,
            sections=[analysis.section for analysis in analyses if analysis.section],
            commands=_commands(experiment, run, search, session.store.experiment_of(run)),
        )
    )


def _summary(result: EvaluationResult, analyses: Sequence[Analysis]) -> tuple[Table, Picture] | None:
    """One table and one picture for a reader with 30 seconds."""
    picture = next((analysis.summary_picture for analysis in analyses if analysis.summary_picture), None)
    if picture is None:
        return None
    shown = ("test_accuracy", "accuracy_gap", "test_loss")
    others = sorted(result.groups[1:], key=lambda group: group is not result.rival)
    groups = [result.chosen, *others][:MOST_IN_SUMMARY]
    rows = [
        {"network": result.label(group), "architecture": group.architecture}
        | {METRICS[name].heading: mean_text(name, group.summaries[name]) for name in shown}
        for group in groups
    ]
    seeds = result.seeds
    spread = f"means over {seeds} seeds, ± half of the 95 % interval" if seeds != "1" else "one seed"
    count = f"; {len(groups)} of {len(result.groups)} networks" if len(groups) < len(result.groups) else ""
    numbers = {METRICS[name].heading: str for name in shown}
    table = Table(f"Test accuracy and honest gap: {spread}{count}", pd.DataFrame(rows), numbers, highlight=0)
    return table, picture


def _answer(result: EvaluationResult) -> str:
    """Which network is chosen, with its accuracy and gap, and the one it is compared with."""
    chosen, rival = result.chosen, result.rival
    text = f"Chosen: {chosen.architecture} ({label(chosen.finalist.role)}) reaches {_figures(chosen)}"
    if rival is not None:
        without = "" if rival.finalist.recipe.spec.has_dropout else ", without dropout"
        kind = "for comparison, the dense network " if result.experiment.model is not None else ""
        text += f"; {kind}{rival.architecture} ({result.label(rival)}{without}) reaches {_figures(rival)}"
    left_out = f" Left out for time: {result.left_out}." if result.left_out else ""
    return f"{text}.{left_out}{_narrower(result)}"


def _narrower(result: EvaluationResult) -> str:
    """The finalist with the smallest honest gap of those that are at least as accurate as the reference, where it is not the
    chosen one: what the choice gives up, and for what. A paragraph of its own.
    """
    rival = result.rival
    if rival is None or not rival.finalist.reference:
        return ""
    least = rival.summaries["test_accuracy"].mean
    finalists = [group for group in result.groups if not group.finalist.reference]
    good = [group for group in finalists if group.summaries["test_accuracy"].mean >= least]
    narrow = min(good, key=lambda group: group.summaries["accuracy_gap"].mean, default=result.chosen)
    ours, theirs = result.chosen.summaries, narrow.summaries
    narrower, less = (_shown(ours[name].mean) - _shown(theirs[name].mean) for name in ("accuracy_gap", "test_accuracy"))
    if narrow is result.chosen or not narrower > 0:
        return ""
    less = round(less, 2)
    accuracy = f"{abs(less):.2f} points {'lower' if less > 0 else 'higher'}" if less else "the same"
    name = result.label(narrow)
    return (
        f"\n\nOf the finalists that are at least as accurate as {in_sentence(rival.finalist.role)} on test, {name}, "
        f"{narrow.architecture}, has the smallest honest gap. The gap of {name} is {narrower:.2f} points smaller than that "
        f"of the chosen network; its test accuracy is {accuracy}. The choice is by validation scores alone."
    )


def _shown(share: float) -> float:
    """In percent, with the digits of the tables: readers subtract what they see."""
    return round(100 * share, 2)


def _commands(experiment: Experiment, run: Run, search: str, place: str) -> list[tuple[str, str]]:
    """Commands that repeat the runs in the MLflow experiment `place`: by name if Narrowgap's experiment is unchanged,
    otherwise by the file that the run kept.
    """
    asked, first = f"-P experiment={experiment.name}", []
    run_here = f"--env-manager local --experiment-name {quote(place)}"
    if experiment.name not in names() or load(experiment.name) != experiment:
        asked = "-P experiment=again/experiment.yaml"
        fetched = f"mlflow artifacts download --run-id {run.id} --artifact-path experiment.yaml --dst-path again"
        first = [("First: fetch the experiment as it was run", fetched)]
    return [
        ("Once per shell: activate the environment", ". .venv/bin/activate"),
        *first,
        ("Repeat everything", f"mlflow run . {run_here} {asked}"),
        ("Repeat this evaluation", f"mlflow run . -e evaluate {run_here} {asked} -P search_run_id={search}"),
        ("Compare runs in the MLflow UI", "make ui"),
    ]


def _figures(group: RefitGroup) -> str:
    accuracy, gap = (mean_text(name, group.summaries[name]) for name in ("test_accuracy", "accuracy_gap"))
    return f"{accuracy} % test accuracy with an honest gap of {gap} points"


def _refitted(result: EvaluationResult) -> str:
    """Number of networks, of the seeds of each, and of their refits."""
    networks = f"{len(result.groups)} networks, each" if len(result.groups) > 1 else "1 network"
    refits = sum(len(group.refits) for group in result.groups)
    seeds = f"{result.seeds} seed{'' if result.seeds == '1' else 's'}"
    return f"{networks} with {seeds}: {refits} refit{'' if refits == 1 else 's'} in all"


def _trials(result: EvaluationResult) -> str:
    """Number of trials, and how many of them were pruned."""
    pruned = sum(trial.pruned for trial in result.trials)
    return f"{len(result.trials)}{f', {pruned} of them pruned' if pruned else ''}"
