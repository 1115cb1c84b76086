"""What a store finds, adopts and refuses."""

import errno
import http.server
import re
import shutil
import sqlite3
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.errors import InputError, StoreError
from pipeline.tracking import store as store_module
from pipeline.tracking.connection import address, sqlite
from pipeline.tracking.connection.health import check_reachable
from pipeline.tracking.store import Store
from tests.search.processes import tls

ROOT = Path(__file__).parents[2]

BY_MLFLOW_RUN = {"mlflow.project.entryPoint": "main", "mlflow.source.type": "PROJECT"}


def test_a_root_run_stands_in_the_mlflow_experiment_of_its_name_and_says_what_it_is(store):
    run = store.root(step="search", experiment="digits", tags={"narrowgap.split": "abc"})

    found = store.get(run.id)
    assert store.client.get_experiment(found.experiment_id).name == "digits"
    assert found.status == "RUNNING"
    assert found.tags["narrowgap.step"] == "search"
    assert found.tags["narrowgap.experiment"] == "digits"
    assert found.tags["narrowgap.split"] == "abc"
    assert found.tags["narrowgap.git_dirty"] in {"true", "false", "unknown"}
    assert found.tags["mlflow.source.name"] == sys.argv[0]


def test_a_root_run_goes_where_the_environment_says(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    named = store.root(step="search", experiment="digits", tags={})
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")
    numbered = store.root(step="search", experiment="digits", tags={})

    assert store.client.get_experiment(named.experiment_id).name == "mine"
    assert numbered.experiment_id == "0"


def test_a_run_that_mlflow_run_made_is_adopted_and_left_for_it_to_finish(store, monkeypatch):
    made = store.client.create_run("0", tags=BY_MLFLOW_RUN)
    monkeypatch.setenv("MLFLOW_RUN_ID", made.info.run_id)

    with store.root(step="main", experiment="digits", tags={}).open() as run:
        assert run.id == made.info.run_id

    found = store.get(run.id)
    assert found.status == "RUNNING"
    assert found.tags["narrowgap.step"] == "main"
    assert found.tags["narrowgap.experiment"] == "digits"


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, "main digits"), ("my own run", "my own run"), ("night-shift-2026", "night-shift-2026")],
)
def test_a_run_with_one_of_mlflows_random_names_is_named_after_its_step(store, monkeypatch, given, expected):
    made = store.client.create_run("0", run_name=given, tags=BY_MLFLOW_RUN)
    monkeypatch.setenv("MLFLOW_RUN_ID", made.info.run_id)
    with store.root(step="main", experiment="digits", tags={}).open() as run:
        assert run.name == store.get(run.id).name == expected


def test_a_run_that_was_made_in_another_store_is_named_with_the_cure(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0123456789abcdef0123456789abcdef")

    with pytest.raises(InputError, match=r"0123456789abcdef.*another store than sqlite:///.*mlflow.db.*TRACKING_URI"):
        store.root(step="main", experiment="digits", tags={})


def test_a_run_id_that_does_not_exist_is_bad_input(store):
    with pytest.raises(InputError, match="no run 'nonsense' in the store sqlite:///"):
        store.get("nonsense")


def test_children_are_found_over_several_pages_and_no_strangers_among_them(store, monkeypatch):
    monkeypatch.setattr(store_module, "PAGE", 2)
    parent = store.root(step="search", experiment="digits", tags={})
    other = store.root(step="search", experiment="digits", tags={})
    made = [store.child(parent, step="trial", name=f"trial {number}", tags={}).id for number in range(5)]
    store.child(other, step="trial", name="a stranger", tags={})
    store.child(store.get(made[0]), step="trial", name="a grandchild", tags={})

    assert sorted(run.id for run in store.children(parent)) == sorted(made)


def test_the_latest_run_is_of_the_step_the_experiment_and_the_status(store, monkeypatch):
    def ended(step, experiment, status):
        run = store.root(step=step, experiment=experiment, tags={})
        run.finish(status)
        return run.id

    assert store.latest(step="search", experiment="digits") is None
    ended("search", "digits", "FINISHED")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "elsewhere")
    wanted = ended("search", "digits", "FINISHED")
    failed = ended("search", "digits", "FAILED")
    ended("evaluate", "digits", "FINISHED")
    newest = ended("search", "smoke", "FINISHED")

    latest = store.latest(step="search", experiment="digits")
    assert latest is not None
    assert latest.id == wanted
    of_any_status = store.latest(step="search", experiment="digits", status=None)
    assert of_any_status is not None
    assert of_any_status.id == failed
    of_any_experiment = store.latest(step="search")
    assert of_any_experiment is not None
    assert of_any_experiment.id == newest


