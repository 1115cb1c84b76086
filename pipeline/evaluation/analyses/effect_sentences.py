"""What the effects of a search say, in sentences: where dropout narrows the gap, at what cost, and what else moves it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.formatting import listed
from pipeline.statistics.effects.model import FLOOR, NEVER, STEPS, Effect, Effects, Fit
from pipeline.statistics.effects.regression import LEAST_FREEDOM

LEFT_OUT = f"no finite scores, or below {100 * FLOOR:g} % of the best test accuracy"
"""Why trials have no part in the effects."""
NOTHING = "no hyperparameter has a significant effect on the gap."


class Finding(NamedTuple):
    """A sentence about the effects."""

    text: str
    answers: bool = True
    """Whether it is a part of the report's answer to the experiment's question."""


def sentence(found: Effects) -> str:
    """Where dropout narrows the honest gap most, at what cost in test accuracy, and where the data are inconclusive."""
    return " ".join(each.text for each in _findings(found))


def answer(found: Effects) -> str:
    """Of the sentences, those that answer what narrows the gap; empty if no effect on it can be estimated."""
    return " ".join(each.text for each in _findings(found) if each.answers)


def _findings(found: Effects) -> list[Finding]:
    """The sentences, the most important one first."""
    gap, accuracy = found.fit("accuracy_gap"), found.fit("test_accuracy")
    start, places = f"With {networks(found)}, ", _places(gap)
    if too_few := few_trials(found):
        return [Finding(too_few, answers=False)]
    if why := _unestimated(gap):
        return [Finding(f"{start}effects cannot be estimated: {why}.", answers=False)]
    others = _others(gap, all_kinds=not places)
    if not places:
        return [Finding(start + (f"the gap depends significantly on {others}." if others else NOTHING))]
    narrowing = sorted((each for each in places if each.verdict == "lowers"), key=lambda each: each.estimate)
    widening = [each for each in places if each.verdict == "raises"]
    unknown = [each for each in places if each.verdict == "cannot tell"]
    also = [Finding(f"The gap also depends significantly on {others}.")] if others else []
    if len(unknown) == len(places):
        return [Finding(f"{start}{_nothing(places)}."), *also]
    none = [Finding("Dropout narrows the gap significantly at no position.")]
    parts = _narrowing(narrowing, gap, accuracy) if narrowing else none
    if widening:
        parts.append(Finding(f"It widens the gap {_named(widening)}, in points per 0.1 of rate."))
    if unknown:
        parts += _unclear(unknown)
    return [*parts, *also]


def _unclear(unknown: Sequence[Effect]) -> list[Finding]:
    """Positions without a significant effect, and those without an estimate."""
    estimated = [_spanned(each) for each in unknown if not each.why]
    without = [_spanned(each) for each in unknown if each.why]
    found = []
    if estimated:
        effect = "The effect of dropout on the gap is not significant"
        unit = "; in points per 0.1 of rate, minus is narrower"
        found.append(Finding(f"{effect} {listed(estimated)}{unit}.", answers=False))
    if without:
        found.append(Finding(f"It cannot be estimated {listed(without)}.", answers=False))
    return found


def _places(gap: Fit) -> list[Effect]:
    """Dropout at the positions where its rate was varied."""
    return [each for each in gap.effects if each.kind == "dropout" and each.why != NEVER]


def _nothing(places: Sequence[Effect]) -> str:
    """No position has a significant effect."""
    if any(math.isfinite(each.estimate) for each in places):
        return "dropout has no significant effect on the gap at any position"
    return "the effect of dropout on the gap cannot be estimated: it is not separable from other effects"


def _unestimated(gap: Fit) -> str:
    """Why the networks give no effect on the gap at all; empty if they give one."""
    if any(math.isfinite(each.estimate) for each in gap.effects):
        return ""
    return (
        "all networks have the same gap"
        if math.isnan(gap.regression.r_squared)
        else "none is separable from the others"
    )


def few_trials(found: Effects) -> str:
    """States that the trials are too few, and how many are needed; empty if they are enough."""
    gap = found.fit("accuracy_gap")
    if gap.regression.freedom >= LEAST_FREEDOM or any(math.isfinite(each.estimate) for each in gap.effects):
        return ""
    count = found.trials - found.failed
    varied = sum(each.why != NEVER for each in gap.effects)
    without = (
        f" ({found.failed} more {'is' if found.failed == 1 else 'are'} left out: {LEFT_OUT})" if found.failed else ""
    )
    return (
        f"{count} trial{' is' if count == 1 else 's are'} too few to estimate effects{without}; at least "
        f"{1 + max(1, varied) + LEAST_FREEDOM} are needed."
    )


def _others(gap: Fit, *, all_kinds: bool) -> str:
    """What has a significant effect on the gap besides dropout; sizes and depths of hidden layers only with `all_kinds`.
    Empty if there is nothing.
    """
    kinds = set(STEPS) if all_kinds else {"size", "range", "choice"}
    known = [each for each in gap.effects if each.kind in kinds and each.verdict != "cannot tell"]
    named = [f"{each.label} ({each.estimate:+z.2f} points {STEPS[each.kind]})" for each in known]
    return listed(named) if named else ""


def networks(found: Effects) -> str:
    """Number of networks, such as `24 networks`."""
    count = found.trials - found.failed
    return f"{count} network" + ("" if count == 1 else "s")


def _narrowing(narrowing: Sequence[Effect], gap: Fit, accuracy: Fit) -> list[Finding]:
    """Positions that narrow the gap, the strongest first."""
    best, rest = narrowing[0], narrowing[1:]
    alike = [each for each, apart in zip(rest, gap.apart(best, rest), strict=True) if not apart]
    less = [each for each in rest if each not in alike]
    most = f"by {-best.estimate:.2f} points per 0.1 of rate (95 % interval {-best.high:.2f} to {-best.low:.2f})"
    cost = _cost(accuracy.effect(best.column))
    parts = [Finding(f"Dropout narrows the gap {'most ' if rest else ''}{best.label}: {most}{cost}.")]
    if alike:
        parts.append(
            Finding(f"It also narrows the gap {_amounts(alike)}; the difference is not significant.", answers=False)
        )
    if less:
        parts.append(Finding(f"It also narrows the gap, but less, {_amounts(less)}.", answers=False))
    return parts


def _cost(effect: Effect) -> str:
    """The effect on test accuracy."""
    if effect.verdict == "lowers":
        return (
            f", at a cost of {-effect.estimate:.2f} points of test accuracy ({-effect.high:.2f} to {-effect.low:.2f})"
        )
    if effect.verdict == "raises":
        return f", and raises test accuracy by {effect.estimate:.2f} points ({effect.low:.2f} to {effect.high:.2f})"
    return f"; its effect on test accuracy is unclear{_span(effect, ' points per 0.1')}"


def _amounts(effects: Sequence[Effect]) -> str:
    """Positions that narrow the gap, and by how much."""
    return listed([f"{each.label} (by {-each.estimate:.2f})" for each in effects])


def _named(effects: Sequence[Effect]) -> str:
    return listed([f"{each.label} ({each.estimate:+z.2f})" for each in effects])


def _spanned(effect: Effect) -> str:
    return effect.label + _span(effect)


def _span(effect: Effect, unit: str = "") -> str:
    """The interval of an effect that is not significant; notes if it excludes 0 before correction. Without an estimate, why
    there is none.
    """
    if math.isnan(effect.estimate):
        return f" ({effect.why})"
    alone = "" if effect.low <= 0 <= effect.high else ": excludes 0, but not after correction"
    return f" ({effect.low:+z.2f} to {effect.high:+z.2f}{unit}{alone})"
