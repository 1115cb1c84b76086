"""The sections `promotion` and `retrain`: what a challenger must show, and what a retraining run does."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pipeline.experiment.sections.base import Margin, Section, no_bool


class Promotion(Section):
    """What a challenger must show to replace the champion. Accuracies, recalls, gaps and calibration errors are 0 to 1."""

    margin: Margin = 0.005
    """Non-inferiority margin: the lower confidence bound of challenger minus champion test accuracy must exceed the negative
    margin."""
    class_margin: Margin = 0.05
    """Largest accepted loss of recall of any class, counted where the loss is significant."""
    gap_margin: Margin = 0.01
    """Largest accepted increase of the honest accuracy gap."""
    calibration_margin: Margin = 0.02
    """Largest accepted increase of the expected calibration error."""
    min_accuracy: Annotated[float, Field(ge=0, le=1), BeforeValidator(no_bool)] = 0.8
    """Without a champion: minimum test accuracy."""
    max_gap: Margin = 0.15
    """Without a champion: maximum honest accuracy gap."""
    max_calibration_error: Margin = 0.15
    """Without a champion: maximum expected calibration error."""
    alpha: Annotated[float, Field(gt=0, lt=0.5), BeforeValidator(no_bool)] = 0.05
    """Largest accepted probability of promoting a challenger that is not better."""
    refuse_drift: bool = False
    """Keep the champion if the data have drifted since it was trained; false only warns."""


class Retrain(Section):
    """What a retraining run trains, and how it ends."""

    mode: Literal["auto", "refit", "search"] = "auto"
    """`refit` retrains the champion's recipe on the current data; `search` runs a new search; `auto` refits, and searches if
    the gate rejects the refit or `search_every` is due."""
    search_every: Annotated[int, Field(ge=1), BeforeValidator(no_bool)] | None = 7
    """For `auto`: every Nth retraining run with new data or settings searches instead of refitting; null never does."""
    force: bool = False
    """Train and compare even if neither data nor settings have changed."""
    fail_when_kept: bool = False
    """Exit with code 1 if the champion is kept."""
