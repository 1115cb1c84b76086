"""`make ui`: starts the MLflow UI for this machine and prints the link to the newest trials."""

import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from contextlib import suppress
from urllib.parse import urlsplit

import requests

from pipeline import stop_request
from pipeline.errors import NarrowgapError
from pipeline.tracking import views
from pipeline.tracking.store import Run, Store

HOST = "127.0.0.1"
START_SECONDS = 90
"""Longest accepted start of the server."""


def serve(port: int = 5000) -> None:
    """Starts the UI, prints and opens the link of the newest trials, and waits for Ctrl-C. A remote store has its own
    UI; one that already shows this store is reused.
    """
    store = Store.connect()
    newest = store.latest(step="search", status=None)
    path = "" if newest is None else views.path(newest)
    if urlsplit(store.uri).scheme in {"http", "https"}:
        _show(f"{store.shown.rstrip('/')}/{path}")
        return
    if newest is not None and _serves(port, newest):
        _show(f"http://{HOST}:{port}/{path}")
        return
    port = _free(port)
    command = [sys.executable, "-m", "mlflow", "server"]
    # For runs that are logged through this server; the others have their own artifact folder.
    command += ["--artifacts-destination", "mlruns"]
    command += ["--host", HOST, "--port", str(port), "--workers", "1"]
    # Other users of this machine can read the words of a command, not its environment.
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": store.uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with subprocess.Popen(command, env=environment, start_new_session=True) as server:
        try:
            _wait(server, port)
            _show(f"http://{HOST}:{port}/{path}")
            if code := server.wait():
                raise NarrowgapError(f"the MLflow server has ended with exit code {code}; see above")
        except KeyboardInterrupt:
            print("the UI is closed")  # noqa: T201 - this is for the person at the terminal
        finally:
            with stop_request.held():
                _end(server)


def _serves(port: int, run: Run) -> bool:
    """Whether an MLflow server that knows the run listens at the port."""
    try:
        address = f"http://{HOST}:{port}/api/2.0/mlflow/runs/get"
        return requests.get(address, params={"run_id": run.id}, timeout=2).ok
    except requests.RequestException:
        return False


def _free(port: int) -> int:
    """The port, or the next one that nobody listens on."""
    for candidate in range(port, port + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, candidate))
            except OSError:
                continue
            return candidate
    raise NarrowgapError(f"the ports {port} to {port + 49} are all taken; name another with: make ui PORT=8080")


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise NarrowgapError(f"the MLflow server ended at once with exit code {server.returncode}; see above")
        try:
            if requests.get(f"http://{HOST}:{port}/health", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.3)
    raise NarrowgapError(f"the MLflow server did not answer within {START_SECONDS} s")


def _show(address: str) -> None:
    print(f"\nTrials, side by side: {address}\n", flush=True)  # noqa: T201 - this is what `make ui` is for
    if sys.stdout.isatty() and (os.environ.get("DISPLAY") or sys.platform == "darwin"):
        webbrowser.open(address)


def _end(server: subprocess.Popen[bytes]) -> None:
    """Ends the server and its workers, which may outlive it."""
    with suppress(ProcessLookupError, PermissionError):  # all have ended
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
