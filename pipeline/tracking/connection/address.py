"""The address of the tracking store, as another process can use it."""

from urllib.parse import quote, urlsplit

from mlflow.tracking import get_tracking_uri

from pipeline.tracking.connection import sqlite

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def current() -> str:
    """The store of MLFLOW_TRACKING_URI, or MLflow's default, usable from any folder."""
    return absolute(str(get_tracking_uri()))


def absolute(uri: str) -> str:
    """The same store, independent of the working directory."""
    file = sqlite.file_of(uri)
    if file is None or file.is_absolute():
        return uri
    _, mark, query = uri.partition("?")
    return f"sqlite:///{quote(str(file.resolve()))}{mark}{query}"


def on_this_machine(uri: str) -> bool:
    """Whether only this machine can reach the store."""
    return sqlite.file_of(uri) is not None or urlsplit(uri).hostname in LOOPBACK
