"""What each step of the command line does, and the whole in one process. Enters: a session, the root run."""

import io
from collections.abc import Callable, Mapping

import pandas as pd
from rich.table import Table

from pipeline.search.workers import Workers
from pipeline.steps import evaluate as evaluating
from pipeline.steps import prepare as preparing
from pipeline.steps import search as searching
from pipeline.steps.report import REPORT
from pipeline.steps.session import Session
from pipeline.steps.wording import interval, percent, points
from pipeline.tracking.store import Run

Recipe = Callable[[Session, Run, Workers, Run | None], None]
"""Takes the session, the root run, the workers, and the search to go on with or to evaluate."""


def main(session: Session, root: Run, crew: Workers, before: Run | None) -> None:
    """Prepare, search, evaluate: a nested run each."""
    prepared = session.prepared
    root.log(tags=prepared.tags)
    with session.child(root, step="prepare", name="prepare") as run:
        preparing.prepare(session, run)
    with searching.search_run(session, root, before, alone=False) as run:
        search = searching.search(session, run, crew)
    with session.child(root, step="evaluate", name="evaluate") as run:
        evaluating.evaluate(session, run, search, crew)
    _speak_for(root, run)
    root.write(REPORT, run.read(REPORT))
    _print_gaps(session, run)


def search(session: Session, root: Run, crew: Workers, before: Run | None) -> None:
    """A search alone, or the rest of one that was interrupted."""
    with searching.search_run(session, root, before, alone=True) as run:
        searching.search(session, run, crew)
    if run is not root:
        _speak_for(root, run)


def evaluate(session: Session, root: Run, crew: Workers, before: Run | None) -> None:
    """The named search, or the experiment's latest that finished."""
    if before is None:
        raise ValueError("no search to evaluate")
    evaluating.evaluate(session, root, before, crew)
    _print_gaps(session, root)


RECIPES: Mapping[str, Recipe] = {"main": main, "search": search, "evaluate": evaluate}


def _speak_for(root: Run, child: Run) -> None:
    """The root shows what its last step has found, so that no row in the UI is empty."""
    root.log(metrics=child.metrics, tags={key: child.tags[key] for key in ("narrowgap.chosen", "mlflow.note.content")})


def _print_gaps(session: Session, run: Run) -> None:
    """The summary: what was trained again, with both gaps; ± is half of the 95 % interval over seeds."""
    gaps = pd.read_csv(io.BytesIO(run.read("gaps.csv")))
    shown = Table(title="Train and test, scored by the same weights with dropout off", title_justify="left")
    for column in (
        "network",
        "architecture",
        "test accuracy, %",
        "honest gap, points",
        "fit gap",
        "test loss",
        "loss gap",
    ):
        shown.add_column(column, justify="left" if column in {"network", "architecture"} else "right")
    fit = gaps[gaps["measure"] == "fit"].set_index("network")
    for row in gaps[gaps["measure"] == "honest"].to_dict("records"):
        shown.add_row(
            row["network"],
            row["architecture"],
            interval(row["test_accuracy"], row["test_accuracy_low"], row["test_accuracy_high"], write=percent),
            interval(row["accuracy_gap"], row["accuracy_gap_low"], row["accuracy_gap_high"], write=points),
            points(fit.loc[row["network"], "accuracy_gap"]),
            f"{row['test_loss']:.4f}",
            f"{row['loss_gap']:+.4f}",
        )
    session.console.print(shown)
    session.say(f"Report: {REPORT} among the artifacts of run {run.id}")
