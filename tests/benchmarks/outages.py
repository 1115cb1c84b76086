"""Searches of many trials against a real MLflow server that goes away in the middle: what is in the store afterwards.

    python -m tests.benchmarks.outages                      # 100 trials each; outages of 30 s and of 6 min, and a restart
    python -m tests.benchmarks.outages --trials 20 --seconds 10
    python -m tests.benchmarks.outages --store postgresql://user@127.0.0.1:5433/mlflow --restart "pg_ctl restart -D DATA"

The server keeps runs in SQLite, or in `--store`. In the last search it is killed and started again, or the command
`--restart` is run, such as the restart of a database. Expected: each trial FINISHED once, none left RUNNING, exit code 0.
"""

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mlflow.tracking import MlflowClient

from tests.faults.search import Search
from tests.faults.servers import Gate, Server

SPACE = ("--space.hidden", "[8, 16, 24, 32]", "--space.dropout", "[0, 0.1, 0.2, 0.3]")
"""272 networks, on digits."""


def away(gate: Gate, seconds: float) -> None:
    gate.shut()
    time.sleep(seconds)
    gate.open()


def restart(server: Server, command: str | None) -> None:
    if command:
        subprocess.run(shlex.split(command), check=True, stdout=subprocess.DEVNULL)
        return
    server.kill()
    time.sleep(5)
    server.start()


def searched(
    server: Server, gate: Gate, folder: Path, name: str, trials: int, break_it: Callable[[], None]
) -> list[str]:
    """One row of the table: a search in whose middle `break_it` is called."""
    began = time.monotonic()
    search = Search(folder, gate.address, name, *SPACE, trials=trials)
    search.until(lambda line: line.startswith(f"trial {trials // 3}/{trials}"))
    break_it()
    code = search.end()
    client = MlflowClient(server.address)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=10_000)
    finished = Counter(
        run.data.tags["narrowgap.asked"]
        for run in runs
        if run.data.tags.get("narrowgap.step") == "trial" and run.info.status == "FINISHED"
    )
    left = sum(run.info.status == "RUNNING" for run in runs)
    seen = next((line.strip() for line in search.lines if "has not answered since" in line), "not noticed")
    once = sum(count == 1 for count in finished.values())
    print(f"  {seen}", file=sys.stderr)
    return [name, str(code), f"{len(finished)} of {trials}", str(once), str(left), f"{time.monotonic() - began:.0f} s"]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--trials", type=int, default=100)
    options.add_argument("--seconds", type=float, nargs="*", default=[30, 360])
    options.add_argument("--store")
    options.add_argument("--restart")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        server = Server(folder, store=given.store)
        server.start()
        gate = Gate(server)
        print(
            "| outage | exit code | trials FINISHED | once each | RUNNING | took |\n|---|---|---|---|---|---|",
            flush=True,
        )
        rows = []
        try:
            for seconds in given.seconds:
                name = f"server away for {seconds:g} s"
                rows.append(searched(server, gate, folder, name, given.trials, partial(away, gate, seconds)))
                print(f"| {' | '.join(rows[-1])} |", flush=True)
            name = "database restarted" if given.restart else "server killed and started again"
            rows.append(searched(server, gate, folder, name, given.trials, lambda: restart(server, given.restart)))
            print(f"| {' | '.join(rows[-1])} |", flush=True)
        finally:
            gate.shut()
            server.kill()
    good = ["0", f"{given.trials} of {given.trials}", str(given.trials), "0"]
    return 0 if all(row[1:5] == good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
