"""A real Dask scheduler and real workers, each a process of its own on loopback; none of them can import this project
until it is sent along.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dask
import distributed
import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fixtures import warm

Process = subprocess.Popen | warm.Process


class Cluster:
    """Starts and kills a scheduler, always at the same port, and workers. `settings` are Dask's, as variables of the
    environment; `folder` holds what the processes write. Those of a `cold` cluster are started as people start them, the
    others are copies of a process that has imported what they need.
    """

    def __init__(self, folder: Path, settings: dict[str, str] | None = None, *, cold: bool = False) -> None:
        self._folder, self.settings, self._cold = folder, settings or {}, cold
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._log = (folder / "dask.log").open("w")
        self._processes: list[Process] = []
        self._workers: dict[str, Process] = {}

    @property
    def address(self) -> str:
        return f"{'tls' if self.settings else 'tcp'}://127.0.0.1:{self._port}"

    def _start(self, program: str, *words: str) -> Process:
        bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        env, words = bare | self.settings, ("--host", "127.0.0.1", "--no-dashboard", *words)
        process: Process
        if self._cold:
            command = [sys.executable, "-m", f"distributed.cli.dask_{program}", *words]
            process = subprocess.Popen(command, env=env, cwd=self._folder, stdout=self._log, stderr=self._log)
        else:
            process = warm.start_dask(program, *words, env=env, cwd=self._folder, log=self._log)
        self._processes.append(process)
        return process

    def start_scheduler(self) -> Process:
        file = self._folder / f"scheduler-{len(self._processes)}.json"
        protocol = self.address.partition(":")[0]
        words = ("--protocol", protocol, "--port", str(self._port), "--scheduler-file", str(file))
        process = self._start("scheduler", *words)
        wait_until(lambda: _is_written(file))
        assert json.loads(file.read_text())["address"] == self.address
        return process

    def start_worker(self, *words: str) -> Process:
        """One worker of one thread, under its nanny, which is the process that comes back."""
        name = f"worker-{len(self._workers)}"
        self._workers[name] = self._start("worker", self.address, "--nthreads", "1", "--name", name, *words)
        return self._workers[name]

    @contextmanager
    def aside(self) -> Iterator[distributed.Client]:
        """A second client, to look at the cluster while a search runs on it."""
        settings = dask.config.merge(dask.config.config, dask.config.collect_env(env=self.settings))
        with dask.config.set(settings), distributed.Client(self.address) as client:
            yield client

    def kill_a_worker_in_the_middle_of_a_job(self, aside: distributed.Client) -> None:
        """It is halted before, so that the job cannot end just then."""
        while True:
            wait_until(lambda: any(training(aside).values()))
            address, jobs = next((address, jobs) for address, jobs in training(aside).items() if jobs)
            worker = self._workers[aside.scheduler_info()["workers"][address]["name"]]
            halted = psutil.Process(worker.pid).children(recursive=True)
            for each in halted:
                each.suspend()
            time.sleep(0.5)  # what it had sent arrives
            if set(jobs) & set(training(aside)[address]):
                kill(worker)
                return
            for each in halted:
                each.resume()

    def close(self) -> None:
        for process in self._processes:
            kill(process)
        self._log.close()


def _is_written(file: Path) -> bool:
    """Whether the scheduler's file is whole: Dask opens it before it writes it."""
    try:
        return bool(json.loads(file.read_text()))
    except (FileNotFoundError, json.JSONDecodeError):
        return False


def kill(process: Process) -> None:
    """SIGKILL for a process and what it started."""
    if process.poll() is None:
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for child in children:
            child.kill()
    process.wait()


def wait_until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + warm.PATIENCE
    while not holds():
        assert time.monotonic() < end, "what a test waited for did not come"
        time.sleep(0.05)


def training(client: distributed.Client) -> dict[str, list[str]]:
    """Keys of the jobs that each worker has, by its address."""
    return {
        worker: [key for key in keys if key.startswith("narrowgap-") and key.split("-")[1].isdigit()]
        for worker, keys in client.processing().items()
    }


def tls(folder: Path) -> dict[str, str]:
    """Settings with a key and a self-signed certificate for loopback, made in `folder`, for all that take part."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "narrowgap test")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(*encoding))
    prefix = "DASK_DISTRIBUTED__COMM__"
    settings = {f"{prefix}REQUIRE_ENCRYPTION": "true", f"{prefix}TLS__CA_FILE": str(certificate)}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        settings |= {f"{prefix}TLS__{role}__CERT": str(certificate), f"{prefix}TLS__{role}__KEY": str(private)}
    return settings
