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
from pipeline.retraining.schedule.render import Job, render
from pipeline.tracking.connection import address
from pipeline.tracking.connection.masking import secret

LOCALTIME = Path("/etc/localtime")
CARRIED = (
    "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_S3_ENDPOINT_URL", "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "MLFLOW_TRACKING_INSECURE_TLS", "REQUESTS_CA_BUNDLE", "DATABRICKS_HOST", "NARROWGAP_CACHE",
)  # fmt: skip
"""Variables that a retraining reads, besides the address of the store, and that are not secret."""
SECRETS = (
    "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "DATABRICKS_TOKEN", "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCESS_KEY",
)  # fmt: skip
"""Variables that are never printed."""


def schedule(experiment: Experiment, given: str, overrides: Mapping[str, str], *, at: str) -> str:
    """Returns the text to paste.

    Args:
        experiment: The loaded experiment.
        given: Its name or path, as the user gave it.
        overrides: Keys that the user changed.
        at: Time of day on the machine's clock, such as `02:30`.
    """
    uri = address.current()
    file = Path(given).expanduser().resolve() if is_path(given) else None
    environment = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "MLFLOW_TRACKING_URI": uri,
        **{name: os.environ[name] for name in CARRIED if os.environ.get(name)},
    }
    hidden = [name for name, value in environment.items() if secret(value)]
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
    return render(job)


def _time(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - a time of day has no zone
    except ValueError as error:
        raise InputError(f"at is {text!r}; expected a time of day such as 02:30") from error


def _zone() -> str:
    """The machine's time zone, which cron and systemd use; TZ of this process does not count."""
    _, found, name = str(LOCALTIME.resolve()).partition("zoneinfo/")
    return name if found else "UTC"
