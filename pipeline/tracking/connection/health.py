"""Reports within seconds, in one line, that a tracking store cannot be used."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from mlflow.exceptions import MlflowException
from mlflow.tracking._tracking_service.utils import get_default_host_creds
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from pipeline.errors import InputError, NarrowgapError, StoreError
from pipeline.tracking.connection import sqlite
from pipeline.tracking.connection.masking import masked, shown
from pipeline.tracking.connection.waiting import away, reason, store_error

REACH_SECONDS = 5
"""Timeout of the check whether a store answers."""
OLDEST_SERVER = 3
"""Major version of the oldest MLflow server that has what is logged here."""
PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433, "oracle": 1521}
TRACKING = "start it, or set MLFLOW_TRACKING_URI to a store that is there (unset: mlflow.db in the working directory)"
REGISTRY = "start it, or set MLFLOW_REGISTRY_URI to one that is there (unset: the tracking store)"


def check_reachable(uri: str, *, what: str = "tracking store", cure: str = TRACKING) -> None:
    """Raises StoreError if nobody listens at the address; MLflow alone would retry for minutes."""
    scheme, mark, _ = uri.partition("://")
    kind = uri.partition(":")[0].partition("+")[0].lower()
    if kind == "sqlite":
        sqlite.file_of(uri)
    elif not mark and kind in {"http", "https", *PORTS}:
        raise InputError(f"the {what} {shown(uri)} is no address; expected {kind}:// and a host")
    elif scheme in {"http", "https"}:
        _check_server(uri, what, cure)
    elif mark and not scheme.startswith(("databricks", "file", "uc")):
        _check_database(uri, what, cure)


def _check_server(uri: str, what: str, cure: str) -> None:
    try:
        answer = _get(uri, "/health")
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, UnicodeError) as error:
        raise InputError(
            f"the {what} {shown(uri)} is no address ({reason(error)}); expected https://host:port, with %23 for #, %2F for "
            "/, %3F for ? and %40 for @ in a password"
        ) from error
    except requests.RequestException as error:
        kind = type(error).__name__
        raise StoreError(f"the {what} {shown(uri)} cannot be reached ({kind}); {cure}") from error
    if answer.status_code >= 500:
        raise StoreError(f"the {what} {shown(uri)} answers {answer.status_code} {answer.reason}; {cure}")
    version = _server_version(uri)
    if version is not None and int(version.split(".")[0]) < OLDEST_SERVER:
        raise InputError(
            f"the {what} {shown(uri)} runs MLflow {version}; expected {OLDEST_SERVER} or newer; upgrade the server"
        )


def _get(uri: str, path: str) -> requests.Response:
    """A GET with the certificates, tokens and proxies that MLflow itself uses."""
    credentials = get_default_host_creds(uri)
    headers = {"Authorization": f"Bearer {credentials.token}"} if credentials.token else {}
    return requests.get(
        f"{uri.rstrip('/')}{path}",
        timeout=REACH_SECONDS,
        verify=credentials.verify,
        cert=credentials.client_cert_path,
        auth=(credentials.username, credentials.password) if credentials.username else None,
        headers=headers,
    )


def _server_version(uri: str) -> str | None:
    """The version that a server reports; None if it does not say."""
    try:
        answer = _get(uri, "/version")
    except requests.RequestException:
        return None
    return answer.text if answer.ok and re.fullmatch(r"\d+\.\d+\S*", answer.text) else None


def _check_database(uri: str, what: str, cure: str) -> None:
    try:
        address = make_url(uri)
    except (ArgumentError, ValueError) as error:
        raise InputError(
            f"the {what} {shown(uri)} is no address of a database; expected postgresql://user:password@host:port/name, "
            "with %40 for @ and %2F for / in a password"
        ) from error
    kind = address.drivername.split("+")[0]
    if not address.host or kind not in PORTS or "," in address.host:
        return  # a socket, several hosts, or a kind of its own: connecting will tell
    port = address.port or PORTS[kind]
    try:
        socket.create_connection((address.host, port), timeout=REACH_SECONDS).close()
    except OSError as error:
        raise StoreError(f"the {what} {shown(uri)} cannot be reached ({masked(str(error))}); {cure}") from error


@contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Raises StoreError for an error inside the block that means that the store, or its artifacts, cannot be used."""
    try:
        yield
    except Exception as error:
        if not away(error):
            raise
        raise store_error(f"tracking store {shown(uri)}", error) from error


def connection_error(uri: str, error: Exception) -> NarrowgapError:
    """The InputError or StoreError for an error of MLflow or the database while connecting."""
    message = masked(" ".join(str(error).split()))[:300]
    unknown_scheme = isinstance(error, MlflowException) and "unsupported URI" in message
    if urlsplit(uri).scheme in {"", "file"} or unknown_scheme:
        return InputError(
            f"MLflow refuses the store {shown(uri)} ({message}); expected sqlite:///mlflow.db or a server's address"
        )
    return StoreError(f"the tracking store {shown(uri)} does not answer as one: {message}")
