"""A trained network into a run, as MLflow model. Enters: a Keras model and how it is to answer. Leaves: its address.

What is logged is code (`served.py`, `policies.py`) beside the `.keras` file, with signature, example and pinned
requirements.
Plain Keras loads the file `artifacts/network.keras` in it.
"""

import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array, ColSpec
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.models.keras_model import save
from pipeline.statistics.selective import policies
from pipeline.tracking.health import ABSENT
from pipeline.tracking.store import Run

LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
NEEDED = ("keras", "mlflow", "numpy", "pandas", "tensorflow")
"""What loading the model takes; pinned as in the lock."""


@dataclass(frozen=True)
class Serving:
    """How a model reads images, and answers when a request does not say."""

    class_names: tuple[str, ...]
    image_shape: tuple[int, int]
    """Height and width, pixels."""
    pixel_max: int
    quantile: float
    """Of the policy `candidates`, as `conformal.fit` finds it on validation."""
    min_confidence: float = 0.5
    min_margin: float = 0.5
    policy: policies.Policy = "argmax"


def requirements() -> list[str]:
    """The pins of `NEEDED`, as the lock has them."""
    pins = {line.split("==")[0]: line.split(";")[0].strip() for line in LOCK.read_text(encoding="utf-8").splitlines()}
    return [pins[name] for name in NEEDED]


def signature(serving: Serving) -> ModelSignature:
    """What comes out, and the params of a request with their defaults. The input is checked by the model itself, which
    takes images and flat rows: MLflow's schema can only say one of them.
    """
    answer = [
        ColSpec(DataType.long, "label"),
        ColSpec(DataType.string, "class"),
        ColSpec(DataType.double, "confidence"),
        ColSpec(DataType.double, "margin"),
        ColSpec(DataType.boolean, "accepted"),
        ColSpec(Array(DataType.string), "candidates"),
    ]
    params = [
        ParamSpec("policy", DataType.string, serving.policy),
        ParamSpec("min_confidence", DataType.double, serving.min_confidence),
        ParamSpec("min_margin", DataType.double, serving.min_margin),
    ]
    return ModelSignature(outputs=Schema(answer), params=ParamSchema(params))


def log_model(run: Run, model: Any, example: NDArray[np.uint8], serving: Serving, *, name: str = "model") -> str:
    """Logs a Keras model that takes raw pixels uint8 (n, h, w) and gives probabilities (n, classes)."""
    logger = logging.getLogger("mlflow")
    before = logger.level
    logger.setLevel(logging.ERROR)  # it warns of what is so on purpose: no schema of the input, code without types
    mlflow.set_experiment(experiment_id=run.experiment_id)  # where MLflow lists the model, whatever run is active
    try:
        # Its advice on type hints gets past every filter.
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True):
            info = Model.log(
                artifact_path=None,
                name=name,
                flavor=mlflow.pyfunc,
                run_id=run.id,
                python_model=str(Path(__file__).with_name("served.py")),
                artifacts=_files(Path(folder), model, serving),
                signature=signature(serving),
                input_example=example,
                pip_requirements=requirements(),
            )
    finally:
        logger.setLevel(before)
    return str(info.model_uri)


def load(address: str) -> mlflow.pyfunc.PyFuncModel:
    """A model as a server would load it; InputError when its files are not all there."""
    with warnings.catch_warnings(record=True), _its_files_there(address):  # its advice on type hints
        return mlflow.pyfunc.load_model(address)


def serving(model: mlflow.pyfunc.PyFuncModel) -> Serving:
    """How a loaded model reads images and answers; see `Serving`."""
    return _serving(model.unwrap_python_model()._settings)  # noqa: SLF001 - of our own class, which travels with the model


def fetch(address: str, folder: Path) -> tuple[Path, Serving]:
    """The `.keras` file of a model, copied to a folder, and how the model reads images; InputError as `load`."""
    with _its_files_there(address):
        copy = Path(mlflow.artifacts.download_artifacts(address, dst_path=str(folder))) / "artifacts"
        settings = json.loads((copy / "settings.json").read_text(encoding="utf-8"))
    return copy / "network.keras", _serving(settings)


def _serving(settings: Mapping[str, Any]) -> Serving:
    lists = {name: tuple(settings[name]) for name in ("class_names", "image_shape")}
    return Serving(**{**settings, **lists})


@contextmanager
def _its_files_there(address: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, PermissionError, ValueError) as error:
        raise _gone(address, error) from error
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        raise _gone(address, error) from error


def _gone(address: str, error: Exception) -> InputError:
    told = " ".join(str(error).split())[:200]
    return InputError(f"the model {address} cannot be loaded ({told}); bring its files back, or name another version")


def _files(folder: Path, model: Any, serving: Serving) -> dict[str, str]:
    """What travels beside `served.py`, by the names that it knows."""
    network, settings, code = folder / "network.keras", folder / "settings.json", folder / "policies.py"
    save(model, network)
    settings.write_text(json.dumps(asdict(serving), indent=2), encoding="utf-8")
    shutil.copyfile(policies.__file__, code)
    return {"keras": str(network), "settings": str(settings), "policies": str(code)}
