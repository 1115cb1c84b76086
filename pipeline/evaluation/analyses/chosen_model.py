"""The chosen network, looked at closely. Enters: what was trained. Leaves: `Analysis`s, as in `looks.py`.

All of the refit with the median validation loss, which is also the model that is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from pipeline.evaluation.analyses.base import Analysis, EvaluationResult
from pipeline.evaluation.report.page import Picture, Section, Table
from pipeline.figures.networks import coverage as coverage_figure
from pipeline.figures.networks import mistakes as mistakes_figure
from pipeline.figures.networks import per_class as classes_figure
from pipeline.figures.networks import reliability as reliability_figure
from pipeline.figures.style import png
from pipeline.formatting import percent
from pipeline.statistics import calibration, per_class
from pipeline.statistics.selective import conformal, thresholds
from pipeline.statistics.selective.policies import POLICIES, answer

MOST_MISTAKES = 30
EXAMPLE = 0.5
"""The threshold that is shown where no accuracy is wished for, or none reaches it."""


def training(evaluated: EvaluationResult) -> Analysis:
    """Its curves and confusion matrices."""
    refit, name = evaluated.chosen.median_refit, evaluated.chosen.architecture
    figures = refit.metrics
    curves, confusion = refit.pictures["curves.png"], refit.pictures["confusion_matrix.png"]
    kept = (
        f"{figures['epochs_run']:.0f} epochs, of which epoch {figures['best_epoch']:.0f} (from 0) left the weights kept; "
        f"train accuracy {percent(figures['train_accuracy'])} %, test {percent(figures['test_accuracy'])} %."
    )
    seeds = len(evaluated.chosen.refits)
    which = (
        f"Of its {seeds} seeds, here and below, the one with the median validation loss" if seeds > 1 else "One seed"
    )
    section = Section(
        "Training and confusion",
        f"{which}: {kept}",
        pictures=[
            Picture(curves, f"Loss and accuracy of {name} per epoch on train and validation. {kept}", "Curves"),
            Picture(confusion, f"Confusion matrices of {name} on train and on test.", "What is taken for what"),
        ],
    )
    return Analysis({"curves.png": curves, "confusion_matrix.png": confusion}, section=section)


def by_class(evaluated: EvaluationResult) -> Analysis:
    """Precision and recall per class, and the mistakes it is surest of."""
    split, probabilities = evaluated.split, evaluated.chosen.median_refit.test
    table = per_class.per_class(split.test.labels, probabilities, split.class_names)
    bars = png(classes_figure.classes(table, part="test"))
    weakest = table.sort_values("f1", kind="stable").iloc[0]
    alt = (
        f"Precision and recall of every class on test; the weakest is {weakest['class']}, "
        f"with {percent(weakest['precision'])} and {percent(weakest['recall'])} %."
    )
    found = per_class.most_confident_errors(split.test.labels, probabilities, most=MOST_MISTAKES)
    page = png(
        mistakes_figure.mistakes(split.test.images, found, split.class_names, pixel_max=split.pixel_max, part="test")
    )
    section = Section(
        "Classes and mistakes",
        pictures=[
            Picture(bars, alt, "By class, on test"),
            Picture(page, f"The {len(found)} test images that it is wrong about and surest of.", "Its surest mistakes"),
        ],
    )
    return Analysis(
        {"classes.csv": table.to_csv(index=False), "classes.png": bars, "mistakes.png": page}, section=section
    )


def calibrated(evaluated: EvaluationResult) -> Analysis:
    """Whether its confidence is right, before and after temperature scaling, the temperature found on validation."""
    refit, split = evaluated.chosen.median_refit, evaluated.split
    found = calibration.fit_temperature(split.validation.labels, refit.validation)
    before = calibration.reliability(split.test.labels, refit.test)
    after = calibration.reliability(split.test.labels, calibration.apply_temperature(refit.test, found))
    picture = png(reliability_figure.reliability(before, part="test", scaled=after, temperature=found))
    errors = before.expected_calibration_error, after.expected_calibration_error
    text = (
        f"Confidence is off by {percent(errors[0])} points on average on test, and by {percent(errors[1])} once "
        f"probabilities are scaled by the temperature {found:.3f}, found on validation (1 changes nothing, more is less "
        "sure)."
    )
    return Analysis(
        {"reliability.png": picture},
        {"test_calibration_error": errors[0], "test_calibration_error_scaled": errors[1], "temperature": found},
        Section("Calibration", text, pictures=[Picture(picture, text, "Accuracy by confidence, on test")]),
    )


def unsure(evaluated: EvaluationResult) -> Analysis:
    """Answers that may be declined: accuracy against coverage, the threshold for a wished accuracy, sets of candidates."""
    refit, split = evaluated.chosen.median_refit, evaluated.split
    validation = thresholds.curve(split.validation.labels, refit.validation)
    test = thresholds.curve(split.test.labels, refit.test)
    wish = _wish(evaluated, validation)
    sets = conformal.fit(split.validation.labels, refit.validation)
    held = conformal.checked(sets, split.test.labels, refit.test)
    candidates = (
        f"Sets of candidates that are to hold the label in {100 * sets.coverage:g} of 100 images hold it in "
        f"{percent(held.coverage)} % of test (95 % interval {percent(held.low)} to {percent(held.high)}), with "
        f"{held.size:.2f} classes on average; {percent(held.singletons)} % are a single class.{_short(held)}"
    )
    picture = png(coverage_figure.coverage(validation, test, wish.chosen, wish.checked))
    table = _policies(evaluated, wish, quantile=sets.quantile)
    alt = "Accuracy of the answers against the share of images that are answered, on validation and test."
    formats = {"threshold": "{:.4f}".format, "answered": percent, "right": percent, "classes": "{:.2f}".format}
    shown = Table(
        "What each policy does on test: % of all answered, % of those right, classes per answer", table, formats
    )
    section = Section(
        "Answers that may be declined",
        f"{wish.text}\n\n{candidates}",
        [shown],
        [Picture(picture, alt, "Accuracy against coverage")],
    )
    metrics = {
        "risk_area": test.risk_area,
        "conformal_coverage": held.coverage,
        "conformal_set_size": held.size,
        "conformal_quantile": sets.quantile,
    }
    artifacts: dict[str, bytes | str] = {"policies.csv": table.to_csv(index=False), "coverage.png": picture}
    return Analysis(artifacts, {**metrics, **wish.metrics}, section)


@dataclass(frozen=True)
class _Wish:
    """What becomes of `evaluation.target_accuracy`."""

    text: str
    chosen: thresholds.Threshold | None = None
    """By confidence."""
    margin: thresholds.Threshold | None = None
    """By margin."""
    checked: thresholds.Checked | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


def _wish(evaluated: EvaluationResult, validation: thresholds.Curve) -> _Wish:
    """The threshold that reaches the wished accuracy on validation, and what it does on test."""
    target, refit = evaluated.experiment.evaluation.target_accuracy, evaluated.chosen.median_refit
    if target is None:
        return _Wish(
            "No accuracy is wished for (evaluation.target_accuracy): the thresholds in the table are examples."
        )
    chosen = thresholds.threshold_for(validation, target)
    margin = thresholds.threshold_for(
        thresholds.curve(evaluated.split.validation.labels, refit.validation, "margin"), target
    )
    examples = [each.by for each in (chosen, margin) if each.value is None]
    example = f" The threshold of {' and of '.join(examples)} in the table is an example." if examples else ""
    if chosen.value is None:
        return _Wish(f"{chosen.reason}{example}", chosen, margin)
    checked = thresholds.checked(chosen, evaluated.split.test.labels, refit.test)
    metrics = {"min_confidence": chosen.value, "answered_share": checked.coverage}
    if not checked.answered:
        return _Wish(f"{chosen.reason} On test, none is answered.{example}", chosen, margin, checked, metrics)
    text = (
        f"{chosen.reason} On test, {percent(checked.coverage)} % are answered, {percent(checked.accuracy)} % of them right "
        f"(95 % interval {percent(checked.low)} to {percent(checked.high)}).{example}"
    )
    return _Wish(text, chosen, margin, checked, metrics | {"answered_accuracy": checked.accuracy})


def _short(held: conformal.Checked) -> str:
    """Said where test holds fewer labels than stated, by more than chance allows."""
    if held.high >= held.stated:
        return ""
    return (
        " That is less than stated: the promise is for images like those of validation, by which training also chose its "
        "epoch and the evaluation its network."
    )


def _policies(evaluated: EvaluationResult, wish: _Wish, *, quantile: float) -> pd.DataFrame:
    """What every policy does on test, shares 0 to 1; thresholds of one half where validation gave none."""
    labels, probabilities = evaluated.split.test.labels, evaluated.chosen.median_refit.test
    confidence, margin = (
        EXAMPLE if each is None or each.value is None else each.value for each in (wish.chosen, wish.margin)
    )
    lines = []
    for policy in POLICIES:
        found = answer(probabilities, policy, min_confidence=confidence, min_margin=margin, quantile=quantile)
        right = (found.label == labels)[found.accepted]
        lines.append(
            {
                "policy": policy,
                "threshold": {"min_confidence": confidence, "min_margin": margin}.get(policy),
                "answered": found.accepted.mean(),
                "right": right.mean() if len(right) else None,
                "classes": found.candidates.sum(axis=1).mean(),
            }
        )
    return pd.DataFrame(lines)
