"""Training curves and confusion matrices of the chosen network's median refit."""

from pipeline.evaluation.report.page import Picture, Section
from pipeline.evaluation.result import Analysis, EvaluationResult
from pipeline.formatting import percent
from pipeline.tracking.names import CONFUSION_MATRIX, CURVES

METHOD = (
    "This section and those below describe the refit with the median validation loss; with an even number of "
    "refits, the better of the two middle ones. The saved model has the weights of this refit; in the MLflow UI it is under "
    "Models of the evaluate run."
)


def analyse(result: EvaluationResult) -> Analysis:
    """The pictures of the median refit, those that could be drawn."""
    refit, name = result.chosen.median_refit, result.chosen.architecture
    metrics, seeds = refit.metrics, len(result.chosen.refits)
    epochs = f"{metrics['epochs_run']:.0f} epoch{'' if metrics['epochs_run'] == 1 else 's'}"
    facts = (
        f"It trained for {epochs} and keeps the weights of epoch {metrics['best_epoch'] + 1:.0f}. Its train accuracy is "
        f"{percent(metrics['train_accuracy'])} %, its test accuracy {percent(metrics['test_accuracy'])} %."
    )
    which = (
        f", the one with the {'lower' if seeds == 2 else 'median'} validation loss of {seeds} seeds"
        if seeds > 1
        else ""
    )
    texts = {
        CURVES: (f"Loss and accuracy of {name} per epoch on train and validation. {facts}", "Training curves"),
        CONFUSION_MATRIX: (f"Confusion matrices of {name} on train and test.", "Confusion matrices"),
    }
    drawn = {file: refit.pictures[file] for file in texts if file in refit.pictures}
    section = Section(
        "Training and confusion",
        f"The pictures show one refit{which}. {facts}",
        pictures=[Picture(png, *texts[file]) for file, png in drawn.items()],
        method=METHOD if seeds > 1 else "",
    )
    return Analysis(drawn, section=section)
