"""The table of gaps that ends an evaluation on the screen."""

from rich.table import Table

from pipeline.evaluation.result import EvaluationResult
from pipeline.formatting import interval, percent, points
from pipeline.session import Session
from pipeline.tracking.names import REPORT
from pipeline.tracking.store import Run

TEXT_COLUMNS = ("network", "architecture")
FIGURE_COLUMNS = ("test accuracy\n%", "honest gap\npoints", "fit gap\npoints", "test loss\nnats", "loss gap\nnats")


def print_gaps(session: Session, run: Run, result: EvaluationResult) -> None:
    """Prints the refitted networks with both gaps; ± is half of the 95 % interval over seeds."""
    gaps = result.labelled(result.gap_table)
    spread = "one seed" if result.seeds == "1" else f"means over {result.seeds} seeds, ± half of the 95 % interval"
    shown = Table(title=f"Refitted networks: {spread}", title_justify="left")
    for column in TEXT_COLUMNS:
        shown.add_column(column)
    for column in FIGURE_COLUMNS:
        shown.add_column(column, justify="right")
    fit = gaps[gaps["measure"] == "fit"].set_index("network")
    for row in gaps[gaps["measure"] == "honest"].to_dict("records"):
        shown.add_row(
            row["network"],
            row["architecture"],
            interval(row["test_accuracy"], row["test_accuracy_low"], row["test_accuracy_high"], write=percent),
            interval(row["accuracy_gap"], row["accuracy_gap_low"], row["accuracy_gap_high"], write=points),
            points(fit.loc[row["network"], "accuracy_gap"]),
            f"{row['test_loss']:.4f}",
            f"{row['loss_gap']:+z.4f}",
        )
    session.console.print(shown)
    session.say(f"Report: {run.artifact_place(REPORT)}")
