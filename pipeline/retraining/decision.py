"""What the promotion gate decided and why. Enters: conditions with their figures. Leaves: a `Decision` as JSON, markdown."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Condition:
    """One thing that was asked of the challenger."""

    name: str
    met: bool
    figure: float
    """What was measured."""
    bound: float
    """What it was held against; NaN where there was nothing to hold it against."""
    sentence: str
    """Both for people, in percent, points or nats."""


@dataclass(frozen=True)
class Figures:
    """How one network does, dropout off. Shares 0 to 1, losses in nats."""

    accuracy: float
    loss: float
    accuracy_gap: float
    """Honest: train less test accuracy."""
    loss_gap: float
    """Test less train loss."""
    calibration_error: float
    """Expected calibration error on test."""


@dataclass(frozen=True)
class Decision:
    """Whether the challenger becomes the champion."""

    promote: bool
    """Whether every condition is met and, where there is a champion, at least one improvement is shown."""
    reason: str
    """A sentence."""
    conditions: tuple[Condition, ...]
    """All must be met."""
    improvements: tuple[Condition, ...]
    """One must be met; empty without a champion."""
    champion: Figures | None
    challenger: Figures
    rule: Mapping[str, Any]
    """The bounds that were in force, as plain values."""


def as_json(decision: Decision) -> str:
    """All of it; a figure that is no number is null, for JSON has no NaN."""
    return json.dumps(_plain(asdict(decision)), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def as_markdown(decision: Decision) -> str:
    """For people: the reason, both networks side by side, every condition with its figures."""
    lines = [f"**{'Promoted' if decision.promote else 'Kept'}**: {decision.reason}", "", *_side_by_side(decision), ""]
    lines += ["| all must hold | met | figures |", "|---|---|---|", *map(_row, decision.conditions), ""]
    if decision.improvements:
        lines += ["| one must be shown | met | figures |", "|---|---|---|", *map(_row, decision.improvements), ""]
    return "\n".join(lines)


def _side_by_side(decision: Decision) -> list[str]:
    champion, challenger = decision.champion, decision.challenger
    lines = ["| on the same test images | champion | challenger | difference |", "|---|---|---|---|"]
    for name, new in asdict(challenger).items():
        scale, digits, unit = (1, 4, "nats") if "loss" in name else (100, 2, "%" if name == "accuracy" else "points")
        old = asdict(champion)[name] if champion else math.nan
        shown = [f"{scale * old:.{digits}f}", f"{scale * new:.{digits}f}", f"{scale * (new - old):+.{digits}f}"]
        if champion is None:
            shown[0] = shown[2] = ""
        lines.append(f"| {name.replace('_', ' ')}, {unit} | {' | '.join(shown)} |")
    return lines


def _row(condition: Condition) -> str:
    # A class may be named with a bar, which would end the cell.
    return (
        f"| {condition.name} | {'yes' if condition.met else '**no**'} | {condition.sentence.replace('|', '&#124;')} |"
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
