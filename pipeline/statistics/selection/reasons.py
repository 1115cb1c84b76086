"""The sentences that say why a network was chosen. A gap in them is the validation gap."""

from collections.abc import Sequence

from pipeline.statistics.selection.candidate import Candidate
from pipeline.statistics.selection.difference import Difference

NO_PART = ", so the gap plays no part in the choice"


def only(candidate: Candidate, why: str) -> str:
    accuracy = f"{_mean(candidate)}validation accuracy {_figures(candidate)}"
    return f"{candidate.name} is the only {candidate.kind} {why}: {accuracy}."


def lowest_loss(chosen: Candidate, count: int) -> str:
    loss = f"{_mean(chosen)}validation loss, {chosen.val_loss:.4f}{_of_seeds(chosen)}"
    return f"{chosen.name} has the lowest {loss}, of {count} {chosen.kind}s."


def highest_accuracy(best: Candidate, count: int) -> str:
    return f"{best.name} has the highest {_mean(best)}validation accuracy of {count} {best.kind}s: {_figures(best)}."


def smallest_gap(chosen: Candidate, best: Candidate, near: Sequence[Candidate], within: str) -> str:
    """Which network, which one is better in what, and within what error, such as `one standard error (0.30 points)`."""
    kind, measure = chosen.kind, f"{_mean(best)}validation accuracy"
    highest = f"{chosen.name} has the highest {measure} of the {kind}s"
    if len(near) == 1:
        return f"{highest}: {_figures(chosen)}. No other {kind} is within {within} of it{NO_PART}."
    if chosen is best:
        return (
            f"{highest}, and the smallest validation gap of the {len(near)} within {within} of it: "
            f"{_figures(chosen)}.{_tie(chosen, near)}"
        )
    return (
        f"{chosen.name} has the smallest validation gap of the {len(near)} {kind}s within {within} of the best {measure}: "
        f"{_figures(chosen)}. The most accurate {kind} is {best.name}: {_figures(best)}.{_tie(chosen, near)}"
    )


def smallest_gap_by_difference(
    chosen: Candidate, best: Candidate, near: Sequence[Candidate], other: Candidate, behind: Difference
) -> str:
    """The same with the error of a difference: by how much `other` is behind the best network, and the error of that.
    `other` is the chosen network or, if that is the best one, the nearest.
    """
    kind, measure = chosen.kind, f"{_mean(best)}validation accuracy"
    highest = f"{chosen.name} has the highest {measure} of the {kind}s"
    amount = f"{points(behind.mean)} (standard error of the difference: {points(behind.error)}; {_basis(behind)})"
    if len(near) == 1:
        text = (
            f"{highest}: {_figures(chosen)}. No other {kind} is within one standard error of it{NO_PART}. "
            f"Second is {other.name}, lower by {amount}."
        )
    elif chosen is best:
        text = (
            f"{highest}, and the smallest validation gap of the {len(near)} within one standard error of it: "
            f"{_figures(chosen)}. Second in accuracy is {other.name}, lower by {amount}."
        )
    else:
        text = (
            f"{chosen.name} has the smallest validation gap of the {len(near)} {kind}s within one standard error of the "
            f"best {measure}: {_figures(chosen)}. The most accurate {kind} is {best.name}, higher by {amount}: "
            f"{_figures(best)}."
        )
    return text + _tie(chosen, near)


def points(share: float) -> str:
    return f"{100 * share:.2f} points"


def _basis(behind: Difference) -> str:
    """What the error of a difference is based on."""
    images = f"same {behind.images:,} images"
    return f"{images} and {behind.seeds} seeds" if behind.seeds > 1 else f"{images}, one seed"


def _tie(chosen: Candidate, near: Sequence[Candidate]) -> str:
    """What decided between equal gaps; empty if the gap did."""
    equals = [each for each in near if each is not chosen and each.val_accuracy_gap == chosen.val_accuracy_gap]
    if not equals:
        return ""
    shared = ", ".join(each.name for each in equals)
    return f" Its gap is shared by {shared}; fewer parameters decided, then lower validation loss, then the order."


def _figures(candidate: Candidate) -> str:
    """Validation accuracy and gap."""
    gap = points(candidate.val_accuracy_gap)
    return f"{100 * candidate.val_accuracy:.2f} % at a validation gap of {gap}{_of_seeds(candidate)}"


def _mean(candidate: Candidate) -> str:
    return "mean " if candidate.seeds > 1 else ""


def _of_seeds(candidate: Candidate) -> str:
    return f" ({candidate.seeds} seeds)" if candidate.seeds > 1 else ""
