"""A control chart over retraining runs: is the newest score within what seeds alone explain?

Limits are mean ± 3 sd. If a recipe was trained several times, the sd is that of its refits; with one challenger per
run, it is estimated from the moving range of the challengers (Montgomery, Introduction to Statistical Quality Control,
section 6.4). The mean is that of the last challengers once there are enough. Before that it is the mean of the run's
own refits, which moves with the run and never flags the challenger among them.

The sd of few refits is itself uncertain: of points that are only noise, 5 refits flag 4.4 % around their own mean (4.0
% around eight challengers), 10 refits 1.6 %, 30 refits 0.6 %; known limits would flag 0.27 %.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal

from scipy.special import gammaln

MEASURES = ("accuracy_gap", "accuracy", "loss")
SIGMAS = 3.0
FEWEST_REFITS = 5
"""Fewer of one recipe give no limits."""
FEWEST_NIGHTS = 8
"""Fewer challengers in a row give no limits."""
_RANGE = 2 / math.sqrt(math.pi)
"""Mean range of two normal values, in sd: 1.128."""
_EFFICIENCY = 0.605
"""Degrees of freedom of a moving range for each that the sd has: Cryer and Ryan, The Estimation of Sigma for an X Chart,
Journal of Quality Technology 22 (1990)."""


@dataclass(frozen=True)
class Scores:
    """One network on the test images, dropout off."""

    accuracy: float
    """0 to 1."""
    loss: float
    """Nats."""
    accuracy_gap: float
    """Honest gap: train minus test accuracy."""


@dataclass(frozen=True)
class Night:
    """One network that was scored in a retraining run."""

    when: datetime
    role: Literal["champion", "challenger"]
    name: str
    """For people: such as `version 7`."""
    scores: Scores


@dataclass(frozen=True)
class Noise:
    """Spread of one measure over seeds."""

    sd: float
    """Of one network about the mean of its recipe, in the measure's unit."""
    freedom: float
    """Degrees of freedom behind it; more is surer."""
    how: str
    """Where it comes from, such as `5 refits`."""


@dataclass(frozen=True)
class Limits:
    """Limits of one measure; all three are NaN if there are none."""

    low: float
    centre: float
    high: float
    how: str
    """Where they come from, or why there are none."""

    @property
    def known(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True)
class Chart:
    """Scores in the order of time, and limits by the names of `MEASURES`."""

    nights: tuple[Night, ...]
    limits: Mapping[str, Limits]


def chart(nights: Sequence[Night], refits: Sequence[Scores] = ()) -> Chart:
    """Computes limits from `refits` of the newest run's recipe if there are enough, around the mean of the last
    challengers before it, or their own while those are few; without enough refits from the earlier challengers alone.

    Raises:
        ValueError: Without any score.
    """
    if not nights:
        raise ValueError("no nights to chart; expected at least one")
    ordered = tuple(sorted(nights, key=lambda each: each.when))
    earlier = [each.scores for each in ordered if each.role == "challenger" and each.when < ordered[-1].when]
    return Chart(ordered, {name: _limits(_values(refits, name), _values(earlier, name)) for name in MEASURES})


def beyond(charted: Chart) -> list[str]:
    """One sentence per measure of the newest run that is outside its limits or not a number."""
    newest = [each for each in charted.nights if each.when == charted.nights[-1].when]
    told = (_told(night, name, charted.limits[name]) for night in newest for name in MEASURES)
    return [each for each in told if each]


def outside(value: float, limits: Limits) -> bool:
    """Whether a number is outside known limits; a value that is not a number is handled by `beyond`."""
    return limits.known and (value < limits.low or value > limits.high)


def refit_noise(values: Sequence[float]) -> Noise | None:
    """Standard deviation of refits of one recipe with other seeds; None for fewer than two finite ones."""
    known = _finite(values)
    if len(known) < 2:
        return None
    # The standard library sums exactly: equal values have a scatter of exactly 0.
    return Noise(statistics.stdev(known), len(known) - 1, f"{len(known)} refits")


def range_noise(values: Sequence[float]) -> Noise | None:
    """Noise of one network per run, in the order of time: mean moving range over 1.128; None for fewer than two finite
    ones.

    It ignores a slow drift of the level, which the standard deviation would count as noise.
    """
    known = _finite(values)
    if len(known) < 2:
        return None
    sd = statistics.mean(abs(after - before) for before, after in pairwise(known)) / _RANGE
    return Noise(sd, _EFFICIENCY * (len(known) - 1), f"the moving range of {len(known)} challengers")


def noise(refits: Sequence[Scores], challengers: Sequence[Scores] = ()) -> dict[str, Noise]:
    """Seed noise for the promotion gate, by the names of `MEASURES`; a measure without any is left out."""
    found = {name: refit_noise(_values(refits, name)) or range_noise(_values(challengers, name)) for name in MEASURES}
    return {name: each for name, each in found.items() if each is not None}


def _limits(refits: Sequence[float], nights: Sequence[float]) -> Limits:
    if len(refits) >= FEWEST_REFITS and (of_refits := refit_noise(refits)):
        # The sd of few values is on average too small; the moving range is not.
        sd = of_refits.sd / _shrinkage(len(refits))
        if len(nights) < FEWEST_NIGHTS:
            return _around(refits, sd, f"mean +- 3 sd of {of_refits.how}")
        how = f"mean of the last {FEWEST_NIGHTS} challengers +- 3 sd of {of_refits.how}"
        return _around(nights[-FEWEST_NIGHTS:], sd, how)
    if len(nights) >= FEWEST_NIGHTS and (of_nights := range_noise(nights)):
        return _around(nights, of_nights.sd, f"mean +- 3 sd of {of_nights.how}")
    why = (
        f"no limits: {len(refits)} refits of the recipe and {len(nights)} earlier challengers; "
        f"expected {FEWEST_REFITS} or {FEWEST_NIGHTS}"
    )
    return Limits(math.nan, math.nan, math.nan, why)


def _around(values: Sequence[float], sd: float, how: str) -> Limits:
    centre = statistics.mean(values)
    return Limits(centre - SIGMAS * sd, centre, centre + SIGMAS * sd, how)


def _shrinkage(count: int) -> float:
    """Mean sd of `count` normal values in units of sd: the constant c4, 0.940 for 5."""
    return math.sqrt(2 / (count - 1)) * math.exp(gammaln(count / 2) - gammaln((count - 1) / 2))


def _told(night: Night, measure: str, limits: Limits) -> str:
    value = getattr(night.scores, measure)
    name = f"{measure.replace('_', ' ')} of the {night.role} {night.name}"
    if not math.isfinite(value):
        return f"the {name} is {value}"
    if not outside(value, limits):
        return ""
    side, bound = ("above", limits.high) if value > limits.high else ("below", limits.low)
    return f"the {name}, {shown(measure, value)}, is {side} its limit of {shown(measure, bound)} ({limits.how})"


def shown(measure: str, value: float) -> str:
    """A value of that measure as text: percent, points or nats."""
    if measure == "loss":
        return f"{value:.4f}"
    return f"{100 * value:.2f} {'%' if measure == 'accuracy' else 'points'}"


def _values(scores: Sequence[Scores], measure: str) -> list[float]:
    return _finite([getattr(each, measure) for each in scores])


def _finite(values: Sequence[float]) -> list[float]:
    return [each for each in values if math.isfinite(each)]
