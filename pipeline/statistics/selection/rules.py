"""The rules that choose among candidates."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.statistics.selection import reasons
from pipeline.statistics.selection.candidate import Candidate
from pipeline.statistics.selection.difference import Difference, difference

Rule = Literal["one_standard_error", "best_loss", "best_accuracy"]


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
        return Choice(
            sound[0],
            reasons.only(candidates[sound[0]], "to choose from" if len(candidates) == 1 else "with finite figures"),
        )
    by_loss = min(sound, key=lambda each: (candidates[each].val_loss, candidates[each].parameters))
    by_accuracy = min(sound, key=lambda each: (-candidates[each].val_accuracy, candidates[each].val_loss))
    if rule == "best_loss":
        return Choice(by_loss, reasons.lowest_loss(candidates[by_loss], len(sound)))
    best = candidates[by_accuracy]
    if rule == "best_accuracy":
        return Choice(by_accuracy, reasons.highest_accuracy(best, len(sound)))
    if tolerance is None and all(candidates[each].outcomes for each in sound):
        return _by_difference(candidates, sound, by_accuracy)
    error = best.binomial_error(validation_size) if tolerance is None else tolerance
    near = [each for each in sound if candidates[each].val_accuracy >= best.val_accuracy - error]
    index = min(near, key=lambda each: _gap_first(candidates[each]))
    within = reasons.points(error) if tolerance is not None else f"one standard error ({reasons.points(error)})"
    return Choice(index, reasons.smallest_gap(candidates[index], best, [candidates[each] for each in near], within))


def _by_difference(candidates: Sequence[Candidate], sound: Sequence[int], by_accuracy: int) -> Choice:
    """`one_standard_error` with a standard error for each candidate: that of its difference to the best."""
    best = candidates[by_accuracy]
    behind = {each: difference(best.outcomes, candidates[each].outcomes) for each in sound if each != by_accuracy}
    near = [each for each in sound if each == by_accuracy or _within(behind[each])]
    index = min(near, key=lambda each: _gap_first(candidates[each]))
    shown = index if index != by_accuracy else min(behind, key=lambda each: _errors(behind[each]))
    text = reasons.smallest_gap_by_difference(
        candidates[index], best, [candidates[each] for each in near], candidates[shown], behind[shown]
    )
    return Choice(index, text)


def _within(behind: Difference) -> bool:
    return behind.mean <= behind.error


def _errors(behind: Difference) -> float:
    """How many standard errors a network is behind."""
    if behind.error:
        return behind.mean / behind.error
    return math.copysign(math.inf, behind.mean) if behind.mean else 0.0


def _gap_first(candidate: Candidate) -> tuple[float, int, float]:
    return candidate.val_accuracy_gap, candidate.parameters, candidate.val_loss
