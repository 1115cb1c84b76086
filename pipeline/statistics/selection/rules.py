"""The rules that choose among candidates."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.statistics.selection import reasons
from pipeline.statistics.selection.candidate import Candidate
from pipeline.statistics.selection.difference import difference

Rule = Literal["one_standard_error", "best_loss", "best_accuracy"]
Allowance = Callable[[int, int], float]
"""By how much the second network may be less accurate than the first, the best one; both by position."""


@dataclass(frozen=True)
class Choice:
    """The chosen candidate and why."""

    index: int
    reason: str
    """The reason, one sentence or two."""


def ranked(
    candidates: Sequence[Candidate], rule: Rule, *, validation_size: int, tolerance: float | None = None
) -> Iterator[int]:
    """Positions of the candidates: the one that the rule chooses, then the one it chooses among the rest, and so on.
    Candidates whose values are not all finite are left out.
    """
    left = [index for index, candidate in enumerate(candidates) if candidate.finite]
    while left:
        rest = [candidates[index] for index in left]
        yield left.pop(choose(rest, rule, validation_size=validation_size, tolerance=tolerance).index)


def choose(
    candidates: Sequence[Candidate], rule: Rule, *, validation_size: int, tolerance: float | None = None
) -> Choice:
    """Applies a rule; candidates whose values are not all finite are skipped.

    `one_standard_error` takes, among the networks within one standard error of the best (mean) validation accuracy, the
    one with the smallest validation gap. Ties go to fewer parameters, then to the lower validation loss, then to the
    first. With outcomes the error is that of the difference to the best network, over the same images and seeds
    (`difference`). Without, as for trials of one seed each, it is the binomial error of the best network.
    `tolerance`, a share of the validation images, replaces the error if given. The rule is from Breiman et al.,
    Classification and Regression Trees (1984), section 3.4.3, with the gap in place of the size of the tree.

    Raises:
        ValueError: Without any candidate of finite values.
    """
    if validation_size < 1:
        raise ValueError(f"validation_size is {validation_size}; expected the number of validation images, 1 or more")
    sound = [index for index, candidate in enumerate(candidates) if candidate.finite]
    if not sound:
        raise ValueError(f"none of {len(candidates)} candidates has finite figures; expected at least one")
    if len(sound) == 1:
        why = "to choose from" if len(candidates) == 1 else "with finite figures"
        return Choice(sound[0], reasons.only(candidates[sound[0]], why))
    those = [candidates[index] for index in sound]
    index = pick(those, rule, allowed := allowance(those, validation_size, tolerance))
    binomial = f"; binomial, {validation_size:,} images"
    return Choice(sound[index], _reason(those, index, rule, allowed, tolerance, binomial))


def allowance(candidates: Sequence[Candidate], validation_size: int, tolerance: float | None) -> Allowance:
    """What `one_standard_error` allows: the tolerance; with outcomes, the error of the difference; else the binomial
    error of the best.
    """
    if tolerance is not None:
        return lambda _best, _other: tolerance
    if not all(each.outcomes for each in candidates):
        return lambda best, _other: candidates[best].binomial_error(validation_size)
    return lambda best, other: difference(candidates[best].outcomes, candidates[other].outcomes).error


def pick(candidates: Sequence[Candidate], rule: Rule, allowed: Allowance) -> int:
    """Position of the candidate that the rule chooses; all figures are finite."""
    if rule == "best_loss":
        return min(range(len(candidates)), key=lambda each: (candidates[each].val_loss, candidates[each].parameters))
    best = most_accurate(candidates)
    if rule == "best_accuracy":
        return best
    return min(_near(candidates, best, allowed), key=lambda each: _gap_first(candidates[each]))


def most_accurate(candidates: Sequence[Candidate]) -> int:
    """Position of the best validation accuracy; of equals, that of the lower loss."""
    return min(range(len(candidates)), key=lambda each: (-candidates[each].val_accuracy, candidates[each].val_loss))


def _near(candidates: Sequence[Candidate], best: int, allowed: Allowance) -> list[int]:
    """Positions of the networks that are accurate enough, the best one among them."""
    floor = candidates[best].val_accuracy
    return [
        each
        for each, candidate in enumerate(candidates)
        if each == best or candidate.val_accuracy >= floor - allowed(best, each)
    ]


def _gap_first(candidate: Candidate) -> tuple[float, int, float]:
    return candidate.val_accuracy_gap, candidate.parameters, candidate.val_loss


def _reason(
    candidates: Sequence[Candidate],
    index: int,
    rule: Rule,
    allowed: Allowance,
    tolerance: float | None,
    binomial: str,
) -> str:
    if rule == "best_loss":
        return reasons.lowest_loss(candidates[index], len(candidates))
    best = most_accurate(candidates)
    if rule == "best_accuracy":
        return reasons.highest_accuracy(candidates[best], candidates)
    near = [candidates[each] for each in _near(candidates, best, allowed)]
    if tolerance is None and all(each.outcomes for each in candidates):
        behind = [
            (other, difference(candidates[best].outcomes, other.outcomes))
            for each, other in enumerate(candidates)
            if each != best
        ]
        behind.sort(key=lambda pair: pair[1].mean)
        return reasons.smallest_gap_by_difference(candidates[index], candidates[best], near, behind)
    amount = reasons.points(allowed(best, index))
    within = amount if tolerance is not None else f"one standard error ({amount}{binomial})"
    return reasons.smallest_gap(candidates[index], candidates[best], near, within)
