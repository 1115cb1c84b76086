"""Rejected predictions: accuracy against coverage, the threshold for a target accuracy, conformal sets.

Also finds the defaults of the served model, which are the thresholds and the quantile shown in the report.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from pipeline.data.split import Split
from pipeline.evaluation.refits import Refit
from pipeline.evaluation.report.page import Picture, Section, Table
from pipeline.evaluation.result import Analysis, EvaluationResult, ServingDefaults
from pipeline.figures.networks import coverage as coverage_figure
from pipeline.figures.style import png
from pipeline.formatting import percent
from pipeline.statistics.selective import conformal, thresholds
from pipeline.statistics.selective.policies import POLICIES, answer
from pipeline.tracking.names import COVERAGE_PNG, POLICIES_CSV

EXAMPLE = 0.5
"""The threshold in the table where no target accuracy is set or none is reached."""
HEADINGS = {
    "answered": "accepted, %",
    "right": "accuracy when accepted, %",
    "classes": "candidate classes per image, mean",
}
FORMATS = {"threshold": "{:.4f}".format, HEADINGS["answered"]: percent, HEADINGS["right"]: percent,
           HEADINGS["classes"]: "{:.2f}".format}  # fmt: skip
RULES = {
    "argmax": "every prediction",
    "min_confidence": "confidence at or above the threshold",
    "min_margin": "margin to the second class at or above the threshold",
    "coin_flip": "every prediction; draws among close classes",
    "candidates": "conformal sets of one class",
}
"""What each policy accepts, in a few words."""
METHOD = (
    "The conformal quantile, and thresholds for a target accuracy, are found on validation and checked on test. A "
    "threshold qualifies if the one-sided 95 % lower bound of its validation accuracy reaches the target. If the validation "
    "images served for nothing else, a conformal set of a new image like them would contain the label with a probability "
    "equal to the target coverage. Policies: argmax accepts every prediction; min_confidence and min_margin accept those at "
    "or above a threshold of confidence or of the margin to the second class; coin_flip draws between classes of nearly the "
    "same probability; candidates returns a conformal set and accepts sets of one class."
)


@dataclass(frozen=True)
class TargetThresholds:
    """The thresholds that reach a target accuracy on validation; None each without a target."""

    confidence: thresholds.Threshold | None = None
    margin: thresholds.Threshold | None = None

    @classmethod
    def find(cls, split: Split, refit: Refit, target_accuracy: float | None) -> "TargetThresholds":
        """Searches both thresholds on validation."""
        if target_accuracy is None:
            return cls()
        labels = split.validation.labels
        confidence, margin = (
            thresholds.threshold_for(thresholds.accuracy_coverage_curve(labels, refit.validation, by), target_accuracy)
            for by in ("confidence", "margin")
        )
        return cls(confidence, margin)

    @property
    def min_confidence(self) -> float | None:
        """None where no target is set or none is reached."""
        return None if self.confidence is None else self.confidence.value

    @property
    def min_margin(self) -> float | None:
        """As `min_confidence`."""
        return None if self.margin is None else self.margin.value


def serving_defaults(split: Split, refit: Refit, target_accuracy: float | None) -> ServingDefaults:
    """The conformal quantile and the thresholds that a model of these weights is served with."""
    quantile = conformal.calibrate(split.validation.labels, refit.validation).quantile
    return _defaults(quantile, TargetThresholds.find(split, refit, target_accuracy))


def _defaults(quantile: float, found: TargetThresholds) -> ServingDefaults:
    return ServingDefaults(quantile, min_confidence=found.min_confidence, min_margin=found.min_margin)


def analyse(result: EvaluationResult) -> Analysis:
    """Coverage curves, policies, conformal sets, and the defaults of the served model."""
    refit, split = result.chosen.median_refit, result.split
    validation = thresholds.accuracy_coverage_curve(split.validation.labels, refit.validation)
    test = thresholds.accuracy_coverage_curve(split.test.labels, refit.test)
    found = TargetThresholds.find(split, refit, result.experiment.evaluation.target_accuracy)
    outcome = _on_test(found, split, refit)
    sets = conformal.calibrate(split.validation.labels, refit.validation)
    on_test = conformal.evaluate(sets, split.test.labels, refit.test)
    picture = png(coverage_figure.coverage(validation, test, found.confidence, outcome.checked))
    table = _policies(split, refit, found, quantile=sets.quantile)
    section = Section(
        "Rejecting uncertain predictions",
        f"{outcome.text}\n\n{_sets_text(on_test)}",
        [Table("Policies on test", _with_rules(table).rename(columns=HEADINGS), FORMATS)],
        [
            Picture(
                picture,
                "Accuracy of the accepted predictions against the share of accepted images, on validation and test.",
                "Accuracy of the accepted predictions",
            )
        ],
        METHOD,
    )
    metrics = {
        "risk_area": test.risk_area,
        "conformal_coverage": on_test.coverage,
        "conformal_set_size": on_test.size,
        "conformal_quantile": sets.quantile,
        **outcome.metrics,
    }
    artifacts: dict[str, bytes | str] = {POLICIES_CSV: table.to_csv(index=False), COVERAGE_PNG: picture}
    return Analysis(artifacts, metrics, section, serving=_defaults(sets.quantile, found))


@dataclass(frozen=True)
class _Outcome:
    """What the confidence threshold does on test."""

    text: str
    checked: thresholds.Evaluation | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


def _on_test(found: TargetThresholds, split: Split, refit: Refit) -> _Outcome:
    """Checks the confidence threshold on test, where there is one."""
    if found.confidence is None or found.margin is None:
        return _Outcome(
            "A prediction can be rejected if its confidence, or its margin to the second class, is below a threshold. No "
            "target accuracy is set (evaluation.target_accuracy), so the thresholds in the table "
            f"({EXAMPLE:g}) are examples."
        )
    missing = [each.by for each in (found.confidence, found.margin) if each.value is None]
    example = f" The table shows {EXAMPLE:g} as an example threshold of {' and '.join(missing)}." if missing else ""
    reason = found.confidence.reason
    if found.confidence.value is None:
        return _Outcome(f"{reason}{example}")
    checked = thresholds.evaluate(found.confidence, split.test.labels, refit.test)
    metrics = {"min_confidence": found.confidence.value, "answered_share": checked.coverage}
    if not checked.answered:
        return _Outcome(f"{reason} On test, it accepts no prediction.{example}", checked, metrics)
    text = (
        f"{reason} On test, it accepts {percent(checked.coverage)} % of the predictions; {percent(checked.accuracy)} % of "
        f"them are right (95 % interval {percent(checked.low)} to {percent(checked.high)}).{example}"
    )
    return _Outcome(text, checked, metrics | {"answered_accuracy": checked.accuracy})


def _sets_text(on_test: conformal.Evaluation) -> str:
    """The coverage of the conformal sets on test; warns where it is below the target by more than chance."""
    text = (
        "A conformal set lists the candidate classes of an image; its coverage is the share of images whose set contains "
        f"the label. The target is {100 * on_test.stated:g} %. On test the coverage is {percent(on_test.coverage)} % (95 % "
        f"interval {percent(on_test.low)} to {percent(on_test.high)}), with {on_test.size:.2f} classes on average; "
        f"{percent(on_test.singletons)} % of the sets have a single class.{_without_class(on_test)}"
    )
    if on_test.high >= on_test.stated:
        return text
    return (
        f"{text} That is below the target. The sets are calibrated on the validation images, which also served to choose "
        "the epoch and the network, so the coverage of other images can be below the target."
    )


def _without_class(on_test: conformal.Evaluation) -> str:
    if not on_test.without_class:
        return ""
    return (
        f" In {percent(on_test.without_class)} % of the images no class is probable enough: their set is the most probable "
        f"class, and they are not accepted. {percent(on_test.accepted)} % are."
    )


def _with_rules(table: pd.DataFrame) -> pd.DataFrame:
    """The table of policies with what each accepts, for people."""
    shown = table.copy()
    shown.insert(1, "accepts", table["policy"].map(RULES))
    return shown


def _policies(split: Split, refit: Refit, found: TargetThresholds, *, quantile: float) -> pd.DataFrame:
    """`policies.csv`: what every policy does on test; shares from 0 to 1."""
    confidence, margin = (EXAMPLE if each is None else each for each in (found.min_confidence, found.min_margin))
    rows = []
    for policy in POLICIES:
        answers = answer(refit.test, policy, min_confidence=confidence, min_margin=margin, quantile=quantile)
        right = (answers.label == split.test.labels)[answers.accepted]
        rows.append(
            {
                "policy": policy,
                "threshold": {"min_confidence": confidence, "min_margin": margin}.get(policy),
                "answered": answers.accepted.mean(),
                "right": right.mean() if len(right) else None,
                "classes": answers.candidates.sum(axis=1).mean(),
            }
        )
    return pd.DataFrame(rows)
