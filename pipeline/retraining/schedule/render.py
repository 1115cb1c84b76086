"""Renders a daily retraining for three schedulers: a crontab line, a systemd service and timer, a GitHub Actions workflow.

The texts are the templates beside this file; the filters here quote values for shell, crontab, unit files and YAML.
"""

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.retraining.schedule.clock import Clock
from pipeline.retraining.schedule.environment import PROXIES
from pipeline.tracking.provenance import ROOT

MOST_CRONTAB = 998
"""Most bytes of a line that cron takes."""
MAILED = 20
"""Lines of the log that cron mails of a failed run."""


@dataclass(frozen=True)
class DailyJob:
    """A retraining that is started every day."""

    name: str
    """Name of the experiment."""
    words: tuple[str, ...]
    """The command, the interpreter first."""
    environment: Mapping[str, str]
    secrets: tuple[str, ...]
    """Names of the variables that are in `secrets_file`."""
    at: time
    clock: Clock
    """Of the machine."""
    only_here: str
    """Why only this machine can run it, such as "the store or the data are here"; empty if others can."""

    @property
    def folder(self) -> Path:
        return ROOT

    @property
    def zone(self) -> str:
        """Time zone of the machine, such as `Europe/Berlin`; empty if it has no name."""
        return self.clock.name

    @property
    def local(self) -> bool:
        """Whether only this machine can run it."""
        return bool(self.only_here)

    @property
    def log(self) -> Path:
        return ROOT / "mlruns" / f"retrain-{self.name}.log"

    @property
    def script(self) -> Path:
        return ROOT / "mlruns" / f"retrain-{self.name}.sh"

    @property
    def logged_command(self) -> str:
        """The command with its output in the log. If it fails, the end of the log goes to stderr, which cron mails."""
        log = shlex.quote(str(self.log))
        mailed = f"{{ code=$?; tail -n {MAILED} {log} >&2; exit $code; }}"
        return f"{self.log_rotation}; {{ {self.command}; }} >> {log} 2>&1 || {mailed}"

    @property
    def fits_crontab(self) -> bool:
        """Whether cron takes a line with the whole command."""
        line = f"59 23 * * * {_crontab(self.logged_command)}"
        return "\n" not in line and len(line.encode()) <= MOST_CRONTAB

    @property
    def log_rotation(self) -> str:
        """Shell command that moves the log to a second file, over the one before, when it is large."""
        log = shlex.quote(str(self.log))
        return f"find {log} -size +2000k -exec mv {{}} {log}.1 ';' 2>/dev/null"

    @property
    def secrets_file(self) -> Path:
        return Path.home() / ".config" / "narrowgap" / "secrets"

    @property
    def command(self) -> str:
        """Command line for `sh` that works in any folder and with an empty environment."""
        path = shlex.quote(str(self.secrets_file))
        read = [f"set -a && . {path} && set +a"] if self.secrets else []
        assignments = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " && ".join([f"cd {shlex.quote(str(ROOT))}", *read, " ".join([*assignments, shlex.join(self.words)])])

    @property
    def portable_environment(self) -> Mapping[str, str]:
        """Without paths and proxies of this machine, which mean nothing elsewhere."""
        return {
            name: value for name, value in self.environment.items() if not value.startswith("/") and name not in PROXIES
        }

    def next_start_utc(self) -> datetime:
        """Today's start in UTC, the clock of GitHub."""
        today = datetime.now(self.clock.zone).replace(hour=self.at.hour, minute=self.at.minute)
        return today.astimezone(UTC)


def render(job: DailyJob) -> str:
    """All three texts, preceded by what to do about secrets, if there are any."""
    environment = Environment(
        loader=PackageLoader("pipeline.retraining", "schedule"),
        autoescape=False,  # noqa: S701 - no HTML; each value goes through a filter of its format
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "shell": lambda value: shlex.quote(str(value)),
        "shell_join": shlex.join,
        "crontab": _crontab,
        "unit_path": _unit_path,
        "unit_word": _unit_word,
        "exec_word": _exec_word,
        "yaml": _yaml,
    }
    names = ["clock"] * bool(job.clock.note) + ["secrets"] * bool(job.secrets) + ["crontab", "systemd", "github"]
    return "\n\n".join(environment.get_template(f"{name}.j2").render(job=job).rstrip() for name in names)


def _crontab(line: str) -> str:
    """In a crontab, an unescaped % ends the line."""
    return line.replace("%", r"\%")


def _unit_word(text: str) -> str:
    """One quoted word of a unit file."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'.replace("%", "%%")


def _exec_word(text: str) -> str:
    """One quoted word of a command in a unit file, where $ starts a variable."""
    return _unit_word(text).replace("$", "$$")


def _unit_path(path: Path) -> str:
    """A path that takes the rest of a line of a unit file."""
    return str(path).replace("%", "%%")


def _yaml(text: str) -> str:
    """A string as one YAML scalar on one line."""
    style = '"' if "\n" in text else None
    return yaml.safe_dump(text, width=math.inf, allow_unicode=True, default_style=style).removesuffix("...\n").strip()
