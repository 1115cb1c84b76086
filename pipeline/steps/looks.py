"""What an evaluation looks at. Enters: what was trained. Leaves: the records that looks take and give.

A look is a function from `Evaluated` to a `Look`, or None where there is nothing to see. `contest.py` holds those over the
networks that were trained again, `landscape.py` those over all trials too, `closeup.py` those of the chosen one alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.data.split import Split
from pipeline.experiment import Experiment
from pipeline.findings.selection import Choice
from pipeline.report.page import Section
from pipeline.steps.finalists import BASELINE
from pipeline.steps.refits import Group
from pipeline.steps.trials import Trial


@dataclass(frozen=True, eq=False)
class Look:
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
class Evaluated:
    """All that was trained, and who was chosen."""

    experiment: Experiment
    split: Split
    trials: Sequence[Trial]
    """Those of the search that finished."""
    groups: Sequence[Group]
    """The chosen one first, then the other finalists, then the references."""
    choice: Choice
    """Among the finalists, by means over seeds."""

    @property
    def chosen(self) -> Group:
        return self.groups[0]

    @property
    def rival(self) -> Group | None:
        """What the chosen one is compared with: the baseline, or where that was chosen, the first of the others."""
        return self.of_role(BASELINE) or next(iter(self.groups[1:]), None)

    def role(self, group: Group) -> str:
        """For tables and pictures."""
        return "chosen" if group is self.chosen else group.finalist.role

    def of_role(self, role: str) -> Group | None:
        """A group that is not the chosen one."""
        return next((group for group in self.groups[1:] if group.finalist.role == role), None)
