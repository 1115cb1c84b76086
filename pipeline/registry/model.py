"""A trained network into a run, as MLflow model. Enters: a Keras model. Leaves: the model's address.

What is logged is code (`served.py`) beside the `.keras` file, with signature, example and pinned requirements. Plain Keras
loads the file `artifacts/network.keras` in it.
"""

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import numpy as np
from mlflow.models import Model, infer_signature
from numpy.typing import NDArray

from pipeline.network.build import save
from pipeline.tracking.store import Run

LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
NEEDED = ("keras", "mlflow", "numpy", "tensorflow")
"""What loading the model takes; pinned as in the lock."""


def requirements() -> list[str]:
    """The pins of `NEEDED`, as the lock has them."""
    pins = {line.split("==")[0]: line.split(";")[0].strip() for line in LOCK.read_text(encoding="utf-8").splitlines()}
    return [pins[name] for name in NEEDED]


def log_model(run: Run, model: Any, example: NDArray[np.uint8], *, name: str = "model") -> str:
    """Logs a Keras model that takes raw pixels uint8 (n, h, w) and gives probabilities (n, classes)."""
    logger = logging.getLogger("mlflow")
    before = logger.level
    logger.setLevel(logging.ERROR)  # it warns of what is so on purpose: integers in the signature, code without types
    mlflow.set_experiment(experiment_id=run.experiment_id)  # where MLflow lists the model, whatever run is active
    try:
        # Its advice on type hints gets past every filter.
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True):
            path = Path(folder) / "network.keras"
            save(model, path)
            info = Model.log(
                artifact_path=None,
                name=name,
                flavor=mlflow.pyfunc,
                run_id=run.id,
                python_model=str(Path(__file__).with_name("served.py")),
                artifacts={"keras": str(path)},
                signature=infer_signature(example, model.predict(example, verbose=0)),
                input_example=example,
                pip_requirements=requirements(),
            )
    finally:
        logger.setLevel(before)
    return str(info.model_uri)
