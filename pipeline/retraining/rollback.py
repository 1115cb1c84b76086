"""The step `rollback`: makes an earlier version the champion. Needs no data."""

import time

from rich.console import Console

from pipeline.errors import BusyError, InputError
from pipeline.experiment import Experiment
from pipeline.session import connect
from pipeline.tracking import run_lock
from pipeline.tracking.connection.health import store_errors
from pipeline.tracking.names import (
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
from pipeline.training.runtime import init_tensorflow


def rollback(experiment: Experiment, *, version: str | None, why: str | None, console: Console) -> None:
    """Makes `previous_champion`, or the named version, the champion after loading it. Each further call without a version
    goes one champion further back.

    Raises:
        InputError: There is no previous champion, or the version does not exist, cannot be loaded or is the champion.
        BusyError: Somebody else moved the champion meanwhile.
    """
    store = connect(experiment, console)
    with store_errors(store.uri):
        registry = Registry(store, experiment.name)
        champion, target = registry.by_alias(CHAMPION), _target(registry, version)
        if champion is not None and champion.number == target.number:
            raise InputError(f"version {target.number} is already the champion of {registry.name}")
        with run_lock.root_run(store, step="rollback", experiment=experiment.name) as root:
            init_tensorflow()
            from pipeline.serving.model import load  # noqa: PLC0415 - Keras, after TensorFlow's quiet start

            load(f"models:/{registry.name}/{target.number}")
            if version is None and champion is not None:
                moved = registry.roll_back(target, instead_of=champion)
            else:
                moved = registry.promote(target, instead_of=champion)
            if not moved:
                raise BusyError(
                    f"the champion of {registry.name} was moved by somebody else meanwhile; run `status` to see its versions"
                )
            old = f"version {champion.number}" if champion else "none"
            tags = {
                ROLLED_BACK_FROM_TAG: old,
                ROLLED_BACK_BY_TAG: user(),
                ROLLED_BACK_AT_TAG: time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                ROLLED_BACK_WHY_TAG: why or "not given",
            }
            registry.tag(target, tags)
            root.log(tags={**tags, VERSION_TAG: target.number})
    line = f"rollback: champion of {registry.name} is now version {target.number}, before: {old}; why: {why or 'not given'}"
    console.print(line, soft_wrap=True, markup=False)


def _target(registry: Registry, version: str | None) -> Version:
    if version is not None:
        return registry.get(version)
    registry.repair_previous()
    previous = registry.by_alias(PREVIOUS_CHAMPION)
    if previous is None:
        raise InputError(
            f"{registry.name} has no {PREVIOUS_CHAMPION} to roll back to; name a version: -P version=N (`status` lists them)"
        )
    return previous
