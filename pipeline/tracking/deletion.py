"""Deletes from the tracking store, and measures what there is to delete.

A deleted run, version or model disappears from the UI and from searches. Its rows and files stay until `mlflow gc` removes
them; until then a run can be restored. An artifact that is dropped is gone at once.
"""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from pipeline.tracking.names import STEP_TAG
from pipeline.tracking.run import ABSENT
from pipeline.tracking.store import Run, Store

MODEL_ADDRESS = "models:/"
LOGGING = {"evaluate", "retrain"}
"""Steps on whose runs models are logged."""
MIB = 2**20


def drop_artifact(store: Store, run: Run, path: str) -> bool:
    """Deletes one artifact of a run for good; False if the artifact store refuses. One that is not there is no failure."""
    try:
        get_artifact_repository(run.artifact_uri, tracking_uri=store.uri).delete_artifacts(path)
    except Exception as error:  # noqa: BLE001 - each artifact store has exceptions of its own, and nothing depends on this
        return getattr(error, "error_code", "") in ABSENT
    return True


def delete_run(store: Store, run_id: str) -> None:
    """Deletes a run; its nested runs stay."""
    store.client.delete_run(run_id)


def models_of(store: Store, run: Run) -> list[str]:
    """Addresses of the models that were logged on an evaluation or a retraining run, also of those that its tags do not
    name: its process was killed.
    """
    if run.tags.get(STEP_TAG) not in LOGGING:
        return []
    return [
        each.model_uri for each in store.client.search_logged_models([run.experiment_id], f"source_run_id = '{run.id}'")
    ]


def delete_model(store: Store, address: str) -> None:
    """Deletes a logged model by its address, `models:/m-…`; one that is gone already is no failure."""
    try:
        store.client.delete_logged_model(address.removeprefix(MODEL_ADDRESS))
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise


def is_deleted(store: Store, run_id: str) -> bool:
    """Whether a run was deleted, or never was in this store."""
    try:
        return bool(store.client.get_run(run_id).info.lifecycle_stage == LifecycleStage.DELETED)
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        return True


def aliases(store: Store, model: str) -> dict[str, str]:
    """The aliases of a registered model with the number of their version."""
    try:
        found = store.client.get_registered_model(model).aliases
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        return {}
    return {alias: str(number) for alias, number in found.items()}


def used_elsewhere(store: Store, model: str) -> frozenset[str]:
    """Run ids and model addresses that the versions of every other registered model refer to."""
    found: set[str] = set()
    token = None
    while True:
        page = store.client.search_model_versions(max_results=1000, page_token=token)
        for version in page:
            if version.name != model:
                found |= {version.run_id, version.source}
        token = page.token
        if not token:
            return frozenset(each for each in found if each)


def model_location(store: Store, address: str) -> str | None:
    """Where the files of a logged model are; None if it is gone."""
    try:
        return str(store.client.get_logged_model(address.removeprefix(MODEL_ADDRESS)).artifact_location)
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        return None


def local_bytes(location: str) -> int | None:
    """Size of the files at an artifact location; None if they are not on this machine."""
    parts = urlsplit(location)
    if parts.scheme not in {"", "file"}:
        return None
    return _size(Path(unquote(parts.path)))


def _size(folder: Path) -> int:
    found = 0
    for place, _, names in os.walk(folder):
        found += sum(os.lstat(Path(place) / name).st_size for name in names)
    return found
