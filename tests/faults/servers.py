"""A real MLflow server, and a gate in front of it that can be shut, answer errors, or be slow."""

import http.client
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
        settings = os.environ | {
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"
        }  # jobs are another process, of no use here
        self._process = subprocess.Popen(command, env=settings, stdout=log, stderr=log, start_new_session=True)
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


@dataclass(frozen=True)
class Answer:
    """What a server answered, or what is answered instead of it."""

    status: int
    """0 ends the connection without an answer."""
    headers: Sequence[tuple[str, str]]
    content: bytes
    cut: int | None = None
    """If given, the connection ends after so many bytes of the content."""


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
        self.change: Callable[[str, Answer], Answer] | None = None
        """If given, makes another answer out of that to the request of a path."""
        self.calls = 0
        self.refused: Counter[int] = Counter()
        """Requests that were answered with an error, by status."""
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
                    if (status := gate.status) is not None:
                        gate.refused[status] += 1
                        self.send_error(status)
                        return
                answer = gate._asked(self.command, self.path, body, dict(self.headers))
                if gate.swallow and gate.swallow in self.path:
                    gate.swallow = ""
                    answer = replace(answer, status=0)
                if gate.change is not None:
                    answer = gate.change(self.path, answer)
                if answer.status:
                    self._reply(answer)
                self.close_connection = True

            def _reply(self, answer: Answer) -> None:
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content[: answer.cut])

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the names that http.server calls

            def log_message(self, *_words: object) -> None:
                """Nothing: a test prints enough."""

        class Listening(http.server.ThreadingHTTPServer):
            allow_reuse_address = True

        self._listening = Listening(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._listening.serve_forever, daemon=True).start()

    def refuse(self, status: int, *, times: int) -> None:
        """Answers with an error until that many requests have met it."""
        self.status = status
        end = time.monotonic() + START_SECONDS
        while self.refused[status] < times:
            assert time.monotonic() < end, f"nobody has asked for anything that is answered with {status}"
            time.sleep(0.05)
        self.status = None

    def _asked(self, command: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """What the server answers."""
        to = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=120)
        to.request(command, path, body, headers)
        answer = to.getresponse()
        kept = [
            (name, value)
            for name, value in answer.getheaders()
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}
        ]
        return Answer(answer.status, kept, answer.read())

    def shut(self) -> None:
        if self._listening is not None:
            self._listening.shutdown()
            self._listening.server_close()
            self._listening = None
