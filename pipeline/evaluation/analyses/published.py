"""Published results of the fixed networks next to our own."""

import pandas as pd

from pipeline.evaluation.report.page import Section, Table
from pipeline.evaluation.result import Analysis, EvaluationResult
from pipeline.formatting import interval
from pipeline.statistics.gap_table import FIGURES
from pipeline.tracking.names import METRICS, PUBLISHED_CSV

METHOD = (
    "Published values use the fit measure: train as model.fit reports it last, with dropout on. Our values are shown by "
    "that measure and by the honest one, with dropout off; means over seeds, ± half of the 95 % interval."
)
HEADINGS = {"accuracy_gap": "accuracy gap, points"}
"""Of a gap by both measures, where the figure's own heading names one."""


def analyse(result: EvaluationResult) -> Analysis | None:
    """Published and measured values; None if no network has published ones."""
    gap_table = result.gap_table.set_index(["measure", "network"])
    rows = []
    for group in result.groups:
        source, role = group.finalist.published, result.role(group)
        if source is None:
            continue
        published = source.model_dump() | {
            "accuracy_gap": source.train_accuracy - source.test_accuracy,
            "loss_gap": source.test_loss - source.train_loss,
        }
        for name in FIGURES:
            ours = {
                f"{measure}{end}": gap_table.loc[(measure, role), f"{name}{end}"]
                for measure in ("fit", "honest")
                for end in ("", "_low", "_high")
            }
            row = {"network": role, "architecture": group.architecture, "figure": name, "published": published[name]}
            rows.append(row | ours | {"source": source.source})
    if not rows:
        return None
    table = pd.DataFrame(rows)
    frame = _formatted(table)
    numbers = dict.fromkeys(frame.columns[2:5], str)  # aligned right
    return Analysis(
        {PUBLISHED_CSV: table.to_csv(index=False)},
        section=Section(
            "Published results and ours", tables=[Table("Published and measured values", frame, numbers)], method=METHOD
        ),
        message=f"Published results and ours, means over seeds:\n{frame.to_string(index=False)}",
    )


def _formatted(table: pd.DataFrame) -> pd.DataFrame:
    """The rows as text."""
    rows = []
    for row in table.to_dict("records"):
        metric = METRICS[row["figure"]]
        ours = {
            measure: interval(row[measure], row[f"{measure}_low"], row[f"{measure}_high"], write=metric.text)
            for measure in ("fit", "honest")
        }
        rows.append(
            {
                "architecture": row["architecture"],
                "metric": HEADINGS.get(row["figure"], metric.heading),
                "published": metric.text(row["published"]),
                "ours, fit measure": ours["fit"],
                "ours, honest measure": ours["honest"],
                "source": row["source"],
            }
        )
    return pd.DataFrame(rows)
