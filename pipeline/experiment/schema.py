"""An experiment: one file of `experiments/`, all sections together."""

from typing import Annotated, Any, Self

import yaml
from pydantic import BeforeValidator, Field, model_validator

from pipeline.experiment.model_code import ModelCode
from pipeline.experiment.sections.base import NAME, Section, no_bool
from pipeline.experiment.sections.data import Data
from pipeline.experiment.sections.evaluation import Evaluation, Selection
from pipeline.experiment.sections.retraining import Promotion, Retrain
from pipeline.experiment.sections.search import Search
from pipeline.experiment.sections.space import Space
from pipeline.experiment.sections.tracking import Tracking
from pipeline.experiment.sections.training import Range, Training


class Experiment(Section):
    """One file of `experiments/`: what is asked."""

    name: Annotated[str, Field(pattern=NAME, max_length=100)]
    """Letters, digits, `_`, `.` and `-`; usually the name of the file."""
    question: Annotated[str, Field(min_length=1)]
    """The question that the experiment answers, one sentence; shown in the MLflow UI."""
    minutes: Annotated[float, Field(gt=0), BeforeValidator(no_bool)] | None = None
    """Time budget in minutes for the whole command, preparation included. The search leaves time for the refits, and these
    use as many seeds as there is time for. Screen and report say what is left out. Null sets no limit."""
    data: Data = Data()
    """Which images, and how they are split."""
    model: ModelCode | None = None
    """A model of your own, instead of dense networks: a function in a Python file beside the experiment's file, or in a
    module. What it asks for is searched; see [Your own model](own-model.md)."""
    space: Space = Space()
    """The search space of dense networks."""
    training: Training = Training()
    """How every trial trains."""
    search: Search = Search()
    """How the space is searched."""
    evaluation: Evaluation = Evaluation()
    """What is trained again over seeds."""
    selection: Selection = Selection()
    """How the winner is chosen."""
    promotion: Promotion = Promotion()
    """What a challenger must show to replace the champion."""
    retrain: Retrain = Retrain()
    """What a retraining run does."""
    tracking: Tracking = Tracking()
    """How the tracking store is used."""

    @model_validator(mode="after")
    def _has_one_space(self) -> Self:
        if self.model is not None and self.space != Space():
            raise ValueError(
                f"space is for dense networks, and model is {self.model.name}; leave one of them out: what a model's "
                "function asks for is its space"
            )
        return self

    @model_validator(mode="after")
    def _can_search_its_training(self) -> Self:
        for key, values in self.training.searched.items():
            if self.model is not None:
                raise ValueError(
                    f"training.{key} is {values.plain()}, and model is {self.model.name}; expected one value: let "
                    f"the model's function ask for it by {values.asked_by(key)}"
                )
            if isinstance(values, Range) and self.search.tuner == "grid":
                raise ValueError(
                    f"training.{key} is a range, of which a grid has no end; give a list, such as [{values.low}, "
                    f"{values.typical()}, {values.high}], or take search.tuner=bayesian or random"
                )
            if self.space.networks is not None:
                raise ValueError(
                    f"training.{key} is {values.plain()}, and space.networks lists fixed networks; expected one value: give "
                    "a network per value, with training of its own"
                )
        return self

    @property
    def searched(self) -> tuple[str, ...]:
        """Keys of `space` and `training` that are searched besides the layers of dense networks."""
        return (*self.space.searched, *self.training.searched)

    def to_yaml(self) -> str:
        """The resolved experiment, with every default; reading it back gives an equal experiment."""
        content = self.model_dump(mode="json")
        return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines, such as the code of a model, line by line."""

    def represent_text(self, text: str) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _Dumper.represent_text)
