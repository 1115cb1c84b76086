"""`python -m pipeline ui` as people use it: a server, a link, and a page where the trials stand side by side."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from pipeline.tracking import views
from pipeline.tracking.registry import Registry
from pipeline.tracking.run import Run
from pipeline.tracking.store import Store
from tests.tracking.samples import DEPTH, EPOCHS, QUESTION, search

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
TRIALS = 12
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
PAGE_SECONDS = 60


class Served(NamedTuple):
    """A store with a search in it, and the UI on it."""

    process: subprocess.Popen[str]
    link: str
    folder: Path
    found: Run

    @property
    def base(self) -> str:
        return self.link.split("/#")[0]


def command(port: int) -> list[str]:
    return [sys.executable, "-m", "pipeline", "ui", "--port", str(port)]


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "PYTHONPATH": str(ROOT)}


def link_in(line: str) -> str:
    found = re.search(r"http://\S+", line)
    assert found, line
    return found.group()


@pytest.fixture(scope="module")
def served(fresh_database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ui")
    shutil.copy(fresh_database, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        store = Store.connect()
        found = search(store, trials=TRIALS)
        views.ensure(store, found, question=QUESTION, depth=DEPTH)
    with socket.create_server(("127.0.0.1", 0)) as taken:  # somebody else's: the UI takes the next one
        port = taken.getsockname()[1]
        process = subprocess.Popen(
            command(port),
            cwd=folder,
            env=environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        line = next(line for line in lines if "http://" in line)
    threading.Thread(target=lambda: list(lines), daemon=True).start()
    assert f":{port}/" not in line
    yield Served(process, link_in(line), folder, found)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def test_the_printed_link_is_the_view_of_the_newest_trials(served):
    assert served.link == f"{served.base}/{views.path(served.found)}"


def test_the_address_of_the_store_is_not_among_the_words_of_the_server(served):
    """Every user of the machine can read these, and an address may contain a password."""
    started = [psutil.Process(served.process.pid), *psutil.Process(served.process.pid).children(recursive=True)]
    words = [word for each in started for word in each.cmdline()]
    assert any("mlflow" in word for word in words)
    assert not any("sqlite:" in word for word in words)


def test_a_ui_that_shows_the_store_already_is_used_again(served):
    port = int(served.base.rsplit(":", 1)[1])

    done = subprocess.run(
        command(port),
        cwd=served.folder,
        env=environment(served.folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert link_in(done.stdout) == served.link
    assert served.process.poll() is None


def test_a_store_behind_a_server_takes_runs_figures_and_files(served, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", served.base)
    store = Store.connect()
    root = store.root(step="search", experiment="remote", tags={})
    with store.child(root, step="trial", name="trial 00", tags={}, params={"depth": 1}).open() as trial:
        trial.log(metrics={"test_accuracy": 0.5})
        trial.write("pictures/curves.png", b"\x89PNG\r\n\x00")

    found = store.get(trial.id)
    assert (found.status, found.params, found.metrics) == ("FINISHED", {"depth": "1"}, {"test_accuracy": 0.5})
    assert found.read("pictures/curves.png") == b"\x89PNG\r\n\x00"
    assert [run.id for run in store.children(root)] == [trial.id]
    views.ensure(store, root, question=QUESTION, depth=1)
    assert views.link(store, root).startswith(f"{served.base}/#/experiments/{root.experiment_id}/runs?")


def test_a_registry_behind_a_server_takes_a_logged_model(served, monkeypatch):
    """Without the id of the model it answers: The model_id request parameter must identify the resource."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", served.base)
    store = Store.connect()
    root = store.root(step="retrain", experiment="remote", tags={})
    model = store.client.create_logged_model(root.experiment_id, source_run_id=root.id)
    version = Registry(store, "remote").register(f"models:/{model.model_id}", root.id, {"mine": "yes"})
    assert (version.number, version.run_id, version.tags["mine"]) == ("1", root.id, "yes")


