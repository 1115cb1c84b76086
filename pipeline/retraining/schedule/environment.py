"""The environment of a scheduled run: which variables it needs, and which of them are secret."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.tracking.connection import masking
from pipeline.tracking.connection.masking import secret

CARRIED = (
    "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_S3_ENDPOINT_URL", "MLFLOW_S3_IGNORE_TLS",
    "MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_SERVER_CERT_PATH", "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "MLFLOW_TRACKING_INSECURE_TLS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "AWS_DEFAULT_REGION", "AWS_REGION",
    "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CONFIG",
    "AZURE_CONFIG_DIR", "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_AUTHORITY_HOST", "DATABRICKS_HOST", "DATABRICKS_CONFIG_FILE", "DATABRICKS_CONFIG_PROFILE",
    "DASK_CONFIG", "NARROWGAP_CACHE",
)  # fmt: skip
"""Variables that a retraining reads, besides the address of the store, and that are not secret by themselves."""
CARRIED_PREFIX = "DASK_DISTRIBUTED__"
"""Settings of Dask, such as the certificates of a cluster with TLS."""
PROXIES = tuple(
    case(name) for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY") for case in (str.upper, str.lower)
)
SECRETS = ("MLFLOW_TRACKING_USERNAME", "AWS_ACCESS_KEY_ID", *masking.SECRETS)
"""Variables that are never printed."""
_PATHS = re.compile(r".*(_FILE|_PATH|_BUNDLE|_DIR|_CERT|_KEY|_CREDENTIALS|_CONFIG|_CACHE)")
"""Names of variables whose value may be a path."""
_SECRET_NAME = re.compile(r".*(PASSWORD|PASSWD|SECRET|TOKEN)")


def carried() -> dict[str, str]:
    """Variables of this process that a scheduled run needs; paths are absolute."""
    dask = sorted(name for name in os.environ if name.startswith(CARRIED_PREFIX))
    names = [name for name in (*CARRIED, *PROXIES, *dask) if os.environ.get(name)]
    return {name: _absolute(name, os.environ[name]) for name in names}


def is_secret(name: str, value: str) -> bool:
    """Whether a variable has a password or a key in it, such as a proxy's address with a user; the path of a key has not."""
    if _is_file(value):
        return False
    return (
        secret(value)
        or (name in PROXIES and "@" in value)
        or "PRIVATE KEY" in value
        or value.lstrip().startswith("{")  # a key of Google's as JSON
        or _SECRET_NAME.fullmatch(name) is not None
    )


def needed_files(environment: Mapping[str, str]) -> list[str]:
    """Names of the variables that are paths of this machine, such as certificates: no other machine has them."""
    apart = {"PATH", "NARROWGAP_CACHE"}
    return [name for name, value in environment.items() if name not in apart and value.startswith("/")]


def _absolute(name: str, value: str) -> str:
    return str(Path(value).expanduser().absolute()) if _PATHS.fullmatch(name) and _is_file(value) else value


def _is_file(value: str) -> bool:
    try:
        return Path(value).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long for a path, or of an unknown user
        return False
