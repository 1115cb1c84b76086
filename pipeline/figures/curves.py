"""Loss and accuracy, epoch by epoch, with the gap shaded. Enters: a `TrialResult`. Leaves: a picture."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from pipeline.figures.style import FIT, GREY, MARK, TEST, TRAIN, canvas
from pipeline.network.result import TrialResult


def curves(result: TrialResult, *, title: str = "") -> Figure:
    """Train (dropout off) and validation with the gap between them shaded, and train as training reports it."""
    figure, (loss, accuracy) = canvas(9.6, 3.8, columns=2)
    _draw(loss, result, "loss", "Loss (cross-entropy)")
    _draw(accuracy, result, "accuracy", "Accuracy")
    accuracy.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    loss.legend(fontsize=8, frameon=False)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _draw(axes: Axes, result: TrialResult, name: str, label: str) -> None:
    train, validation, fit = (result.history[key] for key in (f"train_{name}", f"val_{name}", name))
    epochs = range(1, len(train) + 1)
    dot = "o" if len(train) == 1 else None
    axes.fill_between(epochs, train, validation, color=TEST, alpha=0.15, linewidth=0, label="gap")
    axes.plot(
        epochs, fit, "--", color=FIT, linewidth=1.1, marker=dot, markersize=4, label="train as fitted, dropout on"
    )
    axes.plot(epochs, train, color=TRAIN, marker=dot, markersize=4, label="train, dropout off")
    axes.plot(epochs, validation, color=TEST, marker=dot, markersize=4, label="validation")
    axes.axvline(result.best_epoch + 1, color=MARK, linewidth=1, linestyle=":", label="weights kept")
    axes.set_xlabel("epoch", fontsize=9)
    axes.set_title(label, fontsize=10, loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=GREY, alpha=0.2, linewidth=0.6)
