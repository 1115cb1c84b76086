"""Retraining runs on a user's own images (digits) in a folder, called through the command line in this process."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import yaml
from mlflow.tracking import MlflowClient

from pipeline.__main__ import main
from pipeline.data.formats import digits
from pipeline.tracking.registry import Registry, Version
from pipeline.tracking.store import Run, Store

ROOT = Path(__file__).parents[2]
EXPERIMENT = {
    "name": "loop",
    "question": "Does the champion stay?",
    "space": {"networks": [{"hidden": [16], "dropout": [0, 0], "activations": ["relu"]}]},
    "training": {"epochs": 1, "batch_size": 32, "learning_rate": 0.01, "schedule": "constant", "patience": None},
    "search": {"tuner": "grid", "trials": 1, "workers": 1},
    "evaluation": {"finalists": 1, "seeds": 2},
    # Two refits leave one degree of freedom: at the usual alpha no improvement could be significant.
    "promotion": {"min_accuracy": 0.3, "max_gap": 0.5, "max_calibration_error": 0.5, "alpha": 0.4},
    "retrain": {"mode": "refit"},
}
BETTER = ("--training.epochs", "12")
"""A recipe that is significantly better."""
FORCE = ("--retrain.force", "true")
Change = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


class Loop:
    """A folder with data, experiment and store; while `patch` lasts, MLflow in this process sees that store."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, *, after: "Loop | None" = None) -> None:
        self.folder, self.uri = folder, f"sqlite:///{folder}/mlflow.db"
        self.file, self.data = folder / "loop.yaml", folder / "data.npz"
        data = {"dataset": "own", "path": str(self.data), "pixel_max": 16, "validation": 0.15, "test": 0.15}
        self.file.write_text(yaml.safe_dump({**EXPERIMENT, "data": data, "tracking": {"wait_minutes": 0}}))
        if after is not None:
            shutil.copyfile(after.data, self.data)
            old, new = (sqlite3.connect(each / "mlflow.db") for each in (after.folder, folder))
            with closing(old), closing(new):
                old.backup(new)  # its artifacts stay where they are
        patch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", self.uri)
        patch.setenv("MLFLOW_TRACKING_URI", self.uri)
        self.store = Store.connect()
        self.client: MlflowClient = self.store.client
        if after is None:
            self.client.create_experiment("loop", f"{folder}/artifacts")
        patch.setenv("MLFLOW_EXPERIMENT_ID", self.client.get_experiment_by_name("loop").experiment_id)
        self.registry = Registry(self.store, "loop")

    def write(self, rows: int, change: Change | None = None) -> None:
        """Writes the first `rows` digits, labels as text, so that a class without images is missing altogether."""
        found = digits()
        images, labels = found.images_train[:rows], found.labels_train[:rows].astype(str)
        if change is not None:
            images, labels = change(images, labels)
        np.savez(self.data, images_train=images, labels_train=labels)

    def call(self, step: str, *words: str) -> int:
        """Exit code of one command line."""
        return main([step, "--experiment", str(self.file), *words])

    def retrain(self, *words: str) -> int:
        return self.call("retrain", *words)

    def number(self, alias: str) -> str | None:
        version = self.registry.by_alias(alias)
        return version.number if version else None

    def numbers(self) -> list[str]:
        return [each.number for each in self.registry.versions()]

    def runs(self, step: str, status: str | None = None) -> Sequence[Run]:
        """Oldest first."""
        return self.store.runs(step=step, experiment="loop", status=status)

    def decision(self) -> dict:
        """Decision of the newest retraining run."""
        found: dict = json.loads(self.runs("retrain")[-1].read("decision.json"))
        return found

    def answers(self, version: Version | None) -> bool:
        """Whether the version can be loaded and predicts."""
        from pipeline.serving.model import load

        assert version is not None
        found = load(f"models:/{self.registry.name}/{version.number}").predict(digits().images_train[:3])
        return list(found.columns)[:2] == ["label", "class"] and len(found) == 3
