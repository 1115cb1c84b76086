"""An experiment: one file of `experiments/`, all sections together."""

from typing import Annotated

import yaml
from pydantic import Field

from pipeline.experiment.base import NAME, Section
from pipeline.experiment.data import Data
from pipeline.experiment.evaluation import Evaluation, Selection
from pipeline.experiment.networks import Space
from pipeline.experiment.retraining import Promotion, Retrain
from pipeline.experiment.search import Search
from pipeline.experiment.tracking import Tracking
from pipeline.experiment.training import Training


class Experiment(Section):
    """One file of `experiments/`: what is asked."""

    name: Annotated[str, Field(pattern=NAME, max_length=100)]
    """Letters, digits, `_`, `.` and `-`; usually the name of the file."""
    question: Annotated[str, Field(min_length=1)]
    """The question that the experiment answers, one sentence; shown in the MLflow UI."""
    data: Data = Data()
    """Which images, and how they are split."""
    space: Space = Space()
    """The search space."""
    training: Training = Training()
    """How every trial trains."""
    search: Search = Search()
    """How the space is searched."""
    evaluation: Evaluation = Evaluation()
    """What is retrained over seeds."""
    selection: Selection = Selection()
    """How the winner is chosen."""
    promotion: Promotion = Promotion()
    """What a challenger must show to replace the champion."""
    retrain: Retrain = Retrain()
    """What a retraining run does."""
    tracking: Tracking = Tracking()
    """How the tracking store is used."""

    def to_yaml(self) -> str:
        """The resolved experiment, with every default; reading it back gives an equal experiment."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
