"""Precision and recall per class, and the most confident errors of the chosen network's median refit."""

from pipeline.evaluation.report.page import Picture, Section
from pipeline.evaluation.result import Analysis, EvaluationResult
from pipeline.figures.networks import mistakes as mistakes_figure
from pipeline.figures.networks import per_class as classes_figure
from pipeline.figures.style import png
from pipeline.formatting import percent, safe_cell
from pipeline.statistics import per_class
from pipeline.tracking.names import CLASSES_CSV, CLASSES_PNG, MISTAKES_PNG

MOST_MISTAKES = 30


def analyse(result: EvaluationResult) -> Analysis:
    """Scores per class and the images that are misclassified with the highest confidence."""
    split, probabilities = result.split, result.chosen.median_refit.test
    table = per_class.per_class(split.test.labels, probabilities, split.class_names)
    scores = per_class.class_scores(split.test.labels, probabilities)
    bars = png(classes_figure.classes(table, part="test"))
    weakest = table[table["images"] > 0].sort_values("f1", kind="stable").iloc[0]
    lowest = (
        f"class {weakest['class']} has the lowest F1, {percent(weakest['f1'])} %: its precision is "
        f"{percent(weakest['precision'])} %, its recall {percent(weakest['recall'])} %."
    )
    errors = per_class.most_confident_errors(split.test.labels, probabilities, most=MOST_MISTAKES)
    page = png(
        mistakes_figure.mistakes(split.test.images, errors, split.class_names, pixel_max=split.pixel_max, part="test")
    )
    wrong = int((probabilities.argmax(axis=1) != split.test.labels).sum())
    section = Section(
        "Classes and mistakes",
        f"On test, {lowest} Balanced accuracy, the mean recall of the classes, is {percent(scores.balanced_accuracy)} %; "
        f"macro F1 is {percent(scores.macro_f1)} %.",
        pictures=[
            Picture(bars, f"Precision and recall of every class on test; {lowest}", "Scores per class, on test"),
            Picture(page, _errors_text(len(errors), wrong), "Most confident errors"),
        ],
    )
    cells = table.assign(**{"class": table["class"].map(safe_cell)}).to_csv(index=False)
    return Analysis({CLASSES_CSV: cells, CLASSES_PNG: bars, MISTAKES_PNG: page}, section=section)


def _errors_text(shown: int, wrong: int) -> str:
    """What the picture of errors shows."""
    if not wrong:
        return "No test image is misclassified."
    if shown == wrong:
        return f"All misclassified test images ({wrong}), most confident first."
    return f"The {shown} of {wrong} misclassified test images with the highest confidence."
