"""The model that MLflow loads and serves: code and a `.keras` file, no pickle. This file is logged with the model, beside
`policies.py` and `settings.json`; it must not import Narrowgap.
"""

import importlib.util
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import mlflow.models
import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from numpy.typing import NDArray

BLOCK_BYTES = 16 * 2**20
"""Images are converted to float32 and predicted in blocks of about this size: all at once may not fit into memory."""


def _import_keras() -> Any:
    """Keras on TensorFlow, which the requirements name, whatever the variables KERAS_… and the user's `keras.json` say."""
    own = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("KERAS_")}
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(KERAS_BACKEND="tensorflow", KERAS_HOME=folder)
        try:
            return importlib.import_module("keras")
        finally:
            del os.environ["KERAS_BACKEND"], os.environ["KERAS_HOME"]
            os.environ.update(own)


keras = _import_keras()


class Classifier(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # MLflow is untyped
    """Maps images of raw pixels, 0 to `pixel_max`, as (n, h, w), (n, h, w, 3) or flat rows, to one answer per image.

    The answer has `label`, `class`, `confidence` and `margin` (0 to 1), `accepted`, and `candidates`, the names of the
    classes that remain possible. The params `policy`, `min_confidence` and `min_margin` are those of `policies.answer`; the
    signature has their defaults.
    """

    def load_context(self, context: Any) -> None:
        if "code" in context.artifacts:  # registers the custom layers of a user's own model
            _module("narrowgap_model_code", context.artifacts["code"])
        self._model = keras.models.load_model(context.artifacts["keras"], compile=False, safe_mode=True)
        self._settings = json.loads(Path(context.artifacts["settings"]).read_text(encoding="utf-8"))
        self._policies = _module("narrowgap_policies", context.artifacts["policies"])

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG002 - MLflow reads type hints as a schema
        given = self._array(model_input)
        asked = {key: value for key, value in (params or {}).items() if value is not None}
        rows = max(1, BLOCK_BYTES // (4 * math.prod(self._settings["image_shape"])))
        blocks = (self._pixels(given[start : start + rows]) for start in range(0, len(given), rows))  # one at a time
        probabilities = np.concatenate([self._model.predict(block, verbose=0) for block in blocks])
        try:
            found = self._policies.answer(
                probabilities,
                asked.pop("policy", self._settings["policy"]),
                min_confidence=asked.pop("min_confidence", self._settings["min_confidence"]),
                min_margin=asked.pop("min_margin", self._settings["min_margin"]),
                quantile=self._settings["quantile"],
            )
        except ValueError as error:
            raise _refused(str(error)) from error
        names = self._settings["class_names"]
        return pd.DataFrame(
            {
                "label": found.label,
                "class": [names[label] for label in found.label],
                "confidence": found.confidence,
                "margin": found.margin,
                "accepted": found.accepted,
                "candidates": [[names[label] for label in np.flatnonzero(row)] for row in found.candidates],
            }
        )

    def _array(self, given: Any) -> NDArray[Any]:
        """The input as an array of images or flat rows, of any type; another shape is refused with a reason."""
        shape = tuple(self._settings["image_shape"])
        try:
            array = np.asarray(given)
        except (TypeError, ValueError) as error:
            raise self._no_array(error) from error
        if array.shape[1:] not in {shape, (math.prod(shape),)} or not len(array):
            raise _refused(f"the input has shape {array.shape}; {self._expected()}, at least one")
        return array

    def _pixels(self, block: NDArray[Any]) -> NDArray[np.float32]:
        """Some images as float32, in the shape of the network's input; invalid pixels are refused with a reason."""
        try:
            pixels = block.astype(np.float32)
        except (TypeError, ValueError) as error:
            raise self._no_array(error) from error
        most = self._settings["pixel_max"]
        if not np.isfinite(pixels).all() or pixels.min() < 0 or pixels.max() > most:
            raise _refused(f"pixels range from {pixels.min():g} to {pixels.max():g}; expected 0 to {most}")
        return pixels.reshape(-1, *self._settings["image_shape"])

    def _no_array(self, error: Exception) -> MlflowException:
        return _refused(f"the input is not an array of numbers ({error}); {self._expected()}")

    def _expected(self) -> str:
        shape = tuple(self._settings["image_shape"])
        return f"expected images {shape}, or flat rows of {math.prod(shape)}, of raw pixels"


def _refused(reason: str) -> MlflowException:
    """The scoring server answers it with status 400 and the reason."""
    return MlflowException(reason, error_code=INVALID_PARAMETER_VALUE)


def _module(name: str, path: str) -> Any:
    """Imports a Python file from any folder."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mlflow.models.set_model(Classifier())
