"""Which network is chosen, by validation figures alone. Enters: candidates and a rule. Leaves: a `Choice`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Rule = Literal["one_standard_error", "best_loss", "best_accuracy"]


@dataclass(frozen=True)
class Candidate:
    """What a selection may know of a finished trial; nothing of the test set."""

    name: str
    """For people: its architecture."""
    val_loss: float
    val_accuracy: float
    val_accuracy_gap: float
    """Train less validation accuracy, dropout off."""
    parameters: int


@dataclass(frozen=True)
class Choice:
    """The chosen candidate and why."""

    index: int
    reason: str
    """A sentence for people."""


def choose(candidates: Sequence[Candidate], rule: Rule, *, validation_size: int) -> Choice:
    """Applies a rule; candidates whose figures are not all finite are passed over. Raises ValueError without any left.

    `one_standard_error` takes, of the networks within one standard error of the best validation accuracy, the one with
    the smallest validation gap; ties go to fewer parameters, then to the lower validation loss, then to the first. The
    standard error of a share p of n rows is sqrt(p (1 - p) / n) (binomial). The rule is Breiman et al., Classification
    and Regression Trees (1984), section 3.4.3, with the gap in the place of the tree's size.
    """
    if validation_size < 1:
        raise ValueError(f"validation_size is {validation_size}; expected the number of validation images, 1 or more")
    sound = [index for index, candidate in enumerate(candidates) if _finite(candidate)]
    if not sound:
        raise ValueError(f"none of {len(candidates)} candidates has finite figures; expected at least one")
    if len(sound) == 1:
        only = candidates[sound[0]]
        return Choice(sound[0], f"{only.name} is the only network with finite figures; {_figures(only)}.")
    by_loss = min(sound, key=lambda each: (candidates[each].val_loss, candidates[each].parameters))
    by_accuracy = min(sound, key=lambda each: (-candidates[each].val_accuracy, candidates[each].val_loss))
    chosen, best = candidates[by_loss], candidates[by_accuracy]
    if rule == "best_loss":
        text = f"{chosen.name} has the lowest validation loss, {chosen.val_loss:.4f}, of {len(sound)} networks."
        return Choice(by_loss, text)
    if rule == "best_accuracy":
        text = f"{best.name} has the highest validation accuracy of {len(sound)} networks; {_figures(best)}."
        return Choice(by_accuracy, text)
    error = math.sqrt(best.val_accuracy * (1 - best.val_accuracy) / validation_size)
    near = [each for each in sound if candidates[each].val_accuracy >= best.val_accuracy - error]
    index = min(near, key=lambda each: _gap_first(candidates[each]))
    return Choice(index, _told(candidates[index], best, [candidates[each] for each in near], error))


def _gap_first(candidate: Candidate) -> tuple[float, int, float]:
    return candidate.val_accuracy_gap, candidate.parameters, candidate.val_loss


def _told(chosen: Candidate, best: Candidate, near: Sequence[Candidate], error: float) -> str:
    """Which network, which one beats it on what, and within what error."""
    within = f"one standard error ({_points(error)})"
    if len(near) == 1:
        return (
            f"{chosen.name} has the highest validation accuracy, and no other network comes within {within} of it; "
            f"{_figures(chosen)}."
        )
    if chosen is best:
        return (
            f"{chosen.name} has both the highest validation accuracy and the smallest gap of the {len(near)} networks "
            f"within {within} of it; {_figures(chosen)}.{_tie(chosen, near)}"
        )
    return (
        f"{chosen.name} has the smallest gap of the {len(near)} networks within {within} of the best validation "
        f"accuracy; {_figures(chosen)}. The best accuracy is that of {best.name}; {_figures(best)}.{_tie(chosen, near)}"
    )


def _tie(chosen: Candidate, near: Sequence[Candidate]) -> str:
    """What decided among equal gaps; nothing where the gap did."""
    equals = [each for each in near if each is not chosen and each.val_accuracy_gap == chosen.val_accuracy_gap]
    if not equals:
        return ""
    shared = ", ".join(each.name for each in equals)
    return f" Its gap is shared by {shared}; fewer parameters decided, then lower validation loss, then the order."


def _figures(candidate: Candidate) -> str:
    accuracy = f"validation accuracy {100 * candidate.val_accuracy:.2f} %"
    return f"{accuracy}, train less validation {_points(candidate.val_accuracy_gap)}"


def _points(share: float) -> str:
    return f"{100 * share:.2f} points"


def _finite(candidate: Candidate) -> bool:
    return all(math.isfinite(each) for each in (candidate.val_loss, candidate.val_accuracy, candidate.val_accuracy_gap))
