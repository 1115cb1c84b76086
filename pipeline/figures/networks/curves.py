"""Learning curves: loss and accuracy per epoch, with the gap shaded."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from matplotlib.transforms import Bbox

from pipeline.figures.style import FIT, GREY, MARK, TEST, TRAIN, canvas, head, place
from pipeline.training.result import TrialResult


def curves(result: TrialResult, *, title: str = "") -> Figure:
    """Train (dropout off) and validation with the gap shaded, and train as `model.fit` reports it.

    Epochs count from 1; in the tracking store and in the result they count from 0. The gap in the headings is that of the
    kept weights on all images; the curve of train is that of a sample.
    """
    figure, (loss, accuracy) = canvas(9.6, 4.1, columns=2)
    _draw(loss, result, "loss")
    loss.set_title(
        f"Loss (nats), gap {result.validation.loss - result.train.loss:z.3f} to validation",
        fontsize=10,
        loc="left",
        y=1,
    )
    _draw(accuracy, result, "accuracy")
    accuracy_gap = 100 * (result.train.accuracy - result.validation.accuracy)
    accuracy.set_title(f"Accuracy, gap {accuracy_gap:z.2f} points to validation", fontsize=10, loc="left", y=1)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    handles, labels = loss.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8.5, frameon=False)
    if title:
        head(figure, title)
    _place(figure)
    return figure


def _place(figure: Figure) -> None:
    """Places both axes by the length of their labels, in inches: measuring them would take two fifths of the time."""
    width, height = figure.get_size_inches()
    boxes = []
    for half, axes in enumerate(figure.axes):
        formatter = axes.yaxis.get_major_formatter()
        labels = formatter.format_ticks(list(axes.get_yticks()))
        if formatter.get_offset():
            return  # a factor above the axis: left to constrained layout
        left = half * width / 2 + 0.16 + 0.078 * max(map(len, labels), default=0)
        boxes.append(Bbox.from_extents(left / width, 0.75 / height, (half + 1) / 2 - 0.08 / width, 1 - 0.47 / height))
    place(figure, tuple(boxes))


def _draw(axes: Axes, result: TrialResult, name: str) -> None:
    train, validation, fit = (result.history[key] for key in (f"train_{name}", f"val_{name}", name))
    epochs = range(1, len(train) + 1)
    if len(train) == 1:
        # One epoch is no line: its values become dots, and its gap a strip wide enough to see.
        dot = "o"
        axes.fill_between([0.94, 1.06], train[0], validation[0], color=TEST, alpha=0.15, linewidth=0, label="gap")
        axes.set_xlim(0.5, 1.5)
    else:
        dot = "none"
        axes.fill_between(epochs, train, validation, color=TEST, alpha=0.15, linewidth=0, label="gap")
    axes.plot(epochs, train, color=TRAIN, marker=dot, label="train, dropout off")
    axes.plot(epochs, validation, color=TEST, marker=dot, label="validation")
    axes.plot(epochs, fit, "--", color=FIT, linewidth=1.1, marker=dot, label="train as model.fit reports it")
    axes.axvline(result.best_epoch + 1, color=MARK, linewidth=1, linestyle=":", label="weights kept")
    axes.set_xlabel("epoch", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    axes.grid(axis="y", color=GREY, alpha=0.2, linewidth=0.6)
