"""Test accuracy against the honest gap, network by network. Enters: points. Leaves: a picture."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures.style import GREY, MARK, TEST, TRAIN, canvas


@dataclass(frozen=True)
class Point:
    """One network. Both figures 0 to 1."""

    gap: float
    accuracy: float


@dataclass(frozen=True)
class Mark:
    """A network to point out."""

    point: Point
    label: str


def pareto(points: Sequence[Point], front: Sequence[int], marks: Sequence[Mark] = ()) -> Figure:
    """All networks, the front that none beats on both, and those to point out. The better ones are up and left."""
    figure, (axes,) = canvas(7.6, 5.2)
    axes.scatter(
        [100 * each.gap for each in points], [100 * each.accuracy for each in points], s=26, color=GREY, alpha=0.6
    )
    best = [points[index] for index in front]
    axes.plot(
        [100 * each.gap for each in best],
        [100 * each.accuracy for each in best],
        "o-",
        color=TRAIN,
        markersize=6,
        linewidth=1.2,
        label="no network is better on both",
    )
    for place, mark in enumerate(marks):
        colour, shape = ((MARK, "*"), (TEST, "D"))[min(place, 1)]
        size = 17 if shape == "*" else 9
        axes.plot(
            100 * mark.point.gap, 100 * mark.point.accuracy, shape, color=colour, markersize=size, markeredgecolor="white",
            linestyle="none", label=mark.label,
        )  # fmt: skip
    _frame(axes, len(points))
    return figure


def _frame(axes: Axes, count: int) -> None:
    axes.set_xlabel("honest gap: train less test accuracy, dropout off (points)", fontsize=10)
    axes.set_ylabel("test accuracy (%)", fontsize=10)
    axes.set_title(f"{count} networks: better is up and left", fontsize=11, loc="left")
    axes.grid(color=GREY, alpha=0.2, linewidth=0.6)
    axes.legend(fontsize=9, frameon=False, loc="best")
