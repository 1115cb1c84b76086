"""A real MLflow server, and a gate in front of it that can be shut, answer errors, or be slow."""

import http.client
import http.server
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import requests

from tests.fixtures.tables import lay_out

START_SECONDS = 180


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class Server:
    """MLflow's server on an SQLite file, or on another database, with its artifacts behind it (`mlflow-artifacts:`)."""

    def __init__(self, folder: Path, *, store: str | None = None) -> None:
        self.folder, self.port = folder, free_port()
        self._store = store or f"sqlite:///{folder}/server.db"
        if store is None:
            lay_out(folder / "server.db")
        self._process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        words = ["--backend-store-uri", self._store, "--workers", "1", "--serve-artifacts"]
        words += ["--artifacts-destination", str(self.folder / "artifacts"), "--port", str(self.port)]
        log = (self.folder / "server.log").open("a")
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", *words]
        self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                if requests.get(f"{self.address}/health", timeout=2).ok:
                    return
            except requests.RequestException:
                time.sleep(0.2)
        raise AssertionError("the MLflow server did not start")

    def kill(self) -> None:
        if self._process is not None:
            subprocess.run(["pkill", "-KILL", "-g", str(self._process.pid)], check=False)
            self._process.wait()
            self._process = None


class Gate:
    """Hands requests on to a server. `status` answers every request with that error; `slow` waits before it does; `shut`
    lets nobody connect until `open`.
    """

    def __init__(self, server: Server) -> None:
        self._server, self.port = server, free_port()
        self.status: int | None = None
        self.slow = 0.0
        self.only = ""
        """If given, `status` and `slow` apply only to requests whose path contains it."""
        self.swallow = ""
        """If given, the answer to the next request whose path contains it is lost: the server does what is asked, and the
        connection ends without an answer."""
        self.calls = 0
        self._listening: http.server.ThreadingHTTPServer | None = None
        self.open()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def handle_any(self) -> None:
                gate.calls += 1
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if gate.only in self.path:
                    time.sleep(gate.slow)
                    if gate.status is not None:
                        self.send_error(gate.status)
                        return
                to = http.client.HTTPConnection("127.0.0.1", gate._server.port, timeout=120)
                to.request(self.command, self.path, body, dict(self.headers))
                answer = to.getresponse()
                content = answer.read()
                if gate.swallow and gate.swallow in self.path:
                    gate.swallow = ""
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the names that http.server calls

            def log_message(self, *_words: object) -> None:
                """Nothing: a test prints enough."""

        class Listening(http.server.ThreadingHTTPServer):
            allow_reuse_address = True

        self._listening = Listening(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._listening.serve_forever, daemon=True).start()

    def shut(self) -> None:
        if self._listening is not None:
            self._listening.shutdown()
            self._listening.server_close()
            self._listening = None
