"""A forest plot of the effects of dropout layers, sizes, depth and whatever else is searched."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures.style import GREY, MARK, TEST, canvas
from pipeline.statistics.effects.model import Effect, Effects, Fit

HEADINGS = {
    "dropout": "Dropout, per 0.1 of rate",
    "hidden": "Size, per doubling",
    "depth": "Depth, against the fewest layers",
    "size": "Numbers, per doubling",
    "range": "From the lowest to the highest value",
    "choice": "Choices, against the first",
}
PANELS = {
    "test_accuracy": ("Test accuracy", {"raises": MARK, "lowers": TEST}),
    "accuracy_gap": ("Honest gap", {"raises": TEST, "lowers": MARK}),
}
"""Titles, and the colours of wanted and unwanted effects."""
LABELS = 182
"""Points of width for the names of the rows."""


def effects(found: Effects) -> Figure:
    """Test accuracy and honest gap side by side, one row per effect: estimate and 95 % interval, drawn and as numbers."""
    rows = _rows(found.fit("accuracy_gap"))
    figure, panels = canvas(11.5, 1.7 + 0.28 * len(rows), columns=2)
    for axes, outcome in zip(panels, PANELS, strict=True):
        _panel(axes, found.fit(outcome), rows)
    panels[0].set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=9, ha="left")
    panels[0].tick_params(axis="y", length=0, pad=LABELS)
    for label, (_, column) in zip(panels[0].get_yticklabels(), rows, strict=True):
        label.set_fontweight("normal" if column else "bold")
    handles = [
        Line2D([], [], color=colour, marker="o", markerfacecolor=fill, linewidth=2, label=label)
        for colour, fill, label in (
            (MARK, MARK, "better"),
            (TEST, TEST, "worse"),
            (GREY, "white", "not significant (after Holm's correction)"),
        )
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def _rows(fit: Fit) -> list[tuple[str, str]]:
    """Names from top to bottom, and the columns that they stand for; a heading stands for none."""
    rows = []
    for kind, heading in HEADINGS.items():
        of_kind = [effect for effect in fit.effects if effect.kind == kind]
        rows += [(heading, ""), *((f"   {effect.label}", effect.column) for effect in of_kind)] if of_kind else []
    return rows


def _panel(axes: Axes, fit: Fit, rows: Sequence[tuple[str, str]]) -> None:
    title, colours = PANELS[fit.outcome]
    low, high = _limits(fit)
    axes.set_xlim(low, high)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color="black", linewidth=0.9, zorder=1)
    axes.grid(axis="x", color=GREY, alpha=0.2, linewidth=0.6)
    for place, (_, column) in enumerate(rows):
        if column:
            _row(axes, place, fit.effect(column), colours)
    axes.set_xlabel("points, with 95 % interval", fontsize=9)
    axes.set_title(f"{title}: {_fitted(fit)}", fontsize=10, loc="left")


def _row(axes: Axes, place: int, effect: Effect, colours: dict[str, str]) -> None:
    if math.isnan(effect.estimate):
        axes.text(
            1.05, place, f"cannot tell: {effect.why}", transform=axes.get_yaxis_transform(), fontsize=8, va="center",
            color=GREY,
        )  # fmt: skip
        return
    colour = colours.get(effect.verdict, GREY)
    left, right = axes.get_xlim()
    axes.plot([effect.low, effect.high], [place, place], color=colour, linewidth=2, zorder=2, solid_capstyle="butt")
    fill = "white" if effect.verdict == "cannot tell" else colour
    axes.plot(effect.estimate, place, "o", color=colour, markerfacecolor=fill, markersize=6, zorder=3)
    # An interval that reaches out of the picture ends in an arrow.
    for beyond, edge, arrow in ((effect.low < left, left, "<"), (effect.high > right, right, ">")):
        if beyond:
            axes.plot(edge, place, arrow, color=colour, markersize=6, clip_on=False, zorder=3)
    axes.text(
        1.05, place, f"{_signed(effect.estimate)} ({_signed(effect.low)} to {_signed(effect.high)})",
        transform=axes.get_yaxis_transform(), fontsize=8, va="center", color=colour,
    )  # fmt: skip


def _limits(fit: Fit) -> tuple[float, float]:
    """Room for 0, for every interval of dropout and sizes, and for the estimates of depth, whose intervals are wider."""
    known = [effect for effect in fit.effects if math.isfinite(effect.estimate)]
    ends = [end for effect in known if effect.kind != "depth" for end in (effect.low, effect.high)]
    ends += [effect.estimate for effect in known]
    low, high = min(ends, default=-1.0), max(ends, default=1.0)
    low, high = min(low, 0.0), max(high, 0.0)
    room = 0.08 * (high - low)
    return low - room, high + room


def _fitted(fit: Fit) -> str:
    of = fit.regression
    fitted = (
        "no fit" if math.isnan(of.r_squared) else f"R² {of.r_squared:.2f}, adjusted {_minus(of.adjusted_r_squared)}"
    )
    return f"{of.rows} {'network' if of.rows == 1 else 'networks'}, {fitted}"


def _signed(points: float) -> str:
    return _minus(points, "+")


def _minus(value: float, sign: str = "") -> str:
    """With two decimals, and the minus sign that axes have."""
    return f"{value:{sign}z.2f}".replace("-", "\N{MINUS SIGN}")
