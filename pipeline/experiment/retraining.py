"""The sections `promotion` and `retrain`: what a challenger must show, and what a retraining run does."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pipeline.experiment.base import Margin, Section, no_bool


class Promotion(Section):
    """What a challenger must show to replace the champion. Accuracies, recalls, gaps and errors 0 to 1."""

    margin: Margin = 0.005
    """It may be less accurate by so much at most, at the lower bound of the difference."""
    class_margin: Margin = 0.05
    """No class may lose more recall, where the loss is beyond noise."""
    gap_margin: Margin = 0.01
    """Its honest gap may be larger by so much."""
    calibration_margin: Margin = 0.02
    """Its calibration error may be larger by so much."""
    min_accuracy: Margin = 0.8
    """Without a champion: at least so accurate."""
    max_gap: Margin = 0.15
    """Without a champion: an honest gap of at most so much."""
    max_calibration_error: Margin = 0.15
    """Without a champion: a calibration error of at most so much."""
    alpha: Annotated[float, Field(gt=0, lt=0.5), BeforeValidator(no_bool)] = 0.05
    """How often a challenger that is not better may be promoted, at most."""
    refuse_drift: bool = False
    """Keep the champion while the data differ from those that it was trained on, rather than only warn."""


class Retrain(Section):
    """What the step `retrain` trains, and what it makes of the outcome."""

    mode: Literal["auto", "refit", "search"] = "auto"
    """`refit` trains the champion's network on the present data, `search` looks for another one, `auto` refits, and searches
    when the refit is refused, or when it is time to."""
    search_every: Annotated[int, Field(ge=1), BeforeValidator(no_bool)] | None = 7
    """For `auto`: every so many nights that have something to train, a search takes the place of the refit; null: never."""
    force: bool = False
    """Train and judge although neither data nor recipe have changed."""
    fail_when_kept: bool = False
    """End with exit code 1 when the champion is kept."""
