"""A job every night, as its schedulers want to be told. Enters: a `Job`. Leaves: a crontab line, a systemd service and
timer, and a GitHub Actions workflow.
"""

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

from pipeline.tracking.provenance import ROOT


@dataclass(frozen=True)
class Job:
    """A retraining every night, as any scheduler may start it."""

    name: str
    """Of the experiment."""
    words: tuple[str, ...]
    """The command, the interpreter first."""
    environment: Mapping[str, str]
    secrets: tuple[str, ...]
    """Names of variables that stand in `secrets_file`."""
    at: time
    zone: str
    """The machine's time zone, such as `Europe/Berlin`."""
    local: bool
    """Whether it can run on this machine alone: its store or its data are here."""

    @property
    def log(self) -> Path:
        return ROOT / "mlruns" / f"retrain-{self.name}.log"

    @property
    def secrets_file(self) -> Path:
        return Path.home() / ".config" / "narrowgap" / "secrets"

    @property
    def command(self) -> str:
        """For `sh`, from any folder, with an empty environment."""
        path = shlex.quote(str(self.secrets_file))
        read = [f"set -a && . {path} && set +a"] if self.secrets else []
        given = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " && ".join([f"cd {shlex.quote(str(ROOT))}", *read, " ".join([*given, shlex.join(self.words)])])


def told(job: Job) -> str:
    """All three, and before them what is to be done about secrets, if there are any."""
    return "\n\n".join([*_preface(job), _crontab(job), _systemd(job), _workflow(job)])


def _preface(job: Job) -> list[str]:
    if not job.secrets:
        return []
    file = job.secrets_file
    lines = (
        f"# Not shown here, for they are secret: {', '.join(job.secrets)}. Write them into {file},",
        "# a line NAME='value' each, and let nobody else read it; GitHub takes them as secrets of the repository:",
        f"#   install -D -m 600 /dev/null {shlex.quote(str(file))} && ${{EDITOR:-vi}} {shlex.quote(str(file))}",
    )
    return ["\n".join(lines)]


def _crontab(job: Job) -> str:
    # In a crontab, an unescaped % ends the line.
    line = f"{{ {job.command}; }} >> {shlex.quote(str(job.log))} 2>&1".replace("%", r"\%")
    return (
        "# 1. cron: paste with `crontab -e`, as the user that is to own the files. Every night at "
        f"{job.at:%H:%M} {job.zone}.\n"
        "# A retraining that is still running is not overtaken: the second ends with exit code 4, naming the holder.\n"
        f"{job.at.minute} {job.at.hour} * * * {line}"
    )


def _systemd(job: Job) -> str:
    folder, unit = "~/.config/systemd/user", f"narrowgap-{job.name}"
    given = [f"Environment={_unit_word(f'{name}={value}')}" for name, value in job.environment.items()]
    read = [f"EnvironmentFile={_unit_path(job.secrets_file)}"] if job.secrets else []
    lines = [
        f"# 2. systemd: two files in {folder}/, then",
        f"#   systemctl --user daemon-reload && systemctl --user enable --now {unit}.timer && loginctl enable-linger",
        f"# ---- {unit}.service",
        "[Unit]",
        f"Description=Narrowgap retrains {job.name}",
        "[Service]",
        "Type=oneshot",
        f"WorkingDirectory={_unit_path(ROOT)}",
        *given,
        *read,
        f"ExecStart={' '.join(_unit_word(word).replace('$', '$$') for word in job.words)}",
        f"StandardOutput=append:{_unit_path(job.log)}",
        "StandardError=inherit",
        f"# ---- {unit}.timer",
        "[Unit]",
        f"Description=Narrowgap retrains {job.name} every night",
        "[Timer]",
        f"OnCalendar=*-*-* {job.at:%H:%M:%S} {job.zone}",
        "Persistent=true",
        "[Install]",
        "WantedBy=timers.target",
    ]
    return "\n".join(lines)


def _unit_word(text: str) -> str:
    """One word of a unit file."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'.replace("%", "%%")


def _unit_path(path: Path) -> str:
    """A path that takes the rest of a line of a unit file."""
    return str(path).replace("%", "%%")


def _workflow(job: Job) -> str:
    """GitHub's clock is UTC. What is on this machine only a runner of its owner's can reach."""
    today = datetime.now(ZoneInfo(job.zone)).replace(hour=job.at.hour, minute=job.at.minute)
    utc = today.astimezone(ZoneInfo("UTC"))
    where = (
        "a self-hosted runner on this machine, where the store or the data are" if job.local else "GitHub's machines"
    )
    body = {
        "name": f"retrain {job.name}",
        "on": {"schedule": [{"cron": f"{utc.minute} {utc.hour} * * *"}], "workflow_dispatch": {}},
        "permissions": {"contents": "read"},
        "concurrency": {"group": f"retrain-{job.name}", "cancel-in-progress": False},
        "jobs": {"retrain": _on_own_runner(job) if job.local else _on_github(job)},
    }
    return (
        f"# 3. GitHub Actions: .github/workflows/retrain-{job.name}.yml, on {where}.\n"
        f"# Its clock is UTC: {job.at:%H:%M} {job.zone} is {utc:%H:%M} UTC today, and may be another when clocks change.\n"
        f"{yaml.safe_dump(body, sort_keys=False, width=math.inf).rstrip()}"
    )


def _on_own_runner(job: Job) -> dict[str, object]:
    return {"runs-on": "self-hosted", "timeout-minutes": 360, "steps": [{"run": job.command}]}


def _on_github(job: Job) -> dict[str, object]:
    # Paths of this machine, such as PATH, mean nothing there.
    given = {name: value for name, value in job.environment.items() if not value.startswith("/")}
    return {
        "runs-on": "ubuntu-latest",
        "timeout-minutes": 360,
        "env": {**given, **{name: f"${{{{ secrets.{name} }}}}" for name in job.secrets}},
        "steps": [
            {"uses": "actions/checkout@v4"},
            {"uses": "actions/setup-python@v5", "with": {"python-version": "3.12"}},
            {"run": "python -m pip install --requirement requirements.lock"},
            {"run": shlex.join(["python", *job.words[1:]])},
        ],
    }
