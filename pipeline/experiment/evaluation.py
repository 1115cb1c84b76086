"""The sections `evaluation` and `selection`: what is trained again over seeds, and which network is chosen."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pipeline.experiment.base import Count, Section, Share, no_bool


class Evaluation(Section):
    """What is trained again, to tell merit from luck."""

    finalists: Count = 3
    """Networks of the search that are trained again, the best by the selection's rule; fixed networks are all of them."""
    seeds: Count = 5
    """Times that each is trained again, from seeds that the search has not seen; the same ones for every network."""
    target_accuracy: Annotated[float, Field(gt=0, le=1), BeforeValidator(no_bool)] | None = None
    """The accuracy to reach on the images that are answered, by leaving out unsure ones; null asks for none."""


class Selection(Section):
    """How the chosen network is picked; only validation figures count."""

    rule: Literal["one_standard_error", "best_loss", "best_accuracy"] = "one_standard_error"
    """`one_standard_error`: of the networks within one standard error of the best validation accuracy, the one with
    the smallest gap between train and validation; or plainly the best validation loss or accuracy."""
    tolerance: Share | None = None
    """For `one_standard_error`: so much validation accuracy, 0 to 1, may be given up for a smaller gap, instead of one
    standard error; 0.01 is one point."""
