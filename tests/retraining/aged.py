"""A store with retraining runs of the past, filled within a second: no network is trained."""

import sqlite3
import time
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.__main__ import main
from pipeline.tracking import deletion
from pipeline.tracking.registry import Registry, Version
from pipeline.tracking.store import Run, Store

DAY_MS = 24 * 60 * 60 * 1000
KIB = b"x" * 1024


class Aged:
    """A store with retraining runs of the past, each with a refit, a logged model and a version; no network is trained."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store.connect()
        found = self.store.client.get_experiment_by_name("smoke")
        self.experiment_id = (
            found.experiment_id if found else self.store.client.create_experiment("smoke", f"{folder}/artifacts")
        )
        self.registry = Registry(self.store, "smoke")

    @cached_property
    def old_version(self) -> Version:
        return self.registry.get("1")

    @cached_property
    def old(self) -> Run:
        return self.store.get(self.old_version.run_id)

    def fill(self) -> None:
        """A night of 200 days ago, and ten young ones, of which the newest made the challenger."""
        self.night(age=200)
        for number in range(10):
            _, version = self.night(age=20 - number)
        self.registry.set_challenger(version)

    def root(self, step: str, *, age: float, status: Any = "FINISHED", **tags: str) -> Run:
        named = {f"narrowgap.{name}": value for name, value in tags.items()}
        run = self.store.root(step=step, experiment="smoke", tags=named)
        run.write("experiment.yaml", KIB)
        return self.ended(run, age, status)

    def child(self, parent: Run, step: str, *, age: float, status: Any = "FINISHED") -> Run:
        run = self.store.child(parent, step=step, name=step, tags={"narrowgap.experiment": "smoke"})
        run.write("curves.png", KIB * 10)
        return self.ended(run, age, status)

    def ended(self, run: Run, age: float, status: Any) -> Run:
        if status != "RUNNING":
            run.finish(status)
        self.sql("UPDATE runs SET start_time = ? WHERE run_uuid = ?", int(time.time() * 1000 - age * DAY_MS), run.id)
        return run

    def night(self, *, age: float) -> tuple[Run, Version]:
        run = self.root("retrain", age=age, mode="refit", decision="kept")
        self.child(run, "refit", age=age)
        model = self.store.client.create_logged_model(self.experiment_id, source_run_id=run.id)
        place = Path(model.artifact_location.removeprefix("file://"))
        place.mkdir(parents=True)
        (place / "model.keras").write_bytes(KIB * 100)
        run.log(tags={"narrowgap.model": f"models:/{model.model_id}"})
        tags = {"narrowgap.retrain_run_id": run.id, "narrowgap.decision": "kept"}
        version = self.registry.register(f"models:/{model.model_id}", run.id, tags)
        self.sql(
            "UPDATE model_versions SET creation_time = ? WHERE version = ?",
            int(time.time() * 1000 - age * DAY_MS),
            version.number,
        )
        return run, version

    def sql(self, text: str, *values: Any) -> None:
        with closing(sqlite3.connect(self.folder / "mlflow.db", timeout=20)) as database, database:
            database.execute(text, values)

    def call(self, step: str, *words: str) -> int:
        return main([step, "--experiment", "smoke", *words])

    def prune(self, *words: str) -> int:
        return self.call("prune", *words)

    def there(self, *runs: Run) -> list[bool]:
        return [not deletion.is_deleted(self.store, run.id) for run in runs]
