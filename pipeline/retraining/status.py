"""The step `status`: prints the versions of an experiment's model, and what its runs cost in the store.

Needs neither data nor TensorFlow.
"""

import time
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.experiment import Experiment, names
from pipeline.formatting import command, duration
from pipeline.retraining.rollback import interrupted
from pipeline.tracking import deletion
from pipeline.tracking.connection import sqlite
from pipeline.tracking.connection.health import store_errors
from pipeline.tracking.names import (
    ACCURACY_GAP_TAG,
    ARCHITECTURE_TAG,
    CHALLENGER,
    CHAMPION,
    DECISION_TAG,
    MODE_TAG,
    MODEL_TAG,
    PREVIOUS_CHAMPION,
    ROLLED_BACK_AT_TAG,
    ROLLED_BACK_BY_TAG,
    ROLLED_BACK_FROM_TAG,
    ROLLED_BACK_WHY_TAG,
    STEP_TAG,
    TEST_ACCURACY_TAG,
)
from pipeline.tracking.registry import Registry, Version
from pipeline.tracking.store import Run, Store

ALIASES = (CHAMPION, PREVIOUS_CHAMPION, CHALLENGER)
ABOVE = {"retrain", "search", "evaluate"}
"""Steps with nested runs, among those that are measured."""


def status(experiment: Experiment, *, console: Console) -> None:
    """Prints the versions of the experiment's model, newest first: alias, decision, metrics, age."""
    store = Store.connect()
    with store_errors(store.uri):
        registry = Registry(store, experiment.name)
        versions = registry.versions()
        holders = {alias: version.number for alias in ALIASES if (version := registry.by_alias(alias)) is not None}
        costs = cost_line(store, experiment.name)
        stopped = interrupted(store, registry)
    if versions:
        # A title would be broken at the table's width.
        console.print(Text(f"{registry.name} in {store.shown}"), soft_wrap=True)
        console.print(_table(versions, holders))
        for version in versions:
            if holders.get(CHAMPION) == version.number and ROLLED_BACK_AT_TAG in version.tags:
                console.print(Text(_rolled_back(version)), soft_wrap=True)
    else:
        create = command("retrain", experiment.name, known=experiment.name in names())
        line = f"{registry.name} has no versions in {store.shown}; create one with: {create}"
        console.print(Text(line), soft_wrap=True)
    for each in stopped:
        cure = "" if each.alive else "; the next rollback or retraining run completes or withdraws it"
        console.print(f"{each.message}{cure}", soft_wrap=True, markup=False)
    if costs:
        console.print(costs, soft_wrap=True, markup=False)


def _rolled_back(version: Version) -> str:
    when, who, origin, why = (
        version.tags.get(name, "unknown")
        for name in (ROLLED_BACK_AT_TAG, ROLLED_BACK_BY_TAG, ROLLED_BACK_FROM_TAG, ROLLED_BACK_WHY_TAG)
    )
    return f"Version {version.number} is champion by a rollback from {origin} ({when}, {who}); reason: {why}"


def _table(versions: Sequence[Version], holders: Mapping[str, str]) -> Table:
    table = Table()
    for column in ("version", "alias", "decision", "by", "network", "test accuracy, %", "gap, points", "age"):
        table.add_column(
            column, justify="right" if column in {"version", "test accuracy, %", "gap, points"} else "left"
        )
    for version in reversed(versions):
        aliases = ", ".join(alias for alias in ALIASES if holders.get(alias) == version.number)
        tags = version.tags
        table.add_row(
            version.number,
            aliases,
            Text({"kept": "not promoted"}.get(decision := tags.get(DECISION_TAG, "none yet"), decision)),
            Text(tags.get(MODE_TAG, "")),
            Text(tags.get(ARCHITECTURE_TAG, "")),
            _scaled(tags.get(TEST_ACCURACY_TAG), ".2f"),
            _scaled(tags.get(ACCURACY_GAP_TAG), "+.2f"),
            duration(time.time() - version.created_ms / 1000),
        )
    return table


def cost_line(store: Store, experiment: str) -> str:
    """What a trial, a search and a retraining run cost in the store, by the newest of each; empty if there is none. In
    bytes of artifacts if they are on this machine, in runs otherwise.
    """
    parts = []
    search = store.latest(step="search", experiment=experiment)
    if search is not None:
        runs = _with_nested(store, search)
        trials = [
            size for run in runs if run.tags.get(STEP_TAG) == "trial" and (size := _bytes(store, run)) is not None
        ]
        parts += [f"a trial {_mib(round(sum(trials) / len(trials)))}"] if trials else []
        parts.append(f"a search {_cost(store, runs)}")
    retraining = store.latest(step="retrain", experiment=experiment, status=None, tag=MODE_TAG)
    if retraining is not None:
        parts.append(f"a retraining run {_cost(store, _with_nested(store, retraining))}")
    if not parts:
        return ""
    file = sqlite.file_of(store.uri)
    prune = command("prune", experiment, known=experiment in names())
    database = f" The database has {_mib(file.stat().st_size)}." if file is not None else ""
    return f"The newest in the store: {'; '.join(parts)}.{database} What may be deleted: {prune}"


def _with_nested(store: Store, run: Run) -> list[Run]:
    """A run and all below it."""
    below = (
        [each for child in store.children(run) for each in _with_nested(store, child)]
        if run.tags.get(STEP_TAG) in ABOVE
        else []
    )
    return [run, *below]


def _cost(store: Store, runs: Sequence[Run]) -> str:
    count = f"{len(runs)} run{'' if len(runs) == 1 else 's'}"
    sizes = [_bytes(store, run) for run in runs]
    known = [size for size in sizes if size is not None]
    return f"{_mib(sum(known))} in {count}" if len(known) == len(sizes) else count


def _bytes(store: Store, run: Run) -> int | None:
    """Size of a run's artifacts and its model; None if they are on another machine."""
    model = deletion.model_location(store, run.tags[MODEL_TAG]) if MODEL_TAG in run.tags else None
    sizes = [deletion.local_bytes(place) for place in (run.artifact_uri, model) if place is not None]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _mib(size: int) -> str:
    return f"{size / deletion.MIB:.1f} MiB"


def _scaled(share: str | None, form: str) -> str:
    """A share in percent or points; empty if unknown."""
    return "" if share is None else format(100 * float(share), form)
