"""Train against test: the generalisation gap of every refitted network by both measures."""

import pandas as pd

from pipeline.evaluation.report.page import Picture, Section, Table
from pipeline.evaluation.result import Analysis, EvaluationResult
from pipeline.figures.comparisons import gaps as gaps_figure
from pipeline.figures.style import png
from pipeline.formatting import interval
from pipeline.statistics.gap_table import FIGURES
from pipeline.tracking.names import GAPS_CSV, GAPS_PNG, METRICS

MOST_IN_PICTURE = 10
"""Networks in the picture; the table has all."""
WITH_INTERVAL = ("test_accuracy", "accuracy_gap", "loss_gap")
"""Columns that show half of their 95 % interval."""
METHOD = (
    "Honest gap: train and test are scored with the same weights and with dropout off. Fit gap: the train score is that of "
    "the last epoch as training reports it, with dropout on and averaged while the weights change; the weights kept can be "
    "those of an earlier epoch. Dropout makes the fit gap smaller, usually smaller than the honest gap. Without dropout it "
    "can be smaller or larger than the honest gap. With batch normalization and few epochs, it can be many points too small "
    "or too large.\n\n"
    "The architecture of a dense network lists the layer sizes from input to output; the number in brackets is the "
    "dropout rate after a layer."
)


def analyse(result: EvaluationResult) -> Analysis:
    """The gap table, and the picture on top of the report."""
    table = result.gap_table
    picture = png(gaps_figure.gaps(result.first_gaps(MOST_IN_PICTURE)))
    tables = []
    for measure in ("honest", "fit"):
        frame = _formatted(result.labelled(table[table["measure"] == measure]), measure)
        numbers = dict.fromkeys(frame.columns[2:], str)  # aligned right
        tables.append(Table(f"{measure.capitalize()} measure", frame, numbers, highlight=0))
    section = Section(
        "Gaps between train and test",
        "One seed: no intervals."
        if result.seeds == "1"
        else f"Means over {result.seeds} seeds, ± half of the 95 % interval.",
        tables,
        method=METHOD,
    )
    alt = (
        f"Accuracy and loss on train and test of {min(len(result.groups), MOST_IN_PICTURE)} networks, with the gap "
        "between them."
    )
    return Analysis(
        {GAPS_CSV: table.to_csv(index=False), GAPS_PNG: picture},
        section=section,
        summary_picture=Picture(picture, alt, "Train and test scores, by the honest and by the fit measure of the gap"),
    )


def _formatted(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The rows of one measure as text."""
    rows = []
    for row in table.to_dict("records"):
        texts = {}
        for name in FIGURES:
            metric = METRICS[f"fit_{name}" if measure == "fit" and f"fit_{name}" in METRICS else name]
            low, high = (row[f"{name}_low"], row[f"{name}_high"])
            texts[metric.heading] = (
                interval(row[name], low, high, write=metric.text) if name in WITH_INTERVAL else metric.text(row[name])
            )
        rows.append({"network": row["network"], "architecture": row["architecture"], **texts})
    return pd.DataFrame(rows)
