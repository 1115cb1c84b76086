"""Reports within seconds, in one line, that a tracking store cannot be used."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from pipeline.errors import InputError, NarrowgapError, StoreError

ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
"""MLflow's error codes for a run, model or alias that does not exist; every other code is a failure of the store."""
REACH_SECONDS = 5
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""A disk that is full, or has become read-only."""


TRACKING = "start it, or set MLFLOW_TRACKING_URI to a store that is there (unset: mlflow.db in the working directory)"
REGISTRY = "start it, or set MLFLOW_REGISTRY_URI to one that is there (unset: the tracking store)"


def reach(uri: str, *, what: str = "tracking store", cure: str = TRACKING) -> None:
    """Raises StoreError if nobody listens at the address; MLflow alone would retry for minutes."""
    parts = urlsplit(uri)
    if parts.scheme in {"http", "https"}:
        try:
            answer = requests.get(f"{uri.rstrip('/')}/health", timeout=REACH_SECONDS)
        except requests.RequestException as error:
            kind = type(error).__name__
            raise StoreError(f"the {what} {shown(uri)} cannot be reached ({kind}); {cure}") from error
        if answer.status_code >= 500:
            raise StoreError(f"the {what} {shown(uri)} answers {answer.status_code} {answer.reason}; {cure}")
    elif parts.hostname and not parts.scheme.startswith("databricks"):
        ports = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
        port = parts.port or ports.get(parts.scheme.split("+")[0], 0)
        try:
            socket.create_connection((parts.hostname, port), timeout=REACH_SECONDS).close()
        except OSError as error:
            raise StoreError(f"the {what} {shown(uri)} cannot be reached ({error}); {cure}") from error


@contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Turns a store that stops answering inside the block, or refuses to write, into a StoreError. MLflow has retried
    by then.
    """
    try:
        yield
    except (MlflowException, requests.RequestException, OperationalError) as error:
        message = " ".join(str(error).split())[:300]
        refused_it = isinstance(error, MlflowException) and error.error_code != "TEMPORARILY_UNAVAILABLE"
        if refused_it and "API request to" not in message:
            raise
        raise StoreError(
            f"the tracking store {shown(uri)} has stopped answering ({message}); finished trials are there; the same "
            "command resumes when it is back"
        ) from error
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise StoreError(
            f"nothing more can be written for the tracking store {shown(uri)} ({error}); make room there, and call again"
        ) from error


def shown(uri: str) -> str:
    """The address without user and password."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rsplit("@", maxsplit=1)[-1]).geturl() if "@" in parts.netloc else uri


def refused(uri: str, error: Exception) -> NarrowgapError:
    """An error of MLflow or the database as bad input, or as an unreachable store."""
    message = " ".join(str(error).split())[:300]
    if urlsplit(uri).scheme in {"", "file"}:
        return InputError(
            f"MLflow refuses the store {uri} ({message}); expected sqlite:///mlflow.db or a server's address"
        )
    return StoreError(f"the tracking store {shown(uri)} does not answer as one: {message}")
