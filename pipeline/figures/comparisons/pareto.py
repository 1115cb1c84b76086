"""Test accuracy against the honest gap of all networks."""

import math
import statistics
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures.style import GREY, MARK, TEST, TRAIN, canvas

REACH = 3.0
"""The picture reaches down from the best accuracy so many times as far as the median is."""
SHAPES = ((MARK, "*", 17), (TEST, "D", 9), (TRAIN, "s", 9))
"""Colour, marker and size of the first, second and every further network to point out."""
MOST_LETTERS = 70
"""Of a line of the legend; a longer name goes on below."""


@dataclass(frozen=True)
class Point:
    """One network. Both figures 0 to 1."""

    gap: float
    accuracy: float


@dataclass(frozen=True)
class Mark:
    """A network to highlight."""

    point: Point
    label: str


def pareto(
    points: Sequence[Point], front: Sequence[int], marks: Sequence[Mark] = (), stopped: Sequence[Point] = ()
) -> Figure:
    """All networks, the Pareto front, and networks to highlight. Better ones are up and left.

    Networks far below the others are counted in the heading and left out: they would compress the rest. Trials that
    were stopped early are drawn as crosses and have no part in the front.
    """
    figure, (axes,) = canvas(7.6, 5.6)
    floor, marked = _floor(points), {mark.point for mark in marks}
    best = [points[index] for index in front if points[index].accuracy >= floor]
    if others := [each for each in shown(points) if each not in marked and each not in best]:
        _plot(axes, others, "o", color=GREY, alpha=0.6, markersize=5, label="other networks")
    if early := [each for each in stopped if each.accuracy >= floor]:
        _plot(axes, early, "x", color=GREY, alpha=0.6, markersize=5, label="stopped early")
    # In steps: what lies between two networks of the front, none has reached.
    _plot(
        axes, best, "o-", color=TRAIN, markersize=6, linewidth=1.2, drawstyle="steps-post", label="Pareto front"
    )  # fmt: skip
    for place, mark in enumerate(marks):
        colour, shape, size = SHAPES[min(place, len(SHAPES) - 1)]
        label = textwrap.fill(mark.label, MOST_LETTERS, break_on_hyphens=False)
        _plot(
            axes, [mark.point], shape, label=label, color=colour, markersize=size, markeredgecolor="white", zorder=5
        )  # fmt: skip
    below = sum(each.accuracy < floor for each in points)
    noun = "trained network" if len(points) == 1 else "trained networks"
    left_out = f" ({below} below {100 * floor:.1f} % not shown)" if below else ""
    axes.set_title(f"{len(points)} {noun}: better is up and left{left_out}", fontsize=11, loc="left")
    axes.set_xlabel("honest gap: train minus test accuracy, dropout off (points)", fontsize=10)
    axes.set_ylabel("test accuracy (%)", fontsize=10)
    axes.grid(color=GREY, alpha=0.2, linewidth=0.6)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8.5, frameon=False)
    return figure


def shown(points: Sequence[Point]) -> list[Point]:
    """Those that the picture has room for."""
    floor = _floor(points)
    return [each for each in points if each.accuracy >= floor]


def _plot(axes: Axes, points: Sequence[Point], shape: str, **style: Any) -> None:
    gaps, accuracies = [100 * each.gap for each in points], [100 * each.accuracy for each in points]
    axes.plot(gaps, accuracies, shape, **style)


def _floor(points: Sequence[Point]) -> float:
    """The lowest accuracy to show."""
    known = [each.accuracy for each in points if math.isfinite(each.accuracy)]
    spread = max(known) - statistics.median(known) if known else 0.0
    return max(known) - REACH * spread if spread > 0 else -math.inf
