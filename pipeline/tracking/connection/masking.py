"""The one place that decides what people may see of an address: never a password, a token or a key.

`shown` writes an address for people. `masked` takes secrets out of a text that a library wrote, such as an error of
MLflow or of a database driver. Both would rather hide too much than too little.
"""

import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from pipeline import stop_request

ADDRESSES = (
    "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_BACKEND_STORE_URI", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",
)  # fmt: skip
"""Variables with an address that may contain a password. Those of proxies may be in small letters too."""
SECRETS = (
    "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD",
)  # fmt: skip
"""Variables that are secret as a whole."""
HIDDEN = "***"
MIN_LETTERS = 3
"""A shorter password is hidden where it stands in an address, not everywhere: `a` is in every sentence."""
SECRET_PARAMETER = re.compile(
    r"([?&;][^=&;?]*(?:pass|pwd|secret|token|key|sig|cred|odbc_connect)[^=&;]*=)[^&]*", re.IGNORECASE
)


def shown(uri: str) -> str:
    """The address without user and password, and with secret parameters hidden.

    All up to the last `@` counts as user and password: a password may contain `/`, `?`, `#` and `@`, which parsers of
    addresses take for the end of it.
    """
    scheme, mark, rest = uri.partition("://")
    if mark and "@" in rest and not scheme.startswith(("sqlite", "file")):
        rest = rest.rpartition("@")[2]
    return SECRET_PARAMETER.sub(rf"\1{HIDDEN}", f"{scheme}{mark}{rest}")


def secret(uri: str) -> bool:
    """Whether an address contains something that `shown` hides."""
    return shown(uri) != uri


def masked(text: str) -> str:
    """The text without the secrets of this process: those of its environment, in every form that they are written in."""
    for found, instead in _replacements():
        text = text.replace(found, instead)
    return text


class MaskedStream:
    """The screen without the secrets of this process, whoever has written the text."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return int(self._stream.write(masked(text)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def mask_logs() -> None:
    """Masks every record that any library logs from now on, with its traceback."""
    make = logging.getLogRecordFactory()
    if getattr(make, "masks", False):
        return

    def record(*words: Any, **named: Any) -> logging.LogRecord:
        made = make(*words, **named)
        try:
            text = made.getMessage()
        except Exception:  # noqa: BLE001 - a wrong call of a library's, which logging alone would only print
            text = f"{made.msg} {made.args}"
        made.msg, made.args = masked(text), None
        if made.exc_info and made.exc_info[0] is not None:
            made.exc_text = masked("".join(traceback.format_exception(*made.exc_info)).rstrip())
        return made

    record.masks = True  # type: ignore[attr-defined]  # so that a second call does nothing
    logging.setLogRecordFactory(record)


def mask_tracebacks() -> None:
    """Masks the tracebacks that Python itself prints: of a thread, of an error that nobody can catch, and of the program."""
    # Where another tool, such as a debugger, has put its own it stays.
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _print_of_thread
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _print_unraisable
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _print_masked


def _print_masked(
    kind: type[BaseException], error: BaseException | None, where: TracebackType | None, first: str = ""
) -> None:
    if sys.stderr is not None:  # as at the very end of the process
        print(masked(first + "".join(traceback.format_exception(kind, error, where))), file=sys.stderr, end="")  # noqa: T201


def _print_of_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_type is not SystemExit:  # as Python's own
        name = failed.thread.name if failed.thread is not None else "?"
        _print_masked(failed.exc_type, failed.exc_value, failed.exc_traceback, f"Exception in thread {name}:\n")


def _print_unraisable(failed: "sys.UnraisableHookArgs") -> None:
    if stop_request.lost(failed.exc_value):
        return
    # Not the object itself: its text may be wrong while it is deleted.
    first = f"{failed.err_msg or 'Exception ignored in'}: {type(failed.object).__name__}\n"
    _print_masked(failed.exc_type, failed.exc_value, failed.exc_traceback, first)


def _replacements() -> list[tuple[str, str]]:
    """What to replace with what, the longest first."""
    names = [spelled for name in ADDRESSES for spelled in (name, name.lower())]
    addresses = [uri for name in names if (uri := os.environ.get(name)) and secret(uri)]
    found = {uri: shown(uri) for uri in addresses}
    parts = [part for uri in addresses for part in _secret_parts(uri)]
    parts += [value for name in SECRETS if (value := os.environ.get(name))]
    for part in parts:
        for spelled in {part, unquote(part), quote(part, safe=""), quote(part), quote_plus(part), repr(part)[1:-1]}:
            if len(spelled) >= MIN_LETTERS:
                found.setdefault(spelled, HIDDEN)
    return sorted(found.items(), key=lambda pair: -len(pair[0]))


def _secret_parts(uri: str) -> Iterator[str]:
    """The user with the password, the password alone, and the values of secret parameters."""
    scheme, _, rest = uri.partition("://")
    user, at, _ = rest.rpartition("@")
    if at and not scheme.startswith(("sqlite", "file")):
        yield f"{user}@"
        yield from (word for word in (user, user.partition(":")[2]) if ":" in user)
        # What a parser that ends at the first of these letters takes for the password, or for the host.
        yield from re.split(r"[/?#@]", user.partition(":")[2])
    for match in SECRET_PARAMETER.finditer(uri):
        value = match.group()[len(match.group(1)) :]
        yield value
        yield from (pair.partition("=")[2] for pair in unquote(value).split(";") if "pwd" in pair.lower())
