"""The report of an evaluation. Enters: what was trained and the sections that the looks left. Leaves: one HTML page."""

from collections.abc import Sequence

from pipeline.evaluation.analyses.base import EvaluationResult
from pipeline.evaluation.refits import RefitGroup
from pipeline.evaluation.report.page import Report, Section, render
from pipeline.experiment import Experiment, load, names
from pipeline.formatting import interval, percent, points
from pipeline.session import Session
from pipeline.tracking.names import SEARCH_RUN_TAG
from pipeline.tracking.store import Run


def report(session: Session, run: Run, evaluated: EvaluationResult, sections: Sequence[Section]) -> str:
    """The page, self-contained."""
    experiment, prepared = session.experiment, session.prepared
    search = run.tags[SEARCH_RUN_TAG]
    parts = ", ".join(f"{len(part):,} {name}" for name, part in prepared.split.parts())
    facts = [
        ("Experiment", experiment.name),
        ("Data", f"{prepared.dataset.name}: {parts}"),
        ("Trials searched", str(len(evaluated.trials))),
        ("Networks trained again", f"{len(evaluated.groups)}, {len(evaluated.chosen.refits)} seeds each"),
        ("Parameters of the chosen", f"{evaluated.chosen.parameters:,}"),
        ("Times this test set was scored", f"{run.metrics['test_uses']:.0f}"),
        ("Evaluate run", run.id),
        ("Search run", search),
        ("Data digest", prepared.dataset.digest),
    ]
    answer, commands = _answer(evaluated), _commands(experiment, run, search)
    return render(Report(experiment.name, experiment.question, answer, facts, sections, commands))


def _answer(evaluated: EvaluationResult) -> str:
    """One sentence: which network, its accuracy and gap, beside what it is compared with."""
    chosen, rival = evaluated.chosen, evaluated.rival
    text = f"{chosen.architecture} reaches {_figures(chosen)}"
    if rival is not None:
        without = "" if rival.finalist.recipe.spec.has_dropout else ", without dropout"
        text += f"; {rival.architecture} ({evaluated.role(rival)}{without}) reaches {_figures(rival)}"
    return f"{text}."


def _commands(experiment: Experiment, run: Run, search: str) -> list[tuple[str, str]]:
    """What gives the same again: by name where the experiment is as it came, or else by the file that the run kept."""
    asked, first = f"-P experiment={experiment.name}", []
    if experiment.name not in names() or load(experiment.name) != experiment:
        asked = "-P experiment=again/experiment.yaml"
        fetched = f"mlflow artifacts download --run-id {run.id} --artifact-path experiment.yaml --dst-path again"
        first = [("First: the experiment as it was run", fetched)]
    return [
        *first,
        ("The whole again", f"mlflow run . --env-manager local {asked}"),
        ("This evaluation again", f"mlflow run . -e evaluate --env-manager local {asked} -P search_run_id={search}"),
        ("Compare runs in the MLflow UI", "make ui"),
    ]


def _figures(group: RefitGroup) -> str:
    accuracy, gap = group.summaries["test_accuracy"], group.summaries["accuracy_gap"]
    shown = interval(accuracy.mean, accuracy.low, accuracy.high, write=percent)
    return f"{shown} % on test with an honest gap of {interval(gap.mean, gap.low, gap.high, write=points)} points"
