"""The notebook's table: dropout no and yes, train and test, accuracy and loss, by both measures of train.

Enters: trained networks with their names. Leaves: a table, and the same as markdown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pipeline.findings.gaps import gaps
from pipeline.network.result import TrialResult

MEASURES = {"honest": "train with dropout off", "fit": "train as training last reported it, dropout on"}


@dataclass(frozen=True, eq=False)
class Row:
    """One network of the table."""

    role: str
    """Such as `chosen` or `baseline`."""
    architecture: str
    result: TrialResult


def gaps_table(rows: Sequence[Row]) -> pd.DataFrame:
    """One line per measure and network; gaps positive where train does better."""
    lines = []
    for measure in MEASURES:
        for row in rows:
            result, gap = row.result, gaps(row.result)
            honest = measure == "honest"
            lines.append(
                {
                    "measure": measure,
                    "network": row.role,
                    "architecture": row.architecture,
                    "dropout": "Y" if any(result.spec.dropout) else "N",
                    "train_accuracy": result.train.accuracy if honest else result.history["accuracy"][-1],
                    "test_accuracy": result.test.accuracy,
                    "accuracy_gap": gap.accuracy_gap if honest else gap.fit_accuracy_gap,
                    "train_loss": result.train.loss if honest else result.history["loss"][-1],
                    "test_loss": result.test.loss,
                    "loss_gap": gap.loss_gap if honest else gap.fit_loss_gap,
                }
            )
    return pd.DataFrame(lines)


def markdown(table: pd.DataFrame) -> str:
    """The table for a run's note: accuracies in percent, gaps in points."""
    lines = []
    for measure, title in MEASURES.items():
        lines += [
            f"**{measure.capitalize()} measure** ({title})",
            "",
            "| network | dropout | train accuracy | test accuracy | gap, points | train loss | test loss | gap |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for row in table[table["measure"] == measure].to_dict("records"):
            lines.append(
                f"| {row['network']}: {row['architecture']} | {row['dropout']} "
                f"| {100 * row['train_accuracy']:.2f} | {100 * row['test_accuracy']:.2f} | {100 * row['accuracy_gap']:+.2f} "
                f"| {row['train_loss']:.4f} | {row['test_loss']:.4f} | {row['loss_gap']:+.4f} |"
            )
        lines.append("")
    return "\n".join(lines)