def test_runs_of_a_step_are_counted_in_the_whole_store_once_they_finished(store, monkeypatch):
    """Six trials were scored on the test set `a`: of two searches, of two experiments, over more than one page."""
    monkeypatch.setattr(store_module, "PAGE", 2)

    def made(experiment, step, digest, status, count):
        parent = store.root(step="search", experiment=experiment, tags={"narrowgap.test_digest": digest})
        for _ in range(count):
            tags = {"narrowgap.test_digest": digest, "narrowgap.split": "s"}
            run = store.child(parent, step=step, name="x", tags=tags)
            if status is not None:
                run.finish(status)

    made("digits", "trial", "a", "FINISHED", 5)
    made("smoke", "trial", "a", "FINISHED", 1)
    made("digits", "trial", "b", "FINISHED", 1)
    made("digits", "refit", "a", "FINISHED", 3)
    made("digits", "trial", "a", "FAILED", 1)
    made("digits", "trial", "a", "KILLED", 1)
    made("digits", "trial", "a", None, 1)

    assert store.count(step="trial", tags={"narrowgap.test_digest": "a"}) == 6
    assert store.count(step="refit", tags={"narrowgap.test_digest": "a"}) == 3
    assert store.count(step="trial", tags={"narrowgap.test_digest": "a", "narrowgap.split": "other"}) == 0
    assert store.count(step="trial", tags={}) == 7
    assert store.count(step="evaluate", tags={}) == 0


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "postgresql://me:secret@127.0.0.1:9/runs"])
def test_a_store_that_nobody_serves_is_reported_in_one_line_with_exit_code_5_and_no_password(address, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)

    with pytest.raises(
        StoreError, match=r"127.0.0.1:9.* cannot be reached .*; start it, or set MLFLOW_TRACKING_URI"
    ) as caught:
        Store.connect()

    assert caught.value.exit_code == 5
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_server_that_fails_is_reported_at_once(monkeypatch):
    class Ill(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(503)

        def log_message(self, *words):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Ill) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(StoreError, match="answers 503 Service Unavailable; start it"):
            Store.connect()
        server.shutdown()


@pytest.mark.parametrize("uri", ["sqlite:mlflow.db", "sqlite:/x.db", "sqlite:", "sqlite://mlflow.db", "SQLite:///a.db"])
def test_an_address_that_is_nearly_one_of_sqlite_is_refused_with_the_right_form(uri, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    expected = re.escape(f"{uri} is no address of an SQLite store; expected sqlite:///mlflow.db")
    with pytest.raises(InputError, match=expected):
        Store.connect()
    with pytest.raises(InputError, match=expected):
        address.current()  # as a schedule asks for it
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["postgresql:runs", "mysql+pymysql:", "http:host:5000", "http:/host:5000"])
def test_an_address_without_its_slashes_is_refused_with_the_right_form(uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(
        InputError, match=rf"the tracking store {re.escape(uri)} is no address; expected \w+:// and a host"
    ):
        Store.connect()


def test_the_file_store_is_refused_with_what_to_use_instead(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path}/mlruns")

    with pytest.raises(InputError, match=r"MLflow refuses the store file://.*expected sqlite:///mlflow.db or a server"):
        Store.connect()


def test_two_processes_that_use_a_new_store_at_the_same_time_both_get_it(tmp_path):
    code = "print(Store.connect().root(step='main', experiment='one', tags={}).id)"
    command = [sys.executable, "-c", f"from pipeline.tracking.store import Store; {code}"]
    environment = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db", "PYTHONPATH": str(ROOT), "PATH": ""}
    processes = [
        subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], outputs
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        runs = {row[0] for row in database.execute("select run_uuid from runs")}
        names = [row[0] for row in database.execute("select name from experiments order by name")]
    assert runs == {out.strip() for out, _ in outputs}
    assert names == ["Default", "one"]


def test_who_reads_an_sqlite_store_does_not_block_who_writes(store, tmp_path):
    run = store.root(step="search", experiment="digits", tags={})
    with sqlite3.connect(tmp_path / "mlflow.db") as reader:
        reader.execute("begin")
        reader.execute("select * from runs").fetchall()
        run.log(metrics={"test_accuracy": 0.5})  # waits 20 s and raises without a write-ahead log

        assert store.get(run.id).metrics == {"test_accuracy": 0.5}


def test_the_file_of_a_store_is_known_for_sqlite_alone(tmp_path):
    assert sqlite.file_of("sqlite:///mlflow.db") == Path("mlflow.db")
    assert sqlite.file_of(f"sqlite:///{tmp_path}/a b.db") == tmp_path / "a b.db"
    assert sqlite.file_of("sqlite:///:memory:") is None
    assert sqlite.file_of("sqlite://") is None
    assert sqlite.file_of("postgresql://db.example/runs") is None


def test_a_store_that_somebody_writes_to_for_long_keeps_its_journal(fresh_database, tmp_path):
    file = tmp_path / "other.db"
    shutil.copy(fresh_database, file)
    with sqlite3.connect(file) as database:
        database.execute("pragma journal_mode = delete")
        database.execute("begin exclusive")  # somebody writes, for longer than enable_wal waits
        sqlite.enable_wal(file)
    with sqlite3.connect(file) as database:
        assert database.execute("pragma journal_mode").fetchone() == ("delete",)


# Variables that something else has left behind, and experiments that somebody deleted.


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ({}, "RUNNING"),  # of a notebook or a parent job
        ({**BY_MLFLOW_RUN, "narrowgap.step": "trial"}, "RUNNING"),
        (BY_MLFLOW_RUN, "FINISHED"),
    ],
)
def test_a_run_that_is_not_for_this_step_is_refused_and_left_as_it_is(store, monkeypatch, tags, status):
    made = store.client.create_run("0", run_name="theirs", tags=tags)
    store.client.set_terminated(made.info.run_id, status)
    before = store.get(made.info.run_id)
    monkeypatch.setenv("MLFLOW_RUN_ID", made.info.run_id)
    with pytest.raises(InputError, match=r"MLFLOW_RUN_ID is .*'theirs'.*; unset MLFLOW_RUN_ID"):
        store.root(step="prepare", experiment="digits", tags={})
    after = store.get(made.info.run_id)
    assert (after.tags, after.status, after.name) == (before.tags, before.status, before.name)


