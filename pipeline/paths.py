"""Paths that a user gives."""

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
