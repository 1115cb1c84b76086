"""The tracking store: creates and finds runs."""

import logging
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from mlflow.entities import Experiment, ViewType
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient, get_tracking_uri

from pipeline.errors import InputError, NarrowgapError, StoreError
from pipeline.tracking import provenance
from pipeline.tracking.connection import address, sqlite
from pipeline.tracking.connection.health import check_reachable, connection_error
from pipeline.tracking.connection.masking import shown
from pipeline.tracking.connection.waiting import PatientClient, Waiting, limit_retries
from pipeline.tracking.names import (
    EXPERIMENT_TAG,
    GIT_DIRTY_TAG,
    LEASE_TAG,
    PARENT_TAG,
    REASON_TAG,
    REQUEST_TAG,
    RUN_NAME_TAG,
    STEP_TAG,
)
from pipeline.tracking.provenance import user
from pipeline.tracking.run import ABSENT, Point, Run, Status

__all__ = ["Point", "Run", "Status", "Store"]

RANDOM_NAME = re.compile(r"[a-z]+-[a-z]+-(\d{1,3}|1000)$")
"""The names that MLflow gives a run whose user gave none, such as `bold-finch-123`."""
NEWEST_FIRST = "attributes.start_time DESC"
PAGE = 250
"""Runs per page of a query."""


