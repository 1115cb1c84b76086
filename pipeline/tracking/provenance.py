"""Who runs which code: user, commit, and whether the code was changed."""

import getpass
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def commit() -> str | None:
    """The commit that is checked out; None outside a git checkout."""
    return _git("rev-parse", "HEAD")


def dirty() -> str:
    """`true` when the code differs from its commit, `false`, or `unknown` outside a checkout."""
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return "unknown" if changed is None else str(bool(changed)).lower()


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def user() -> str:
    """Name of the user of this process; `unknown` if the machine has none, as in a container with a bare user id."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
