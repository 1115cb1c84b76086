"""How unequal the classes are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.data.dataset import Labels

UNEQUAL = 3
"""Largest class by smallest, from which balanced accuracy is worth a look."""


@dataclass(frozen=True)
class Imbalance:
    """The largest and the smallest class of one part."""

    largest: str
    largest_rate: float
    """Share of the images, 0 to 1: the accuracy of always answering this class."""
    smallest: str
    smallest_rate: float

    @property
    def ratio(self) -> float:
        """Largest by smallest; infinite if the smallest has no images."""
        return self.largest_rate / self.smallest_rate if self.smallest_rate else float("inf")

    @property
    def text(self) -> str:
        """Text such as `largest class 'Bag', 12.3 % of train`, with the smallest if they are unequal."""
        if self.largest_rate == self.smallest_rate:
            return "classes of equal size"
        shown = f"largest class '{self.largest}', {100 * self.largest_rate:.1f} % of train"
        if self.ratio < UNEQUAL:
            return shown
        return f"{shown}; smallest class '{self.smallest}', {100 * self.smallest_rate:.1f} %"


def imbalance(labels: Labels, class_names: Sequence[str]) -> Imbalance:
    """Measures the labels of one part; of equal classes the first is named."""
    rates = np.bincount(labels, minlength=len(class_names)) / max(1, len(labels))
    high, low = int(rates.argmax()), int(rates.argmin())
    return Imbalance(class_names[high], float(rates[high]), class_names[low], float(rates[low]))
