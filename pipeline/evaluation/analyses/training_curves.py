"""Training curves and confusion matrices of the chosen network's median refit."""

from pipeline.evaluation.analyses.base import Analysis, EvaluationResult
from pipeline.evaluation.report.page import Picture, Section
from pipeline.formatting import percent
from pipeline.tracking.names import CONFUSION_MATRIX, CURVES

METHOD = (
    "This section and those below describe one refit: the one with the median validation loss over the seeds. It is also "
    "the logged model."
)


def analyse(result: EvaluationResult) -> Analysis:
    """The pictures of the median refit, those that could be drawn."""
    refit, name = result.chosen.median_refit, result.chosen.architecture
    metrics, seeds = refit.metrics, len(result.chosen.refits)
    facts = (
        f"{metrics['epochs_run']:.0f} epochs, weights of epoch {metrics['best_epoch'] + 1:.0f} kept; "
        f"train accuracy {percent(metrics['train_accuracy'])} %, test accuracy {percent(metrics['test_accuracy'])} %."
    )
    which = f"The refit with the median validation loss of {seeds} seeds" if seeds > 1 else "One seed"
    texts = {
        CURVES: (f"Loss and accuracy of {name} per epoch on train and validation. {facts}", "Training curves"),
        CONFUSION_MATRIX: (f"Confusion matrices of {name} on train and test.", "Confusion matrices"),
    }
    drawn = {file: refit.pictures[file] for file in texts if file in refit.pictures}
    section = Section(
        "Training and confusion",
        f"{which}: {facts}",
        pictures=[Picture(png, *texts[file]) for file, png in drawn.items()],
        method=METHOD if seeds > 1 else "",
    )
    return Analysis(drawn, section=section)
