"""The tracking store and the runs in it. Enters: names and figures. Leaves: runs that are always ended."""

import contextlib
import getpass
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import requests
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient, get_tracking_uri

from pipeline.errors import InputError, NarrowgapError, StoreError
from pipeline.tracking import git

Status = Literal["FINISHED", "FAILED", "KILLED"]
MOST_METRICS, MOST_PARAMS, MOST_TAGS, MOST_IN_ALL = 1000, 100, 100, 1000
"""MLflow's limits of one `log_batch`."""
MOST_PARAM_LETTERS = 6000
"""MLflow cuts longer values without a word."""
MOST_REASON_LETTERS = 4000
REACH_SECONDS = 5
FIRST_USE_TRIES = 5
"""The creation of a fresh SQLite store's tables is unguarded: of two processes at once, one fails, and tries again."""


@dataclass(frozen=True)
class Point:
    """One value of a metric's curve."""

    name: str
    value: float
    step: int


@dataclass(eq=False)
class Run:
    """One run of the store."""

    _client: MlflowClient = field(repr=False)
    id: str
    experiment_id: str
    name: str
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    """Latest values."""
    artifact_uri: str
    start_time_ms: int
    adopted: bool = False
    """Whether `mlflow run` made it."""

    def log(
        self,
        *,
        params: Mapping[str, object] | None = None,
        metrics: Mapping[str, float] | None = None,
        series: Iterable[Point] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Writes figures in one call, or in as few as MLflow's limits allow."""
        now = int(time.time() * 1000)
        points = [Metric(name, float(value), now, 0) for name, value in (metrics or {}).items()]
        points += [Metric(point.name, float(point.value), now, point.step) for point in series]
        settings = [Param(key, _param(key, value)) for key, value in (params or {}).items()]
        labels = [RunTag(key, str(value)) for key, value in (tags or {}).items()]
        while points or settings or labels:
            room = MOST_IN_ALL - len(settings[:MOST_PARAMS]) - len(labels[:MOST_TAGS])
            some = min(MOST_METRICS, room)
            self._client.log_batch(self.id, points[:some], settings[:MOST_PARAMS], labels[:MOST_TAGS], synchronous=True)
            points, settings, labels = points[some:], settings[MOST_PARAMS:], labels[MOST_TAGS:]
        self.params.update({key: _param(key, value) for key, value in (params or {}).items()})
        self.metrics.update({name: float(value) for name, value in (metrics or {}).items()})
        self.tags.update({key: str(value) for key, value in (tags or {}).items()})

    def write(self, path: str, content: bytes | str) -> None:
        """One artifact, whole or not at all."""
        data = content.encode() if isinstance(content, str) else content
        folder = self._local_folder()
        if folder is not None:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.with_name(f".{target.name}.{os.getpid()}")
            draft.write_bytes(data)
            draft.replace(target)
            return
        with tempfile.TemporaryDirectory() as temporary:
            file = Path(temporary) / Path(path).name
            file.write_bytes(data)
            parent = str(Path(path).parent)
            self._client.log_artifact(self.id, str(file), None if parent == "." else parent)

    def read(self, path: str) -> bytes:
        """One artifact; InputError when the run has none of that name."""
        with tempfile.TemporaryDirectory() as temporary:
            try:
                return Path(self._client.download_artifacts(self.id, path, temporary)).read_bytes()
            except (MlflowException, OSError) as error:
                raise InputError(f"run {self.id} has no artifact {path}: is it a run of Narrowgap's?") from error

    def inputs(self, *, name: str, digest: str, context: str, source: str, shape: Sequence[int]) -> None:
        """A data set that the run used, in the context training, validation or test; MLflow keeps 36 letters of a
        digest, the whole stands in the run's tags.
        """
        profile = f'{{"num_rows": {shape[0]}, "shape": {list(shape)}}}'
        dataset = Dataset(name, digest[:36], "narrowgap", source, profile=profile)
        tag = InputTag("mlflow.data.context", context)
        self._client.log_inputs(self.id, [DatasetInput(dataset, [tag])])

    def note(self, markdown: str) -> None:
        """The text that the UI shows on top of the run."""
        self.log(tags={"mlflow.note.content": markdown})

    def finish(self, status: Status, reason: str | None = None) -> None:
        """Ends the run; the reason of a failure stands in the tag `narrowgap.reason`."""
        if reason is not None:
            cut = reason if len(reason) <= MOST_REASON_LETTERS else reason[: MOST_REASON_LETTERS - 1] + "…"
            self.log(tags={"narrowgap.reason": cut})
        self._client.set_terminated(self.id, status)
        self.status = status

    @contextmanager
    def open(self) -> Iterator["Run"]:
        """A block at whose end the run is ended: FINISHED, FAILED with the reason, or KILLED.

        A run that `mlflow run` made is ended as FINISHED by `mlflow run` itself, by the exit code.
        """
        try:
            yield self
        except (KeyboardInterrupt, SystemExit):
            self._ended("KILLED", "interrupted")
            raise
        except BaseException as error:
            self._ended(
                "FAILED", f"{error}" if isinstance(error, NarrowgapError) else f"{type(error).__name__}: {error}"
            )
            raise
        if not self.adopted:
            self.finish("FINISHED")

    def _ended(self, status: Status, reason: str) -> None:
        """Ends the run without hiding what ended it, should the store be gone too."""
        with contextlib.suppress(MlflowException, OSError):
            self.finish(status, reason)

    def _local_folder(self) -> Path | None:
        parts = urlsplit(self.artifact_uri)
        if parts.scheme in {"", "file"}:
            return Path(unquote(parts.path))
        return None


class Store:
    """A tracking store that answers."""

    def __init__(self, client: MlflowClient, uri: str) -> None:
        self.client, self.uri = client, uri

    @classmethod
    def connect(cls) -> "Store":
        """The store of MLFLOW_TRACKING_URI, or MLflow's default; StoreError (within seconds) when it cannot be
        reached, InputError when MLflow refuses it.
        """
        uri = get_tracking_uri()
        _reach(uri)
        for attempt in range(FIRST_USE_TRIES):
            try:
                client = MlflowClient(uri)
                client.search_experiments(max_results=1)
                return cls(client, uri)
            except MlflowException as error:
                if attempt == FIRST_USE_TRIES - 1 or not uri.startswith("sqlite"):
                    raise _refused(uri, error) from error
            except Exception as error:
                if attempt == FIRST_USE_TRIES - 1:
                    raise _refused(uri, error) from error
            time.sleep(1)
        raise AssertionError("the last attempt returns or raises")

    def root(self, *, step: str, experiment: str, tags: Mapping[str, str]) -> Run:
        """The run that `mlflow run` made for this process, or else a new one in the MLflow experiment that the
        environment names, or one named as the experiment.
        """
        own = {"narrowgap.step": step, "narrowgap.experiment": experiment, "narrowgap.git_dirty": git.dirty(), **tags}
        run_id = os.environ.get("MLFLOW_RUN_ID")
        if run_id:
            try:
                run = self._run(self.client.get_run(run_id), adopted=True)
            except MlflowException as error:
                raise InputError(
                    f"the run {run_id} was made in another store than {self.uri}, which this step sees; set "
                    "MLFLOW_TRACKING_URI to one and the same store for `mlflow run` and its steps"
                ) from error
            run.log(tags=own)
            return run
        return self._create(self._experiment_id(experiment), name=f"{step} {experiment}", tags={**_source(), **own})

    def child(
        self, parent: Run, *, step: str, name: str, tags: Mapping[str, str], params: Mapping[str, object] | None = None
    ) -> Run:
        """A nested run."""
        own = {"narrowgap.step": step, "mlflow.parentRunId": parent.id, "mlflow.user": _user(), **tags}
        run = self._create(parent.experiment_id, name=name, tags=own)
        if params:
            run.log(params=params)
        return run

    def get(self, run_id: str) -> Run:
        """A run by its id; InputError when there is none."""
        try:
            return self._run(self.client.get_run(run_id))
        except MlflowException as error:
            raise InputError(
                f"no run {run_id!r} in the store {self.uri}; expected a run id of 32 letters and digits, as the UI shows it"
            ) from error

    def latest(self, *, step: str, experiment: str, status: str = "FINISHED") -> Run | None:
        """The newest run of a step, in whichever MLflow experiment of the store it is."""
        where = f"tags.`narrowgap.step` = '{step}' and tags.`narrowgap.experiment` = '{experiment}'"
        where += f" and attributes.status = '{status}'"
        ids = [each.experiment_id for each in _pages(lambda token: self.client.search_experiments(page_token=token))]
        found = self.client.search_runs(ids, where, max_results=1, order_by=["attributes.start_time DESC"])
        return self._run(found[0]) if found else None

    def children(self, run: Run) -> list[Run]:
        """All nested runs, oldest first."""
        where = f"tags.`mlflow.parentRunId` = '{run.id}'"
        pages = _pages(
            lambda token: self.client.search_runs(
                [run.experiment_id],
                where,
                ViewType.ACTIVE_ONLY,
                max_results=1000,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
        )
        return [self._run(each) for each in pages]

    def _create(self, experiment_id: str, *, name: str, tags: Mapping[str, str]) -> Run:
        return self._run(self.client.create_run(experiment_id, tags=dict(tags), run_name=name))

    def _experiment_id(self, name: str) -> str:
        given = os.environ.get("MLFLOW_EXPERIMENT_ID")
        if given:
            return given
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or name
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self.client.create_experiment(name))
        except MlflowException:
            found = self.client.get_experiment_by_name(name)  # another process was quicker
            if found is None:
                raise
            return str(found.experiment_id)

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


def _param(key: str, value: object) -> str:
    text = str(value)
    if len(text) > MOST_PARAM_LETTERS:
        raise ValueError(f"the param {key} has {len(text)} letters; MLflow would cut it at {MOST_PARAM_LETTERS}")
    return text


def _pages(fetch: Any) -> Iterator[Any]:
    token = None
    while True:
        page = fetch(token)
        yield from page
        token = page.token
        if not token:
            return


def _reach(uri: str) -> None:
    """Raises StoreError when nobody listens there: MLflow itself would go on trying for minutes."""
    parts = urlsplit(uri)
    cure = "start it, or set MLFLOW_TRACKING_URI to a store that is there (unset: a file mlflow.db beside MLproject)"
    if parts.scheme in {"http", "https"}:
        try:
            requests.get(f"{uri.rstrip('/')}/health", timeout=REACH_SECONDS)
        except requests.RequestException as error:
            raise StoreError(f"the tracking store {uri} cannot be reached ({type(error).__name__}); {cure}") from error
    elif parts.hostname and not parts.scheme.startswith("databricks"):
        ports = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
        port = parts.port or ports.get(parts.scheme.split("+")[0], 0)
        shown = f"{parts.scheme}://{parts.hostname}:{port}"
        try:
            socket.create_connection((parts.hostname, port), timeout=REACH_SECONDS).close()
        except OSError as error:
            raise StoreError(f"the tracking store {shown} cannot be reached ({error}); {cure}") from error


def _refused(uri: str, error: Exception) -> NarrowgapError:
    """What MLflow or the database said, as bad input or as an unreachable store."""
    told = " ".join(str(error).split())[:300]
    if urlsplit(uri).scheme in {"", "file"}:
        return InputError(
            f"MLflow refuses the store {uri} ({told}); expected sqlite:///mlflow.db or a server's address"
        )
    return StoreError(f"the tracking store {uri.rsplit('@', maxsplit=1)[-1]} does not answer as one: {told}")


def _source() -> dict[str, str]:
    """The tags that `mlflow run` would have set."""
    tags = {"mlflow.user": _user(), "mlflow.source.type": "LOCAL", "mlflow.source.name": sys.argv[0]}
    commit = git.commit()
    return tags | ({"mlflow.source.git.commit": commit} if commit else {})


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
