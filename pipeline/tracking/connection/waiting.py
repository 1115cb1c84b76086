"""Waits for a tracking store that is away, so that no training dies of tracking.

MLflow retries a request by itself, silently and for four minutes at most, and a database not at all. Here every call of a
step is repeated until the store answers or `tracking.wait_minutes` have passed, and the screen says since when it waits.
"""

import errno
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import requests
from mlflow.entities import Experiment, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException, RestException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from pipeline.errors import NarrowgapError, StoreError
from pipeline.tracking.connection.masking import masked

T = TypeVar("T")

AWAY_CODES = {"TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"}
"""MLflow's error codes of a store that may answer later."""
DENIED_CODES = {"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"}
NOT_FOUND = 404
AWAY_STATUS = {408, 425, 429}
"""Besides every status of the server's own failures."""
FIRST_OF_SERVER = 500
NO_CONNECTION = re.compile(
    "Connect|Timeout|Closed|Resolution|ServiceRequest|Transport|Protocol|SSL|RetryError|MaxRetry"
)
"""Matches the class names of exceptions of the packages in `CLOUD`: the request got no answer."""
CLOUD = {"botocore", "boto3", "s3transfer", "google", "azure", "urllib3", "requests"}
"""Packages whose exceptions come from a store of artifacts."""
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""A disk that is full, or a file that may not grow."""
FULL_DATABASE = re.compile("database or disk is full|disk quota exceeded|No space left on device")
"""How SQLite and database servers say so."""
DENIED_ERRNO = {errno.EACCES, errno.EPERM, errno.EROFS}
"""A folder that cannot be written to, or has become read-only."""
AWAY_ERRNO = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EBUSY, errno.EAGAIN, errno.ENOTCONN, errno.EHOSTDOWN}
"""A disk or network file system that does not answer."""
DENIED_SECONDS = 60
"""Longest wait for a store that refuses access: a credential is renewed within seconds, or never."""
QUIET_SECONDS = 3
"""An outage that is shorter is not worth a line."""
MAX_PAUSE = 20
"""Longest pause between two tries, seconds."""
REASONS = (
    (r"too many (\d+) error responses", "it answers {}"),
    (r"failed with error code (\d+)", "it answers {}, not as an MLflow server does"),
    (r"not in a valid JSON format|Failed to parse", "its answer is not that of an MLflow server"),
    (r"connection refused", "connection refused"),
    (r"timed out|timeout", "no answer in time"),
    (r"name or service not known|name resolution|getaddrinfo", "unknown host"),
    (r"(database (?:table )?is locked|database or disk is full|disk I/O error)", "{}"),
    (r"(server closed the connection|the database system is (?:starting up|shutting down)|too many clients)", "{}"),
    (r"certificate verify failed", "its certificate is not trusted"),
)
"""What is said about the errors that libraries report at length."""
MAX_REASON = 200
READS = ("get_", "search_", "list_", "download_")
"""How the methods of MLflow's client begin that write nothing."""
RETRIES, TIMEOUT = "0", "60"
"""MLflow's own retries, and the seconds that it waits for an answer, unless the environment sets them."""


class ForeignAnswerError(Exception):
    """The answer to a request is not one of an MLflow server, such as a proxy's page for signing in."""


class NotTakenError(ForeignAnswerError):
    """A write of an artifact is answered with 404. To a read that means that there is none; to a write, that somebody else
    answers.
    """


class TemporaryFolderError(OSError):
    """The temporary folder of this machine, which every artifact passes, cannot be written: no fault of the store."""


@contextmanager
def temporary_folder_errors() -> Iterator[None]:
    """Says that it is the temporary folder which cannot be written in the block, and not a store."""
    try:
        yield
    except OSError as error:
        # Python's own error, if it finds no folder that it can write to, is that there is none.
        if error.errno not in FULL | DENIED_ERRNO | {errno.ENOENT}:
            raise
        folder = tempfile.tempdir or os.environ.get("TMPDIR", "/tmp")  # noqa: S108 - only named
        number = errno.ENOSPC if error.errno == errno.ENOENT else error.errno
        raise TemporaryFolderError(number, error.strerror, folder) from error


def away(error: BaseException) -> bool:
    """Whether an error means that the store, or its artifacts, cannot be used now; false where it has answered."""
    if isinstance(error, NarrowgapError):
        return False
    if isinstance(error, MlflowException):
        failed_there = isinstance(error, RestException) and error.error_code == "INTERNAL_ERROR"
        lost = failed_there or _lost_connection(error.__cause__)
        return error.error_code in AWAY_CODES | DENIED_CODES or _no_answer(error) or lost
    if (status := _status(error)) is not None:
        return status != NOT_FOUND
    if isinstance(error, DBAPIError):
        return _lost_connection(error)
    unreadable = type(error).__module__ == "google.protobuf.json_format"  # MLflow cannot read what was answered
    if unreadable or _no_json(error) or isinstance(error, ConnectionError | TimeoutError | ForeignAnswerError):
        return True
    cut_off = (
        type(error).__module__.partition(".")[0] in CLOUD and NO_CONNECTION.search(type(error).__name__) is not None
    )
    return cut_off or (isinstance(error, OSError) and error.errno in FULL | AWAY_ERRNO | DENIED_ERRNO)


