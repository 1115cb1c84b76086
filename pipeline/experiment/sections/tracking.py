"""The section `tracking`: how the tracking store is used."""

from typing import Annotated

from pydantic import Field

from pipeline.experiment.sections.base import Section


class Tracking(Section):
    """How the tracking store is used."""

    wait_minutes: Annotated[float, Field(ge=0)] = 30
    """Longest wait for a tracking store that is away, in minutes. Training goes on meanwhile; what is trained is kept and
    written when the store answers again. After that the command ends with exit code 5, and the same command resumes."""
