"""How much a selection flattered its winner. Enters: its score when chosen and on fresh seeds. Leaves: `SelectionBias`.

The best of many trials is the best by luck as well as by merit, so that its score falls when it is trained again. Against
the fresh validation scores it loses the luck of its seed; against the test scores also that of the validation images, which
the search, early stopping and the kept epoch have all looked at (Cawley and Talbot, On Over-fitting in Model Selection,
JMLR 11, 2010). The test figure holds besides what the two sets differ in difficulty.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.statistics.seed_summary import Summary, summarise


@dataclass(frozen=True)
class SelectionBias:
    """Positive: the selection flattered. In the unit of the score, with the scatter and interval over the fresh seeds.

    The score at selection is taken as it stands, as one fixed number.
    """

    validation: Summary
    """Against fresh seeds on the same validation images."""
    test: Summary
    """Against the same fresh seeds on the test images."""


def selection_bias(
    at_selection: float, validation: Sequence[float], test: Sequence[float], *, lower_is_better: bool = False
) -> SelectionBias:
    """The winner's validation score when it was chosen, less its scores on fresh seeds; for losses the other way round.

    `at_selection`: the one score that was selected by; `validation`, `test`: one score of the same measure per fresh seed.
    Raises ValueError for no seeds and for scores that are no finite numbers.
    """
    sign = -1.0 if lower_is_better else 1.0
    return SelectionBias(
        summarise(sign * (at_selection - score) for score in validation),
        summarise(sign * (at_selection - score) for score in test),
    )