def test_a_server_that_dies_is_a_failure_of_the_ui_and_its_workers_end_too(fresh_database, tmp_path):
    shutil.copy(fresh_database, tmp_path / "mlflow.db")
    with (tmp_path / "errors.txt").open("w") as errors:
        process = subprocess.Popen(
            command(5000),  # or the next one that is free
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    family: list[psutil.Process] = []
    try:
        assert process.stdout is not None
        next(line for line in iter(process.stdout.readline, "") if "http://" in line)
        family = psutil.Process(process.pid).children(recursive=True)
        (server,) = psutil.Process(process.pid).children()
        server.kill()
        assert process.wait(timeout=60) == 1
        assert psutil.wait_procs(family, timeout=60)[1] == []
    finally:
        process.kill()
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.communicate()
    lines = (tmp_path / "errors.txt").read_text().splitlines()  # the server writes there too
    assert "narrowgap: the MLflow server has ended with exit code -9; see above" in lines


@pytest.fixture(scope="module")
def page(served):
    """A browser in which the printed link is open."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1600,3600"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.get(served.link)
    yield driver
    driver.quit()


def appear(page, what: str, script: str, count: int) -> list[Any]:
    """What the script returns, as soon as it has `count` entries."""
    deadline = time.monotonic() + PAGE_SECONDS
    found: list[Any] = []
    while time.monotonic() < deadline:
        found = page.execute_script(f"return {script}") or []
        if len(found) >= count:
            return found
        time.sleep(0.3)
    shot = Path(os.environ.get("CI_ARTIFACTS", ".")) / "ui.png"
    raise AssertionError(f"{what}: {found} on the page after {PAGE_SECONDS} s; {page.save_screenshot(str(shot))}")


def texts(selector: str) -> str:
    return f"[...document.querySelectorAll('{selector}')].map(e => e.textContent)"


def test_the_link_opens_every_trial_side_by_side(page):
    names = {f"trial {number:02d}" for number in range(TRIALS)}

    rows = appear(page, "rows of the table", texts("[role=row] a"), TRIALS)
    assert set(rows) == names

    plots = "[...document.querySelectorAll('.js-plotly-plot')].filter(p => p.data && p.data.length)"
    scatter = f"""{plots}.filter(p => p.layout.xaxis?.title?.text == 'accuracy_gap').map(
        p => [p.layout.yaxis.title.text, p.data[0].type, p.data[0].x.length])"""
    assert appear(page, "the scatter", scatter, 1) == [["test_accuracy", "scatter", TRIALS]]

    axes = "[...document.querySelectorAll('.parcoords')].map(c => [...c.querySelectorAll('.label')].map(e => e.textContent))"
    figures = ["accuracy_gap", "test_accuracy"]
    assert appear(page, "the parallel coordinates", axes, DEPTH) == [
        ["depth", "dropout_0", "dropout_1", "hidden_1", *figures],
        ["depth", "dropout_0", "dropout_1", "dropout_2", "hidden_1", "hidden_2", *figures],
        ["dropout_0", "dropout_1", "dropout_2", "dropout_3", "hidden_1", "hidden_2", "hidden_3", *figures],
    ]

    curves = f"""{plots}.filter(p => p.layout.xaxis?.title?.text == 'Step').map(
        p => p.data.filter(d => d.x.length == {EPOCHS} && d.name).length)"""
    lines = appear(page, "the curves", curves, 4)
    assert min(int(count) for count in lines) >= TRIALS


def test_the_note_on_top_of_the_page_leads_to_the_view_of_searches(served, page):
    links = "[...document.querySelectorAll('a')].filter(a => a.textContent == 'Searches').map(a => a.href)"

    assert appear(page, "the link", links, 1) == [f"{served.base}/{views.path(served.found, views.SEARCHES)}"]


def test_ctrl_c_ends_the_ui_and_its_server(served):
    served.process.send_signal(signal.SIGINT)

    assert served.process.wait(timeout=30) == 0
    port = int(served.base.rsplit(":", 1)[1])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
