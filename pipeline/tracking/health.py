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
"""Timeout of the check whether a store answers."""
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""A disk that is full, or has become read-only."""
TRACKING = "start it, or set MLFLOW_TRACKING_URI to a store that is there (unset: mlflow.db in the working directory)"
REGISTRY = "start it, or set MLFLOW_REGISTRY_URI to one that is there (unset: the tracking store)"


def check_reachable(uri: str, *, what: str = "tracking store", cure: str = TRACKING) -> None:
    """Raises StoreError if nobody listens at the address; MLflow alone would retry for minutes."""
    parts = urlsplit(uri)
    if parts.scheme in {"http", "https"}:
        try:
            answer = requests.get(f"{uri.rstrip('/')}/health", timeout=REACH_SECONDS)
        except requests.RequestException as error:
            kind = type(error).__name__
            raise StoreError(f"the {what} {without_password(uri)} cannot be reached ({kind}); {cure}") from error
        if answer.status_code >= 500:
            raise StoreError(f"the {what} {without_password(uri)} answers {answer.status_code} {answer.reason}; {cure}")
    elif parts.hostname and not parts.scheme.startswith("databricks"):
        ports = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
        port = parts.port or ports.get(parts.scheme.split("+")[0], 0)
        try:
            socket.create_connection((parts.hostname, port), timeout=REACH_SECONDS).close()
        except OSError as error:
            raise StoreError(f"the {what} {without_password(uri)} cannot be reached ({error}); {cure}") from error


@contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Raises StoreError if the store stops answering inside the block, after MLflow's own retries, or cannot be
    written to.
    """
    try:
        yield
    except (MlflowException, requests.RequestException, OperationalError) as error:
        message = " ".join(str(error).split())[:300]
        by_mlflow = isinstance(error, MlflowException) and error.error_code != "TEMPORARILY_UNAVAILABLE"
        if by_mlflow and "API request to" not in message:
            raise
        raise StoreError(
            f"the tracking store {without_password(uri)} has stopped answering ({message}); finished trials are saved; "
            "run the same command to resume when it is back"
        ) from error
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise StoreError(
            f"the tracking store {without_password(uri)} cannot be written ({error}); free some space and run again"
        ) from error


def without_password(uri: str) -> str:
    """The address without user and password."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rsplit("@", maxsplit=1)[-1]).geturl() if "@" in parts.netloc else uri


def connection_error(uri: str, error: Exception) -> NarrowgapError:
    """The InputError or StoreError for an error of MLflow or the database while connecting."""
    message = " ".join(str(error).split())[:300]
    if urlsplit(uri).scheme in {"", "file"}:
        return InputError(
            f"MLflow refuses the store {uri} ({message}); expected sqlite:///mlflow.db or a server's address"
        )
    return StoreError(f"the tracking store {without_password(uri)} does not answer as one: {message}")
