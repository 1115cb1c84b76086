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
    the smallest validation gap; ties go to fewer parameters, then to the lower validation loss. The standard error of a
    share p of n rows is sqrt(p (1 - p) / n) (binomial). The rule is Breiman et al., Classification and Regression
    Trees (1984), section 3.4.3, with the gap in the place of the tree's size.
    """
    sound = [index for index, candidate in enumerate(candidates) if _finite(candidate)]
    if not sound:
        raise ValueError(f"none of {len(candidates)} candidates has finite figures; expected at least one")
    by_loss = min(sound, key=lambda index: (candidates[index].val_loss, candidates[index].parameters))
    by_accuracy = min(sound, key=lambda index: (-candidates[index].val_accuracy, candidates[index].val_loss))
    if rule == "best_loss":
        chosen = candidates[by_loss]
        return Choice(by_loss, f"{chosen.name} has the lowest validation loss, {chosen.val_loss:.4f}, of {len(sound)}.")
    best = candidates[by_accuracy]
    if rule == "best_accuracy":
        return Choice(
            by_accuracy,
            f"{best.name} has the highest validation accuracy, {_percent(best.val_accuracy)}, of {len(sound)}.",
        )
    error = math.sqrt(best.val_accuracy * (1 - best.val_accuracy) / validation_size)
    near = [index for index in sound if candidates[index].val_accuracy >= best.val_accuracy - error]
    index = min(near, key=lambda each: _gap_first(candidates[each]))
    return Choice(index, _told(candidates[index], best, len(near), error, others=len(near) - 1))


def _gap_first(candidate: Candidate) -> tuple[float, int, float]:
    return candidate.val_accuracy_gap, candidate.parameters, candidate.val_loss


def _told(chosen: Candidate, best: Candidate, near: int, error: float, *, others: int) -> str:
    gap = f"{100 * chosen.val_accuracy_gap:.2f} points"
    if others == 0:
        return (
            f"{chosen.name} has the highest validation accuracy, {_percent(chosen.val_accuracy)}, and no other network "
            f"comes within its standard error of {100 * error:.2f} points; its gap is {gap}."
        )
    if chosen is best:
        return (
            f"{chosen.name} has both the highest validation accuracy, {_percent(chosen.val_accuracy)}, and the smallest "
            f"validation gap, {gap}, of the {near} networks within a standard error of {100 * error:.2f} points."
        )
    return (
        f"{chosen.name} has the smallest validation gap, {gap}, of the {near} networks within one standard error "
        f"({100 * error:.2f} points) of the best validation accuracy; {best.name} has that, "
        f"{_percent(best.val_accuracy)} against {_percent(chosen.val_accuracy)}, with a gap of "
        f"{100 * best.val_accuracy_gap:.2f} points."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _finite(candidate: Candidate) -> bool:
    return all(math.isfinite(each) for each in (candidate.val_loss, candidate.val_accuracy, candidate.val_accuracy_gap))
