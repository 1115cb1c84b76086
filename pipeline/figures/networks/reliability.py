"""A reliability diagram."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from pipeline.figures.style import GREY, TEST, TRAIN, canvas
from pipeline.statistics.calibration import Reliability


def reliability(
    measured: Reliability, *, part: str, scaled: Reliability | None = None, temperature: float | None = None
) -> Figure:
    """Accuracy per bin of confidence beside the diagonal of perfect calibration, and the histogram of confidence.

    With `scaled`, a second panel shows the same rows after temperature scaling.
    """
    error = 100 * measured.expected_calibration_error
    if scaled is None:
        figure, (above, below) = canvas(5.6, 5.8, rows=2, heights=(3, 1))
        _panel(above, below, measured, f"Calibration on {part}: expected calibration error {error:.2f} points")
        above.legend(fontsize=8, frameon=False, loc="upper left")
        return figure
    figure, (left, right, left_below, right_below) = canvas(10, 6, rows=2, columns=2, heights=(3, 1))
    at = "" if temperature is None else f" (T = {temperature:.2f})"
    _panel(left, left_below, measured, f"As trained: expected calibration error {error:.2f} points")
    after = 100 * scaled.expected_calibration_error
    _panel(right, right_below, scaled, f"Temperature scaled{at}: {after:.2f} points")
    for one, other in ((left, right), (left_below, right_below)):
        top = max(one.get_ylim()[1], other.get_ylim()[1])
        one.set_ylim(0, top)
        other.set_ylim(0, top)
    figure.suptitle(f"Calibration on {part}", fontsize=11)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def _panel(above: Axes, below: Axes, measured: Reliability, title: str) -> None:
    width = 1 / len(measured.share)
    middles = measured.edges[:-1] + width / 2
    above.bar(middles, measured.accuracy, width * 0.92, color=TRAIN, alpha=0.8, label="accuracy of the bin")
    above.plot(
        measured.confidence,
        measured.accuracy,
        "o",
        color=TEST,
        markersize=4,
        label="accuracy at the bin's mean confidence",
    )
    above.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1, label="perfectly calibrated")
    above.set_ylabel("accuracy", fontsize=9)
    above.set_title(title, fontsize=11, loc="left")
    below.bar(middles, measured.share, width * 0.92, color=GREY)
    below.set_ylabel("images", fontsize=9)
    below.set_xlabel("confidence: the highest probability of an image", fontsize=9)
    for axes in (above, below):
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
