"""Summaries over seeds: mean, standard deviation, 95 % interval."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd
from scipy.stats import t

LEVEL = 0.95
"""Level of every interval here."""


@dataclass(frozen=True)
class Summary:
    """A mean over seeds, in the unit of the averaged values."""

    mean: float
    sd: float
    """Sample standard deviation, n - 1 in the denominator; NaN for one value."""
    low: float
    high: float
    """95 % interval of the mean by Student's t; NaN for one value, which cannot show its own spread."""
    n: int
    """Number of values."""


def summarise(values: Iterable[float]) -> Summary:
    """Mean, standard deviation and interval mean ± t(.975, n - 1) sd / sqrt(n).

    Raises:
        ValueError: Without values, or for values that are not finite.
    """
    numbers = [float(value) for value in values]
    if not numbers:
        raise ValueError("no values to summarise; expected one per seed, at least one")
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"values are {numbers}; expected finite numbers only")
    # The standard library sums exactly: equal values have exactly their mean and a scatter of exactly 0.
    n, mean = len(numbers), statistics.mean(numbers)
    if n == 1:
        return Summary(mean, math.nan, math.nan, math.nan, n)
    sd = statistics.stdev(numbers)
    reach = float(t.ppf((1 + LEVEL) / 2, n - 1)) * sd / math.sqrt(n)
    return Summary(mean, sd, mean - reach, mean + reach, n)


def over_seeds(results: Mapping[str, Sequence[Mapping[str, float]]]) -> pd.DataFrame:
    """A long table with `network`, `metric` and the fields of `Summary`, in the given order.

    Args:
        results: By a finalist's name, one mapping of metrics per seed.

    Raises:
        ValueError: For a finalist without seeds, seeds with different metrics, or values that are not finite;
            the message names the place.
    """
    rows = [
        {"network": network, "metric": metric, **asdict(summary)}
        for network, seeds in results.items()
        for metric, summary in summarise_metrics(network, seeds).items()
    ]
    return pd.DataFrame(rows, columns=["network", "metric", *Summary.__dataclass_fields__])


def summarise_metrics(network: str, seeds: Sequence[Mapping[str, float]]) -> dict[str, Summary]:
    """One network's summaries by metric, in the order of the first seed; errors as `over_seeds`."""
    if not seeds:
        raise ValueError(f"{network} has no seeds; expected the metrics of at least one")
    for place, seed in enumerate(seeds[1:], start=2):
        if odd := sorted(seed.keys() ^ seeds[0].keys()):
            raise ValueError(f"{network}: seeds 1 and {place} do not share the metrics {odd}; expected the same ones")
    summaries = {}
    for metric in seeds[0]:
        try:
            summaries[metric] = summarise(seed[metric] for seed in seeds)
        except ValueError as error:
            raise ValueError(f"{network}, {metric}: {error}") from error
    return summaries
