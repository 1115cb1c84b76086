"""The keys of `experiments/*.yaml`: their schema, how they are loaded, and the error messages."""

from pipeline.experiment.loading import EXPERIMENTS, check_data_path, is_path, load, names, parse
from pipeline.experiment.model_code import ModelCode
from pipeline.experiment.schema import Experiment
from pipeline.experiment.sections.data import Data
from pipeline.experiment.sections.evaluation import Evaluation, Selection
from pipeline.experiment.sections.retraining import Promotion, Retrain
from pipeline.experiment.sections.search import Search
from pipeline.experiment.sections.space import FixedNetwork, Published, Space
from pipeline.experiment.sections.tracking import Tracking
from pipeline.experiment.sections.training import Training, TrainingOverrides

__all__ = [
    "EXPERIMENTS",
    "Data",
    "Evaluation",
    "Experiment",
    "FixedNetwork",
    "ModelCode",
    "Promotion",
    "Published",
    "Retrain",
    "Search",
    "Selection",
    "Space",
    "Tracking",
    "Training",
    "TrainingOverrides",
    "check_data_path",
    "is_path",
    "load",
    "names",
    "parse",
]
