"""The two pictures of every trained network, drawn where the network was trained."""

from pipeline.data.split import Split
from pipeline.tracking.names import CONFUSION_MATRIX, CURVES
from pipeline.training.result import TrialResult


def draw_trial(result: TrialResult, split: Split) -> dict[str, bytes]:
    """Draws `curves.png` and `confusion_matrix.png`."""
    from pipeline.figures.networks import confusion_matrix, curves  # noqa: PLC0415 - Matplotlib, only where pictures are drawn
    from pipeline.figures.style import png  # noqa: PLC0415 - as above
    from pipeline.statistics import per_class  # noqa: PLC0415 - as above

    title = result.recipe.architecture(split.inputs, split.classes)
    train, test = (
        per_class.confusion(part.labels, result.probabilities[name])
        for name, part in (("train", split.train), ("test", split.test))
    )
    return {
        CURVES: png(curves.curves(result, title=title)),
        CONFUSION_MATRIX: png(confusion_matrix.confusion(train, test, split.class_names, title=title)),
    }
