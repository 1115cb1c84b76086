"""Where the tracking store is, for a process that starts elsewhere. Enters: the environment. Leaves: an address."""

import re
from urllib.parse import quote, urlsplit

from mlflow.tracking import get_tracking_uri

from pipeline.tracking import sqlite

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def current() -> str:
    """The store of MLFLOW_TRACKING_URI, or MLflow's default, as it can be used from any folder."""
    return absolute(str(get_tracking_uri()))


def absolute(uri: str) -> str:
    """The same store without regard to the working directory."""
    file = sqlite.file_of(uri)
    if file is None or file.is_absolute():
        return uri
    _, mark, query = uri.partition("?")
    return f"sqlite:///{quote(str(file.resolve()))}{mark}{query}"


def on_this_machine(uri: str) -> bool:
    """Whether nobody elsewhere can reach it."""
    return sqlite.file_of(uri) is not None or urlsplit(uri).hostname in LOOPBACK


def secret(uri: str) -> bool:
    """Whether an address holds what opens the store: a user, with a password or as a token, or one of its parameters."""
    parts = urlsplit(uri)
    return "@" in parts.netloc or re.search("password|secret|token|key", parts.query, re.IGNORECASE) is not None
