"""`make schedule`: prints a daily `retrain` for cron, systemd and GitHub Actions; nothing is installed.

Schedulers start a job with an almost empty environment in another folder. Therefore all paths are absolute, and the
variables that Narrowgap and MLflow read are written into the job, except secrets: those go into a file that only its owner
can read.
"""

import os
import sys
from collections.abc import Mapping
from datetime import datetime, time
from pathlib import Path

from pipeline.errors import InputError
from pipeline.experiment import Experiment, is_path
from pipeline.retraining.schedule.clock import machine_clock
from pipeline.retraining.schedule.environment import SECRETS, carried, is_secret, needed_files
from pipeline.retraining.schedule.private_hosts import is_here, private_host
from pipeline.retraining.schedule.render import DailyJob, render
from pipeline.tracking.connection import address


def schedule(experiment: Experiment, given: str, overrides: Mapping[str, str], *, at: str) -> str:
    """Returns the text to paste.

    Args:
        experiment: The loaded experiment.
        given: Its name or path, as the user gave it.
        overrides: Keys that the user changed.
        at: Time of day on the machine's clock, such as `03:30`.
    """
    uri = address.current()
    file = Path(given).expanduser().resolve() if is_path(given) else None
    environment = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "MLFLOW_TRACKING_URI": uri,
        **carried(),
    }
    hidden = [name for name, value in environment.items() if name != "PATH" and is_secret(name, value)]
    options = [word for key, value in overrides.items() for word in (f"--{key}", value)]
    job = DailyJob(
        name=experiment.name,
        words=(sys.executable, "-m", "pipeline", "retrain", "--experiment", str(file or given), *options),
        environment={name: value for name, value in environment.items() if name not in hidden},
        secrets=(*hidden, *(name for name in SECRETS if os.environ.get(name))),
        at=_time(at),
        clock=machine_clock(),
        only_here=_why_only_here(experiment, environment, own_file=file is not None),
    )
    return render(job)


def _why_only_here(experiment: Experiment, environment: Mapping[str, str], *, own_file: bool) -> str:
    """Why GitHub's own machines cannot run it; empty if they can."""
    store, registry = environment["MLFLOW_TRACKING_URI"], environment.get("MLFLOW_REGISTRY_URI", "")
    if own_file or experiment.data.path is not None or is_here(store) or is_here(registry):
        return "the store or the data are here"
    for uri in (store, registry, experiment.search.cluster or ""):
        host = private_host(uri)
        if host is not None:
            return f"GitHub's machines cannot reach {host}"
    files = needed_files(environment)
    return f"the file that {files[0]} names is here" if files else ""


def _time(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - a time of day has no zone
    except ValueError as error:
        raise InputError(f"at is {text!r}; expected a time of day such as 03:30") from error
