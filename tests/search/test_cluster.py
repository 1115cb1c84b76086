"""Real Dask clusters: processes on this machine, and a scheduler with workers of its own over TLS."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dask
import numpy as np
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipeline.errors import StoreError
from pipeline.experiment import Training
from pipeline.network.spec import NetworkSpec
from pipeline.search import cluster, trial
from pipeline.search.workers import Job
from pipeline.steps.draw import draw

ROOT = Path(__file__).parent.parent.parent
SETTINGS = Training(epochs=3, batch_size=32, learning_rate=0.01, patience=None)


def no_pictures(_result, _split):
    return {"none.png": b"drawn"}


def dies(result, _split):
    """Kills its worker, as a crash of the process would."""
    if result.spec.hidden == (13,):
        os.kill(os.getpid(), signal.SIGKILL)
    return {}


def job(number: int, width: int = 8, **changes) -> Job:
    spec = NetworkSpec((width,), (0, 0.2), ("relu",))
    return Job(number, spec, SETTINGS.model_copy(update=changes), 5 + number, changes.get("epochs", 3))


def collect(workers, count: int, seconds: float = 240) -> dict:
    outcomes: dict = {}
    end = time.monotonic() + seconds
    while len(outcomes) < count and time.monotonic() < end:
        for outcome in workers.finished():
            assert outcome.number not in outcomes, "an outcome came twice"
            outcomes[outcome.number] = outcome
    assert len(outcomes) == count
    return outcomes


def test_two_processes_give_the_same_bits_as_this_one_and_bring_their_pictures(digits_split, tensorflow):
    with cluster.local(2, digits_split, no_pictures) as workers:
        assert workers.count == 2
        for number in range(4):
            workers.submit(job(number))
        outcomes = collect(workers, 4)
    for number, outcome in outcomes.items():
        here = trial.train(job(number), digits_split, no_pictures)
        assert outcome.result is not None
        assert here.result is not None
        assert outcome.result.history == here.result.history
        assert outcome.pictures == {"none.png": b"drawn"}
        for theirs, ours in zip(outcome.result.weights, here.result.weights, strict=True):
            assert np.array_equal(theirs, ours)


def test_a_job_that_kills_its_worker_three_times_fails_with_that_reason_and_the_others_finish(digits_split):
    with cluster.local(2, digits_split, dies) as workers:
        for number, width in enumerate((8, 13, 9)):
            workers.submit(job(number, width))
        outcomes = collect(workers, 3)
    assert outcomes[1].result is None
    assert outcomes[1].failure == "killed its worker 3 times (out of memory, or a crash of the process)"
    assert outcomes[0].result is not None
    assert outcomes[2].result is not None


def test_no_scheduler_at_the_address_is_told_with_the_cure(digits_split, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 2)
    nobody = cluster.remote("tcp://127.0.0.1:9", digits_split, no_pictures)
    with pytest.raises(StoreError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9 .*dask scheduler"):
        nobody.__enter__()


@pytest.fixture
def certificate(tmp_path):
    """A key and a self-signed certificate for loopback."""
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
    (tmp_path / "cert.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "key.pem").write_bytes(private)
    return tmp_path


@pytest.fixture
def tls_cluster(certificate):
    """A real scheduler and two real workers as processes of their own, over loopback with TLS; none of them can import
    this project until it is sent along.
    """
    cert, key = str(certificate / "cert.pem"), str(certificate / "key.pem")
    tls = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true", "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": cert}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        tls |= {f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT": cert, f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY": key}
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | tls
    log = (certificate / "dask.log").open("w")
    file = certificate / "scheduler.json"
    common = {"env": bare, "cwd": certificate, "stdout": log, "stderr": log}
    words = ["--protocol", "tls", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    processes = [subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_scheduler", *words], **common)]
    while not file.exists():
        time.sleep(0.2)
    for _ in range(2):
        words = ["--scheduler-file", str(file), "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"]
        processes.append(subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_worker", *words], **common))
    address = json.loads(file.read_text())["address"]
    settings = {
        "distributed.comm.require-encryption": True,
        "distributed.comm.tls.ca-file": cert,
        "distributed.comm.tls.client.cert": cert,
        "distributed.comm.tls.client.key": key,
    }
    with dask.config.set(settings):
        yield address, processes
    for process in processes:
        for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []:
            child.kill()
        process.kill()
        process.wait()
    log.close()


def test_a_remote_scheduler_over_tls_loses_no_job_when_a_worker_is_killed(digits_split, tls_cluster):
    address, processes = tls_cluster
    assert address.startswith("tls://127.0.0.1:")
    with cluster.remote(address, digits_split, draw) as workers:
        for number in range(6):
            workers.submit(job(number, epochs=60))
        outcomes = {each.number: each for each in _first(workers)}
        victim = psutil.Process(processes[1].pid)
        for child in victim.children(recursive=True):
            child.kill()
        victim.kill()
        outcomes |= collect(workers, 6 - len(outcomes))
    assert sorted(outcomes) == list(range(6))
    assert {number: outcome.failure for number, outcome in outcomes.items() if outcome.failure} == {}
    assert all(outcome.result.epochs_run == 60 for outcome in outcomes.values())


def _first(workers):
    while True:
        found = workers.finished()
        if found:
            return found
