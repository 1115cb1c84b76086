"""Decides after each round of refits which networks get further seeds: those that the rule could still choose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.statistics.selection.candidate import Candidate
from pipeline.statistics.selection.difference import difference
from pipeline.statistics.selection.rules import Allowance, Choice, Rule, choose, pick

FIGURES = ("val_loss", "val_accuracy", "val_accuracy_gap")
COMPLETIONS = 1000
"""Simulated ends of a race."""
LEAST_CHANCE = 0.05
"""A network whose chance to be chosen is smaller gets no more seeds."""


@dataclass(frozen=True)
class Standing:
    """One network of a race after a round."""

    chance: float
    """Share of the simulated ends in which the rule chooses it."""
    stays: bool
    """Whether it gets further seeds."""
    leads: bool = False
    """Whether the rule chooses it now."""
    measures: bool = False
    """It cannot be chosen, but it may be the most accurate network, and the rule measures the others from that one."""


@dataclass(frozen=True)
class Round:
    """The state of a race after a round."""

    standings: tuple[Standing, ...]
    """By position of the network."""
    choice: Choice | None
    """The chosen network, if no other could still be chosen."""


def rounds(seeds: int) -> list[int]:
    """How many seeds the networks of a race have after each round: three, then twice as many, up to all."""
    ends = [min(3, seeds)]
    while ends[-1] < seeds:
        ends.append(min(2 * ends[-1], seeds))
    return ends


def standings(
    candidates: Sequence[Candidate],
    metrics: Sequence[Sequence[Mapping[str, float]]],
    rule: Rule,
    *,
    seeds: int,
    validation_size: int,
    tolerance: float | None,
    seed: int,
) -> Round:
    """Simulates how the race would end if all networks got all seeds, and applies the rule to each end.

    A network stays if the rule chooses it in `LEAST_CHANCE` of the ends or more, or chooses it now. If that is one network
    only, it is chosen. Otherwise those that may be the most accurate stay too, if the choice depends on them:
    `one_standard_error` measures the others from there.

    What a further seed gives is drawn from what the seeds so far gave: the differences of each figure to the network's
    mean, of all networks together, since three seeds of one network show its spread badly (a residual bootstrap: Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, section 9.4; scaled by sqrt(n / (n - 1))). The means so far are
    uncertain in the same way. The validation images stay the same. What this does to intervals is measured by
    `python -m tests.benchmarks.selection`.

    Args:
        candidates: The networks that can be chosen, at least one, with finite figures.
        metrics: By candidate, one mapping per seed so far, 2 or more and the same number for all.
        rule: Applied to each end.
        seeds: Seeds at the end, more than so far.
        validation_size: Validation images.
        tolerance: As in `choose`.
        seed: The same seed gives the same result.
    """
    figures = np.array([[[each[name] for name in FIGURES] for each in those] for those in metrics])
    ends = _ends(figures, seeds, np.random.default_rng(seed))
    allowed = _allowed_at_the_end(candidates, seeds, validation_size, tolerance)
    everyone = range(len(candidates))
    winners = [_winner(candidates, everyone, end, rule, allowed) for end in ends]
    chances = [winners.count(place) / len(ends) for place in everyone]
    choice = choose(candidates, rule, validation_size=validation_size, tolerance=tolerance)
    likely = [place for place in everyone if chances[place] >= LEAST_CHANCE or place == choice.index]
    if len(likely) == 1:
        return Round(tuple(Standing(chance, place in likely) for place, chance in enumerate(chances)), choice)
    measures = set(_measures(candidates, ends, winners, likely, rule, allowed))
    return Round(
        tuple(
            Standing(chance, place in likely or place in measures, place == choice.index, place in measures)
            for place, chance in enumerate(chances)
        ),
        None,
    )


def _winner(
    candidates: Sequence[Candidate], places: Sequence[int], end: NDArray[np.float64], rule: Rule, allowed: Allowance
) -> int:
    """The network that the rule chooses among those at `places`, given figures (networks, figures) at the end."""
    there = [Candidate(candidates[place].name, *_figures(end[place]), candidates[place].parameters) for place in places]
    return places[pick(there, rule, lambda best, other: allowed(places[best], places[other]))]


def _figures(of: NDArray[np.float64]) -> tuple[float, float, float]:
    loss, accuracy, gap = of.tolist()
    return loss, accuracy, gap


def _measures(
    candidates: Sequence[Candidate],
    ends: NDArray[np.float64],
    winners: Sequence[int],
    likely: Sequence[int],
    rule: Rule,
    allowed: Allowance,
) -> list[int]:
    """Unlikely winners that must stay: without them, another of the likely networks would win too often. These are all that
    may be the most accurate.
    """
    changed = sum(
        winner in likely and winner != _winner(candidates, likely, end, rule, allowed)
        for winner, end in zip(winners, ends, strict=True)
    )
    if changed < LEAST_CHANCE * len(ends):
        return []
    best = ends[:, :, FIGURES.index("val_accuracy")].argmax(axis=1)
    shares = np.bincount(best, minlength=len(candidates)) / len(ends)
    return [place for place, share in enumerate(shares) if share >= LEAST_CHANCE and place not in likely]


def _ends(figures: NDArray[np.float64], seeds: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Means at the end (completions, networks, figures), given figures so far (networks, seeds, figures)."""
    networks, known, kinds = figures.shape
    means = figures.mean(axis=1)
    residuals = ((figures - means[:, None]) * np.sqrt(known / (known - 1))).reshape(-1, kinds)
    drawn = residuals[generator.integers(0, len(residuals), (COMPLETIONS, networks, seeds))]
    later = seeds - known
    moved = drawn[:, :, known:].mean(axis=2) - drawn[:, :, :known].mean(axis=2)
    ends: NDArray[np.float64] = means + later / seeds * moved
    return ends


def _allowed_at_the_end(
    candidates: Sequence[Candidate], seeds: int, validation_size: int, tolerance: float | None
) -> Allowance:
    """As `allowance`, with the error that more seeds are expected to leave."""
    if tolerance is not None:
        return lambda _best, _other: tolerance
    if not all(each.outcomes for each in candidates):
        return lambda best, _other: candidates[best].binomial_error(validation_size)
    errors = [
        [difference(one.outcomes, other.outcomes).error_with(seeds) for other in candidates] for one in candidates
    ]
    return lambda best, other: errors[best][other]
