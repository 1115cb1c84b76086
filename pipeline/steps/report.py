"""The report of an evaluation. Enters: what was trained and the sections that the looks left. Leaves: one HTML page."""

from collections.abc import Sequence

from pipeline.report.page import Report, Section, render
from pipeline.steps.finalists import BASELINE
from pipeline.steps.looks import Evaluated
from pipeline.steps.refits import Group
from pipeline.steps.session import Session
from pipeline.steps.wording import interval, percent, points
from pipeline.tracking.store import Run

REPORT = "report.html"


def report(session: Session, run: Run, evaluated: Evaluated, sections: Sequence[Section]) -> str:
    """The page, self-contained."""
    experiment, prepared = session.experiment, session.prepared
    search = run.tags["narrowgap.search_run_id"]
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
    commands = [
        ("The whole again", f"mlflow run . -P experiment={experiment.name}"),
        (
            "This evaluation again",
            f"mlflow run . -e evaluate -P experiment={experiment.name} -P search_run_id={search}",
        ),
        ("Compare runs in the MLflow UI", "make ui"),
    ]
    return render(Report(experiment.name, experiment.question, _answer(evaluated), facts, sections, commands))


def _answer(evaluated: Evaluated) -> str:
    """One sentence: which network, its accuracy and gap, beside the baseline's."""
    chosen, baseline = evaluated.chosen, evaluated.of_role(BASELINE)
    text = f"{chosen.architecture} reaches {_figures(chosen)}"
    if baseline is not None:
        text += f"; without dropout, {baseline.architecture} reaches {_figures(baseline)}"
    return f"{text}."


def _figures(group: Group) -> str:
    accuracy, gap = group.summaries["test_accuracy"], group.summaries["accuracy_gap"]
    shown = interval(accuracy.mean, accuracy.low, accuracy.high, write=percent)
    return f"{shown} % on test with an honest gap of {interval(gap.mean, gap.low, gap.high, write=points)} points"
