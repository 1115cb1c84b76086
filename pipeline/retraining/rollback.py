"""The step `rollback`: makes an earlier version the champion. Needs no data.

What it is about to do is written to the version first. If it is killed, the next rollback or retraining run completes it or
withdraws it, and `status` says so.
"""

import json
import time
from dataclasses import dataclass

from rich.console import Console

from pipeline.errors import BusyError, InputError
from pipeline.experiment import Experiment
from pipeline.session import connect
from pipeline.tracking import run_lock
from pipeline.tracking.connection.health import store_errors
from pipeline.tracking.names import (
    CHAMPION,
    PREVIOUS_CHAMPION,
    ROLLBACK_TAG,
    ROLLED_BACK_AT_TAG,
    ROLLED_BACK_BY_TAG,
    ROLLED_BACK_FROM_TAG,
    ROLLED_BACK_WHY_TAG,
    VERSION_TAG,
)
from pipeline.tracking.provenance import user
from pipeline.tracking.registry import Registry, Version
from pipeline.tracking.store import Run, Store
from pipeline.training.runtime import init_tensorflow


@dataclass(frozen=True)
class Interrupted:
    """A rollback that has not recorded its end."""

    target: Version
    run: Run | None
    """None if it was deleted."""
    tags: dict[str, str]
    """What it was about to record."""
    moved: bool
    """Whether its version is the champion."""
    alive: bool
    """Whether its process still works."""

    @property
    def message(self) -> str:
        """What has become of it, before it is completed or withdrawn."""
        number = self.target.number
        if self.alive:
            return f"a rollback to version {number} is under way"
        if self.moved:
            return f"a rollback to version {number} was interrupted after it had moved the champion"
        return f"a rollback to version {number} was interrupted before it had moved the champion"


def interrupted(store: Store, registry: Registry) -> list[Interrupted]:
    """Rollbacks of the model that have not recorded their end."""
    versions = [version for version in registry.versions() if ROLLBACK_TAG in version.tags]
    champion = registry.by_alias(CHAMPION) if versions else None
    found = []
    for version in versions:
        asked = json.loads(version.tags[ROLLBACK_TAG])
        run = store.find(asked["run"])
        works = run is not None and run.status == "RUNNING" and run_lock.alive(store, run)
        moved = champion is not None and champion.number == version.number
        found.append(Interrupted(version, run, asked["tags"], moved, works))
    return found


def finish_interrupted(store: Store, registry: Registry) -> list[Interrupted]:
    """Completes rollbacks that were killed after they had moved the champion, and withdraws the others; returns all."""
    found = [each for each in interrupted(store, registry) if not each.alive]
    for each in found:
        registry.repair_previous()
        if each.moved:
            _record(registry, each.target, each.run, each.tags)
        if each.run is not None and each.run.status == "RUNNING":
            each.run.finish("KILLED", each.message)
        registry.untag(each.target, ROLLBACK_TAG)
    return found


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
        if _done_by_finishing(store, registry, version, console):
            return
        champion, target = registry.by_alias(CHAMPION), _target(registry, version)
        if champion is not None and champion.number == target.number:
            raise InputError(f"version {target.number} is already the champion of {registry.name}")
        with run_lock.root_run(store, step="rollback", experiment=experiment.name) as root:
            init_tensorflow()
            from pipeline.serving.model import load  # noqa: PLC0415 - Keras, after TensorFlow's quiet start

            registry.read(lambda: load(f"models:/{registry.name}/{target.number}"))
            tags = {
                ROLLED_BACK_FROM_TAG: f"version {champion.number}" if champion else "none",
                ROLLED_BACK_BY_TAG: user(),
                ROLLED_BACK_AT_TAG: time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                ROLLED_BACK_WHY_TAG: why or "not given",
            }
            registry.tag(target, {ROLLBACK_TAG: json.dumps({"run": root.id, "tags": tags})})
            if version is None and champion is not None:
                moved = registry.roll_back(target, instead_of=champion)
            else:
                moved = registry.promote(target, instead_of=champion)
            if moved:
                _record(registry, target, root, tags)
            registry.untag(target, ROLLBACK_TAG)
            if not moved:
                raise BusyError(
                    f"the champion of {registry.name} was moved by somebody else meanwhile; run `status` to see its versions"
                )
    _say_moved(console, registry, target, tags)


def _done_by_finishing(store: Store, registry: Registry, version: str | None, console: Console) -> bool:
    """Whether the rollback that is asked for was begun earlier, and only had to be completed.

    Raises:
        BusyError: If another process is rolling back.
    """
    for each in finish_interrupted(store, registry):
        _say(console, f"{each.message}; it is {'completed' if each.moved else 'withdrawn'} now")
        if each.moved and version in {None, each.target.number}:
            _say_moved(console, registry, each.target, each.tags)
            return True
    for each in interrupted(store, registry):
        raise BusyError(f"{each.message}; wait for it")
    return False


def _record(registry: Registry, target: Version, run: Run | None, tags: dict[str, str]) -> None:
    """Writes to the new champion, and to the run of the rollback, what was done."""
    registry.tag(target, tags)
    if run is not None:
        run.log(tags={**tags, VERSION_TAG: target.number})


def _say_moved(console: Console, registry: Registry, target: Version, tags: dict[str, str]) -> None:
    old, why = tags[ROLLED_BACK_FROM_TAG], tags[ROLLED_BACK_WHY_TAG]
    _say(console, f"champion of {registry.name} is now version {target.number}, before: {old}; why: {why}")


def _say(console: Console, line: str) -> None:
    console.print(f"rollback: {line}", soft_wrap=True, markup=False)


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