class Store:
    """A tracking store that answers."""

    def __init__(self, client: PatientClient, uri: str) -> None:
        self.client, self.uri = client, uri

    @property
    def shown(self) -> str:
        """The address for people: without a password."""
        return shown(self.uri)

    @classmethod
    def connect(cls, *, wait_minutes: float = 0, say: Callable[[str], None] = print) -> "Store":
        """Connects to the store of MLFLOW_TRACKING_URI, or MLflow's default.

        Args:
            wait_minutes: How long calls wait for the store if it goes away later.
            say: Prints a line about that.

        Raises:
            StoreError: Within seconds, if it cannot be reached.
            InputError: If MLflow refuses the address.
        """
        uri = get_tracking_uri()
        check_reachable(uri)
        limit_retries()
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it reports each table that it creates
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # a traceback while a database is away
        file = sqlite.file_of(uri)
        try:
            if file is not None:
                sqlite.create(file)
            client = MlflowClient(uri)
            client.search_experiments(max_results=1)
        except Exception as error:
            raise connection_error(uri, error) from error
        if file is not None:
            sqlite.enable_wal(file)
        runs, artifacts = (
            Waiting(f"{what} {shown(uri)}", minutes=wait_minutes, say=say)
            for what in ("tracking store", "artifact store of")
        )
        return cls(PatientClient(client, runs, artifacts), uri)

    def root(self, *, step: str, experiment: str, tags: Mapping[str, str]) -> Run:
        """The run that `mlflow run` created for this process; otherwise a new one in the MLflow experiment that the
        environment names, or one named as the experiment.
        """
        name = f"{step} {experiment}"
        own = {STEP_TAG: step, EXPERIMENT_TAG: experiment, GIT_DIRTY_TAG: provenance.dirty(), **tags}
        run_id = os.environ.get("MLFLOW_RUN_ID")
        if run_id:
            try:
                run = self._run(self.client.get_run(run_id), adopted=True)
            except MlflowException as error:
                raise self._missing(
                    error,
                    f"the run {run_id} was made in another store than {self.shown}, which this step sees; set "
                    "MLFLOW_TRACKING_URI to one and the same store for `mlflow run` and its steps",
                ) from error
            _refuse_foreign(run)
            if RANDOM_NAME.match(run.name):
                run.name = name
                own[RUN_NAME_TAG] = name
            run.log(tags=own)
            return run
        return self._create(self._experiment_id(experiment), name=name, tags={**_source(), **own})

    def child(
        self, parent: Run, *, step: str, name: str, tags: Mapping[str, str], params: Mapping[str, object] | None = None
    ) -> Run:
        """Creates a nested run."""
        own = {STEP_TAG: step, PARENT_TAG: parent.id, "mlflow.user": user(), **tags}
        run = self._create(parent.experiment_id, name=name, tags=own)
        if params:
            run.log(params=params)
        return run

    def get(self, run_id: str) -> Run:
        """Returns a run by its id.

        Raises:
            InputError: If there is none.
        """
        try:
            return self._run(self.client.get_run(run_id))
        except MlflowException as error:
            raise self._missing(
                error,
                f"no run {run_id!r} in the store {self.shown}; expected a run id of 32 letters and digits, as the UI "
                "shows it",
            ) from error

    def find(self, run_id: str) -> Run | None:
        """The run of that id; None if there is none, or if it was deleted."""
        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code in ABSENT:
                return None
            raise
        return self._run(run) if run.info.lifecycle_stage == "active" else None

    def latest(
        self,
        *,
        step: str,
        experiment: str | None = None,
        status: str | None = "FINISHED",
        experiment_id: str | None = None,
        tag: str | None = None,
    ) -> Run | None:
        """The newest run of a step, in one MLflow experiment or in the whole store. If `tag` is given, the run must have it,
        with any value.
        """
        where = _where(step=step, experiment=experiment, status=status, tag=tag)
        return next(self._search(where, experiment_id=experiment_id, order=NEWEST_FIRST, page=1), None)

    def newest_first(
        self, *, step: str, experiment: str, status: str | None, experiment_id: str, tag: str
    ) -> Iterator[Run]:
        """The runs that `latest` chooses from, read page by page as they are used."""
        where = _where(step=step, experiment=experiment, status=status, tag=tag)
        return self._search(where, experiment_id=experiment_id, order=NEWEST_FIRST)

    def runs(self, *, step: str, experiment: str, status: str | None = "FINISHED", tag: str | None = None) -> list[Run]:
        """All runs of a step of an experiment in the whole store, oldest first; with `tag`, only those that have it."""
        return list(self._search(_where(step=step, experiment=experiment, status=status, tag=tag)))

    def running(
        self, *, experiment_id: str | None = None, experiment: str | None = None, tag: str | None = None
    ) -> list[Run]:
        """The runs with status RUNNING: of an experiment, in one MLflow experiment, or with a tag, as given."""
        where = _where(experiment=experiment, status="RUNNING", tag=tag)
        return list(self._search(where, experiment_id=experiment_id))

    def count(self, *, step: str, tags: Mapping[str, str]) -> int:
        """Number of finished runs of a step in the whole store with these tags."""
        where = _where(step=step, status="FINISHED")
        where += "".join(f" and tags.`{name}` = '{value}'" for name, value in tags.items())
        return sum(1 for _ in self._search(where))

    def experiment_of(self, run: Run) -> str:
        """Name of the MLflow experiment that a run is in."""
        return str(self.client.get_experiment(run.experiment_id).name)

    def children(self, run: Run) -> Iterator[Run]:
        """All nested runs, oldest first, read page by page as they are used."""
        return self._search(f"tags.`{PARENT_TAG}` = '{run.id}'", experiment_id=run.experiment_id)

    def _search(
        self,
        where: str,
        *,
        experiment_id: str | None = None,
        order: str = "attributes.start_time ASC",
        page: int = PAGE,
    ) -> Iterator[Run]:
        """Runs that match MLflow's filter, in one MLflow experiment or in the whole store."""
        if experiment_id is None:
            everywhere = _pages(lambda token: self.client.search_experiments(page_token=token))
            ids = [experiment.experiment_id for experiment in everywhere]
        else:
            ids = [experiment_id]
        pages = _pages(
            lambda token: self.client.search_runs(
                ids, where, ViewType.ACTIVE_ONLY, max_results=page, order_by=[order], page_token=token
            )
        )
        return (self._run(run) for run in pages)

    def reopen(self, run: Run, *, below: Run) -> Run:
        """Sets an ended run to RUNNING, below another parent, and returns it. It is moved first: a process that worked on it
        before sees that it has lost the run, whenever it looks.
        """
        self.move(run, below=below)
        for tag in {REASON_TAG, LEASE_TAG} & set(run.tags):
            run.remove(tag)
        self.client.update_run(run.id, status="RUNNING")
        return self.get(run.id)

    def move(self, run: Run, *, below: Run) -> None:
        """Makes a run a nested run of another one."""
        self.client.set_tag(run.id, PARENT_TAG, below.id)
        run.tags[PARENT_TAG] = below.id

    def keeps_artifacts_here(self, run: Run) -> bool:
        """Whether artifacts go to a folder of this machine, although the server is on another one."""
        server = urlsplit(self.uri)
        remote = server.scheme in {"http", "https"} and server.hostname not in address.LOOPBACK
        return remote and urlsplit(run.artifact_uri).scheme in {"", "file"}

    def _missing(self, error: MlflowException, message: str) -> NarrowgapError:
        """Bad input if the store knows no such run; otherwise the store's own error."""
        unknown = error.error_code in ABSENT
        return InputError(message) if unknown else connection_error(self.uri, error)

    def _create(self, experiment_id: str, *, name: str, tags: Mapping[str, str]) -> Run:
        request = secrets.token_hex(8)
        client, own = self.client.impatient, {**tags, REQUEST_TAG: request}
        where = f"tags.`{REQUEST_TAG}` = '{request}'"
        return self._run(
            self.client.create(
                make=lambda: client.create_run(experiment_id, tags=own, run_name=name),
                find=lambda: next(iter(client.search_runs([experiment_id], where, max_results=1)), None),
            )
        )

    def _experiment_id(self, name: str) -> str:
        given = os.environ.get("MLFLOW_EXPERIMENT_ID")
        if given:
            return self._given_experiment(given)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or name
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return _active(found, self.shown)
        try:
            if made := self.client.create_experiment(name):
                return str(made)
        except MlflowException:
            if self.client.get_experiment_by_name(name) is None:
                raise
        # Another process was quicker, or the answer had no id.
        found = self.client.get_experiment_by_name(name)
        if found is None:
            raise StoreError(
                f"the tracking store {self.shown} says that it has made the experiment {name!r}, and has none"
            )
        return _active(found, self.shown)

    def _given_experiment(self, experiment_id: str) -> str:
        try:
            return _active(self.client.get_experiment(experiment_id), self.shown)
        except MlflowException as error:
            raise self._missing(
                error,
                f"MLFLOW_EXPERIMENT_ID is {experiment_id}, and the store {self.shown} has no such experiment; expected the "
                "id of one, or unset MLFLOW_EXPERIMENT_ID",
            ) from error

    def _run(self, run: MlflowRun, *, adopted: bool = False) -> Run:
        info, data = run.info, run.data
        return Run(
            self.client,
            id=info.run_id,
            experiment_id=info.experiment_id,
            name=info.run_name,
            status=info.status,
            tags=dict(data.tags),
            params=dict(data.params),
            metrics=dict(data.metrics),
            artifact_uri=info.artifact_uri,
            start_time_ms=info.start_time,
            adopted=adopted,
        )


