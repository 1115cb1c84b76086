"""What MLflow loads and serves: code and a `.keras` file, no pickle. This file travels with the model, alone; it may
import nothing of Narrowgap.
"""

from typing import Any

import keras
import mlflow.models
import mlflow.pyfunc
import numpy as np


class Classifier(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # MLflow is untyped
    """Raw images uint8 (n, h, w) to probabilities float32 (n, classes)."""

    def load_context(self, context: Any) -> None:
        self._model = keras.models.load_model(context.artifacts["keras"])

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG002 - MLflow takes type hints for a schema
        return np.asarray(self._model.predict(np.asarray(model_input), verbose=0))


mlflow.models.set_model(Classifier())
