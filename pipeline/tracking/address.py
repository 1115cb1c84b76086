"""The address of the tracking store, as another process can use it."""

import re
from urllib.parse import quote, urlsplit

from mlflow.tracking import get_tracking_uri

from pipeline.tracking import sqlite

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


def secret(uri: str) -> bool:
    """Whether an address contains credentials: a user with a password or token, or a secret parameter."""
    parts = urlsplit(uri)
    return "@" in parts.netloc or re.search("password|secret|token|key", parts.query, re.IGNORECASE) is not None