def denied(error: BaseException) -> bool:
    """Whether an error means that access is refused, or that somebody else answers, such as a proxy with a page of its own:
    repeating helps soon or never.
    """
    if isinstance(error, MlflowException):
        status = _foreign_status(error)
        return error.error_code in DENIED_CODES or (status is not None and not _passes(status))
    if isinstance(error, NotTakenError) or _no_json(error):
        return True
    status = _status(error)
    return (status is not None and not _passes(status)) or (isinstance(error, OSError) and error.errno in DENIED_ERRNO)


def _no_json(error: BaseException) -> bool:
    """Whether somebody else has answered with a page where an artifact store answers with JSON."""
    return isinstance(error, requests.exceptions.JSONDecodeError)


def _passes(status: int) -> bool:
    """Whether a status means a failure that may pass by itself."""
    return status >= FIRST_OF_SERVER or status in AWAY_STATUS


def _foreign_status(error: MlflowException) -> int | None:
    """The status of an answer that has none of MLflow's own errors in it; None if there was none."""
    found = None if isinstance(error, RestException) else re.search(r"failed with error code (\d+)", str(error))
    return int(found[1]) if found and error.error_code != "RESOURCE_DOES_NOT_EXIST" else None


def _status(error: BaseException) -> int | None:
    """The HTTP status of an answer, wherever requests, botocore, google and azure keep it; None if there was none."""
    response = getattr(error, "response", None)
    found = getattr(response, "status_code", None) or getattr(error, "status_code", None)
    if found is None and isinstance(response, dict):
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if found is None and type(error).__module__.startswith("google"):
        found = getattr(error, "code", None)
    return int(found) if isinstance(found, int) else None


def _no_answer(error: MlflowException) -> bool:
    """Whether MLflow reports a request without an answer of the server's own: refused, timed out, or a proxy's page."""
    text = str(error)
    if "failures occurred while downloading" in text:  # of an artifact that the store has listed
        return True
    return _foreign_status(error) is not None or ("API request to" in text and "failed with error code" not in text)


def _whole(answer: T) -> T:
    """The answer, if it has what every answer of its kind has.

    Raises:
        ForeignAnswerError: It has not: MLflow takes `{}` for a run without an id.
    """
    for each in answer if isinstance(answer, list) else [answer]:
        if isinstance(each, Run):
            ids: tuple[Any, ...] = (each.info.run_id, each.info.experiment_id, each.info.status, each.info.artifact_uri)
        elif isinstance(each, Experiment):
            ids = (each.experiment_id, each.name)
        elif isinstance(each, ModelVersion):
            ids = (each.name, each.version)
        else:
            continue
        if not all(ids):
            raise ForeignAnswerError("its answer is not that of an MLflow server")
    return answer


def _lost_connection(error: BaseException | None) -> bool:
    return isinstance(error, OperationalError | InterfaceError) or (
        isinstance(error, DBAPIError) and bool(error.connection_invalidated)
    )


