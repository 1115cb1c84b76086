"""Decides after each round of refits which networks get further seeds: those that the rule could still choose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.statistics.selection.candidate import Candidate
from pipeline.statistics.selection.difference import difference
from pipeline.statistics.selection.rules import Allowance, Choice, Rule, choose, most_accurate, pick

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
    measures: bool = False
    """It stays only since it may be the most accurate, from which the others are measured."""


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
    only, it is chosen. Otherwise those that may be the most accurate stay too, since `one_standard_error` measures the
    others from there.

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
    chances, best = _shares(candidates, ends, rule, _allowed_at_the_end(candidates, seeds, validation_size, tolerance))
    choice = choose(candidates, rule, validation_size=validation_size, tolerance=tolerance)
    likely = [chance >= LEAST_CHANCE or place == choice.index for place, chance in enumerate(chances)]
    decided = sum(likely) == 1
    measures = [
        not decided and rule == "one_standard_error" and not stays and share >= LEAST_CHANCE
        for stays, share in zip(likely, best, strict=True)
    ]
    found = tuple(
        Standing(chance, stays or only, only) for chance, stays, only in zip(chances, likely, measures, strict=True)
    )
    return Round(found, choice if decided else None)


def _shares(
    candidates: Sequence[Candidate], ends: NDArray[np.float64], rule: Rule, allowed: Allowance
) -> tuple[list[float], list[float]]:
    """In which share of the ends each network is chosen, and in which it is the most accurate."""
    chosen, best = [0] * len(candidates), [0] * len(candidates)
    for end in ends.tolist():
        there = [
            Candidate(candidate.name, loss, accuracy, gap, candidate.parameters)
            for candidate, (loss, accuracy, gap) in zip(candidates, end, strict=True)
        ]
        chosen[pick(there, rule, allowed)] += 1
        best[most_accurate(there)] += 1
    return [count / len(ends) for count in chosen], [count / len(ends) for count in best]


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
