"""What a store finds, adopts and refuses."""

import http.server
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.errors import InputError, StoreError
from pipeline.tracking import store as store_module
from pipeline.tracking.connection import sqlite
from pipeline.tracking.store import Store

ROOT = Path(__file__).parents[2]


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
    made = store.client.create_run("0")
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
    made = store.client.create_run("0", run_name=given)
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
