"""Confidence against what came true. Enters: `Reliability`. Leaves: a picture."""

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from pipeline.figures.style import GREY, TEST, TRAIN, canvas
from pipeline.findings.calibration import Reliability


def reliability(measured: Reliability, *, part: str) -> Figure:
    """Accuracy per bin of confidence beside the diagonal of perfect calibration, and how the rows spread."""
    figure, (above, below) = canvas(5.6, 5.8, rows=2, heights=(3, 1))
    width = 1 / len(measured.share)
    middles = measured.edges[:-1] + width / 2
    above.bar(middles, measured.accuracy, width * 0.92, color=TRAIN, alpha=0.8, label="share that is right, by bin")
    above.plot(
        measured.confidence, measured.accuracy, "o", color=TEST, markersize=4, label="at the mean confidence of the bin"
    )
    above.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1, label="perfectly calibrated")
    above.set_ylabel("accuracy", fontsize=9)
    above.legend(fontsize=8, frameon=False, loc="upper left")
    error = 100 * measured.expected_calibration_error
    above.set_title(f"Calibration on {part}: expected error {error:.2f} points", fontsize=11, loc="left")
    below.bar(middles, measured.share, width * 0.92, color=GREY)
    below.set_ylabel("images", fontsize=9)
    below.set_xlabel("confidence: the highest probability of an image", fontsize=9)
    for axes in (above, below):
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    return figure
