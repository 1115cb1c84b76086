"""The effect of one dropout layer, by position and rate."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures.style import GREY, TEST, TRAIN, canvas
from pipeline.formatting import position
from pipeline.statistics.effects.placement import Placement

PANELS = {"test_accuracy": ("test accuracy", TEST), "accuracy_gap": ("honest gap", TRAIN)}
"""Names and colours, row by row."""


def placement(found: Placement) -> Figure:
    """A column per position, accuracy above and gap below: the mean difference to no dropout over the rates, with its
    95 % band; the other positions in grey.

    Raises:
        ValueError: If there is nothing to show.
    """
    places = found.positions
    if not places:
        raise ValueError("nothing to draw; expected a network trained without dropout and with a single dropout layer")
    figure, panels = canvas(1.5 + 2.4 * len(places), 5.6, rows=2, columns=len(places))
    for row, outcome in enumerate(PANELS):
        axes_row = panels[row * len(places) : (row + 1) * len(places)]
        for place, axes in zip(places, axes_row, strict=True):
            _panel(axes, found, outcome, place)
            axes.set_ylim(*_limits(found, outcome))
            axes.tick_params(labelleft=axes is axes_row[0], labelbottom=row == 1)
        axes_row[0].set_ylabel(f"change in {PANELS[outcome][0]} (points)", fontsize=9)
    for place, axes in zip(places, panels, strict=False):
        axes.set_title(_titled(found, place), fontsize=10, loc="left")
    for axes in panels[len(places) :]:
        axes.set_xlabel("rate", fontsize=9)
    network = "-".join(map(str, found.hidden))
    band = f"mean and 95 % interval over {found.seeds} seeds" if found.seeds > 1 else "one seed, so no interval"
    figure.suptitle(f"One dropout layer in {network}, against none: {band}", fontsize=11, x=0.01, ha="left")
    return figure


def _limits(found: Placement, outcome: str) -> tuple[float, float]:
    """Room for 0 and for every band."""
    ends = [0.0]
    for cell in found.cells:
        if cell.outcome == outcome:
            ends += [cell.difference.mean, cell.difference.low, cell.difference.high]
    known = [end for end in ends if math.isfinite(end)]
    room = 0.06 * max(max(known) - min(known), 0.1)
    return min(known) - room, max(known) + room


def _titled(found: Placement, place: int) -> str:
    name = position(place)
    return f"{name} ({found.hidden[place - 1]})" if place else name


def _panel(axes: Axes, found: Placement, outcome: str, place: int) -> None:
    axes.axhline(0, color="black", linewidth=0.9, zorder=1)
    axes.grid(color=GREY, alpha=0.2, linewidth=0.6)
    for other in found.positions:
        if other != place:
            axes.plot(*_line(found, outcome, other), color=GREY, linewidth=0.9, alpha=0.5, zorder=2)
    rates, means = _line(found, outcome, place)
    colour = PANELS[outcome][1]
    axes.plot(rates, means, "o-", color=colour, linewidth=1.8, markersize=4.5, zorder=4)
    cells = [cell for cell in found.at(outcome, place) if math.isfinite(cell.difference.low)]
    # No dropout is what all are compared with: the band begins there, without width.
    lows, highs = ([0.0, *(getattr(cell.difference, end) for cell in cells)] for end in ("low", "high"))
    axes.fill_between(
        [0.0, *(cell.rate for cell in cells)], lows, highs, color=colour, alpha=0.18, linewidth=0, zorder=3
    )
    known = sorted({cell.rate for cell in found.cells})
    axes.set_xlim(-0.02, max(known) + 0.03)
    axes.set_xticks([0, *known], ["0", *(f"{rate:g}".lstrip("0") for rate in known)], fontsize=9)


def _line(found: Placement, outcome: str, place: int) -> tuple[list[float], list[float]]:
    """Rates and mean differences, from no dropout on."""
    cells = found.at(outcome, place)
    return [0.0, *(cell.rate for cell in cells)], [0.0, *(cell.difference.mean for cell in cells)]
