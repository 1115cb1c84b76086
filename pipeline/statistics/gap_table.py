"""The table of gaps: train and test, accuracy and loss, by both measures, with intervals over seeds; also as markdown."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.statistics.seed_summary import Summary, summarise

MEASURES = {"honest": "train with dropout off", "fit": "train as model.fit reports it last, dropout on"}
FIGURES = ("train_accuracy", "test_accuracy", "accuracy_gap", "train_loss", "test_loss", "loss_gap")
"""Columns with a mean, and with the bounds of its 95 % interval as `…_low` and `…_high`."""


@dataclass(frozen=True, eq=False)
class Row:
    """One network of the table."""

    role: str
    """Role such as `chosen` or `baseline`."""
    architecture: str
    dropout: bool
    """Whether it has a dropout layer."""
    seeds: Sequence[Mapping[str, float]]
    """Metrics by their names in the tracking store, one mapping per seed."""


def gap_table(rows: Sequence[Row]) -> pd.DataFrame:
    """One row per measure and network. Gaps are positive if train is better; bounds are NaN for a single seed."""
    lines = []
    for measure in MEASURES:
        for row in rows:
            figures = [_honest(each) if measure == "honest" else _fit(each) for each in row.seeds]
            summaries = {name: summarise(each[name] for each in figures) for name in FIGURES}
            lines.append(
                {
                    "measure": measure,
                    "network": row.role,
                    "architecture": row.architecture,
                    "dropout": "Y" if row.dropout else "N",
                    "seeds": len(row.seeds),
                    **{name: summary.mean for name, summary in summaries.items()},
                    **{key: value for name, summary in summaries.items() for key, value in _bounds(name, summary)},
                }
            )
    return pd.DataFrame(lines)


def _bounds(name: str, summary: Summary) -> list[tuple[str, float]]:
    return [(f"{name}_low", summary.low), (f"{name}_high", summary.high)]


def _honest(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: metrics[name] for name in FIGURES}


def _fit(metrics: Mapping[str, float]) -> dict[str, float]:
    """The same metrics with train as training last reported it."""
    accuracy_gap, loss_gap = metrics["fit_accuracy_gap"], metrics["fit_loss_gap"]
    return {
        "train_accuracy": metrics["test_accuracy"] + accuracy_gap,
        "test_accuracy": metrics["test_accuracy"],
        "accuracy_gap": accuracy_gap,
        "train_loss": metrics["test_loss"] - loss_gap,
        "test_loss": metrics["test_loss"],
        "loss_gap": loss_gap,
    }


def markdown(table: pd.DataFrame) -> str:
    """The table for the note of a run: accuracies in percent, gaps in points, ± half of the 95 % interval."""
    lines = []
    for measure, title in MEASURES.items():
        lines += [
            f"**{measure.capitalize()} measure** ({title})",
            "",
            "| network | dropout | seeds | train accuracy | test accuracy | gap, points | train loss | test loss | gap |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for row in table[table["measure"] == measure].to_dict("records"):
            accuracies = [f"{100 * row[name]:.2f}{_reach(row, name, 100, 2)}" for name in FIGURES[:2]]
            gap = f"{100 * row['accuracy_gap']:+z.2f}{_reach(row, 'accuracy_gap', 100, 2)}"
            losses = [f"{row[name]:.4f}{_reach(row, name, 1, 4)}" for name in FIGURES[3:5]]
            loss_gap = f"{row['loss_gap']:+z.4f}{_reach(row, 'loss_gap', 1, 4)}"
            cells = [f"{row['network']}: {row['architecture']}", row["dropout"], str(row["seeds"])]
            lines.append(f"| {' | '.join([*cells, *accuracies, gap, *losses, loss_gap])} |")
        lines.append("")
    return "\n".join(lines)


def _reach(row: Mapping[Hashable, Any], name: str, scale: float, digits: int) -> str:
    """Half of the interval; empty for a single seed."""
    half = (row[f"{name}_high"] - row[f"{name}_low"]) / 2
    return "" if math.isnan(half) else f" ± {scale * half:.{digits}f}"
