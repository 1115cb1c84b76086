"""The step `status`: prints the versions of an experiment's model. Needs neither data nor TensorFlow."""

import time

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.experiment import Experiment
from pipeline.formatting import duration
from pipeline.tracking.connection.health import store_errors
from pipeline.tracking.names import (
    ACCURACY_GAP_TAG,
    ARCHITECTURE_TAG,
    CHALLENGER,
    CHAMPION,
    DECISION_TAG,
    MODE_TAG,
    PREVIOUS_CHAMPION,
    TEST_ACCURACY_TAG,
)
from pipeline.tracking.registry import Registry
from pipeline.tracking.store import Store

ALIASES = (CHAMPION, PREVIOUS_CHAMPION, CHALLENGER)


def status(experiment: Experiment, *, console: Console) -> None:
    """Prints the versions of the experiment's model, newest first: alias, decision, metrics, age."""
    store = Store.connect()
    with store_errors(store.uri):
        registry = Registry(store, experiment.name)
        versions = registry.versions()
        holders = {alias: version.number for alias in ALIASES if (version := registry.by_alias(alias)) is not None}
    if not versions:
        line = f"{registry.name} has no versions in {store.shown}; create one with: mlflow run . -e retrain"
        console.print(Text(line), soft_wrap=True)
        return
    console.print(
        Text(f"{registry.name} in {store.shown}"), soft_wrap=True
    )  # a title would be broken at the table's width
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
            Text(tags.get(DECISION_TAG, "none yet")),
            Text(tags.get(MODE_TAG, "")),
            Text(tags.get(ARCHITECTURE_TAG, "")),
            _scaled(tags.get(TEST_ACCURACY_TAG), ".2f"),
            _scaled(tags.get(ACCURACY_GAP_TAG), "+.2f"),
            duration(time.time() - version.created_ms / 1000),
        )
    console.print(table)


def _scaled(share: str | None, form: str) -> str:
    """A share in percent or points; empty if unknown."""
    return "" if share is None else format(100 * float(share), form)
