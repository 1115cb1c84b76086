"""What is logged with the chosen network: its thresholds, examples of its images, and how they were read."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest

from pipeline.data.dataset import Dataset
from pipeline.data.formats import digits
from pipeline.data.own.parts import Form, Trained
from pipeline.data.split import Part, Split
from pipeline.evaluation.finalists import Finalist
from pipeline.evaluation.log_model import log_chosen_model, spread_over_classes
from pipeline.evaluation.refits import RefitGroup
from pipeline.evaluation.result import ServingDefaults
from pipeline.models import networks
from pipeline.models.recipe import Recipe
from pipeline.serving.model import Serving, frame, load, serving
from pipeline.serving.resize import Frame
from pipeline.session import PreparedData
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
    """Logs an untrained network for a split of a data set, and returns it as it is loaded again."""
    folder = tmp_path_factory.mktemp("logged")
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")  # forgotten again by the next file
    store = Store.connect()
    store.client.create_experiment("logged", f"{folder}/artifacts")

    def logged(split: Split, defaults: ServingDefaults = FOUND, *, dataset: Dataset | None = None) -> Logged:
        prepared = PreparedData(dataset or digits(), split)
        with store.root(step="evaluate", experiment="logged", tags={}).open() as run:
            model = load(log_chosen_model(run, prepared, untrained(split), defaults))
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


FORMS = (
    None,
    Form(trained=Trained()),
    Form(4095, (3, 4, 4), (4, 4), "rgb", "black", Trained(255, None, pictures=True)),
    Form(None, (16,), None, "grey", "white", Trained(16, 1)),
)


@pytest.mark.parametrize("form", FORMS)
def test_how_the_users_data_were_read_is_known_of_the_loaded_model(log: Log, tiny_split: Split, form: Form) -> None:
    settings, _ = log(tiny_split, dataset=replace(digits(), read_as=form))
    assert settings.read_as == form


def split_of(images: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> Split:
    """Images to train on; those of the test part have the opposite tones and all are of one class."""
    part = Part(images, labels)
    return Split(part, part, Part(255 - images[:5], labels[:5] * 0), names, 255, "digest", "fingerprint")


def test_python_leaves_no_bytecode_beside_a_model_that_is_logged_and_loaded(
    log: Log, tiny_split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    log(tiny_split)
    folder = Path(mlflow.get_tracking_uri().removeprefix("sqlite:///")).with_name("artifacts")
    assert len(list(folder.rglob("served.py"))) >= 1
    assert list(folder.rglob("*.pyc")) == []


def test_the_examples_are_training_images_of_all_classes(log: Log) -> None:
    """The images of each class are stored together; each has the tone of its row."""
    images = np.repeat(np.arange(60, dtype=np.uint8), 16).reshape(60, 4, 4)
    settings, model = log(split_of(images, np.arange(60) // 20, ("a", "b", "c")))
    assert np.asarray(model.input_example)[:, 0, 0].tolist() == [0, 20, 40, 1, 21]
    assert (settings.light, settings.extent) == (False, 1.0)


@pytest.mark.parametrize(("border", "light"), [((9, 30), False), ((240, 200), True), ((200, 30), None)])
def test_a_background_is_known_only_if_all_classes_have_it(
    log: Log, border: tuple[int, int], light: bool | None
) -> None:
    """An object of 2 of 4 pixels; the first half of the images is of the first class."""
    labels = np.arange(400) // 200
    images = np.empty((400, 4, 4), np.uint8)
    images[:] = np.array(border, np.uint8)[labels][:, None, None]
    images[:, 1:3, 1:3] = 120
    _, model = log(split_of(images, labels, ("first", "second")))
    assert frame(model) == Frame((4, 4), 255, light=light, extent=0.5)


def test_rows_are_spread_over_classes() -> None:
    labels = np.array([2, 2, 2, 0, 0, 2, 1], np.int64)
    assert spread_over_classes(labels, 4).tolist() == [3, 6, 0, 4]
    assert spread_over_classes(labels, 99).tolist() == [3, 6, 0, 4, 1, 2, 5]
    assert spread_over_classes(np.array([1, 1], np.int64), 1).tolist() == [0]
