"""`make pictures`: the README's pictures, from the latest whole run in the store: its artifacts, and the UI in a browser."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from pipeline.tracking import ui, views
from pipeline.tracking.store import Run, Store

DOCS = Path(__file__).parents[2] / "docs"
PORT = 5057
SECONDS = 90


def main() -> None:
    store = Store.connect()
    evaluated = store.latest(step="evaluate")
    if evaluated is None:
        sys.exit("no finished evaluation in the store; make one with: make run")
    steps = {"evaluate": evaluated, "search": store.get(evaluated.tags["narrowgap.search_run_id"])}
    DOCS.mkdir(exist_ok=True)
    for step, name in (
        ("search", "pareto.png"),
        ("search", "parallel.png"),
        ("evaluate", "gaps.png"),
        ("evaluate", "curves.png"),
        ("evaluate", "confusion_matrix.png"),
        ("evaluate", "mistakes.png"),
    ):
        (DOCS / name).write_bytes(steps[step].read(name))
    photograph(store, steps["search"])


def photograph(store: Store, search: Run) -> None:
    """The view of all trials in the real UI, in headless Chromium."""
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store.uri, "--workers", "1"]
    with subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(PORT)]) as server:
        try:
            ui._wait(server, PORT)
            options = webdriver.ChromeOptions()
            for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1600,1500"):
                options.add_argument(flag)
            browser = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
            try:
                wait = WebDriverWait(browser, SECONDS)
                browser.get(f"http://127.0.0.1:{PORT}/{views.path(search)}")
                wait.until(lambda page: len(page.find_elements(By.CSS_SELECTOR, ".js-plotly-plot")) >= 2)
                for close in browser.find_elements(
                    By.CSS_SELECTOR, "[aria-label='Close'], [aria-label='Close Assistant']"
                ):
                    close.click()  # the assistant's panel, and the notice that this is a saved view
                time.sleep(6)  # the charts draw themselves
                browser.save_screenshot(str(DOCS / "trials.png"))
            finally:
                browser.quit()
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
