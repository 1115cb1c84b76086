"""The two records that all analyses share: `EvaluationResult`, which they read, and `Analysis`, which they return."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from pipeline.data.split import Split
from pipeline.evaluation.finalists import BASELINE, label
from pipeline.evaluation.refits import RefitGroup
from pipeline.evaluation.report.page import Picture, Section
from pipeline.experiment import Experiment
from pipeline.formatting import interval, points
from pipeline.search.trials import Trial
from pipeline.statistics.gap_table import Row, gap_table
from pipeline.statistics.seed_summary import Summary
from pipeline.statistics.selection import Choice
from pipeline.tracking.names import METRICS


@dataclass(frozen=True)
class ServingDefaults:
    """How the logged model answers when a request does not say; all values are found on validation."""

    quantile: float
    """Conformal quantile of the policy `candidates`."""
    min_confidence: float | None
    """Threshold of the policy `min_confidence`; None where no target accuracy is set or none is reached."""
    min_margin: float | None = None
    """Threshold of the policy `min_margin`; None as for `min_confidence`."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """What one analysis adds to the evaluate run and its report."""

    artifacts: Mapping[str, bytes | str] = field(default_factory=dict)
    """Content by path in the run."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Metrics of the evaluate run."""
    section: Section | None = None
    """Section of the report."""
    summary_picture: Picture | None = None
    """Picture on top of the report."""
    answer: str = ""
    """A sentence of the report's answer to the experiment's question."""
    message: str = ""
    """Text for the screen and the run's note."""
    serving: ServingDefaults | None = None
    """Defaults of the logged model."""


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """The refitted networks and which of them is chosen."""

    experiment: Experiment
    split: Split
    trials: Sequence[Trial]
    """Finished trials of the search."""
    groups: Sequence[RefitGroup]
    """The chosen network first, then the other finalists, then the references."""
    choice: Choice
    """Among the finalists, by means over seeds."""
    seed_notes: Mapping[str, str] = field(default_factory=dict)
    """Why a network has as many seeds as it has, by the role of its finalist; empty if all have the same."""
    left_out: str = ""
    """The trials and seeds that there was no time for, one sentence; empty if there was time for all."""
    report: str = ""
    """The HTML page; empty until it is built."""

    @cached_property
    def gap_table(self) -> pd.DataFrame:
        """`gaps.csv`: every network by both measures, the chosen one first."""
        return gap_table([self.row(group) for group in self.groups])

    def first_gaps(self, most: int) -> pd.DataFrame:
        """`gap_table` of the first `most` networks, with their labels."""
        roles = [self.role(group) for group in self.groups[:most]]
        return self.labelled(self.gap_table[self.gap_table["network"].isin(roles)])

    def labelled(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table with labels for people in place of the roles in its column `network`."""
        labels = {self.role(group): self.label(group) for group in self.groups}
        return table.assign(network=table["network"].map(labels))

    def row(self, group: RefitGroup) -> Row:
        """A network as a row of the gap table."""
        return Row(self.role(group), group.architecture, group.finalist.recipe.spec.has_dropout, group.metrics)

    @property
    def chosen(self) -> RefitGroup:
        return self.groups[0]

    @property
    def rival(self) -> RefitGroup | None:
        """The network that the chosen one is compared with: the baseline or, if that was chosen, the next network with
        most seeds.
        """
        return self.of_role(BASELINE) or max(self.groups[1:], key=lambda group: len(group.refits), default=None)

    @property
    def seeds(self) -> str:
        """The number of seeds of the networks, such as `5` or `3 to 5`."""
        counts = [len(group.refits) for group in self.groups]
        return str(max(counts)) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"

    def role(self, group: RefitGroup) -> str:
        """The group's name in artifacts."""
        return "chosen" if group is self.chosen else group.finalist.role

    def label(self, group: RefitGroup) -> str:
        """The group's name for people: of the chosen one with its role, such as `chosen (finalist 2)`."""
        shown = label(group.finalist.role)
        return f"chosen ({shown})" if group is self.chosen else shown

    def of_role(self, role: str) -> RefitGroup | None:
        """The group with a role, unless it is the chosen one."""
        return next((group for group in self.groups[1:] if group.finalist.role == role), None)


def mean_text(name: str, summary: Summary) -> str:
    """A metric's mean with half of its interval, such as `89.46 ± 0.12`, in the unit of `METRICS`."""
    return interval(summary.mean, summary.low, summary.high, write=METRICS[name].text)


def mean_points(summary: Summary) -> str:
    """A mean difference of shares in points, such as `+3.41 ± 0.21`."""
    return interval(summary.mean, summary.low, summary.high, write=points)
