"""A database that another process holds locked, and a full disk: nothing is lost, and one line says what to do."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from sqlalchemy import event
from sqlalchemy.engine import Engine

from pipeline.__main__ import main
from pipeline.errors import StoreError
from pipeline.tracking.store import Store
from tests.faults.disks import fill
from tests.faults.search import EACH_ONCE, finished, trial

pytestmark = pytest.mark.server

LOCKING = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1], isolation_level=None) as database:
    database.execute("BEGIN EXCLUSIVE")
    print("locked", flush=True)
    sys.stdin.readline()
"""


class Locked:
    """A process that holds an SQLite file locked until it is let go."""

    def __init__(self, file: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", LOCKING, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "locked\n"

    def let_go(self) -> None:
        self._process.communicate("go\n", timeout=30)


@pytest.fixture
def quick_lock() -> Iterator[None]:
    """MLflow waits a tenth of a second for a lock. It has no setting for its 20 s, so its own statement is rewritten."""

    def rewrite(_connection, _cursor, statement, parameters, _context, _many):
        return statement.replace("busy_timeout = 20000", "busy_timeout = 100"), parameters

    event.listen(Engine, "before_cursor_execute", rewrite, retval=True)
    yield
    event.remove(Engine, "before_cursor_execute", rewrite)


@pytest.fixture
def database(tmp_path: Path, monkeypatch, quick_lock) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    Store.connect()
    return tmp_path / "mlflow.db"


def test_a_database_that_another_process_holds_locked_is_waited_for(database):
    said: list[str] = []
    store = Store.connect(wait_minutes=1, say=said.append)
    run = store.root(step="search", experiment="one", tags={})
    lock = Locked(database)

    def let_go_once_it_was_said(line: str) -> None:
        said.append(line)
        if len(said) == 1:
            lock.let_go()

    store.client._runs.say = let_go_once_it_was_said
    run.log(metrics={"val_loss": 0.5})
    run.finish("FINISHED")
    assert "has not answered since " in said[0]
    assert "(database is locked)" in said[0]
    assert "answers again" in said[1]
    found = MlflowClient().get_run(run.id)
    assert (found.info.status, found.data.metrics) == ("FINISHED", {"val_loss": 0.5})


def test_a_database_that_stays_locked_ends_with_5_and_one_line(database, capsys):
    lock = Locked(database)
    code = main(["prepare", "--experiment", "smoke", "--tracking.wait_minutes", "0"])
    lock.let_go()
    error = capsys.readouterr().err
    assert code == StoreError.exit_code
    (line,) = error.splitlines()
    assert "has stopped answering (database is locked)" in line
    assert main(["prepare", "--experiment", "smoke", "--tracking.wait_minutes", "0"]) == 0


def test_a_full_disk_under_database_and_artifacts_costs_no_trial(disk, searching):
    store = f"sqlite:///{disk}/mlflow.db"
    search = searching(disk, store, "full", "--tracking.wait_minutes", "0.1")
    search.until(trial(2))
    ballast = fill(disk)
    assert search.end() == StoreError.exit_code, search.screen
    assert "free some space or give this user access, then run the same command to resume" in search.screen
    assert "Traceback" not in search.screen
    ballast.unlink()
    again = searching(disk, store, "full")
    assert again.end() == 0, again.screen
    assert finished(store, "full") == EACH_ONCE