def _refuse_foreign(run: Run) -> None:
    """Raises InputError for a run of MLFLOW_RUN_ID that `mlflow run` has not just made for this step: a variable that a
    notebook or a parent job has left behind would make the step overwrite what that has recorded.
    """
    made_for_a_step = "mlflow.project.entryPoint" in run.tags or run.tags.get("mlflow.source.type") == "PROJECT"
    if run.status != "RUNNING" or STEP_TAG in run.tags or not made_for_a_step:
        raise InputError(
            f"MLFLOW_RUN_ID is {run.id}, the run {run.name!r} ({run.status}); expected a run that `mlflow run` has just "
            "made for this step; unset MLFLOW_RUN_ID"
        )


def _active(experiment: Experiment, store: str) -> str:
    """The id of an MLflow experiment.

    Raises:
        InputError: It was deleted.
    """
    if experiment.lifecycle_stage != "active":
        raise InputError(
            f"the MLflow experiment {experiment.name!r} was deleted in {store}; restore it with `mlflow experiments restore "
            f"--experiment-id {experiment.experiment_id}`, or set MLFLOW_EXPERIMENT_NAME to another name"
        )
    return str(experiment.experiment_id)


def _where(
    *, step: str | None = None, experiment: str | None = None, status: str | None = None, tag: str | None = None
) -> str:
    """MLflow's filter for runs that meet every given condition."""
    conditions = [
        f"tags.`{STEP_TAG}` = '{step}'" if step else "",
        f"tags.`{EXPERIMENT_TAG}` = '{experiment}'" if experiment else "",
        f"attributes.status = '{status}'" if status else "",
        f"tags.`{tag}` LIKE '%'" if tag else "",
    ]
    return " and ".join(condition for condition in conditions if condition)


def _pages(fetch: Any) -> Iterator[Any]:
    token = None
    while True:
        page = fetch(token)
        yield from page
        token = page.token
        if not token:
            return


def _source() -> dict[str, str]:
    """The tags that `mlflow run` would have set."""
    tags = {"mlflow.user": user(), "mlflow.source.type": "LOCAL", "mlflow.source.name": sys.argv[0]}
    commit = provenance.commit()
    return tags | ({"mlflow.source.git.commit": commit} if commit else {})
