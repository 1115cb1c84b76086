"""The decision of the promotion gate, with its conditions, as JSON and as markdown."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.retraining.model_metrics import ModelMetrics

LABELS = {
    "accuracy": ("accuracy, %", 100, 2),
    "loss": ("loss, nats", 1, 4),
    "accuracy_gap": ("honest gap (train minus test accuracy), points", 100, 2),
    "loss_gap": ("loss gap (test minus train), nats", 1, 4),
    "calibration_error": ("calibration error, points", 100, 2),
}
"""Label, scale and digits of each metric, as people read them."""


@dataclass(frozen=True)
class Condition:
    """One requirement on the challenger, and whether it is met."""

    name: str
    met: bool
    figure: float
    """The measured value."""
    bound: float
    """The required value; NaN if it is unknown."""
    sentence: str
    """Both values for people, in percent, points or nats."""


@dataclass(frozen=True)
class Decision:
    """Whether the challenger becomes the champion."""

    promote: bool
    """Whether every condition is met and, if there is a champion, at least one improvement is significant."""
    reason: str
    """Why, in one sentence."""
    conditions: tuple[Condition, ...]
    """All are required."""
    improvements: tuple[Condition, ...]
    """One is required; empty without a champion."""
    champion: ModelMetrics | None
    challenger: ModelMetrics
    rule: Mapping[str, Any]
    """The gate's settings as plain values; `alpha` is that of one attempt."""


def as_json(decision: Decision) -> str:
    """The whole decision; NaN and infinity become null, which JSON requires."""
    return json.dumps(_plain(asdict(decision)), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def as_markdown(decision: Decision) -> str:
    """The reason, both networks side by side, and every condition with its values."""
    refused = "Champion kept" if decision.champion else "Not promoted"
    lines = [f"**{'Promoted' if decision.promote else refused}**: {decision.reason}", "", *_side_by_side(decision), ""]
    lines += ["| condition (all required) | met | values |", "|---|---|---|", *map(_row, decision.conditions), ""]
    if decision.improvements:
        lines += [
            "| improvement (one required) | met | values |",
            "|---|---|---|",
            *map(_row, decision.improvements),
            "",
        ]
    return "\n".join(lines)


def _side_by_side(decision: Decision) -> list[str]:
    champion, challenger = decision.champion, decision.challenger
    lines = ["| on the same test images | champion | challenger | difference |", "|---|---|---|---|"]
    for name, (label, scale, digits) in LABELS.items():
        new = scale * getattr(challenger, name)
        cells = ["", f"{new:.{digits}f}", ""]
        if champion is not None:
            old = scale * getattr(champion, name)
            cells = [f"{old:.{digits}f}", f"{new:.{digits}f}", f"{new - old:+.{digits}f}"]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return lines


def _row(condition: Condition) -> str:
    # A class name may contain a bar, which would end the cell.
    return (
        f"| {condition.name} | {'yes' if condition.met else '**no**'} | {condition.sentence.replace('|', '&#124;')} |"
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
