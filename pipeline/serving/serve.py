"""`make serve`: serves the champion over HTTP on this machine with MLflow's scoring server."""

import os
import shlex
import socket
import sys

from pipeline.errors import InputError
from pipeline.experiment import Experiment
from pipeline.formatting import command
from pipeline.tracking.connection.health import store_errors
from pipeline.tracking.names import CHAMPION
from pipeline.tracking.registry import Registry
from pipeline.tracking.store import Store

HOST = "127.0.0.1"


def serve(experiment: Experiment, given: str, *, port: int) -> None:
    """Becomes `mlflow models serve` of the experiment's champion. `given` is the experiment as the user named it.

    Raises:
        InputError: If there is no champion, with the command that makes one.
    """
    store = Store.connect()
    with store_errors(store.uri):
        registry = Registry(store, experiment.name)
        champion = registry.by_alias(CHAMPION)
    if champion is None:
        train = command("retrain", given, known=True)  # by the name or path that the user gave
        raise InputError(f"{registry.name} has no champion in {store.shown}; train one with: {train}")
    _check_free(port)
    server = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", f"models:/{registry.name}@{CHAMPION}"]
    server += ["--env-manager", "local", "--host", HOST, "--port", str(port)]
    print(shlex.join(server), flush=True)  # noqa: T201 - this is for the person at the terminal
    os.execv(sys.executable, server)  # noqa: S606 - so that Ctrl-C and SIGTERM reach the server itself


def _check_free(port: int) -> None:
    """Raises InputError if another program listens on the port: the server would say so in fifty lines."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server that has just ended still holds it
        try:
            trial.bind((HOST, port))
        except OSError as error:
            raise InputError(f"port {port} cannot be used ({error.strerror}); expected a free one: PORT=…") from None
