"""What the effects come to, in plain words. Enters: `Effects`. Leaves: sentences."""

import math
from collections.abc import Sequence

from pipeline.formatting import listed
from pipeline.statistics.effects.model import FLOOR, LEVEL, Effect, Effects, Fit


def sentence(found: Effects) -> str:
    """Where dropout closes the honest gap most, at what cost in test accuracy, and where the data cannot tell."""
    gap, accuracy = found.fit("accuracy_gap"), found.fit("test_accuracy")
    places = [each for each in gap.effects if each.kind == "dropout"]
    closing = sorted((each for each in places if each.verdict == "lowers"), key=lambda each: each.estimate)
    widening = [each for each in places if each.verdict == "raises"]
    unknown = [each for each in places if each.verdict == "cannot tell"]
    if len(unknown) == len(places):
        return f"From {networks(found)}, the data cannot tell at any position whether dropout closes the gap."
    parts = _closing(closing, gap, accuracy) if closing else ["Nowhere is dropout seen to close the gap."]
    parts += [f"It widens the gap {_named(widening)}."] if widening else []
    parts += (
        [f"What it does to the gap {listed([_spanned(each) for each in unknown])}, the data cannot tell."]
        if unknown
        else []
    )
    return " ".join(parts)


def model(found: Effects) -> str:
    """The model and its fit, for people who check."""
    left_out = f" ({found.failed} left out: no finite figures, or below {100 * FLOOR:g} % of the best test accuracy)"
    told = (
        f"Least squares over {networks(found)}{left_out if found.failed else ''} on the rate at each position,",
        "the doublings of each hidden size, and the depth; straight lines, no interactions.",
        "Intervals: 95 %, heteroscedasticity-robust (HC3), one at a time;",
        f"verdicts: at {100 * LEVEL:g} % after Holm's correction within positions, within sizes and within depths.",
        "A search that learns as it goes draws networks near its best ones: the effects are those around there.",
        *(f"{_OUTCOMES[fit.outcome]}: {_fitted(fit, found)}." for fit in found.fits),
    )
    return " ".join(told)


def networks(found: Effects) -> str:
    """How many count, such as `24 networks`."""
    count = found.trials - found.failed
    return f"{count} network" + ("" if count == 1 else "s")


_OUTCOMES = {"test_accuracy": "Test accuracy", "accuracy_gap": "Honest gap", "loss_gap": "Loss gap"}


def _fitted(fit: Fit, found: Effects) -> str:
    of = fit.regression
    exact = found.trials - found.failed - of.rows
    if math.isnan(of.r_squared):
        return f"cannot be fitted, {of.rows} networks leave {of.freedom} degrees of freedom"
    return (
        f"{of.rows} networks{f' ({exact} left out that the model fits exactly whatever the score)' if exact else ''}, "
        f"R² {of.r_squared:.2f} "
        f"(adjusted {of.adjusted_r_squared:.2f}; a random forest on held-out networks "
        f"{fit.forest_r_squared:.2f}), residual sd {of.residual_sd:.2f} {fit.unit}, {of.freedom} degrees of freedom"
    )


def _closing(closing: Sequence[Effect], gap: Fit, accuracy: Fit) -> list[str]:
    """Of one position or more that close the gap, the strongest first."""
    best, rest = closing[0], closing[1:]
    alike = [each for each, apart in zip(rest, gap.apart(best, rest), strict=True) if not apart]
    less = [each for each in rest if each not in alike]
    most = f"by {-best.estimate:.2f} points per 0.1 of rate (95 % interval {-best.high:.2f} to {-best.low:.2f})"
    cost = _cost(accuracy.effect(best.column))
    parts = [f"Dropout closes the gap {'most ' if rest else ''}{best.label}: {most}, {cost}."]
    parts += [f"It closes it {_named(alike)} too; that this is less, the data cannot tell."] if alike else []
    parts += [f"It closes it less {_named(less)}."] if less else []
    return parts


def _cost(effect: Effect) -> str:
    """What goes with it in test accuracy."""
    if effect.verdict == "lowers":
        return f"at a cost of {-effect.estimate:.2f} points of test accuracy ({-effect.high:.2f} to {-effect.low:.2f})"
    if effect.verdict == "raises":
        return f"and raises test accuracy by {effect.estimate:.2f} points ({effect.low:.2f} to {effect.high:.2f})"
    return f"and what it costs in test accuracy, the data cannot tell{_span(effect, ' points')}"


def _named(effects: Sequence[Effect]) -> str:
    return listed([f"{each.label} ({each.estimate:+.2f})" for each in effects])


def _spanned(effect: Effect) -> str:
    return effect.label + _span(effect)


def _span(effect: Effect, unit: str = "") -> str:
    """The interval of what cannot be told; said where it lies off 0, as only the correction then keeps it from a verdict."""
    if math.isnan(effect.estimate):
        return ""
    alone = "" if effect.low <= 0 <= effect.high else ": off 0 alone, not among all of its kind"
    return f" ({effect.low:+.2f} to {effect.high:+.2f}{unit}{alone})"
