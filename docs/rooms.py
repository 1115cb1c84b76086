# ruff: noqa: INP001 - a script, no package
"""Draws `rooms.svg`, the rooms of `pipeline/` in the order of imports.

After a change of `ROWS`: `python docs/rooms.py`. `tests/test_walls.py` holds the order of the rooms against that of the
imports, and the file against what is drawn here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_suffix(".svg")
LEFT, WIDTH, GAP = 150, 694, 12
"""Where the boxes of a row begin, how wide all are together, and what is between two; pixels, as all lengths here."""
TOP, STEP, HEIGHT = 16, 82, 64
"""Top of the first row, distance between tops, height of a box."""
SMALL = 10.5
"""Size of a caption's letters in a row of more than three rooms; 11 in others."""


@dataclass(frozen=True)
class Row:
    """Rooms of one kind, side by side."""

    label: str
    fill: str
    stroke: str
    rooms: dict[str, tuple[str, ...]]
    """The caption of each room: one line or two."""


ROWS = (
    Row("start", "#ede7f6", "#673ab7", {"__main__": ("command line",), "run": ("root run, one step",)}),
    Row(
        "steps", "#e8eaf6", "#3f51b5",
        {
            "retraining": ("challenger, gate,", "rollback, schedule"),
            "checking": ("duplicates,", "wrong labels"),
            "evaluation": ("refits, analyses,", "report"),
            "search": ("proposals, workers,", "journal, resume"),
            "preparation": ("exploration",),
            "serving": ("saved model,", "predict"),
        },
    ),
    Row(
        "analysis", "#fff3e0", "#ef6c00",
        {"figures": ("matplotlib pictures",), "statistics": ("gaps, selection,", "effects, drift")},
    ),
    Row(
        "training", "#e0f2f1", "#00796b",
        {"training": ("trainers, scoring",), "models": ("specs, recipe,", "search space")},
    ),
    Row(
        "boundary", "#f1f8e9", "#558b2f",
        {
            "session": ("what a step", "works with"),
            "data": ("sources, formats, split",),
            "tracking": ("MLflow: names, runs,", "views, registry"),
        },
    ),
    Row(
        "base", "#eceff1", "#455a64",
        {
            "experiment": ("schema, loading",),
            "formatting": ("numbers as text",),
            "paths": ("users' paths",),
            "time_limit": ("what is left", "of minutes"),
            "stop_request": ("a signal", "to stop"),
            "errors": ("exit codes",),
        },
    ),
)  # fmt: skip
"""From top to bottom: a room imports those below it, and those to its right."""


def rooms() -> list[str]:
    """The rooms in the order in which they are drawn."""
    return [name for row in ROWS for name in row.rooms]


def drawn() -> str:
    """The picture as SVG."""
    bottom = TOP + STEP * (len(ROWS) - 1) + HEIGHT
    width, height = LEFT + WIDTH + TOP, bottom + 34
    boxes = "\n".join(line for place, row in enumerate(ROWS) for line in _row(row, TOP + STEP * place))
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"
 font-family="Helvetica, Arial, sans-serif" font-size="13">
<title>The rooms of pipeline/ in the order of imports</title>
<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0 8 4 0 8z" fill="#555"/></marker></defs>
<rect width="{width}" height="{height}" fill="white"/>
{boxes}
<path d="M{LEFT - 14} {TOP + 8}V{bottom - 6}" stroke="#555" stroke-width="1.5" fill="none" marker-end="url(#arrow)"/>
<text x="14" y="{bottom + 24}" font-size="12" fill="#555">
Imports run downwards only. Within a row they run from left to right.</text>
</svg>
"""


def _row(row: Row, top: int) -> Iterator[str]:
    yield f'<text x="14" y="{top + 30}" font-size="12" fill="#555">{row.label}</text>'
    width = (WIDTH - GAP * (len(row.rooms) - 1)) / len(row.rooms)
    letters = SMALL if len(row.rooms) > 3 else 11
    for place, (name, caption) in enumerate(row.rooms.items()):
        left = LEFT + place * (width + GAP)
        yield (
            f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{HEIGHT}" rx="5" fill="{row.fill}" '
            f'stroke="{row.stroke}"/>'
        )
        middle, first = f'x="{left + width / 2:.1f}"', top + (28 if len(caption) == 1 else 21)
        yield f'<text {middle} y="{first}" text-anchor="middle" font-weight="bold" fill="#222">{name}</text>'
        for line, text in enumerate(caption, start=1):
            yield (
                f'<text {middle} y="{first + 1 + 15 * line}" text-anchor="middle" font-size="{letters}" fill="#444">{text}'
                "</text>"
            )


if __name__ == "__main__":
    FILE.write_text(drawn(), encoding="utf-8")