def test_an_experiment_id_that_the_store_does_not_have_is_bad_input(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "4711")
    with pytest.raises(InputError, match=r"MLFLOW_EXPERIMENT_ID is 4711, .*unset MLFLOW_EXPERIMENT_ID"):
        store.root(step="main", experiment="digits", tags={})


@pytest.mark.parametrize("by", ["MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", None])
def test_an_experiment_that_was_deleted_is_bad_input_with_both_cures(store, monkeypatch, by):
    deleted = store.client.create_experiment("digits")
    store.client.delete_experiment(deleted)
    if by:
        monkeypatch.setenv(by, deleted if by.endswith("ID") else "digits")
    with pytest.raises(
        InputError, match=rf"'digits' was deleted .*restore --experiment-id {deleted}`, or set MLFLOW_EXP"
    ):
        store.root(step="main", experiment="digits", tags={})


# What else a store may be.


class Answering:
    """A server that answers `/health` and `/version`, and keeps what it was asked with."""

    def __init__(self, version: str) -> None:
        asked = self.asked = list[dict[str, str]]()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(dict(self.headers))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(version.encode() if self.path == "/version" else b"OK")

            def log_message(self, *words):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def netloc(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"


def test_a_server_older_than_mlflow_3_is_refused_at_the_start():
    old = Answering("2.22.1")
    with pytest.raises(InputError, match=r"runs MLflow 2.22.1; expected 3 or newer; upgrade the server"):
        check_reachable(f"http://{old.netloc}")
    check_reachable(f"http://{Answering('3.14.0').netloc}")
    check_reachable(f"http://{Answering('<html>a proxy</html>').netloc}")


def test_the_check_uses_mlflows_own_user_and_token(monkeypatch):
    server = Answering("3.14.0")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "a-token")
    check_reachable(f"http://{server.netloc}")
    assert server.asked[0]["Authorization"] == "Bearer a-token"


def test_a_private_certificate_is_accepted_where_mlflow_is_told_about_it(tmp_path, monkeypatch):
    settings = tls(tmp_path)
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    assert settings
    server = Answering("3.14.0")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
    address = f"https://{server.netloc}"
    with pytest.raises(StoreError, match=r"cannot be reached \(SSLError\)"):
        check_reachable(address)
    monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", "true")
    check_reachable(address)


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("postgresql://bob:hun#ter2@127.0.0.1:9/x", StoreError),
        ("postgresql://bob:Zq/hunter?2@127.0.0.1:9/x", StoreError),
        ("mysql+pymysql://bob:hunter2@127.0.0.1:9/x?passwd=hunter2", StoreError),
        ("postgressql://bob:hunter2@127.0.0.1:9/x", InputError),
        ("http://bob:hunter2@127.0.0.1:9", StoreError),
        ("http://bob:hun#ter2@127.0.0.1:9", InputError),
        ("postgresql://bob:hunter2@db1:port,db2:5432/x", InputError),
    ],
)
def test_no_failure_to_connect_shows_a_password(monkeypatch, uri, error):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(error) as caught:
        Store.connect()
    assert not re.search("hun|ter2", str(caught.value))
    assert "\n" not in str(caught.value)


def test_a_store_is_made_on_a_file_system_without_hard_links(tmp_path, monkeypatch):
    def refused(*_paths):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", refused)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    assert Store.connect().root(step="main", experiment="one", tags={}).status == "RUNNING"
    assert sorted(path.name for path in tmp_path.glob("*mlflow.db*")) == ["mlflow.db", "mlflow.db-shm", "mlflow.db-wal"]


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "lustre", "fuse.sshfs"])
def test_no_write_ahead_log_on_a_network_file_system(store, tmp_path, monkeypatch, kind):
    mount = SimpleNamespace(mountpoint=str(tmp_path), fstype=kind)
    monkeypatch.setattr("psutil.disk_partitions", lambda **_named: [mount])
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as database:
        database.execute("create table a (b)")
    sqlite.enable_wal(file)
    with sqlite3.connect(file) as database:
        assert database.execute("pragma journal_mode").fetchone() == ("delete",)
