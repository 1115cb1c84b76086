"""What is found in a data set, as a record."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from pipeline.data.exploration import Exploration
from pipeline.data.split import Split
from pipeline.statistics.data_quality.duplicates import Twin, constant, twins
from pipeline.statistics.data_quality.imbalance import Imbalance, imbalance
from pipeline.statistics.data_quality.label_errors import (
    Suspect,
    out_of_fold_probabilities,
    rows_to_judge,
    suspects,
)

SourceOf = Callable[[str, int], str]
"""Where the image in a row of a part came from."""


@dataclass(frozen=True)
class Overlap:
    """Images of a later part that an earlier part has, exactly or nearly."""

    earlier: str
    later: str
    twins: Sequence[Twin]
    """The most similar first."""

    @property
    def exact(self) -> int:
        return sum(twin.exact for twin in self.twins)

    @property
    def near(self) -> int:
        return len(self.twins) - self.exact


@dataclass(frozen=True, eq=False)
class Findings:
    """All that the step `check` judges."""

    exploration: Exploration
    notes: Sequence[str]
    """What was converted."""
    imbalance: Imbalance
    """Of the training images."""
    overlaps: Sequence[Overlap]
    """Of each pair of parts."""
    constant: dict[str, list[int]]
    """Rows of images whose pixels are all equal, by part."""
    suspects: Sequence[Suspect]
    """Training images whose label looks wrong, by their rows in the training part."""
    judged: int
    """Training images whose labels were judged."""

    def metrics(self) -> dict[str, float]:
        """The counts, by their names in the tracking store."""
        found: dict[str, float] = {
            "labels_suspect": len(self.suspects),
            "labels_judged": self.judged,
            "images_constant": sum(map(len, self.constant.values())),
            "largest_class_rate": self.imbalance.largest_rate,
        }
        for overlap in self.overlaps:
            found[f"duplicates_{overlap.earlier}_{overlap.later}"] = overlap.exact
            found[f"near_duplicates_{overlap.earlier}_{overlap.later}"] = overlap.near
        return found

    def duplicates_table(self, source: SourceOf) -> pd.DataFrame:
        """One row per image that occurs in an earlier part."""
        rows = [
            (
                overlap.later, source(overlap.later, twin.row), overlap.earlier, source(overlap.earlier, twin.other),
                twin.exact, round(twin.correlation, 5),
            )
            for overlap in self.overlaps
            for twin in overlap.twins
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["part", "image", "other_part", "other_image", "exact", "correlation"])

    def labels_table(self, class_names: Sequence[str], source: SourceOf) -> pd.DataFrame:
        """One row per training image whose label looks wrong."""
        rows = [
            (source("train", each.row), class_names[each.label], class_names[each.suggested], round(each.confidence, 4))
            for each in self.suspects
        ]
        return pd.DataFrame(rows, columns=["image", "label", "suggested", "confidence"])


def examine(split: Split, exploration: Exploration, notes: Sequence[str], *, seed: int) -> Findings:
    """Judges the parts of a split."""
    parts = dict(split.parts())
    found, judged = _suspects(split, seed)
    return Findings(
        exploration=exploration,
        notes=notes,
        imbalance=imbalance(split.train.labels, split.class_names),
        overlaps=[
            Overlap(earlier, later, twins(parts[later].images, parts[earlier].images))
            for earlier, later in combinations(parts, 2)
        ],
        constant={name: constant(part.images).tolist() for name, part in parts.items()},
        suspects=found,
        judged=judged,
    )


def _suspects(split: Split, seed: int) -> tuple[list[Suspect], int]:
    """Suspects of the training part, and how many images were judged."""
    rows = rows_to_judge(split.train.labels, seed=seed)
    present = np.unique(split.train.labels[rows])
    if len(present) < 2:
        return [], 0
    labels = np.searchsorted(present, split.train.labels[rows])
    probabilities = out_of_fold_probabilities(split.train.images[rows], labels, seed=seed)
    return [
        Suspect(int(rows[each.row]), int(present[each.label]), int(present[each.suggested]), each.confidence)
        for each in suspects(labels, probabilities)
    ], len(rows)
