"""What a selection may know of a network."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from pipeline.statistics.seed_summary import summarise
from pipeline.statistics.selection.difference import Outcomes


@dataclass(frozen=True)
class Candidate:
    """One trained network, or the mean over several seeds of one; nothing of the test set."""

    name: str
    """Architecture, for people."""
    val_loss: float
    val_accuracy: float
    val_accuracy_gap: float
    """Train minus validation accuracy, dropout off."""
    parameters: int
    seeds: int = 1
    outcomes: Outcomes = field(default_factory=dict, compare=False, repr=False)
    """Which validation images it got right, by seed; none where only scores are known, as of a search's trial."""
    kind: str = "network"
    """What the reason of a choice calls the candidates: `network`, `trial` or `finalist`."""
    role: str = ""
    """What the reason calls this one, such as `finalist 2`; empty for its architecture."""

    @classmethod
    def of_seeds(
        cls,
        name: str,
        metrics: Sequence[Mapping[str, float]],
        parameters: int,
        outcomes: Outcomes | None = None,
        *,
        kind: str = "network",
        role: str = "",
    ) -> Self:
        """The means of one mapping per seed, each with `val_loss`, `val_accuracy` and `val_accuracy_gap`.

        Raises:
            ValueError: Without seeds, for values that are not finite, or for outcomes of another number of seeds.
        """
        if outcomes is not None and len(outcomes) != len(metrics):
            raise ValueError(
                f"{name}: outcomes of {len(outcomes)} seeds for metrics of {len(metrics)}; expected the same"
            )
        loss, accuracy, gap = (
            summarise(each[measure] for each in metrics) for measure in ("val_loss", "val_accuracy", "val_accuracy_gap")
        )
        return cls(name, loss.mean, accuracy.mean, gap.mean, parameters, len(metrics), outcomes or {}, kind, role)

    @property
    def finite(self) -> bool:
        return all(map(math.isfinite, (self.val_loss, self.val_accuracy, self.val_accuracy_gap)))

    def binomial_error(self, validation_size: int) -> float:
        """Standard error of the validation accuracy for other images: sqrt(p (1 - p) / images)."""
        return math.sqrt(self.val_accuracy * (1 - self.val_accuracy) / validation_size)
