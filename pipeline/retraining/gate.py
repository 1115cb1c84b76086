"""The promotion gate: decides whether a challenger replaces the champion. A pure function.

An improvement counts if it exceeds two kinds of noise. *Test images*: another sample of images would give another
difference; the paired bootstrap measures that (for the gap, together with the training images). *Seeds*: the same recipe
with another seed is another network, better or worse on any number of test images, and no resampling of images shows that.
If the seeds of one recipe scatter with sd s, the difference of two of its networks scatters with s sqrt(2); with s
estimated from refits, difference / (s sqrt(2)) follows Student's t. Each of the three improvements is tested at a third of
alpha (Bonferroni), so the probability of at least one false improvement is at most alpha.

Measured by `tests/benchmarks/gate.py`, alpha .05, seed noise from 5 refits: of two networks of one recipe, the second was
promoted in 0 of 50 pairs trained on digits, and in 2.3 % (180 test images), 3.3 % and 1.2 % (10,000) of simulated pairs;
with the noise of the test images alone in 10 %, 19 % and 29 %; with "the larger accuracy wins" in 34 to 50 %. The price is
power: a recipe that is better by 1 point is promoted in 36 % at 180 images and in 82 % at 10,000; with 30 refits in 50 and
98 %.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from scipy.stats import t
from statsmodels.stats.proportion import confint_proportions_2indep  # type: ignore[import-untyped]  # has no types

from pipeline.experiment import Promotion
from pipeline.formatting import few
from pipeline.retraining.decision import Condition, Decision
from pipeline.retraining.model_metrics import ModelMetrics, ModelPredictions
from pipeline.statistics.monitoring.control_chart import SeedNoise
from pipeline.statistics.paired_comparison import Comparison, Interval, compare

IMPROVEMENTS = 3
"""Number of ways to be better: accuracy, loss, honest gap."""


@dataclass(frozen=True)
class SignificanceSettings:
    """How the gate separates an improvement from noise."""

    noise: Mapping[str, SeedNoise] = field(default_factory=dict)
    """Seed noise of the recipe per measure: `accuracy`, `loss`, `accuracy_gap`; see `control_chart.seed_noise`. An
    improvement in a missing measure cannot be shown."""
    attempts: int = 1
    """Challengers that one retraining run may try; each is tested at alpha divided by this number (Bonferroni)."""
    seed: int = 1
    """Seed of the bootstrap."""
    resamples: int = 2000
    """Resamples of the bootstrap."""


def decide(
    champion: ModelPredictions | None,
    challenger: ModelPredictions,
    promotion: Promotion,
    significance: SignificanceSettings,
    *,
    class_names: Sequence[str] | None = None,
    further: Sequence[Condition] = (),
) -> Decision:
    """Compares a challenger with the champion, or with the minimum requirements if there is no champion.

    Args:
        champion: Predictions of the champion; None if there is none.
        challenger: Predictions of the challenger on the same test images, in the same order.
        promotion: Margins, minimum requirements and alpha.
        significance: Seed noise and bootstrap.
        class_names: Names for the sentences; by default the class numbers.
        further: Conditions tested elsewhere that must be met too, such as no drift.

    Raises:
        ValueError: The test images differ, or `compare` refuses its input.
    """
    promotion = promotion.model_copy(update={"alpha": promotion.alpha / significance.attempts})
    if champion is None:
        conditions = (*_minimum_requirements(challenger.metrics, promotion), *further)
        return _decision(None, challenger, conditions, (), _settings(promotion, significance))
    if not np.array_equal(champion.labels, challenger.labels):
        raise ValueError(
            f"champion and challenger were scored on {len(champion.labels)} and {len(challenger.labels)} test images with "
            "labels that differ; expected the same images in the same order"
        )
    names = class_names or [str(each) for each in range(challenger.probabilities.shape[1])]
    old, new = champion.metrics, challenger.metrics
    comparison = _compare(champion, challenger, promotion.alpha, significance)
    conditions = (
        _not_less_accurate(comparison, promotion),
        _no_class_lost(comparison, names, promotion),
        _not_worse("honest gap", new.accuracy_gap - old.accuracy_gap, promotion.gap_margin),
        _not_worse("calibration error", new.calibration_error - old.calibration_error, promotion.calibration_margin),
        *further,
    )
    improvements = _improvements(champion, challenger, promotion.alpha, significance)
    return _decision(champion, challenger, conditions, improvements, _settings(promotion, significance))


def _settings(promotion: Promotion, significance: SignificanceSettings) -> dict[str, object]:
    """The settings in force as plain values; `alpha` is that of one attempt."""
    asked = promotion.model_dump(exclude={"refuse_drift"})
    noise = {measure: asdict(each) for measure, each in significance.noise.items()}
    return {**asked, "noise": noise, "seed": significance.seed, "resamples": significance.resamples}


def _compare(
    champion: ModelPredictions, challenger: ModelPredictions, alpha: float, significance: SignificanceSettings
) -> Comparison:
    """Challenger minus champion; each end of an interval is a one-sided bound that is wrong with probability `alpha`."""
    return compare(
        challenger.labels, challenger.probabilities, champion.probabilities,
        seed=significance.seed, resamples=significance.resamples, level=1 - 2 * alpha,
    )  # fmt: skip


def _minimum_requirements(metrics: ModelMetrics, promotion: Promotion) -> tuple[Condition, ...]:
    """What a first champion must reach."""
    accuracy, gap, error = metrics.accuracy, metrics.accuracy_gap, metrics.calibration_error
    return (
        Condition(
            "accuracy", accuracy >= promotion.min_accuracy, accuracy, promotion.min_accuracy,
            f"accuracy {100 * accuracy:.2f} % "
            f"(required: at least {100 * promotion.min_accuracy:.2f} %, promotion.min_accuracy)",
        ),
        _at_most("honest gap", gap, promotion.max_gap, "promotion.max_gap"),
        _at_most("calibration error", error, promotion.max_calibration_error, "promotion.max_calibration_error"),
    )  # fmt: skip


def _at_most(name: str, figure: float, bound: float, key: str) -> Condition:
    return Condition(
        name, figure <= bound, figure, bound, f"{name} {_points(figure)} (allowed: at most {_points(bound)}, {key})"
    )


def _not_less_accurate(comparison: Comparison, promotion: Promotion) -> Condition:
    low, bound = comparison.accuracy.low, -promotion.margin
    sentence = (
        f"accuracy {_points(comparison.accuracy.estimate, sign=True)}, lower {100 * (1 - promotion.alpha):g} % bound "
        f"{_points(low, sign=True)} (required: above {_points(bound, sign=True)})"
    )
    return Condition("not less accurate", low > bound, low, bound, sentence)


def _no_class_lost(comparison: Comparison, names: Sequence[str], promotion: Promotion) -> Condition:
    """Not met if a class has a significant (Holm-corrected) loss of recall above the margin. A class without test images
    cannot be judged; it would otherwise stop every promotion.
    """
    bound = -promotion.class_margin
    unseen = [name for name, each in zip(names, comparison.classes, strict=True) if not each.rows]
    # A significant loss comes before a larger one that may be noise.
    worst, name = min(
        ((each, name) for each, name in zip(comparison.classes, names, strict=True) if each.rows),
        key=lambda pair: (
            pair[0].p_holm >= promotion.alpha or pair[0].recall.estimate >= 0,
            pair[0].recall.estimate,
        ),
    )
    change, significant = worst.recall.estimate, worst.p_holm < promotion.alpha
    sentence = (
        f"worst change in recall: {name} {_points(change, sign=True)} on {worst.rows} test images, "
        f"{'significant' if significant else 'not significant'} (Holm-corrected p = {worst.p_holm:.2g}; "
        f"allowed loss: {_points(promotion.class_margin)})"
        f"{f'; not judged, without test images: {few(unseen)}' if unseen else ''}"
    )
    return Condition("no class lost", not significant or change >= bound, change, bound, sentence)


def _not_worse(name: str, change: float, margin: float) -> Condition:
    sentence = f"{name} {_points(change, sign=True)} (allowed: at most {_points(margin, sign=True)})"
    return Condition(f"{name} not worse", change <= margin, change, margin, sentence)


def _improvements(
    champion: ModelPredictions, challenger: ModelPredictions, alpha: float, significance: SignificanceSettings
) -> tuple[Condition, ...]:
    alpha /= IMPROVEMENTS
    comparison, noise = _compare(champion, challenger, alpha, significance), significance.noise
    accuracy, loss, gap = comparison.accuracy, comparison.loss, gap_difference(champion, challenger, comparison)
    return (
        _improved("more accurate", "accuracy", accuracy.estimate, accuracy.estimate - accuracy.low, alpha, noise),
        _improved("lower loss", "loss", -loss.estimate, loss.high - loss.estimate, alpha, noise),
        _improved("smaller gap", "accuracy_gap", -gap.estimate, gap.high - gap.estimate, alpha, noise),
    )


def _improved(
    name: str, measure: str, gain: float, reach: float, alpha: float, noises: Mapping[str, SeedNoise]
) -> Condition:
    """Whether `gain` (positive is better) exceeds both the one-sided `reach` of the interval and the noise of the seeds."""
    text = "{:.4f} nats".format if measure == "loss" else _points
    noise = noises.get(measure)
    if noise is None:
        sentence = f"{name}: gain {text(gain)} (seed noise unknown: refit the recipe with more seeds)"
        return Condition(name, met=False, figure=gain, bound=math.nan, sentence=sentence)
    seeds = float(t.ppf(1 - alpha, noise.freedom)) * math.sqrt(2) * noise.sd
    bound = max(reach, seeds)
    sentence = (
        f"{name}: gain {text(gain)} (required: more than {text(bound)}; noise of the test images {text(reach)}, "
        f"noise of the seeds {text(seeds)} from {noise.how})"
    )
    # `max` would let a NaN pass as the second.
    return Condition(name, gain > reach and gain > seeds, gain, bound, sentence)


def gap_difference(champion: ModelPredictions, challenger: ModelPredictions, comparison: Comparison) -> Interval:
    """Challenger's minus champion's honest accuracy gap: the difference on train minus that on test, with its interval.

    The training images are a sample too, and two networks need not share them: the difference of their training accuracies
    has Newcombe's interval (1998, method 10). Both intervals are joined by MOVER: Zou and Donner, Construction of
    confidence limits about effect measures, Statistics in Medicine 27 (2008), equation 3.
    """
    (old, old_rows), (new, new_rows) = ((each.train.accuracy, each.train_rows) for each in (champion, challenger))
    low, high = confint_proportions_2indep(
        round(new * new_rows), new_rows, round(old * old_rows), old_rows,
        method="newcomb", compare="diff", alpha=1 - comparison.level,
    )  # fmt: skip
    train, test = new - old, comparison.accuracy
    estimate = train - test.estimate
    below = math.hypot(train - low, test.high - test.estimate)
    above = math.hypot(high - train, test.estimate - test.low)
    return Interval(estimate - below, estimate, estimate + above)


def _decision(
    champion: ModelPredictions | None,
    challenger: ModelPredictions,
    conditions: tuple[Condition, ...],
    improvements: tuple[Condition, ...],
    settings: Mapping[str, object],
) -> Decision:
    failed = [each.sentence for each in conditions if not each.met]
    shown = [each.sentence for each in improvements if each.met]
    promote = not failed and (champion is None or bool(shown))
    if failed:
        reason = "; ".join(failed)
    elif champion is None:
        reason = "no champion yet, and all minimum requirements are met"
    elif shown:
        reason = "all conditions are met; " + "; ".join(shown)
    else:
        reason = "all conditions are met, but no improvement is significant"
    old = champion.metrics if champion else None
    return Decision(promote, reason, conditions, improvements, old, challenger.metrics, settings)


def _points(share: float, *, sign: bool = False) -> str:
    return f"{100 * share:+z.2f} points" if sign else f"{100 * share:.2f} points"
