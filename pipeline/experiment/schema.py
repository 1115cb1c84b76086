"""An experiment: one file of `experiments/`, all sections together."""

from typing import Annotated

import yaml
from pydantic import Field

from pipeline.experiment.base import Section
from pipeline.experiment.data import Data
from pipeline.experiment.evaluation import Evaluation, Selection
from pipeline.experiment.networks import Space
from pipeline.experiment.retraining import Promotion, Retrain
from pipeline.experiment.search import Search
from pipeline.experiment.training import Training


class Experiment(Section):
    """One file of `experiments/`: what is asked."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
    """Letters, digits, `_`, `.` and `-`; the name of the file serves."""
    question: Annotated[str, Field(min_length=1)]
    """What the experiment is to answer, one sentence; shown in the MLflow UI."""
    data: Data = Data()
    """Which images, and how they are divided."""
    space: Space = Space()
    """The networks to search over."""
    training: Training = Training()
    """How every trial trains."""
    search: Search = Search()
    """How the space is searched."""
    evaluation: Evaluation = Evaluation()
    """What is trained again, to tell merit from luck."""
    selection: Selection = Selection()
    """How one network is chosen."""
    promotion: Promotion = Promotion()
    """What a challenger must show to replace the champion."""
    retrain: Retrain = Retrain()
    """What the step `retrain` does."""

    def to_yaml(self) -> str:
        """The resolved experiment, every default spelled out; reading it back gives an equal experiment."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
