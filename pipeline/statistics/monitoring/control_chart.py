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

from pipeline.tracking.names import METRICS, Metric

MEASURES: dict[str, Metric] = {
    "accuracy_gap": METRICS["accuracy_gap"],
    "accuracy": METRICS["test_accuracy"],
    "loss": METRICS["test_loss"],
}
"""What is charted: fields of `ModelScores`, with the metrics of the tracking store that they are."""
SIGMAS = 3.0
FEWEST_REFITS = 5
"""Fewer of one recipe give no limits."""
FEWEST_CHALLENGERS = 8
"""Fewer challengers in a row give no limits."""
_RANGE = 2 / math.sqrt(math.pi)
"""Mean range of two normal values, in sd: 1.128."""
_EFFICIENCY = 0.605
"""Degrees of freedom of a moving range per degree of freedom of the sd: Cryer and Ryan, The Estimation of Sigma for an X
Chart, Journal of Quality Technology 22 (1990)."""


@dataclass(frozen=True)
class ModelScores:
    """One network on the test images, dropout off."""

    accuracy: float
    """0 to 1."""
    loss: float
    """Nats."""
    accuracy_gap: float
    """Honest gap: train minus test accuracy."""


@dataclass(frozen=True)
class ChartPoint:
    """One network that was scored in a retraining run."""

    when: datetime
    role: Literal["champion", "challenger"]
    name: str
    """Name such as `version 7`."""
    scores: ModelScores


@dataclass(frozen=True)
class SeedNoise:
    """Spread of one measure over seeds."""

    sd: float
    """Of one network about the mean of its recipe, in the measure's unit."""
    freedom: float
    """Degrees of freedom of `sd`."""
    how: str
    """Its source, such as `5 refits`."""


@dataclass(frozen=True)
class Limits:
    """Limits of one measure; all three are NaN if there are none."""

    low: float
    centre: float
    high: float
    how: str
    """Their source, or why there are none."""

    @property
    def known(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True)
class Chart:
    """ModelScores in the order of time, and limits by the names of `MEASURES`."""

    points: tuple[ChartPoint, ...]
    limits: Mapping[str, Limits]


def control_chart(points: Sequence[ChartPoint], refits: Sequence[ModelScores] = ()) -> Chart:
    """Computes limits from `refits` of the newest run's recipe if there are enough, around the mean of the last
    challengers before it, or their own while those are few; without enough refits from the earlier challengers alone.

    Raises:
        ValueError: Without any score.
    """
    if not points:
        raise ValueError("no scores to chart; expected at least one")
    ordered = tuple(sorted(points, key=lambda each: each.when))
    earlier = [each.scores for each in ordered if each.role == "challenger" and each.when < ordered[-1].when]
    return Chart(ordered, {name: _limits(_values(refits, name), _values(earlier, name)) for name in MEASURES})


def limit_warnings(charted: Chart) -> list[str]:
    """One sentence per measure of the newest run that is outside its limits or not a number."""
    newest = [each for each in charted.points if each.when == charted.points[-1].when]
    warnings = (_warning(point, name, charted.limits[name]) for point in newest for name in MEASURES)
    return [each for each in warnings if each]


def is_outside(value: float, limits: Limits) -> bool:
    """Whether a number is outside known limits; a value that is not a number is handled by `limit_warnings`."""
    return limits.known and (value < limits.low or value > limits.high)


def refit_noise(values: Sequence[float]) -> SeedNoise | None:
    """Standard deviation of refits of one recipe with other seeds; None for fewer than two finite ones."""
    known = _finite(values)
    if len(known) < 2:
        return None
    # The standard library sums exactly: equal values have a scatter of exactly 0.
    return SeedNoise(statistics.stdev(known), len(known) - 1, f"{len(known)} refits")


def range_noise(values: Sequence[float]) -> SeedNoise | None:
    """SeedNoise of one network per run, in the order of time: mean moving range over 1.128; None for fewer than two finite
    ones.

    It ignores a slow drift of the level, which the standard deviation would count as noise.
    """
    known = _finite(values)
    if len(known) < 2:
        return None
    sd = statistics.mean(abs(after - before) for before, after in pairwise(known)) / _RANGE
    return SeedNoise(sd, _EFFICIENCY * (len(known) - 1), f"the moving range of {len(known)} challengers")


def seed_noise(refits: Sequence[ModelScores]) -> dict[str, SeedNoise]:
    """Seed noise for the promotion gate, by the names of `MEASURES`; a measure without two finite values is left out."""
    found = {name: refit_noise(_values(refits, name)) for name in MEASURES}
    return {name: each for name, each in found.items() if each is not None}


def _limits(refits: Sequence[float], earlier: Sequence[float]) -> Limits:
    if len(refits) >= FEWEST_REFITS and (of_refits := refit_noise(refits)):
        # The sd of few values is on average too small; the moving range is not.
        sd = of_refits.sd / _shrinkage(len(refits))
        if len(earlier) < FEWEST_CHALLENGERS:
            return _around(refits, sd, f"mean ± 3 sd of {of_refits.how}")
        how = f"mean of the last {FEWEST_CHALLENGERS} challengers ± 3 sd of {of_refits.how}"
        return _around(earlier[-FEWEST_CHALLENGERS:], sd, how)
    if len(earlier) >= FEWEST_CHALLENGERS and (of_earlier := range_noise(earlier)):
        return _around(earlier, of_earlier.sd, f"mean ± 3 sd of {of_earlier.how}")
    why = (
        f"no limits: {len(refits)} refits of the recipe and {len(earlier)} earlier challengers; "
        f"expected {FEWEST_REFITS} or {FEWEST_CHALLENGERS}"
    )
    return Limits(math.nan, math.nan, math.nan, why)


def _around(values: Sequence[float], sd: float, how: str) -> Limits:
    centre = statistics.mean(values)
    return Limits(centre - SIGMAS * sd, centre, centre + SIGMAS * sd, how)


def _shrinkage(count: int) -> float:
    """Mean sd of `count` normal values in units of sd: the constant c4, 0.940 for 5."""
    return math.sqrt(2 / (count - 1)) * math.exp(gammaln(count / 2) - gammaln((count - 1) / 2))


def _warning(point: ChartPoint, measure: str, limits: Limits) -> str:
    """The warning of one value; empty if there is none."""
    value = getattr(point.scores, measure)
    name = f"{MEASURES[measure].label} of the {point.role} {point.name}"
    if not math.isfinite(value):
        return f"the {name} is {value}"
    if not is_outside(value, limits):
        return ""
    side, bound = ("above", limits.high) if value > limits.high else ("below", limits.low)
    text, limit = measure_text(measure, value), measure_text(measure, bound)
    return f"the {name}, {text}, is {side} its limit of {limit} ({limits.how})"


def measure_text(measure: str, value: float) -> str:
    """A value of that measure as text, in percent, points or nats."""
    metric = MEASURES[measure]
    return f"{metric.text(value)} {metric.unit}"


def _values(scores: Sequence[ModelScores], measure: str) -> list[float]:
    return _finite([getattr(each, measure) for each in scores])


def _finite(values: Sequence[float]) -> list[float]:
    return [each for each in values if math.isfinite(each)]
