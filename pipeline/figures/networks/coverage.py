"""Accuracy on accepted predictions against coverage, the share that is accepted."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures.style import GREY, MARK, TEST, TRAIN, canvas
from pipeline.statistics.selective.thresholds import Curve, Evaluation, Threshold

LEAST = 0.02
"""Curves are drawn from this coverage on: with fewer images a single mistake throws them far down."""
FEW = 50
"""Curves of fewer points show each as a dot."""


def coverage(
    validation: Curve, test: Curve, chosen: Threshold | None = None, checked: Evaluation | None = None
) -> Figure:
    """Both curves; the target, the threshold chosen on validation, and its result on test, if given."""
    figure, (axes,) = canvas(7.6, 5.2)
    for curve, part, colour in ((validation, "validation", TRAIN), (test, "test", TEST)):
        shown = curve.coverage >= LEAST
        area = f"{part}, mean error over all shares {100 * curve.risk_area:.2f} %"
        marker = "o" if shown.sum() < FEW else "None"
        axes.plot(
            100 * curve.coverage[shown], 100 * curve.accuracy[shown],
            color=colour, linewidth=1.6, marker=marker, markersize=4, label=area,
        )  # fmt: skip
    if chosen is not None:
        target = f"target, {100 * chosen.target_accuracy:g} %"
        axes.axhline(100 * chosen.target_accuracy, color=GREY, linestyle="--", linewidth=1, label=target)
        if chosen.value is not None:
            _mark(axes, chosen, checked)
    axes.set_title(_title(validation, chosen, checked), fontsize=11, loc="left")
    axes.set_xlabel(f"share of images that are accepted, those of highest {validation.by} first (%)", fontsize=10)
    axes.set_ylabel("accuracy of the accepted images (%)", fontsize=10)
    axes.set_xlim(-1, 101)
    axes.set_ylim(_floor(validation, test, chosen), 100.3)
    axes.grid(color=GREY, alpha=0.2, linewidth=0.6)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8.5, frameon=False)
    return figure


def _mark(axes: Axes, chosen: Threshold, checked: Evaluation | None) -> None:
    style: dict[str, Any] = {"markeredgecolor": "white", "linestyle": "none"}
    label = f"chosen on validation: {chosen.by} of {chosen.value:.3f} or more"
    place = (100 * chosen.coverage, 100 * chosen.accuracy)
    axes.plot(*place, marker="*", markersize=19, color=MARK, zorder=5, label=label, **style)
    if checked is not None and checked.answered:
        around = [[100 * (checked.accuracy - checked.low)], [100 * (checked.high - checked.accuracy)]]
        place = (100 * checked.coverage, 100 * checked.accuracy)
        label = "the same threshold on test, 95 % interval"
        axes.errorbar(
            *place, yerr=around, marker="D", markersize=7, capsize=4, color=TEST, zorder=6, label=label, **style
        )


def _title(validation: Curve, chosen: Threshold | None, checked: Evaluation | None) -> str:
    if chosen is None:
        return "Fewer accepted images, higher accuracy"
    if chosen.value is None:
        shown = f"{validation.rows} validation images show no more than {100 * chosen.lower:.2f} %"
        return f"{100 * chosen.target_accuracy:g} % is out of reach: {shown}"
    if checked is None or not checked.answered:
        return f"{100 * chosen.accuracy:.1f} % right when {100 * chosen.coverage:.1f} % of validation are accepted"
    outcome = "reached" if checked.reached else "missed"
    figures = f"{100 * checked.accuracy:.1f} % right when {100 * checked.coverage:.1f} % of test are accepted"
    return f"{figures}: target of {100 * chosen.target_accuracy:g} % {outcome}"


def _floor(validation: Curve, test: Curve, chosen: Threshold | None) -> float:
    """The lowest accuracy to show, in percent."""
    lowest = min(float(curve.accuracy[curve.coverage >= LEAST].min()) for curve in (validation, test))
    lowest = lowest if chosen is None else min(lowest, chosen.target_accuracy)
    return max(100 * lowest - max(0.06 * (100 - 100 * lowest), 0.5), -1.0)
