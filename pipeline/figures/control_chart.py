"""The control chart over retraining runs."""

import math

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from pipeline.figures.style import GREY, MARK, TEST, TRAIN, canvas
from pipeline.statistics.monitoring.control_chart import MEASURES, Chart, ChartPoint, Limits, is_outside

TITLES = {"accuracy_gap": "Honest gap: train minus test accuracy", "accuracy": "Test accuracy", "loss": "Test loss"}
ROLES = {"champion": (MARK, "D", 5, "-"), "challenger": (TRAIN, "o", 6, "none")}
"""Colour, marker, size and line. Challengers are different networks; the champion is the same one from run to run."""


def control_chart(charted: Chart) -> Figure:
    """Gap, accuracy and loss of every champion and challenger over time, with limits; points outside are circled."""
    figure, rows = canvas(9.0, 8.4, rows=3)
    for axes, (measure, metric) in zip(rows, MEASURES.items(), strict=True):
        scale, limits = metric.scale, charted.limits[measure]
        _limits(axes, limits, scale)
        for role in ROLES:
            _points(axes, [each for each in charted.points if each.role == role], role, measure, scale)
        far = [each for each in charted.points if is_outside(getattr(each.scores, measure), limits)]
        _ring(axes, far, measure, scale)
        axes.set_title(f"{TITLES[measure]} ({metric.unit}): {limits.how}", fontsize=10, loc="left")
        axes.grid(color=GREY, alpha=0.2, linewidth=0.6)
        axes.margins(y=0.15)
        places = [_place(each) for each in charted.points]
        # A single point would be shown within years.
        room = max(1.0, 0.04 * (places[-1] - places[0]))
        axes.set_xlim(places[0] - room, places[-1] + room)
        locator = AutoDateLocator(minticks=3, maxticks=9)  # type: ignore[no-untyped-call]  # Matplotlib's stubs lack it
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # the same
    found = {label: handle for axes in rows for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    return figure


def _limits(axes: Axes, limits: Limits, scale: float) -> None:
    if not limits.known:
        return
    axes.axhspan(scale * limits.low, scale * limits.high, color=GREY, alpha=0.1, linewidth=0, label="within limits")
    axes.axhline(scale * limits.centre, color=GREY, linewidth=1, label="centre")
    for bound in (limits.low, limits.high):
        axes.axhline(scale * bound, color=GREY, linewidth=1, linestyle="--")


def _points(axes: Axes, points: list[ChartPoint], role: str, measure: str, scale: float) -> None:
    """Each champion is a line of its own; challengers are dots."""
    colour, marker, size, line = ROLES[role]
    for place, name in enumerate(dict.fromkeys(each.name for each in points) if line != "none" else [None]):
        own = [each for each in points if name in {None, each.name}]
        values = [scale * getattr(each.scores, measure) for each in own]
        axes.plot(
            [_place(each) for each in own], values, marker, color=colour, markersize=size, linestyle=line, linewidth=1.2,
            markeredgecolor="white", label=role if place == 0 and own else None,
        )  # fmt: skip


def _ring(axes: Axes, points: list[ChartPoint], measure: str, scale: float) -> None:
    values = [scale * getattr(each.scores, measure) for each in points]
    shown = [(_place(each), value) for each, value in zip(points, values, strict=True) if math.isfinite(value)]
    if shown:
        axes.plot(
            [when for when, _ in shown], [value for _, value in shown], "o", markersize=13, markerfacecolor="none",
            markeredgecolor=TEST, markeredgewidth=1.6, label="outside limits",
        )  # fmt: skip


def _place(point: ChartPoint) -> float:
    """Days, as Matplotlib counts them."""
    return float(date2num(point.when))  # type: ignore[no-untyped-call]  # Matplotlib's stubs lack it
