"""`make schedule`: a nightly `retrain` for cron, systemd and GitHub Actions. Enters: an experiment, a time and the
environment. Leaves: text to paste; nothing is installed.

A scheduler starts a job with next to no environment, in another folder: all paths are absolute, and what Narrowgap and
MLflow read from the environment is written down. Except for secrets: those stand in a file that only its owner can read.
"""

import os
import sys
from collections.abc import Mapping
from datetime import datetime, time
from pathlib import Path

from pipeline.errors import InputError
from pipeline.experiment import Experiment
from pipeline.retraining.schedule import render
from pipeline.retraining.schedule.render import Job
from pipeline.tracking import address

LOCALTIME = Path("/etc/localtime")
CARRIED = (
    "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_S3_ENDPOINT_URL", "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "MLFLOW_TRACKING_INSECURE_TLS", "REQUESTS_CA_BUNDLE", "DATABRICKS_HOST", "NARROWGAP_CACHE",
)  # fmt: skip
"""What a retraining reads from the environment, beside the store's address, and nobody minds being seen."""
SECRETS = (
    "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "DATABRICKS_TOKEN", "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCESS_KEY",
)  # fmt: skip
"""What is never printed."""


def schedule(experiment: Experiment, given: str, overrides: Mapping[str, str], *, at: str) -> str:
    """The text. The experiment was loaded from `given`, a name or a path, with `overrides`; `at` is a time of the machine's
    clock such as `02:30`.
    """
    uri = address.current()
    file = Path(given).expanduser().resolve() if _is_path(given) else None
    environment = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "MLFLOW_TRACKING_URI": uri,
        **{name: os.environ[name] for name in CARRIED if os.environ.get(name)},
    }
    hidden = [name for name, value in environment.items() if address.secret(value)]
    options = [word for key, value in overrides.items() for word in (f"--{key}", value)]
    job = Job(
        name=experiment.name,
        words=(sys.executable, "-m", "pipeline", "retrain", "--experiment", str(file or given), *options),
        environment={name: value for name, value in environment.items() if name not in hidden},
        secrets=(*hidden, *(name for name in SECRETS if os.environ.get(name))),
        at=_time(at),
        zone=_zone(),
        local=file is not None or experiment.data.path is not None or address.on_this_machine(uri),
    )
    return render.told(job)


def _is_path(experiment: str) -> bool:
    """As `pipeline.experiment.schema` tells names from paths."""
    return "/" in experiment or experiment.endswith((".yaml", ".yml"))


def _time(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - a time of the clock has no zone
    except ValueError as error:
        raise InputError(f"at is {text!r}; expected a time of day such as 02:30") from error


def _zone() -> str:
    """What cron and systemd take for the time: the machine's zone, whatever TZ says here."""
    _, found, name = str(LOCALTIME.resolve()).partition("zoneinfo/")
    return name if found else "UTC"
