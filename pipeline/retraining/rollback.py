"""The step `rollback`: makes an earlier version the champion again. Needs no data."""

import time

from rich.console import Console

from pipeline.errors import BusyError, InputError
from pipeline.experiment import Experiment
from pipeline.tracking import run_lock
from pipeline.tracking.health import store_errors
from pipeline.tracking.names import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS_CHAMPION,
    ROLLED_BACK_AT_TAG,
    ROLLED_BACK_BY_TAG,
    ROLLED_BACK_FROM_TAG,
    ROLLED_BACK_WHY_TAG,
    VERSION_TAG,
)
from pipeline.tracking.provenance import user
from pipeline.tracking.registry import Registry, Version
from pipeline.tracking.store import Store
from pipeline.training.runtime import init_tensorflow

ALIASES = (CHAMPION, PREVIOUS_CHAMPION, CHALLENGER)


def rollback(experiment: Experiment, *, version: str | None, why: str | None, console: Console) -> None:
    """Moves `champion` back to `previous_champion`, or to a version that is named, once that has been loaded. Called again
    without a version, it goes one champion further back.

    Raises InputError where there is nothing to go back to, BusyError when somebody else moved the champion meanwhile.
    """
    store = Store.connect()
    with store_errors(store.uri):
        registry = Registry(store, experiment.name)
        champion, target = registry.by_alias(CHAMPION), _target(registry, version)
        if champion is not None and champion.number == target.number:
            raise InputError(f"version {target.number} is the champion of {registry.name} already")
        with store.root(step="rollback", experiment=experiment.name, tags=run_lock.owner_tag()).open() as root:
            init_tensorflow()
            from pipeline.serving.model import load  # noqa: PLC0415 - Keras, after TensorFlow's quiet start

            load(f"models:/{registry.name}/{target.number}")
            if version is None and champion is not None:
                moved = registry.roll_back(target, instead_of=champion)
            else:
                moved = registry.promote(target, instead_of=champion)
            if not moved:
                raise BusyError(
                    f"the champion of {registry.name} was moved by somebody else just now; look again: status"
                )
            old = f"version {champion.number}" if champion else "none"
            own = {
                ROLLED_BACK_FROM_TAG: old,
                ROLLED_BACK_BY_TAG: user(),
                ROLLED_BACK_AT_TAG: time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                ROLLED_BACK_WHY_TAG: why or "not said",
            }
            registry.tag(target, own)
            root.log(tags={**own, VERSION_TAG: target.number})
    line = f"rollback: champion of {registry.name} is version {target.number} again, before: {old}; why: {why or 'not said'}"
    console.print(line, soft_wrap=True, markup=False)


def _target(registry: Registry, version: str | None) -> Version:
    if version is not None:
        return registry.get(version)
    registry.repair_previous()
    previous = registry.by_alias(PREVIOUS_CHAMPION)
    if previous is None:
        raise InputError(
            f"{registry.name} has no {PREVIOUS_CHAMPION} to go back to; name a version: -P version=N (`status` lists them)"
        )
    return previous
