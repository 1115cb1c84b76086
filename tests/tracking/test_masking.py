"""A password appears nowhere: not in an address that is shown, nor in what a library says about it."""

import logging
import os
import string
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.tracking.connection.masking import mask_logs, masked, secret, shown

ROOT = Path(__file__).parents[2]
SCHEMES = ["postgresql", "postgresql+psycopg2", "mysql+pymysql", "mssql+pyodbc", "https", "http"]
PASSWORDS = st.text(string.ascii_letters + string.digits + "#/?@%:;&=+ !$'\"", min_size=4, max_size=20).map(
    lambda word: f"Zq{word}Zq"
)


def test_an_address_is_shown_without_user_and_password():
    assert shown("postgresql://me:secret@db.example:5432/runs") == "postgresql://db.example:5432/runs"
    assert shown("https://me:secret@mlflow.example/a") == "https://mlflow.example/a"
    assert shown("sqlite:///a@b/mlflow.db") == "sqlite:///a@b/mlflow.db"
    assert shown("http://127.0.0.1:5000") == "http://127.0.0.1:5000"
    assert shown("mlflow.db") == "mlflow.db"


def test_what_parsers_take_for_the_end_of_a_password_does_not_end_it():
    assert shown("postgresql://bob:hun#ter2@db/x") == "postgresql://db/x"
    assert shown("https://bob:hun/ter2@host") == "https://host"
    assert shown("mysql://bob:a@b?c@db/x") == "mysql://db/x"


def test_secret_parameters_are_hidden_and_others_are_not():
    assert shown("mysql://db/x?charset=utf8&passwd=hunter2") == "mysql://db/x?charset=utf8&passwd=***"
    assert shown("mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Dhunter2") == "mssql+pyodbc:///?odbc_connect=***"
    assert shown("wasbs://c@host/x?sig=abc&sv=1") == "wasbs://host/x?sig=***&sv=1"
    assert secret("mysql://db/x?passwd=hunter2")
    assert not secret("postgresql://db.example/runs")


def spellings(scheme: str, password: str) -> list[str]:
    """The address as people write it: as it is, and quoted."""
    return [f"{scheme}://bob:{word}@host.example:5432/runs" for word in (password, quote(password, safe=""))]


@given(st.sampled_from(SCHEMES), PASSWORDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_address_shows_its_password(scheme, password):
    for uri in spellings(scheme, password):
        assert password not in shown(uri)
        assert quote(password, safe="") not in shown(uri)
        assert "bob" not in shown(uri)
        assert shown(uri).startswith(f"{scheme}://")


@given(
    st.sampled_from(SCHEMES), PASSWORDS, st.sampled_from(["{uri}", "password {password!r} is wrong", "for {user}@host"])
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_a_library_says_is_masked_in_every_spelling(scheme, password, words):
    for uri in spellings(scheme, password):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", uri)
            for spelled in (password, quote(password, safe="")):
                text = words.format(uri=uri, password=spelled, user=f"bob:{spelled}")
                assert password not in masked(text)
                assert quote(password, safe="") not in masked(text)


def test_passwords_and_tokens_of_the_environment_are_masked(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "eyJhbGciOi")
    monkeypatch.setenv("https_proxy", "http://bob:proxypass@proxy:3128")
    said = masked("401 for hunter2, Bearer eyJhbGciOi by http://bob:proxypass@proxy:3128")
    assert said == "401 for ***, Bearer *** by http://proxy:3128"


def test_a_text_without_secrets_stays_as_it_is(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    assert masked("the store sqlite:///mlflow.db is away") == "the store sqlite:///mlflow.db is away"


def test_what_libraries_log_is_masked_with_the_traceback(monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://bob:hunter2@host")
    before = logging.getLogRecordFactory()
    mask_logs()
    mask_logs()  # twice is once
    try:
        raise ValueError("no answer from http://bob:hunter2@host/api")  # noqa: TRY301 - it is logged with its traceback
    except ValueError:
        logging.getLogger("urllib3").exception("retrying %s", "http://bob:hunter2@host/api")
    finally:
        logging.setLogRecordFactory(before)
    assert "hunter2" not in caplog.text
    assert "retrying http://host/api" in caplog.text
    assert "ValueError: no answer from http://host/api" in caplog.text


def test_a_wrong_call_of_a_library_is_logged_and_raises_nothing(caplog):
    before = logging.getLogRecordFactory()
    mask_logs()
    try:
        logging.getLogger("theirs").warning("%d networks", "three")
    finally:
        logging.setLogRecordFactory(before)
    assert "three" in caplog.text


FAILING = """
import gc, sys, threading
from pipeline.tracking.connection.masking import mask_tracebacks
mask_tracebacks()
ADDRESS = "http://bob:hunter2@host/api"

def fails():
    raise ValueError(f"no answer from {ADDRESS}")

class Dying:
    def __del__(self):
        fails()

thread = threading.Thread(target=fails, name="beats")
thread.start()
thread.join()
threading.Thread(target=sys.exit).start()
Dying()
gc.collect()
fails()
"""


def test_tracebacks_that_python_prints_of_threads_destructors_and_the_program_are_masked(tmp_path):
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "http://bob:hunter2@host", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", FAILING]
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "hunter2" not in ended.stderr + ended.stdout
    assert ended.stderr.count("ValueError: no answer from http://host/api") == 3
    assert ended.stderr.count("Traceback (most recent call last)") == 3
    assert "Exception in thread beats:" in ended.stderr
    assert "Exception ignored in: function\n" in ended.stderr
