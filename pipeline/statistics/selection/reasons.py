"""The sentences that say why a network was chosen. A gap in them is the validation gap."""

from collections.abc import Sequence

from pipeline.formatting import listed
from pipeline.statistics.selection.candidate import Candidate
from pipeline.statistics.selection.difference import Difference

NO_PART = ", so the gap plays no part in the choice"
MOST_NAMED = 3
"""Networks that a reason names as not accurate enough; of more it names none."""


def only(candidate: Candidate, why: str) -> str:
    return f"{candidate.name} {_figures(candidate)} is the only {candidate.kind} {why}."


def lowest_loss(chosen: Candidate, count: int) -> str:
    loss = f"{_mean(chosen)}validation loss, {chosen.val_loss:.4f}{_of_seeds(chosen)}"
    return f"{chosen.name} has the lowest {loss}, of {count} {chosen.kind}s."


def highest_accuracy(best: Candidate, count: int) -> str:
    return f"{best.name} {_figures(best)} is the most accurate of {count} {best.kind}s."


def smallest_gap(chosen: Candidate, best: Candidate, near: Sequence[Candidate], within: str) -> str:
    """Which network, which one is better in what, and within what error, such as `one standard error (0.30 points)`."""
    kind, most = chosen.kind, f"{chosen.name} {_figures(chosen)} is the most accurate {chosen.kind}"
    if len(near) == 1:
        return f"{most}. No other {kind} is within {within} of it{NO_PART}."
    if chosen is best:
        return (
            f"{most}, and has the smallest validation gap of the {len(near)} within {within} of it.{_tie(chosen, near)}"
        )
    return (
        f"{chosen.name} {_figures(chosen)} has the smallest validation gap of the {len(near)} {kind}s within {within} of "
        f"the most accurate, {best.name} {_figures(best)}.{_tie(chosen, near)}"
    )


def smallest_gap_by_difference(
    chosen: Candidate, best: Candidate, near: Sequence[Candidate], behind: Sequence[tuple[Candidate, Difference]]
) -> str:
    """The same with the errors of differences: how much less accurate than the best network each other one is, the nearest
    first.
    """
    kind, most = chosen.kind, f"{chosen.name} {_figures(chosen)} is the most accurate {chosen.kind}"
    second, less = behind[0]
    lower = f"Second is {second.name}, {_less_accurate(less)}."
    if len(near) == 1:
        return f"{most}. No other {kind} is within one standard error of it{NO_PART}. {lower}"
    if chosen is best:
        text = (
            f"{most}, and has the smallest validation gap of the {len(near)} within one standard error of it. {lower}"
        )
    else:
        (own,) = [difference for each, difference in behind if each is chosen]
        text = (
            f"{chosen.name} {_figures(chosen)} has the smallest validation gap of the {len(near)} {kind}s within one "
            f"standard error of the most accurate, {best.name} {_figures(best)}. {chosen.name} is {_less_accurate(own)}."
        )
    return text + _too_far(near, behind) + _tie(chosen, near)


def _less_accurate(less: Difference) -> str:
    return f"{points(less.mean)} less accurate (standard error of the difference: {points(less.error)}; {_basis(less)})"


def _too_far(near: Sequence[Candidate], behind: Sequence[tuple[Candidate, Difference]]) -> str:
    """Who is not within one standard error, and by how much; empty if many or none."""
    far = [(each, less) for each, less in behind if all(each is not one for one in near)]
    if not 0 < len(far) <= MOST_NAMED:
        return ""
    named = [
        f"{each.name} ({points(less.mean)} less accurate, standard error {points(less.error)})" for each, less in far
    ]
    return f" Not within one standard error: {listed(named)}."


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
    same = listed([each.name for each in equals])
    return (
        f" {same} {'has' if len(equals) == 1 else 'have'} the same gap as {chosen.name}; fewer parameters decided, then "
        "lower validation loss, then the order."
    )


def _figures(candidate: Candidate) -> str:
    """Validation accuracy and gap, in parentheses."""
    return (
        f"({_mean(candidate)}validation accuracy {100 * candidate.val_accuracy:.2f} %, validation gap "
        f"{points(candidate.val_accuracy_gap)}{f'; {candidate.seeds} seeds' if candidate.seeds > 1 else ''})"
    )


def _mean(candidate: Candidate) -> str:
    return "mean " if candidate.seeds > 1 else ""


def _of_seeds(candidate: Candidate) -> str:
    return f" ({candidate.seeds} seeds)" if candidate.seeds > 1 else ""
