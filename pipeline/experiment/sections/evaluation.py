"""The sections `evaluation` and `selection`: what is trained again over seeds, and which network is chosen."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pipeline.experiment.sections.base import Count, Section, Share, no_bool


class Evaluation(Section):
    """What is trained again over seeds, to separate merit from luck."""

    finalists: Count = 3
    """Number of networks of the search that are trained again, the best by `selection.rule`; of fixed networks, all are."""
    seeds: Count = 5
    """Largest number of fresh seeds with which a finalist or reference network is trained. All take the same seeds in the
    same order. Without `race` and `minutes`, each takes all of them."""
    race: bool = True
    """Whether refits race: all networks get three seeds; further seeds, up to `seeds`, go to those that the rule could still
    choose, and to the baseline. Fixed networks do not race."""
    target_accuracy: Annotated[float, Field(gt=0, le=1), BeforeValidator(no_bool)] | None = None
    """Target accuracy on accepted predictions, 0 to 1; the rest is rejected as uncertain. Null sets no target."""


class Selection(Section):
    """How the winner is chosen among the finalists, by validation results only."""

    rule: Literal["one_standard_error", "best_loss", "best_accuracy"] = "one_standard_error"
    """`one_standard_error`: the network with the smallest gap between train and validation accuracy, among those within one
    standard error of the best validation accuracy (after refits: of the difference to the best, over the same images and
    seeds). Or the best validation loss, or accuracy."""
    tolerance: Share | None = None
    """For `one_standard_error`: accepted loss of validation accuracy, 0 to 1, in place of one standard error; 0.01 is one
    percentage point."""
