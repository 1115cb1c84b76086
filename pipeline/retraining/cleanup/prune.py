"""The step `prune`: lists what may be deleted of an experiment, and deletes it with `apply=yes`. Needs no data.

It deletes as the UI does: a run can be restored until `mlflow gc` removes it for good.
"""

import csv
import io
import shlex
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from pipeline.errors import InputError
from pipeline.experiment import Experiment
from pipeline.retraining.cleanup.prunable import STEPS, Prunable, Stored, prunable
from pipeline.retraining.run_number import next_number
from pipeline.session import connect
from pipeline.tracking import deletion, run_lock
from pipeline.tracking.connection.health import store_errors
from pipeline.tracking.names import DECISION_TAG, HOLDER_TAG, PRUNED_CSV, RUN_NUMBER_TAG, STEP_TAG
from pipeline.tracking.owner import this_process
from pipeline.tracking.registry import Registry, Version
from pipeline.tracking.store import Run, Store

KEEP_DAYS = 90
"""Nothing younger goes, unless the user says otherwise."""
ANSWERS = {"yes": True, "no": False}


@dataclass
class Tally:
    """What goes, counted."""

    runs: int = 0
    versions: int = 0
    models: int = 0
    busy: int = 0
    """Outermost runs that somebody works on again."""
    bytes: int = 0
    """Of artifacts on this machine."""
    remote: bool = False
    """Whether there are artifacts on another machine."""
    lines: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Text such as `12 runs, 2 versions, 2 models, 3.4 MiB of artifacts`."""
        size = f"{self.bytes / deletion.MIB:.1f} MiB of artifacts"
        if self.remote:
            size = f"{size} on this machine" if self.bytes else "artifacts on the server"
        counts = ((self.runs, "run"), (self.versions, "version"), (self.models, "model"))
        return ", ".join([*(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts), size])


def prune(experiment: Experiment, *, keep_days: str | None, apply: str | None, console: Console) -> None:
    """Prints what may be deleted of the experiment, and deletes it if `apply` is `yes`.

    Raises:
        InputError: An option has another value than expected.
        BusyError: A retraining run or another prune of the experiment is running.
    """
    days, delete = _days(keep_days), _answer(apply)
    store = connect(experiment, console)
    with store_errors(store.uri):
        if not delete:
            found = _look(store, experiment, days)
            _print(found, store, experiment, days, console)
            return
        with run_lock.root_run(store, step="prune", experiment=experiment.name) as root:
            name = experiment.name
            run_lock.lease(store, root, of=f"registry {name}", what=f"prune of {name}")  # `retrain` takes the same one
            deleting = _Deletion(store, experiment)
            deleting.versions(_look(store, experiment, days))
            deleting.runs(_look(store, experiment, days))  # a version may have become champion meanwhile
            tally = deleting.tally
            root.log(
                metrics={"runs": tally.runs, "versions": tally.versions, "models": tally.models, "bytes": tally.bytes}
            )
            root.write(PRUNED_CSV, _csv(tally.lines))
    busy = f"; {tally.busy} left alone, since somebody works on them" if tally.busy else ""
    hint = f". {_for_good(store)}" if tally.runs or tally.versions else ""
    _say(console, f"prune: deleted of {experiment.name}, older than {days} days: {tally.text}{busy}{hint}")


def _days(text: str | None) -> int:
    if text is None:
        return KEEP_DAYS
    if not text.isdecimal():
        raise InputError(f"keep_days is {text!r}; expected a number of days such as {KEEP_DAYS}")
    return int(text)


def _answer(text: str | None) -> bool:
    if text is None:
        return False
    if text not in ANSWERS:
        raise InputError(f"apply is {text!r}; expected yes or no")
    return ANSWERS[text]


def _look(store: Store, experiment: Experiment, days: int) -> Prunable:
    """Reads the experiment from the store and decides what may go."""
    runs = [run for step in STEPS for run in store.runs(step=step, experiment=experiment.name, status=None)]
    runs.sort(key=lambda run: (run.start_time_ms, run.id))
    registry = Registry(store, experiment.name)
    known = {run.id for run in runs}
    above = {run.parent_id for run in runs if run.parent_id is not None} - known
    stored = Stored(
        runs,
        registry.versions(),
        deletion.aliases(store, registry.name),
        deleted={run_id for run_id in above if deletion.is_deleted(store, run_id)},
        elsewhere=deletion.used_elsewhere(store, registry.name),
    )
    now_ms = int(time.time() * 1000)
    return prunable(stored, now_ms=now_ms, keep_days=days, search_every=experiment.retrain.search_every)


def _print(found: Prunable, store: Store, experiment: Experiment, days: int, console: Console) -> None:
    """The table of a dry run, and its sum."""
    tally = Tally()
    table = Table(title=f"What may be deleted of {experiment.name} in {store.shown}", title_justify="left")
    for column in ("what", "of", "id", "nested runs", "MiB", "why"):
        table.add_column(column, justify="right" if column in {"nested runs", "MiB"} else "left")
    for version in found.versions:
        tally.versions += 1
        table.add_row("version", _date(version.created_ms), version.number, "", "", "has no alias")
    for going in found.outermost:
        below = found.below(going.run)
        before = tally.bytes
        for run in (*below, going.run):
            _count(store, run, tally)
        size = f"{(tally.bytes - before) / deletion.MIB:.1f}" if tally.bytes > before else ""
        step = going.run.tags[STEP_TAG]
        table.add_row(step, _date(going.run.start_time_ms), going.run.id, str(len(below) or ""), size, going.why)
    if tally.versions or tally.runs:
        console.print(table)
        _say(console, f"prune: would delete {tally.text}. Nothing is deleted yet; -P apply=yes deletes it")
    else:
        _say(console, f"prune: nothing of {experiment.name} older than {days} days may be deleted in {store.shown}")


def _count(store: Store, run: Run, tally: Tally) -> None:
    """Adds a run to the tally, with its artifacts and its logged models."""
    tally.runs += 1
    places: list[str | None] = [run.artifact_uri]
    for address in deletion.models_of(store, run):
        tally.models += 1
        places.append(deletion.model_location(store, address))
    for place in places:
        size = None if place is None else deletion.local_bytes(place)
        tally.bytes += size or 0
        tally.remote |= place is not None and size is None


class _Deletion:
    """Deletes versions first, then runs from the inside out: if it is interrupted, the next call finds the rest."""

    def __init__(self, store: Store, experiment: Experiment) -> None:
        self._store, self._name = store, experiment.name
        self._registry = Registry(store, experiment.name)
        self.tally = Tally()

    def versions(self, found: Prunable) -> None:
        for version in found.versions:
            self._version(version)

    def runs(self, found: Prunable) -> None:
        self._number_runs()
        for going in found.outermost:
            self._tree(going.run, found.below(going.run))

    def _number_runs(self) -> None:
        """Writes the number of the newest retraining run if an earlier Narrowgap made it: its place among those that stay
        says nothing any more.
        """
        completed = self._store.runs(step="retrain", experiment=self._name, status=None, tag=DECISION_TAG)
        if completed and RUN_NUMBER_TAG not in completed[-1].tags:
            completed[-1].log(tags={RUN_NUMBER_TAG: str(next_number(completed) - 1)})

    def _version(self, version: Version) -> None:
        if version.number in deletion.aliases(self._store, self._registry.name).values():
            return  # somebody has given it one meanwhile
        self._registry.delete(version)
        self.tally.versions += 1
        self._note("version", version.number, version.created_ms)

    def _tree(self, top: Run, below: Iterable[Run]) -> None:
        if _taken_up(self._store, self._store.get(top.id), top):
            self.tally.busy += 1
            return
        for run in (*below, top):
            if run.tags[STEP_TAG] == "refit" and _moved(self._store, run):
                continue  # an evaluation that runs uses it again
            _count(self._store, run, self.tally)
            for address in deletion.models_of(self._store, run):
                deletion.delete_model(self._store, address)
            deletion.delete_run(self._store, run.id)
            self._note(run.tags[STEP_TAG], run.id, run.start_time_ms)

    def _note(self, what: str, which: str, when_ms: int) -> None:
        self.tally.lines.append((what, which, _date(when_ms)))


def _taken_up(store: Store, now: Run, before: Run) -> bool:
    """Whether another process works on a run that had ended, such as a search that is resumed."""
    if now.status == "RUNNING" or now.tags.get(HOLDER_TAG) != before.tags.get(HOLDER_TAG):
        return True
    own = run_lock.holder_of(now).get("token") == this_process()["token"]
    return not own and run_lock.alive(store, now)


def _moved(store: Store, before: Run) -> bool:
    """Whether a nested run is below another run now, or gone."""
    now = store.find(before.id)
    return now is None or now.parent_id != before.parent_id


def _csv(lines: Iterable[tuple[str, ...]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([("what", "id", "of"), *lines])
    return buffer.getvalue()


def _for_good(store: Store) -> str:
    """How to remove for good what was deleted."""
    if urlsplit(store.uri).scheme in {"http", "https"}:
        where = f"MLFLOW_TRACKING_URI={shlex.quote(store.shown)} mlflow gc --backend-store-uri DATABASE, on the server"
    else:
        address = shlex.quote(store.shown)
        where = f"MLFLOW_TRACKING_URI={address} mlflow gc --backend-store-uri {address}"
    return f"This removes them for good, with everything else that was deleted in the store: {where}"


def _date(ms: int) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(ms / 1000))


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, markup=False)