class Waiting:
    """Repeats calls to one store while it is away.

    Args:
        what: What is waited for, with its address, for messages.
        minutes: Longest wait for one outage; 0 waits not at all.
        say: Prints a line on the screen.
        sleep, clock: For tests that do not wait.
    """

    def __init__(
        self,
        what: str,
        *,
        minutes: float,
        say: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.minutes, self.say = minutes, say
        self._what, self._sleep, self._clock = what, sleep, clock
        self._lock = threading.Lock()
        self._since: float | None = None
        """When the outage began that is not over yet."""
        self._denied_since: float | None = None
        """Since when access has been refused, within it."""
        self._said = self._spent = False
        self._hurried = 0

    @property
    def waiting(self) -> bool:
        """Whether the store has not answered the last call."""
        return self._since is not None

    def call(self, ask: Callable[[], T]) -> T:
        """The answer of `ask`, which is repeated while the store is away.

        Raises:
            StoreError: It was away for longer than is allowed, or it is away and the process is ending.
        """
        if self._since is not None and (self._spent or self._hurried):
            raise StoreError(f"the {self._what} does not answer")
        pause = 1.0
        while True:
            try:
                answer = ask()
            except Exception as error:
                if not away(error):
                    raise
                self._wait(error, pause)
                pause = min(2 * pause, MAX_PAUSE)
            else:
                self._answered()
                return answer

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """Inside the block nothing is repeated: the process is ending."""
        self._hurried += 1
        try:
            yield
        finally:
            self._hurried -= 1

    def _wait(self, error: Exception, pause: float) -> None:
        now = self._clock()
        with self._lock:
            since = self._since = now if self._since is None else self._since
            refused = denied(error)
            self._denied_since = (self._denied_since if self._denied_since is not None else now) if refused else None
            limit = 60 * self.minutes
            left = limit - (now - since)
            if self._denied_since is not None:
                left = min(left, DENIED_SECONDS - (now - self._denied_since))
            if self._hurried or left <= 0:
                self._spent = self._spent or not self._hurried
                raise store_error(self._what, error, seconds=now - since) from error
            if not self._said and now - since >= QUIET_SECONDS:
                self._said = True
                began = time.strftime("%H:%M:%S", time.localtime(time.time() - (now - since)))
                trouble = f"{self._what} has not answered"
                if isinstance(error, TemporaryFolderError):
                    trouble = f"nothing can be written to the {self._what}: the temporary folder is full or closed"
                self.say(
                    f"{trouble} since {began} ({reason(error)}); what is trained is "
                    f"kept and written when it answers again; waiting up to {left / 60:.2g} min"
                )
        self._sleep(min(pause, left))

    def _answered(self) -> None:
        with self._lock:
            if self._said and self._since is not None:
                self.say(f"{self._what} answers again, after {self._clock() - self._since:.0f} s")
            self._since, self._denied_since, self._said = None, None, False


def store_error(what: str, error: BaseException, *, seconds: float = 0) -> StoreError:
    """The failure that is reported for a store that is away: why, after how long a wait, and the cure."""
    waited = f" for {seconds:.0f} s" if seconds >= 1 else ""
    if isinstance(error, TemporaryFolderError):
        return StoreError(
            f"the temporary folder {error.filename} cannot be written{waited} ({error.strerror}); free some space "
            "there, or set the environment variable TMPDIR to a folder with room, then run the same command to resume"
        )
    if (isinstance(error, OSError) and error.errno in FULL | DENIED_ERRNO) or FULL_DATABASE.search(str(error)):
        return StoreError(
            f"the {what} cannot be written{waited} ({reason(error)}); free some space or give this user access, then run "
            "the same command to resume"
        )
    return StoreError(
        f"the {what} has stopped answering{waited} ({reason(error)}); what is finished is kept; run the same command "
        "again when it is back"
    )


def reason(error: BaseException) -> str:
    """Why a store cannot be used, in a few words, without secrets."""
    text = masked(" ".join(str(error).split())) or type(error).__name__
    for pattern, words in REASONS:
        if match := re.search(pattern, text, re.IGNORECASE):
            return words.format(*match.groups())
    return text[:MAX_REASON]


class PatientClient:
    """An `MlflowClient` whose every call waits for a store that is away.

    Artifacts are elsewhere than runs, and wait by themselves: a full disk is no reason to leave a run open.
    """

    def __init__(self, client: MlflowClient, runs: Waiting, artifacts: Waiting) -> None:
        self.impatient, self._runs, self._artifacts = client, runs, artifacts
        self.fences: list[Callable[[], None]] = []
        """Each raises an error if this process may not write any more."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.impatient, name)
        if not callable(found):
            return found
        reads, artifacts = name.startswith(READS), "artifact" in name
        return lambda *words, **named: self.call(lambda: found(*words, **named), reads=reads, artifacts=artifacts)

    @property
    def waiting(self) -> bool:
        """Whether the last call got no answer."""
        return self._runs.waiting or self._artifacts.waiting

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """Inside the block nothing is repeated: the process is ending."""
        with self._runs.hurried(), self._artifacts.hurried():
            yield

    def call(self, ask: Callable[[], T], *, reads: bool = False, artifacts: bool = False) -> T:
        """The answer of `ask`, which is repeated while the store is away; before a write the fences are asked."""

        def fenced() -> T:
            for fence in () if reads else tuple(self.fences):
                fence()
            try:
                return _whole(ask())
            except Exception as error:
                if artifacts and not reads and _status(error) == NOT_FOUND:
                    raise NotTakenError("it answers 404 to an artifact that is written") from error
                if reads and isinstance(error, OSError) and error.errno in FULL:  # what is read goes there alone
                    with temporary_folder_errors():
                        raise
                raise

        return (self._artifacts if artifacts else self._runs).call(fenced)

    def create(self, make: Callable[[], T], find: Callable[[], T | None]) -> T:
        """What `make` creates in the store, once. If no answer came, the store may have created it all the same: it is
        looked for before `make` is repeated.

        Args:
            make: Creates it.
            find: The one that an earlier try has created; None if there is none.
        """
        asked = False

        def once() -> T:
            nonlocal asked
            found = find() if asked else None
            asked = True
            return make() if found is None else found

        return self.call(once)


def limit_retries() -> None:
    """Limits the retries of MLflow, which would repeat each call for minutes, silently; `Waiting` retries instead."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", RETRIES)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", TIMEOUT)
