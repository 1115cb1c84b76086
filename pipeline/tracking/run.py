"""One run of the tracking store, which always ends."""

import contextlib
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.uri import add_databricks_profile_info_to_artifact_uri
from requests import HTTPError

from pipeline import stop_request
from pipeline.errors import InputError, NarrowgapError, StoreError
from pipeline.tracking.connection.masking import masked, shown
from pipeline.tracking.connection.waiting import PatientClient, temporary_folder_errors
from pipeline.tracking.names import NOTE_TAG, PARENT_TAG, REASON_TAG, REQUEST_TAG

Status = Literal["FINISHED", "FAILED", "KILLED"]
MOST_METRICS, MOST_PARAMS, MOST_TAGS, MOST_IN_ALL = 1000, 100, 100, 1000
"""MLflow's limits of one `log_batch`."""
MOST_PARAM_VALUE_LETTERS, MOST_TAG_LETTERS = 6000, 8000
"""MLflow cuts longer values without a word."""
MOST_REASON_LETTERS = 4000
ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
"""MLflow's error codes for a run, artifact, model or alias that does not exist; others are failures of the store."""
NOT_FOUND = 404


@dataclass(frozen=True)
class Point:
    """One value of a curve of a metric."""

    name: str
    value: float
    step: int


@dataclass(eq=False)
class Run:
    """One run of the store."""

    _client: PatientClient = field(repr=False)
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

    @property
    def parent_id(self) -> str | None:
        """Id of the parent run."""
        return self.tags.get(PARENT_TAG)

    def log(
        self,
        *,
        params: Mapping[str, object] | None = None,
        metrics: Mapping[str, float] | None = None,
        series: Iterable[Point] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Writes params, metrics and tags in one call, or in as few as MLflow's limits allow."""
        now = int(time.time() * 1000)
        points = [Metric(name, float(value), now, 0) for name, value in (metrics or {}).items()]
        points += [Metric(point.name, float(point.value), now, point.step) for point in series]
        settings = [Param(key, _param(key, value)) for key, value in (params or {}).items()]
        labels = [RunTag(key, _tag(key, value)) for key, value in (tags or {}).items()]
        while points or settings or labels:
            room = MOST_IN_ALL - len(settings[:MOST_PARAMS]) - len(labels[:MOST_TAGS])
            some = min(MOST_METRICS, room)
            self._client.log_batch(self.id, points[:some], settings[:MOST_PARAMS], labels[:MOST_TAGS], synchronous=True)
            points, settings, labels = points[some:], settings[MOST_PARAMS:], labels[MOST_TAGS:]
        self.params.update({key: _param(key, value) for key, value in (params or {}).items()})
        self.metrics.update({name: float(value) for name, value in (metrics or {}).items()})
        self.tags.update({key: str(value) for key, value in (tags or {}).items()})

    def write(self, path: str, content: bytes | str) -> None:
        """Writes one artifact, completely or not at all."""
        data = content.encode() if isinstance(content, str) else content
        folder = self._local_folder()
        if folder is not None:
            self._client.call(lambda: _replace(folder / path, data), artifacts=True)
            return
        parent = str(Path(path).parent)
        within = None if parent == "." else parent
        try:
            # `MlflowClient.log_artifact` asks the server where; half an answer would mean the working directory.
            uri = self._client.impatient.tracking_uri
            target = add_databricks_profile_info_to_artifact_uri(self.artifact_uri, uri)
            place = get_artifact_repository(target, tracking_uri=uri)

            def send() -> None:
                with contextlib.ExitStack() as stack:
                    with temporary_folder_errors():
                        file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / Path(path).name
                        file.write_bytes(data)
                    place.log_artifact(str(file), within)

            self._client.call(send, artifacts=True)
        except ImportError as error:
            raise StoreError(
                f"artifacts go to {shown(self.artifact_uri)}, which needs a package that is not installed ({error})"
            ) from error

    def read(self, path: str) -> bytes:
        """Returns one artifact.

        Raises:
            InputError: If the store answers that the run has none of that name.
        """
        with tempfile.TemporaryDirectory() as temporary:
            try:
                if not self._has(path):
                    raise FileNotFoundError(path)
                return Path(self._client.download_artifacts(self.id, path, temporary)).read_bytes()
            except (MlflowException, OSError) as error:
                if not _absent(error):
                    raise
                raise InputError(f"run {self.id} has no artifact {path}: is it a run of Narrowgap?") from error

    def _has(self, path: str) -> bool:
        """Whether the store lists an artifact. How a failed download says that there is none depends on the store."""
        parent = str(PurePosixPath(path).parent)
        listed = self._client.list_artifacts(self.id, None if parent == "." else parent)
        return path in {each.path for each in listed}

    def inputs(self, *, name: str, digest: str, context: str, source: str, shape: Sequence[int]) -> None:
        """Records a data set that the run used, in the context training, validation or test. MLflow keeps 36 characters
        of a digest; the whole one is in the tags of the run.
        """
        profile = f'{{"num_rows": {shape[0]}, "shape": {list(shape)}}}'
        dataset = Dataset(name, digest[:36], "narrowgap", source, profile=profile)
        tag = InputTag("mlflow.data.context", context)
        self._client.log_inputs(self.id, [DatasetInput(dataset, [tag])])

    def log_model(self, log: Callable[[dict[str, str]], str]) -> str:
        """The id of the model that `log` makes, with the tags that it is given. It is repeated while the store is away; a
        model that a try without an answer has left is deleted.
        """
        own, tries = {REQUEST_TAG: secrets.token_hex(8)}, 0

        def once() -> str:
            nonlocal tries
            tries += 1
            return log(own)

        made = self._client.call(once, artifacts=True)
        if tries > 1:
            where = f"tags.`{REQUEST_TAG}` = '{own[REQUEST_TAG]}'"
            for each in self._client.search_logged_models([self.experiment_id], where):
                if each.model_id != made:
                    with contextlib.suppress(MlflowException):  # only a leftover, which `prune` deletes too
                        self._client.delete_logged_model(each.model_id)
        return made

    def note(self, markdown: str) -> None:
        """Sets the text that the UI shows on top of the run."""
        self.log(tags={NOTE_TAG: markdown})

    def remove(self, tag: str) -> None:
        """Removes a tag; one that is gone already is no failure."""
        with suppress_absent():  # the answer to the first try may have been lost
            self._client.delete_tag(self.id, tag)
        self.tags.pop(tag, None)

    def finish(self, status: Status, reason: str | None = None) -> None:
        """Ends the run; the reason of a failure, or of what is missing, is in the tag `narrowgap.reason`."""
        if reason is not None:
            reason = masked(reason)
            cut = reason if len(reason) <= MOST_REASON_LETTERS else reason[: MOST_REASON_LETTERS - 1] + "…"
            self.log(tags={REASON_TAG: cut})
        self._client.set_terminated(self.id, status)
        self.status = status

    @contextmanager
    def open(self) -> Iterator["Run"]:
        """Ends the run with the block: FINISHED, FAILED with the reason, or KILLED.

        A run that `mlflow run` created is set to FINISHED by `mlflow run` itself, from the exit code.
        """
        try:
            yield self
        except (KeyboardInterrupt, SystemExit):
            self.give_up("KILLED", "interrupted")
            raise
        except BaseException as error:
            self.give_up(
                "FAILED", f"{error}" if isinstance(error, NarrowgapError) else f"{type(error).__name__}: {error}"
            )
            raise
        if not self.adopted and self.status == "RUNNING":
            try:
                self.finish("FINISHED")
            except (KeyboardInterrupt, SystemExit):  # its work is done
                self.give_up("FINISHED")
                raise

    def give_up(self, status: Status, reason: str | None = None) -> None:
        """Ends the run after a failure; an error of the store is ignored, so the failure itself is reported. A store that
        is away is not waited for. A request to stop does not interrupt it.
        """
        with (
            stop_request.held(),
            contextlib.suppress(MlflowException, OSError, NarrowgapError),
            self._client.hurried(),
        ):
            self.finish(status, reason)

    def artifact_place(self, name: str) -> str:
        """Where a person finds an artifact: its path if the store is on this machine."""
        folder = self._local_folder()
        if folder is None or not (folder / name).exists():
            return f"{name} among the artifacts of run {self.id}"
        path = folder / name
        return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)

    def _local_folder(self) -> Path | None:
        parts = urlsplit(self.artifact_uri)
        if parts.scheme in {"", "file"}:
            return Path(unquote(parts.path))
        return None


@contextmanager
def suppress_absent() -> Iterator[None]:
    """Suppresses the answer that a thing does not exist."""
    try:
        yield
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise


def _replace(target: Path, data: bytes) -> None:
    """Writes a file of this machine, completely or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.write_bytes(data)
    draft.replace(target)


def _absent(error: Exception) -> bool:
    """Whether the store has answered that an artifact does not exist; every other error is the store's own."""
    if isinstance(error, MlflowException):
        return error.error_code in ABSENT or "error code 404" in str(error)
    if isinstance(error, HTTPError):
        return error.response is not None and error.response.status_code == NOT_FOUND
    return isinstance(error, FileNotFoundError | NotADirectoryError) or "No such artifact" in str(error)


def _param(key: str, value: object) -> str:
    return _whole(f"the param {key}", str(value), MOST_PARAM_VALUE_LETTERS)


def _tag(key: str, value: object) -> str:
    return _whole(f"the tag {key}", str(value), MOST_TAG_LETTERS)


def _whole(what: str, text: str, most: int) -> str:
    if len(text) > most:
        raise ValueError(f"{what} has {len(text)} letters; expected {most} or fewer: MLflow would cut the rest")
    return text
