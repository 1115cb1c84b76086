"""The records that analyses share: what was evaluated, and what an analysis returns.

An analysis is a function from `EvaluationResult` to an `Analysis`, or None where it does not apply.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from pipeline.data.split import Split
from pipeline.evaluation.finalists import BASELINE
from pipeline.evaluation.refits import RefitGroup
from pipeline.evaluation.report.page import Section
from pipeline.experiment import Experiment
from pipeline.search.trials import Trial
from pipeline.statistics.gap_table import Row, gap_table
from pipeline.statistics.selection import Choice


@dataclass(frozen=True, eq=False)
class Analysis:
    """One part of what was found."""

    artifacts: Mapping[str, bytes | str] = field(default_factory=dict)
    """By their paths in the run."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Of the run."""
    section: Section | None = None
    """Of the report."""
    told: str = ""
    """For the screen and the run's note."""


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """All that was trained, and who was chosen."""

    experiment: Experiment
    split: Split
    trials: Sequence[Trial]
    """Those of the search that finished."""
    groups: Sequence[RefitGroup]
    """The chosen one first, then the other finalists, then the references."""
    choice: Choice
    """Among the finalists, by means over seeds."""
    report: str = ""
    """The page, once it is written."""

    @cached_property
    def gap_table(self) -> pd.DataFrame:
        """`gaps.csv`: every network by both measures, the chosen one first."""
        return gap_table([self.row(group) for group in self.groups])

    def first_gaps(self, most: int) -> pd.DataFrame:
        """`gap_table` of the first `most` networks."""
        shown = [self.role(group) for group in self.groups[:most]]
        return self.gap_table[self.gap_table["network"].isin(shown)]

    def row(self, group: RefitGroup) -> Row:
        """A network as a row of the table of gaps."""
        return Row(self.role(group), group.architecture, group.finalist.recipe.spec.has_dropout, group.metrics)

    @property
    def chosen(self) -> RefitGroup:
        return self.groups[0]

    @property
    def rival(self) -> RefitGroup | None:
        """What the chosen one is compared with: the baseline, or where that was chosen, the first of the others."""
        return self.of_role(BASELINE) or next(iter(self.groups[1:]), None)

    def role(self, group: RefitGroup) -> str:
        """For tables and pictures."""
        return "chosen" if group is self.chosen else group.finalist.role

    def of_role(self, role: str) -> RefitGroup | None:
        """A group that is not the chosen one."""
        return next((group for group in self.groups[1:] if group.finalist.role == role), None)
