"""What git says of this checkout; nothing where there is no git."""

import getpass
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def commit() -> str | None:
    """The commit that is checked out."""
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
    """The name of who runs this process; `unknown` where the machine has none, as in a container with a bare number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
