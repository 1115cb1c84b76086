"""The registry's desk: `rollback` and `status`. Enters: an experiment's name. Leaves: a moved alias, or a table.

Needs no data, and TensorFlow only to load what is gone back to.
"""

import time

from rich.console import Console
from rich.table import Table

from pipeline.errors import BusyError, InputError
from pipeline.experiment import Experiment
from pipeline.network.start import start
from pipeline.registry.versions import CHALLENGER, CHAMPION, PREVIOUS, Registry, Version
from pipeline.steps import holder
from pipeline.steps.plan import DECISION_TAG
from pipeline.steps.session import duration
from pipeline.tracking.reach import answering
from pipeline.tracking.store import Store
from pipeline.tracking.who import user

ALIASES = (CHAMPION, PREVIOUS, CHALLENGER)


def rollback(experiment: Experiment, *, version: str | None, why: str | None, console: Console) -> None:
    """Moves `champion` back to `previous_champion`, or to a version that is named, once that has been loaded. Called again
    without a version, it goes one champion further back.

    Raises InputError where there is nothing to go back to, BusyError when somebody else moved the champion meanwhile.
    """
    store = Store.connect()
    with answering(store.uri):
        registry = Registry(store, experiment.name)
        champion, target = registry.of(CHAMPION), _target(registry, version)
        if champion is not None and champion.number == target.number:
            raise InputError(f"version {target.number} is the champion of {registry.name} already")
        with store.root(step="rollback", experiment=experiment.name, tags=holder.mark()).open() as root:
            start()
            from pipeline.registry.model import load  # noqa: PLC0415 - Keras, after TensorFlow's quiet start

            load(f"models:/{registry.name}/{target.number}")
            if version is None and champion is not None:
                moved = registry.step_back(target, instead_of=champion)
            else:
                moved = registry.enthrone(target, instead_of=champion)
            if not moved:
                raise BusyError(
                    f"the champion of {registry.name} was moved by somebody else just now; look again: status"
                )
            old = f"version {champion.number}" if champion else "none"
            own = {
                "narrowgap.rolled_back_from": old,
                "narrowgap.rolled_back_by": user(),
                "narrowgap.rolled_back_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                "narrowgap.rolled_back_why": why or "not said",
            }
            registry.tag(target, own)
            root.log(tags={**own, "narrowgap.version": target.number})
    line = f"rollback: champion of {registry.name} is version {target.number} again, before: {old}; why: {why or 'not said'}"
    console.print(line, soft_wrap=True, markup=False)


def _target(registry: Registry, version: str | None) -> Version:
    if version is not None:
        return registry.get(version)
    registry.mend_previous()
    previous = registry.of(PREVIOUS)
    if previous is None:
        raise InputError(
            f"{registry.name} has no {PREVIOUS} to go back to; name a version: -P version=N (they are listed by: status)"
        )
    return previous


def status(experiment: Experiment, *, console: Console) -> None:
    """Prints the versions of the experiment's model, newest first: decision, figures, age."""
    store = Store.connect()
    with answering(store.uri):
        registry = Registry(store, experiment.name)
        versions = registry.versions()
        bearers = {alias: bearer.number for alias in ALIASES if (bearer := registry.of(alias)) is not None}
    if not versions:
        console.print(f"{registry.name} has no versions in {store.shown}; make one with: mlflow run . -e retrain")
        return
    shown = Table(title=f"{registry.name} in {store.shown}", title_justify="left")
    for column in ("version", "alias", "decision", "by", "network", "test accuracy, %", "gap, points", "age"):
        shown.add_column(
            column, justify="right" if column in {"version", "test accuracy, %", "gap, points"} else "left"
        )
    for version in reversed(versions):
        aliases = ", ".join(alias for alias in ALIASES if bearers.get(alias) == version.number)
        tags = version.tags
        shown.add_row(
            version.number,
            aliases,
            tags.get(DECISION_TAG, "none yet"),
            tags.get("narrowgap.mode", ""),
            tags.get("narrowgap.architecture", ""),
            _scaled(tags.get("narrowgap.test_accuracy"), ".2f"),
            _scaled(tags.get("narrowgap.accuracy_gap"), "+.2f"),
            duration(time.time() - version.created_ms / 1000),
        )
    console.print(shown)


def _scaled(share: str | None, form: str) -> str:
    """A share in percent or points; nothing where it is not known."""
    return "" if share is None else format(100 * float(share), form)
