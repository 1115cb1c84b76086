"""The promotion gate: does a challenger replace the champion? Enters: both, scored, and a rule. Leaves: a `Decision`.

A pure function; what follows from the decision happens elsewhere.

An improvement counts when it is beyond two kinds of noise at once. *Rows*: other test images would give another
difference; the paired bootstrap sees that (for the gap, together with the training images). *Seeds*: the same recipe with
another seed is really another network, better or worse on any number of test images, and no resampling of rows sees that.
Of two networks of one recipe whose seeds scatter with sd s, the difference scatters with s sqrt(2); with s estimated from
refits, difference / (s sqrt(2)) follows Student's t. Each of the three improvements is held to a third of `Rule.alpha`
(Bonferroni), so that together they are wrongly seen at most so often.

Measured by `tests/benchmarks/gate.py`, alpha .05, seeds' noise from 5 refits: of two networks of one recipe the second was
promoted in 0 of 50 pairs really trained on digits, and in 2.3 % (180 test images), 3.3 % and 1.2 % (10,000) of simulated
ones; by the noise of rows alone in 10 %, 19 % and 29 %, by "the larger accuracy wins" in 34 to 50 %. The price is power:
a recipe that is better by 1 point is promoted in 36 % at 180 images and in 82 % at 10,000; with 30 refits in 50 and 98 %.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from scipy.stats import t
from statsmodels.stats.proportion import confint_proportions_2indep  # type: ignore[import-untyped]  # has no types

from pipeline.retraining.decision import Condition, Decision, Figures
from pipeline.retraining.rule import Rule, Scored
from pipeline.statistics.paired_comparison import Comparison, Interval, compare

IMPROVEMENTS = 3
"""Ways to be better: accuracy, loss, honest gap."""


def decide(
    champion: Scored | None,
    challenger: Scored,
    rule: Rule,
    *,
    class_names: Sequence[str] | None = None,
    further: Sequence[Condition] = (),
) -> Decision:
    """Judges a challenger; `further` are conditions that were judged elsewhere and must hold too, such as no drift.

    Raises ValueError when the two were not scored on the same test images, and for what `compare` refuses.
    """
    if champion is None:
        return _decision(None, challenger, rule, (*_floors(challenger.figures, rule), *further), ())
    if not np.array_equal(champion.labels, challenger.labels):
        raise ValueError(
            f"champion and challenger were scored on {len(champion.labels)} and {len(challenger.labels)} test images with "
            "labels that differ; expected the same images in the same order"
        )
    names = class_names or [str(each) for each in range(challenger.probabilities.shape[1])]
    old, new = champion.figures, challenger.figures
    compared = _compared(champion, challenger, rule, rule.alpha)
    conditions = (
        _not_less_accurate(compared, rule),
        _no_class_lost(compared, names, rule),
        _not_worse("honest gap", new.accuracy_gap - old.accuracy_gap, rule.gap_margin),
        _not_worse("calibration error", new.calibration_error - old.calibration_error, rule.calibration_margin),
        *further,
    )
    return _decision(champion, challenger, rule, conditions, _improvements(champion, challenger, rule))


def _compared(champion: Scored, challenger: Scored, rule: Rule, alpha: float) -> Comparison:
    """Challenger less champion; each end of an interval is a one-sided bound that is wrong with probability `alpha`."""
    return compare(
        challenger.labels, challenger.probabilities, champion.probabilities,
        seed=rule.seed, resamples=rule.resamples, level=1 - 2 * alpha,
    )  # fmt: skip


def _floors(figures: Figures, rule: Rule) -> tuple[Condition, ...]:
    """What a first champion must reach."""
    accuracy, gap, error = figures.accuracy, figures.accuracy_gap, figures.calibration_error
    return (
        Condition(
            "accuracy", accuracy >= rule.min_accuracy, accuracy, rule.min_accuracy,
            f"accuracy {100 * accuracy:.2f} %; at least {100 * rule.min_accuracy:.2f} % expected",
        ),
        _at_most("honest gap", gap, rule.max_gap),
        _at_most("calibration error", error, rule.max_calibration_error),
    )  # fmt: skip


def _at_most(name: str, figure: float, bound: float) -> Condition:
    return Condition(
        name, figure <= bound, figure, bound, f"{name} {_points(figure)}; at most {_points(bound)} allowed"
    )


def _not_less_accurate(compared: Comparison, rule: Rule) -> Condition:
    low = compared.accuracy.low
    sentence = (
        f"accuracy {_points(compared.accuracy.estimate, sign=True)}, at least {_points(low, sign=True)} "
        f"({100 * (1 - rule.alpha):g} % bound); more than {_points(-rule.margin, sign=True)} expected"
    )
    return Condition("not less accurate", low > -rule.margin, low, -rule.margin, sentence)


def _no_class_lost(compared: Comparison, names: Sequence[str], rule: Rule) -> Condition:
    """Unmet when a class is shown (Holm-corrected) to have lost recall and lost more than the margin, or has no images."""
    missing = [name for name, each in zip(names, compared.classes, strict=True) if not each.rows]
    if missing:
        sentence = f"no test image of {', '.join(missing)}: what became of its recall cannot be seen"
        return Condition("no class lost", met=False, figure=math.nan, bound=-rule.class_margin, sentence=sentence)
    # A loss that is shown counts before a larger one that may be noise.
    worst, name = min(
        zip(compared.classes, names, strict=True),
        key=lambda pair: (pair[0].p_holm >= rule.alpha or pair[0].recall.estimate >= 0, pair[0].recall.estimate),
    )
    change, shown = worst.recall.estimate, worst.p_holm < rule.alpha
    sentence = (
        f"the recall of {name} changes most for the worse: {_points(change, sign=True)} on {worst.rows} images, "
        f"{'beyond' if shown else 'within'} noise (p = {worst.p_holm:.2g}); a loss of {_points(rule.class_margin)} allowed"
    )
    return Condition("no class lost", not shown or change >= -rule.class_margin, change, -rule.class_margin, sentence)


def _not_worse(name: str, change: float, margin: float) -> Condition:
    sentence = f"{name} {_points(change, sign=True)}; at most {_points(margin, sign=True)} allowed"
    return Condition(f"{name} not worse", change <= margin, change, margin, sentence)


def _improvements(champion: Scored, challenger: Scored, rule: Rule) -> tuple[Condition, ...]:
    compared = _compared(champion, challenger, rule, rule.alpha / IMPROVEMENTS)
    accuracy, loss, gap = compared.accuracy, compared.loss, _gap(champion, challenger, compared)
    return (
        _improved("more accurate", "accuracy", accuracy.estimate, accuracy.estimate - accuracy.low, rule),
        _improved("lower loss", "loss", -loss.estimate, loss.high - loss.estimate, rule),
        _improved("smaller gap", "accuracy_gap", -gap.estimate, gap.high - gap.estimate, rule),
    )


def _improved(name: str, measure: str, gain: float, rows: float, rule: Rule) -> Condition:
    """Whether `gain` (positive is better) is more than the reach `rows` of the interval and more than what seeds give."""
    shown = "{:.4f} nats".format if measure == "loss" else _points
    noise = rule.noise.get(measure)
    if noise is None:
        sentence = (
            f"{name}: better by {shown(gain)}, but what seeds alone give is unknown; refit the recipe with other seeds"
        )
        return Condition(name, met=False, figure=gain, bound=math.nan, sentence=sentence)
    seeds = float(t.ppf(1 - rule.alpha / IMPROVEMENTS, noise.freedom)) * math.sqrt(2) * noise.sd
    bound = max(rows, seeds)
    sentence = (
        f"{name}: better by {shown(gain)}; more than {shown(bound)} expected: other images may give {shown(rows)}, "
        f"other seeds {shown(seeds)} ({noise.how})"
    )
    # `max` would let a NaN pass as the second.
    return Condition(name, gain > rows and gain > seeds, gain, bound, sentence)


def _gap(champion: Scored, challenger: Scored, compared: Comparison) -> Interval:
    """The difference of the gaps: that on train less that on test, each with its interval.

    The training images are a sample too, and two networks need not share them: the difference of their training accuracies
    has Newcombe's interval (1998, method 10). Both intervals are joined by MOVER: Zou and Donner, Construction of
    confidence limits about effect measures, Statistics in Medicine 27 (2008), equation 3.
    """
    (old, old_rows), (new, new_rows) = ((each.train.accuracy, each.train_rows) for each in (champion, challenger))
    low, high = confint_proportions_2indep(
        round(new * new_rows), new_rows, round(old * old_rows), old_rows,
        method="newcomb", compare="diff", alpha=1 - compared.level,
    )  # fmt: skip
    train, test = new - old, compared.accuracy
    estimate = train - test.estimate
    below = math.hypot(train - low, test.high - test.estimate)
    above = math.hypot(high - train, test.estimate - test.low)
    return Interval(estimate - below, estimate, estimate + above)


def _decision(
    champion: Scored | None,
    challenger: Scored,
    rule: Rule,
    conditions: tuple[Condition, ...],
    improvements: tuple[Condition, ...],
) -> Decision:
    failed = [each.sentence for each in conditions if not each.met]
    shown = [each.sentence for each in improvements if each.met]
    promote = not failed and (champion is None or bool(shown))
    if failed:
        reason = "; ".join(failed)
    elif champion is None:
        reason = "there is no champion, and every floor is reached"
    elif shown:
        reason = "not worse in anything, and " + "; ".join(shown)
    else:
        reason = "not worse in anything, but no improvement is beyond noise"
    old = champion.figures if champion else None
    return Decision(promote, reason, conditions, improvements, old, challenger.figures, asdict(rule))


def _points(share: float, *, sign: bool = False) -> str:
    return f"{100 * share:+.2f} points" if sign else f"{100 * share:.2f} points"
