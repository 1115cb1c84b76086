"""Who is at work. Leaves: a name for tags."""

import getpass


def user() -> str:
    """The name of who runs this process; `unknown` where the machine has none, as in a container with a bare number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
