"""One process for all tests: TensorFlow starts once, on one thread, and no setting of the machine leaks in."""

import os
import sys

for _name in [name for name in os.environ if name.startswith(("MLFLOW_", "NARROWGAP_"))]:
    del os.environ[_name]
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import numpy as np  # noqa: E402 - after the environment is clean
import pytest  # noqa: E402

from pipeline.data.formats import digits  # noqa: E402
from pipeline.data.split import Part, Split, split  # noqa: E402
from pipeline.experiment import Data  # noqa: E402

pytest_plugins = ["tests.shared_fixtures"]

SAID = {"mlflow.tracking._tracking_service.utils": "_tracking_uri", "mlflow.tracking.fluent": "_active_experiment_id"}
"""Where MLflow keeps what it was told by a call; it counts more than the environment, and outlasts a test."""


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_said_to_mlflow_but_in_the_environment():
    _forget()
    yield
    _forget()


def _forget() -> None:
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)  # `mlflow.set_experiment` leaves it there
    for module, name in SAID.items():
        if module in sys.modules:
            setattr(sys.modules[module], name, None)


@pytest.fixture(scope="session")
def digits_split() -> Split:
    """Scikit-learn's digits: 1,455 to train on, 162 to choose by, 180 to report on."""
    return split(digits(), Data(dataset="digits", validation=0.1, test=0.1))


@pytest.fixture(scope="session")
def tiny_split() -> Split:
    """Three classes of 4x4 images that a line can tell apart: 37 to train on, 12 and 12 held out."""
    generator = np.random.default_rng(5)

    def part(count: int) -> Part:
        labels = np.arange(count) % 3
        images = generator.integers(0, 60, (count, 4, 4)) + 90 * np.eye(3, 4, dtype=int)[labels][:, None, :]
        return Part(images.astype(np.uint8), labels.astype(np.int64))

    return Split(part(37), part(12), part(12), ("a", "b", "c"), 255, "digest", "fingerprint")


@pytest.fixture(scope="session")
def tensorflow() -> object:
    """TensorFlow as workers have it."""
    from pipeline.training.runtime import init_tensorflow

    init_tensorflow()
    import tensorflow as tf

    return tf
