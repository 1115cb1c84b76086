"""Paths that a user gives."""

import os
from pathlib import Path

from pipeline.errors import InputError


def user_path(given: str, *, name: str) -> Path:
    """The path with `~` expanded; it may be missing. `name` is the key or option in messages.

    Raises:
        InputError: For an unknown user after `~`, or a path that the system refuses to look up.
    """
    try:
        path = Path(given).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except RuntimeError as error:  # an unknown user after `~`
        raise InputError(f"{name} is {given}: {str(error).rstrip('.')}; give the whole path") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{name} is {given}: it cannot be read ({reason}); expected a path that can be") from error
    return path


def check_working_directory() -> None:
    """Raises InputError if MLflow cannot keep a store in the working directory: it was deleted, or its name is not UTF-8."""
    try:
        folder = os.getcwd()  # noqa: PTH109 - it raises where Path.cwd() does, and is a text
    except FileNotFoundError as error:
        raise InputError("the working directory was deleted; change to a folder that exists") from error
    try:
        folder.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"the working directory is {folder}, and its name is not UTF-8, which MLflow cannot store; expected UTF-8: "
            "rename it, or run from another one"
        ) from error
