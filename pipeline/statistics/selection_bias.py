"""Selection bias: the optimism of the winner's score due to being selected.

The best of many trials is the best by luck as well as by merit, so its score falls when it is trained again. The fresh
validation scores remove the luck of its seed. The test scores also remove the luck with the validation images, which
search, early stopping and the kept epoch have all used (Cawley and Talbot, On Over-fitting in Model Selection, JMLR 11,
2010). The test value also contains any difference in difficulty between the two sets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.statistics.seed_summary import Summary, summarise


@dataclass(frozen=True)
class SelectionBias:
    """Positive if the selected score was too optimistic; in the unit of the score, with the spread over the fresh
    seeds.

    The score at selection is one fixed number.
    """

    validation: Summary
    """Against fresh seeds on the same validation images."""
    test: Summary
    """Against the same fresh seeds on the test images."""


def selection_bias(at_selection: float, validation: Sequence[float], test: Sequence[float]) -> SelectionBias:
    """The winner's validation score when it was chosen minus its scores with fresh seeds.

    Args:
        at_selection: The score that it was selected by.
        validation: One validation score per fresh seed.
        test: One test score per fresh seed.

    Raises:
        ValueError: Without seeds, or for scores that are not finite.
    """
    return SelectionBias(
        summarise(at_selection - score for score in validation),
        summarise(at_selection - score for score in test),
    )
