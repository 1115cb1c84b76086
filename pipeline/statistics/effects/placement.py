"""One dropout layer moved through all positions of one network: a designed check of the effects.

Differences to the same network without dropout are paired by seed, with 95 % Student intervals over seeds. Two runs
with one seed share initial weights and order of images, so part of their luck cancels in the difference.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import pandas as pd

from pipeline.formatting import position
from pipeline.statistics.effects.design import numbered
from pipeline.statistics.seed_summary import Summary, summarise

OUTCOMES = ("test_accuracy", "accuracy_gap")


@dataclass(frozen=True)
class Cell:
    """The effect of one dropout layer on one outcome."""

    outcome: str
    """One of `OUTCOMES`."""
    position: int
    """0 is after the input, i after hidden layer i."""
    rate: float
    difference: Summary
    """Difference to no dropout, over seeds, in points."""


@dataclass(frozen=True)
class Slope:
    """The effect of 0.1 of rate at a position: the least-squares line through 0."""

    outcome: str
    position: int
    per_seed: Mapping[int, float]
    """Points per 0.1 of rate, by seed."""

    @property
    def difference(self) -> Summary:
        """Mean over seeds, with interval."""
        return summarise(self.per_seed.values())


@dataclass(frozen=True)
class Placement:
    """Results for one network; empty without a network without dropout, or without single dropout layers."""

    hidden: tuple[int, ...]
    """The fixed network's sizes."""
    cells: tuple[Cell, ...]
    """By outcome, position and rate."""
    slopes: tuple[Slope, ...]
    """By outcome and position."""

    @property
    def seeds(self) -> int:
        """Largest number of pairs behind any value."""
        return max((cell.difference.n for cell in self.cells), default=0)

    def at(self, outcome: str, place: int) -> list[Cell]:
        """The cells of a position, by rate."""
        return [cell for cell in self.cells if (cell.outcome, cell.position) == (outcome, place)]

    @property
    def positions(self) -> list[int]:
        return sorted({cell.position for cell in self.cells})


def placement(refits: pd.DataFrame) -> Placement:
    """Compares refits.

    The rows have `depth`, `hidden_1`…, `dropout_0`… (NaN for missing layers), `seed`, `test_accuracy` and
    `accuracy_gap` (0 to 1). The network is the one with most rows of exactly one dropout layer and a row of the same
    sizes without dropout; the first of equals. Other rows and values that are not finite are ignored; rows of one
    network and seed are averaged.

    Raises:
        ValueError: For missing columns.
    """
    missing = [name for name in ("depth", "seed", *OUTCOMES) if name not in refits]
    if missing:
        raise ValueError(f"the refits lack {', '.join(missing)}; expected depth, seed and {' and '.join(OUTCOMES)}")
    places, layers = numbered(refits, "dropout"), numbered(refits, "hidden")
    hidden, rows = _fixed([_refit(row, places, layers) for row in refits.to_dict("records")])
    cells, slopes = [], []
    for outcome in OUTCOMES:
        differences = _differences(rows, outcome)
        for (place, rate), by_seed in sorted(differences.items()):
            cells.append(Cell(outcome, place, rate, summarise(by_seed.values())))
        for place in sorted({place for place, _ in differences}):
            by_rate = {rate: by_seed for (each, rate), by_seed in differences.items() if each == place}
            slopes.append(Slope(outcome, place, _lines(by_rate)))
    return Placement(hidden, tuple(cells), tuple(slopes))


@dataclass(frozen=True)
class _Refit:
    hidden: tuple[int, ...]
    dropout: tuple[tuple[int, float], ...]
    """(position, rate) of each dropout layer."""
    seed: int
    scores: Mapping[str, float]


def _refit(row: Mapping[Hashable, Any], places: Sequence[str], layers: Sequence[str]) -> _Refit:
    dropout = tuple((place, float(row[name])) for place, name in enumerate(places) if row[name] > 0)
    hidden = tuple(int(row[name]) for name in layers[: int(row["depth"])])
    return _Refit(hidden, dropout, int(row["seed"]), {name: float(row[name]) for name in OUTCOMES})


def _fixed(rows: Sequence[_Refit]) -> tuple[tuple[int, ...], list[_Refit]]:
    """The network of the experiment and its rows; empty if there is none."""
    plain = {row.hidden for row in rows if not row.dropout}
    counts = Counter(row.hidden for row in rows if len(row.dropout) == 1 and row.hidden in plain)
    if not counts:
        return (), []
    hidden = counts.most_common(1)[0][0]
    return hidden, [row for row in rows if row.hidden == hidden and len(row.dropout) <= 1]


def _differences(rows: Sequence[_Refit], outcome: str) -> dict[tuple[int, float], dict[int, float]]:
    """By position and rate, then by seed that the plain network has too: points."""
    scores: defaultdict[tuple[tuple[int, float], ...], defaultdict[int, list[float]]]
    scores = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if math.isfinite(row.scores[outcome]):
            scores[row.dropout][row.seed].append(row.scores[outcome])
    plain = scores.pop((), defaultdict(list))
    differences = {
        layer: {seed: 100 * (fmean(each) - fmean(plain[seed])) for seed, each in by_seed.items() if seed in plain}
        for (layer,), by_seed in scores.items()
    }
    return {layer: by_seed for layer, by_seed in differences.items() if by_seed}


def _lines(by_rate: Mapping[float, Mapping[int, float]]) -> dict[int, float]:
    """By seed, the slope of the least-squares line through 0, per 0.1 of rate: sum(rate d) / sum(rate²) / 10."""
    lines = {}
    for seed in sorted({seed for by_seed in by_rate.values() for seed in by_seed}):
        known = [(rate, by_seed[seed]) for rate, by_seed in by_rate.items() if seed in by_seed]
        lines[seed] = sum(rate * each for rate, each in known) / sum(rate**2 for rate, _ in known) / 10
    return lines


def table(found: Placement) -> pd.DataFrame:
    """One row per outcome, position and rate, in points; then, with rate NaN, those per 0.1 of rate."""
    lines = [(each.outcome, each.position, each.rate, each.difference) for each in found.cells]
    lines += [(each.outcome, each.position, math.nan, each.difference) for each in found.slopes]
    rows = [
        {"outcome": outcome, "position": place, "after": position(place), "rate": rate, **asdict(difference)}
        for outcome, place, rate, difference in lines
    ]
    return pd.DataFrame(rows, columns=["outcome", "position", "after", "rate", "mean", "sd", "low", "high", "n"])
