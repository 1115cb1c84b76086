"""Chooses a network by validation results only.

A candidate is one trained network, or the mean over several seeds of one.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from pipeline.statistics.seed_summary import summarise

Rule = Literal["one_standard_error", "best_loss", "best_accuracy"]


@dataclass(frozen=True)
class Candidate:
    """What a selection may know of a network; nothing of the test set. Values are means over its seeds."""

    name: str
    """Architecture, for people."""
    val_loss: float
    val_accuracy: float
    val_accuracy_gap: float
    """Train minus validation accuracy, dropout off."""
    parameters: int
    val_accuracy_sd: float = 0.0
    """Sample standard deviation over seeds; 0 for one."""
    seeds: int = 1

    @classmethod
    def of_seeds(cls, name: str, metrics: Sequence[Mapping[str, float]], parameters: int) -> Self:
        """The means of one mapping per seed, each with `val_loss`, `val_accuracy` and `val_accuracy_gap`.

        Raises:
            ValueError: Without seeds, or for values that are not finite.
        """
        loss, accuracy, gap = (
            summarise(each[measure] for each in metrics) for measure in ("val_loss", "val_accuracy", "val_accuracy_gap")
        )
        sd = accuracy.sd if accuracy.n > 1 else 0.0
        return cls(name, loss.mean, accuracy.mean, gap.mean, parameters, sd, accuracy.n)

    @property
    def scattered(self) -> bool:
        """Whether the seeds show how far chance moves the accuracy: there are several, and they differ."""
        return self.seeds > 1 and self.val_accuracy_sd > 0

    def standard_error(self, validation_size: int) -> float:
        """Standard error of the validation accuracy: sd / sqrt(seeds) if seeds differ, otherwise binomial, sqrt(p (1 -
        p) / images).
        """
        if self.scattered:
            return self.val_accuracy_sd / math.sqrt(self.seeds)
        return math.sqrt(self.val_accuracy * (1 - self.val_accuracy) / validation_size)


@dataclass(frozen=True)
class Choice:
    """The chosen candidate and why."""

    index: int
    reason: str
    """The reason, one sentence."""


def ranked(
    candidates: Sequence[Candidate], rule: Rule, *, validation_size: int, tolerance: float | None = None
) -> Iterator[int]:
    """Positions of the candidates: the one that the rule chooses, then the one it chooses among the rest, and so on.
    Candidates whose values are not all finite are left out.
    """
    left = [index for index, candidate in enumerate(candidates) if _finite(candidate)]
    while left:
        rest = [candidates[index] for index in left]
        yield left.pop(choose(rest, rule, validation_size=validation_size, tolerance=tolerance).index)


def choose(
    candidates: Sequence[Candidate], rule: Rule, *, validation_size: int, tolerance: float | None = None
) -> Choice:
    """Applies a rule; candidates whose values are not all finite are skipped.

    `one_standard_error` takes, among the networks within one standard error of the best (mean) validation accuracy, the
    one with the smallest validation gap. Ties go to fewer parameters, then to the lower validation loss, then to the
    first. The error is that of the best network (`Candidate.standard_error`): the spread of its seeds; for one seed, or
    seeds that agree exactly, the error of drawing other validation images. `tolerance`, a share of the validation
    images, replaces the error if given. The rule is from Breiman et al., Classification and Regression Trees (1984),
    section 3.4.3, with the gap in place of the size of the tree.

    Raises:
        ValueError: Without any candidate of finite values.
    """
    if validation_size < 1:
        raise ValueError(f"validation_size is {validation_size}; expected the number of validation images, 1 or more")
    sound = [index for index, candidate in enumerate(candidates) if _finite(candidate)]
    if not sound:
        raise ValueError(f"none of {len(candidates)} candidates has finite figures; expected at least one")
    if len(sound) == 1:
        only = candidates[sound[0]]
        why = "to choose from" if len(candidates) == 1 else "with finite figures"
        return Choice(sound[0], f"{only.name} is the only network {why}; {_figures(only)}.")
    by_loss = min(sound, key=lambda each: (candidates[each].val_loss, candidates[each].parameters))
    by_accuracy = min(sound, key=lambda each: (-candidates[each].val_accuracy, candidates[each].val_loss))
    chosen, best = candidates[by_loss], candidates[by_accuracy]
    if rule == "best_loss":
        loss = f"{_mean(chosen)}validation loss, {chosen.val_loss:.4f}{_of_seeds(chosen)}"
        text = f"{chosen.name} has the lowest {loss}, of {len(sound)} networks."
        return Choice(by_loss, text)
    if rule == "best_accuracy":
        text = (
            f"{best.name} has the highest {_mean(best)}validation accuracy of {len(sound)} networks; {_figures(best)}."
        )
        return Choice(by_accuracy, text)
    error = best.standard_error(validation_size) if tolerance is None else tolerance
    near = [each for each in sound if candidates[each].val_accuracy >= best.val_accuracy - error]
    index = min(near, key=lambda each: _gap_first(candidates[each]))
    within = f"{_points(error)}" if tolerance is not None else f"one standard error ({_points(error)}{_basis(best)})"
    return Choice(index, _reason(candidates[index], best, [candidates[each] for each in near], within))


def _gap_first(candidate: Candidate) -> tuple[float, int, float]:
    return candidate.val_accuracy_gap, candidate.parameters, candidate.val_loss


def _reason(chosen: Candidate, best: Candidate, near: Sequence[Candidate], within: str) -> str:
    """Which network, which one is better in what, and within what error."""
    measure = f"{_mean(best)}validation accuracy"
    if len(near) == 1:
        return (
            f"{chosen.name} has the highest {measure}, and no other network comes within {within} of it; "
            f"{_figures(chosen)}."
        )
    if chosen is best:
        return (
            f"{chosen.name} has both the highest {measure} and the smallest gap of the {len(near)} networks "
            f"within {within} of it; {_figures(chosen)}.{_tie(chosen, near)}"
        )
    return (
        f"{chosen.name} has the smallest gap of the {len(near)} networks within {within} of the best "
        f"{measure}; {_figures(chosen)}. The best accuracy is that of {best.name}; {_figures(best)}.{_tie(chosen, near)}"
    )


def _tie(chosen: Candidate, near: Sequence[Candidate]) -> str:
    """What decided between equal gaps; empty if the gap did."""
    equals = [each for each in near if each is not chosen and each.val_accuracy_gap == chosen.val_accuracy_gap]
    if not equals:
        return ""
    shared = ", ".join(each.name for each in equals)
    return f" Its gap is shared by {shared}; fewer parameters decided, then lower validation loss, then the order."


def _figures(candidate: Candidate) -> str:
    accuracy = f"validation accuracy {100 * candidate.val_accuracy:.2f} %"
    return f"{_mean(candidate)}{accuracy}, validation gap {_points(candidate.val_accuracy_gap)}{_of_seeds(candidate)}"


def _mean(candidate: Candidate) -> str:
    return "mean " if candidate.seeds > 1 else ""


def _of_seeds(candidate: Candidate) -> str:
    return f" ({candidate.seeds} seeds)" if candidate.seeds > 1 else ""


def _basis(best: Candidate) -> str:
    """What the standard error is based on, if not the one seed of a trial."""
    if best.scattered:
        return f" over its {best.seeds} seeds"
    return f", binomial, as its {best.seeds} seeds agree" if best.seeds > 1 else ""


def _points(share: float) -> str:
    return f"{100 * share:.2f} points"


def _finite(candidate: Candidate) -> bool:
    figures = (candidate.val_loss, candidate.val_accuracy, candidate.val_accuracy_gap, candidate.val_accuracy_sd)
    return all(map(math.isfinite, figures))
