"""Real SQLite stores. Making the tables takes seconds, so they are made once and copied."""

import shutil
from pathlib import Path

import pytest

from pipeline.tracking.store import Store


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory) -> Path:
    """The file of an empty store."""
    file: Path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
        patch.chdir(file.parent)
        Store.connect()
    return file


@pytest.fixture
def store(fresh_database, tmp_path, monkeypatch) -> Store:
    """An empty store in a folder of its own, which is the working directory too."""
    shutil.copy(fresh_database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return Store.connect()
