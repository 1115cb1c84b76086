"""Chooses a network by validation results only, and says why."""

from pipeline.statistics.selection.candidate import Candidate
from pipeline.statistics.selection.rules import Choice, Rule, choose, ranked

__all__ = ["Candidate", "Choice", "Rule", "choose", "ranked"]
