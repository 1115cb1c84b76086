"""What is logged with the chosen network: its thresholds."""

from collections.abc import Callable
from dataclasses import replace

import mlflow
import pytest

from pipeline.data.split import Split
from pipeline.evaluation.analyses.base import ServingDefaults
from pipeline.evaluation.finalists import Finalist
from pipeline.evaluation.log_model import log_chosen_model
from pipeline.evaluation.refits import RefitGroup
from pipeline.models import networks
from pipeline.models.recipe import Recipe
from pipeline.serving.model import Serving, load, serving
from pipeline.tracking.store import Store
from tests.evaluation.samples import SETTINGS, figures, group, relu

pytestmark = pytest.mark.tensorflow

FOUND = ServingDefaults(0.9, min_confidence=0.7, min_margin=0.3)
Logged = tuple[Serving, mlflow.pyfunc.PyFuncModel]
Log = Callable[..., Logged]


def untrained(split: Split) -> RefitGroup:
    """A network with initial weights, as if it were chosen."""
    spec = relu(3)
    model = networks.build(
        spec, image_shape=split.image_shape, classes=split.classes, pixel_max=split.pixel_max, seed=1
    )
    made = group(Finalist("finalist 1", Recipe(spec), SETTINGS), [figures(accuracy=0.8)])
    return replace(made, refits=[replace(each, weights=model.get_weights()) for each in made.refits])


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory, tensorflow: object) -> Log:
    """Logs an untrained network for a split, and returns it as it is loaded again."""
    folder = tmp_path_factory.mktemp("logged")
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")  # forgotten again by the next file
    store = Store.connect()
    store.client.create_experiment("logged", f"{folder}/artifacts")

    def logged(split: Split, defaults: ServingDefaults = FOUND) -> Logged:
        with store.root(step="evaluate", experiment="logged", tags={}).open() as run:
            model = load(log_chosen_model(run, split, untrained(split), defaults))
        return serving(model), model

    return logged


@pytest.mark.parametrize(
    ("defaults", "served"),
    [
        (FOUND, {"min_confidence": 0.7, "min_margin": 0.3}),
        (replace(FOUND, min_confidence=None), {"min_confidence": 0.5, "min_margin": 0.3}),
        (replace(FOUND, min_margin=None), {"min_confidence": 0.7, "min_margin": 0.5}),
    ],
)
def test_thresholds_found_on_validation_are_served_and_the_reports_example_where_none_was_found(
    log: Log, tiny_split: Split, defaults: ServingDefaults, served: dict[str, float]
) -> None:
    settings, model = log(tiny_split, defaults)
    assert {name: getattr(settings, name) for name in served} == served
    assert {each.name: each.default for each in model.metadata.signature.params} == {"policy": "argmax", **served}
