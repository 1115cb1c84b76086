"""Logs a trained network as an MLflow model, and loads it.

The model contains code (`served.py`, `policies.py`) and the `.keras` file, with signature, input example and pinned
requirements. Plain Keras loads its file `artifacts/network.keras`.
"""

import json
import logging
import re
import shutil
import sys
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
import requests
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array, ColSpec
from numpy.typing import NDArray

from pipeline.data.own.parts import Form, Trained
from pipeline.errors import InputError
from pipeline.models.dense_keras import save
from pipeline.serving.resize import Frame, frame_of
from pipeline.statistics.selective import policies
from pipeline.tracking.connection.waiting import temporary_folder_errors
from pipeline.tracking.run import ABSENT
from pipeline.tracking.store import Run

LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
NEEDED = ("keras", "mlflow", "numpy", "pandas", "tensorflow")
"""Packages that loading the model needs; pinned as in the lock."""

CODE = "model_code.py"
"""The file with the custom layers of a user's own model, beside the `.keras` file."""


@dataclass(frozen=True)
class Serving:
    """Expected input and default answer policy of a served model."""

    class_names: tuple[str, ...]
    image_shape: tuple[int, ...]
    """(h, w), pixels; (h, w, 3) for red, green and blue."""
    pixel_max: int
    quantile: float
    """Conformal quantile for the policy `candidates`, from `conformal.calibrate` on the validation images."""
    min_confidence: float = 0.5
    min_margin: float = 0.5
    policy: policies.Policy = "argmax"
    read_as: Form | None = None
    """How the user's own data were read for training. None for the built-in data sets, and in models that were logged
    without it."""
    light: bool | None = None
    """Whether the background is light (`Frame.light`), measured on training images of all classes."""
    extent: float | None = None
    """As `light`. None in models that were logged without both: they are then measured on the input example."""


def requirements(*, code: bool = False) -> list[str]:
    """The pins of `NEEDED` in the lock, and of what the code of a user's own model may import."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    pins = {line.split("==")[0]: re.split(r"[;\\]", line)[0].strip() for line in lines if not line.startswith(" ")}
    return [pins[name] for name in (*NEEDED, *(["keras-tuner"] if code else []))]


def signature(serving: Serving) -> ModelSignature:
    """Outputs, and params of a request with their defaults. The model itself checks the input: it accepts images and flat
    rows, and an MLflow schema can describe only one of them.
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


def log_model(
    run: Run, model: Any, example: NDArray[np.uint8], serving: Serving, *, code: str | None = None, name: str = "model"
) -> str:
    """Logs a Keras model that maps raw pixels, uint8, to probabilities (n, classes); returns its address. `code`
    is Python that registers the custom layers of the model; it is run where the model is loaded.
    """
    logger = logging.getLogger("mlflow")
    before = logger.level
    logger.setLevel(logging.ERROR)  # it warns about what is intended: no input schema, no type hints
    try:
        # MLflow's advice on type hints ignores warning filters.
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True), _no_bytecode():
            with temporary_folder_errors():
                files = _files(Path(folder), model, serving, code)

            def log(tags: dict[str, str]) -> str:
                mlflow.set_experiment(experiment_id=run.experiment_id)  # the experiment in which MLflow lists the model
                info = Model.log(
                    artifact_path=None,
                    name=name,
                    flavor=mlflow.pyfunc,
                    run_id=run.id,
                    tags=tags,
                    python_model=str(Path(__file__).with_name("served.py")),
                    artifacts=files,
                    signature=signature(serving),
                    input_example=example,
                    pip_requirements=requirements(code=code is not None),
                )
                return str(info.model_id)

            model_id = run.log_model(log)
    finally:
        logger.setLevel(before)
    return f"models:/{model_id}"


def load(address: str) -> mlflow.pyfunc.PyFuncModel:
    """Loads a model as a server would; InputError if files are missing."""
    # MLflow's advice on type hints
    with warnings.catch_warnings(record=True), _missing_files_reported(address), _no_bytecode():
        return mlflow.pyfunc.load_model(address)


def serving(model: mlflow.pyfunc.PyFuncModel) -> Serving:
    """Settings of a loaded model; those that an older release did not know have their defaults."""
    return _serving(model.unwrap_python_model()._settings)  # noqa: SLF001 - our own class, which is logged with the model


def frame(model: mlflow.pyfunc.PyFuncModel) -> Frame:
    """What the training images of a loaded model look like."""
    known = serving(model)
    if known.extent is None:
        return frame_of(np.asarray(model.input_example, np.uint8), pixel_max=known.pixel_max)
    return Frame(known.image_shape, known.pixel_max, known.light, known.extent)


def fetch(address: str, folder: Path) -> tuple[Path, Serving]:
    """Copies the `.keras` file of a model to a folder; returns its path and the settings. InputError as for `load`."""
    with _missing_files_reported(address):
        copy = Path(mlflow.artifacts.download_artifacts(address, dst_path=str(folder))) / "artifacts"
        settings = json.loads((copy / "settings.json").read_text(encoding="utf-8"))
    return copy / "network.keras", _serving(settings)


def _serving(settings: Mapping[str, Any]) -> Serving:
    lists = {name: tuple(settings[name]) for name in ("class_names", "image_shape")}
    read_as = settings.get("read_as")
    return Serving(**{**settings, **lists, "read_as": None if read_as is None else _form(read_as)})


def _form(given: Mapping[str, Any]) -> Form:
    lists = {name: None if given[name] is None else tuple(given[name]) for name in ("shape", "size")}
    return Form(**{**given, **lists, "trained": Trained(**given["trained"])})


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """MLflow runs `served.py` where the model lies, before it uploads it too: Python would leave a `__pycache__` there."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


@contextmanager
def _missing_files_reported(address: str) -> Iterator[None]:
    try:
        yield
    except requests.RequestException:  # some are a ValueError too; the store's answer says nothing of the files
        raise
    except (FileNotFoundError, NotADirectoryError, PermissionError, ValueError) as error:
        raise _cannot_load(address, error) from error
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        raise _cannot_load(address, error) from error


def _cannot_load(address: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:200]
    return InputError(f"the model {address} cannot be loaded ({reason}); restore its files, or name another version")


def _files(folder: Path, model: Any, serving: Serving, layers: str | None) -> dict[str, str]:
    """Files that are logged beside `served.py`, by the names that it expects."""
    network, settings, code = folder / "network.keras", folder / "settings.json", folder / "policies.py"
    save(model, network)
    settings.write_text(json.dumps(asdict(serving), indent=2), encoding="utf-8")
    shutil.copyfile(policies.__file__, code)
    files = {"keras": str(network), "settings": str(settings), "policies": str(code)}
    if layers is not None:
        (folder / CODE).write_text(layers, encoding="utf-8")
        files["code"] = str(folder / CODE)
    return files
