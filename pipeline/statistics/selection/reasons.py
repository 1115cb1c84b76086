"""The sentences that say why a network was chosen. A gap in them is the validation gap."""

from collections.abc import Sequence

from pipeline.formatting import listed
from pipeline.statistics.selection.candidate import Candidate
from pipeline.statistics.selection.difference import Difference

NO_PART = ", so the gap plays no part in the choice"
MOST_NAMED = 3
"""Networks that a reason names as not accurate enough; of more it names none."""


def only(candidate: Candidate, why: str) -> str:
    return f"{_start(candidate)} is the only {candidate.kind} {why}."


def lowest_loss(chosen: Candidate, count: int) -> str:
    lowest = f"has the lowest {_mean(chosen)}validation loss of {count} {chosen.kind}s"
    return f"{_start(chosen)} {lowest}: {chosen.val_loss:.4f}."


def highest_accuracy(best: Candidate, candidates: Sequence[Candidate]) -> str:
    equals = [_short(each) for each in candidates if each is not best and each.val_accuracy == best.val_accuracy]
    if not equals:
        return f"{_start(best)} is the most accurate of {len(candidates)} {best.kind}s."
    as_accurate = f"{listed(equals)} {'is' if len(equals) == 1 else 'are'} as accurate"
    return f"{_start(best)} has the lowest validation loss of the most accurate {best.kind}s; {as_accurate}."


def smallest_gap(chosen: Candidate, best: Candidate, near: Sequence[Candidate], within: str) -> str:
    """Which network, which one is better in what, and within what error, such as `one standard error (0.30 points)`."""
    kind, most = chosen.kind, f"{_start(chosen)} is the most accurate {chosen.kind}"
    if len(near) == 1:
        return f"{most}. No other {kind} is within {within} of it{NO_PART}."
    if chosen is best:
        return (
            f"{most}, and has the smallest validation gap of the {len(near)} within {within} of it.{_tie(chosen, near)}"
        )
    return (
        f"{_start(chosen)} has the smallest validation gap of {len(near)} {kind}s: the most accurate, {_named(best)}, and "
        f"those within {within} of it.{_tie(chosen, near)}"
    )


def smallest_gap_by_difference(
    chosen: Candidate, best: Candidate, near: Sequence[Candidate], behind: Sequence[tuple[Candidate, Difference]]
) -> str:
    """The same with the errors of differences: how much less accurate than the best network each other one is, the most
    accurate first.
    """
    kind, most = chosen.kind, f"{_start(chosen)} is the most accurate {chosen.kind}"
    second, less = behind[0]
    lower = (
        f"Second is {_named(second)}, {points(less.mean)} less accurate (standard error of the difference: "
        f"{points(less.error)}; {_basis(less)})."
    )
    if len(near) == 1:
        return f"{most}. No other {kind} is within one standard error of it{NO_PART}. {lower}"
    if chosen is best:
        text = (
            f"{most}, and has the smallest validation gap of the {len(near)} within one standard error of it. {lower}"
        )
    else:
        (own,) = [difference for each, difference in behind if each is chosen]
        text = (
            f"{_start(chosen)} is {_less_accurate(own)} the most accurate {kind}, {_named(best)}. That is "
            f"within one standard error of the difference ({points(own.error)}; {_basis(own)}). Of the {len(near)} {kind}s "
            f"within one standard error, the most accurate included, {_short(chosen)} has the smallest validation gap."
        )
    return text + _tie(chosen, near) + _too_far(near, behind)


def _less_accurate(less: Difference) -> str:
    return f"{points(less.mean)} less accurate than" if less.mean > 0 else "as accurate as"


def _too_far(near: Sequence[Candidate], behind: Sequence[tuple[Candidate, Difference]]) -> str:
    """Who is not within one standard error, and by how much; empty if many or none."""
    far = [(each, less) for each, less in behind if all(each is not one for one in near)]
    if not 0 < len(far) <= MOST_NAMED:
        return ""
    named = [
        f"{_short(each)} ({points(less.mean)} less accurate, standard error {points(less.error)})" for each, less in far
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
    same = listed([_short(each) for each in equals])
    return (
        f" {same} {'has' if len(equals) == 1 else 'have'} the same gap; fewer parameters decided, then lower validation "
        "loss, then the order."
    )


def _short(candidate: Candidate) -> str:
    return candidate.role or candidate.name


def _start(candidate: Candidate) -> str:
    """At the start of a sentence."""
    named = _named(candidate)
    return named[0].upper() + named[1:] if candidate.role else named


def _named(candidate: Candidate) -> str:
    """Role and architecture, with validation accuracy and gap."""
    figures = (
        f"{_mean(candidate)}validation accuracy {100 * candidate.val_accuracy:.2f} %, validation gap "
        f"{points(candidate.val_accuracy_gap)}{f'; {candidate.seeds} seeds' if candidate.seeds > 1 else ''}"
    )
    return f"{candidate.role} ({candidate.name}; {figures})" if candidate.role else f"{candidate.name} ({figures})"


def _mean(candidate: Candidate) -> str:
    return "mean " if candidate.seeds > 1 else ""
