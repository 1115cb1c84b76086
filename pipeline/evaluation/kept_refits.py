"""What is kept of a refit until the run of its evaluation has ended, so that one that is stopped trains nothing twice."""

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DAMAGED, InputError
from pipeline.search.recording.outbox import Outbox, TrialRecord
from pipeline.search.recording.run_journal import recover
from pipeline.search.resume import NEW_SPACE, NEW_TRAINING
from pipeline.session import Session
from pipeline.statistics import trial_metrics
from pipeline.tracking import deletion, run_lock
from pipeline.tracking.names import (
    DECISION_TAG,
    EXPERIMENT_TAG,
    KEEPS_REFITS_TAG,
    KEPT_REFIT,
    ROLE_TAG,
    STEP_TAG,
)
from pipeline.tracking.store import Run, Store
from pipeline.training.result import Probabilities, TrialResult

STEPS = ("evaluate", "retrain")
"""Steps below whose runs refits are."""
STOPPED = ("KILLED", "FAILED")
NEW_PARAMS = {name: str(value) for name, value in {**NEW_TRAINING, **NEW_SPACE}.items()}
MOST_STOPPED = 3
"""Stopped runs that keep refits, the latest ones, whose refits are looked at."""


@dataclass(frozen=True, eq=False)
class KeptRefit:
    """A network trained with one seed, with the arrays that analyses need."""

    seed: int
    metrics: Mapping[str, float]
    """By their names in the tracking store."""
    validation: Probabilities
    test: Probabilities
    weights: tuple[NDArray[np.float32], ...]
    """Those kept, in the order of `keras.Model.get_weights()`."""
    pictures: Mapping[str, bytes]
    """PNG files by name; none where they could not be drawn."""

    @classmethod
    def of(cls, result: TrialResult, seed: int, pictures: Mapping[str, bytes]) -> Self:
        """What is kept of a result."""
        found = result.probabilities
        metrics = trial_metrics.trial_metrics(result)
        return cls(seed, metrics, found["validation"], found["test"], result.weights, pictures)

    def to_bytes(self) -> bytes:
        """All of it as one npz file, without pickle."""
        facts = {"seed": self.seed, "metrics": dict(self.metrics), "pictures": list(self.pictures)}
        arrays: dict[str, Any] = {"validation": self.validation, "test": self.test, "facts": _bytes(json.dumps(facts))}
        arrays |= {f"weights_{place}": array for place, array in enumerate(self.weights)}
        arrays |= {f"picture_{place}": _bytes(content) for place, content in enumerate(self.pictures.values())}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """The refit that `to_bytes` wrote, bit by bit. Raises one of `DAMAGED` if the file is."""
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            facts = json.loads(file["facts"].tobytes())
            count = sum(name.startswith("weights_") for name in file.files)
            weights = tuple(file[f"weights_{place}"] for place in range(count))
            pictures = {name: file[f"picture_{place}"].tobytes() for place, name in enumerate(facts["pictures"])}
            return cls(facts["seed"], facts["metrics"], file["validation"], file["test"], weights, pictures)


class EarlierRefits:
    """Finished refits of runs of the same step that were stopped: of the same networks, settings, seeds and data.

    Args:
        session: What every step is given.
        run: The run of this step.
        folder: Where records wait for the store.
    """

    def __init__(self, session: Session, run: Run, folder: Path) -> None:
        self._store, self._run = session.store, run
        stopped = _stopped(self._store, run)
        for each in stopped:
            if (folder / each.id).is_dir():
                with run_lock.taking(self._store, run, of=each.id) as alone:
                    if alone:  # otherwise another evaluation is doing it just now
                        self._recover(each, Outbox(folder / each.id), stopped)
        self._found = [refit for each in stopped for refit in self._refits(each) if refit.status == "FINISHED"]

    def has(self, record: TrialRecord) -> bool:
        """Whether there is the refit that `record` describes."""
        return any(_same(each, record) for each in self._found)

    def take(self, record: TrialRecord) -> tuple[Run, KeptRefit] | None:
        """The refit that `record` describes, moved below this run; None if there is none, its arrays are gone or damaged, or
        another evaluation has taken it.
        """
        for run in [each for each in self._found if _same(each, record)]:
            self._found.remove(run)
            try:
                content = run.read(KEPT_REFIT)
            except InputError:
                continue
            try:
                kept = KeptRefit.from_bytes(content)
            except DAMAGED:
                continue
            if run_lock.take_over(self._store, run, below=self._run):
                run.log(tags={ROLE_TAG: record.tags[ROLE_TAG]})
                return run, kept
        return None

    def _recover(self, stopped: Run, outbox: Outbox, among: Iterable[Run]) -> None:
        """Records below a stopped run what it has trained and could not record. Until that is recorded it is below this run:
        what is open below a run that has ended is taken for orphaned.
        """
        there = [refit for each in among for refit in self._refits(each)]
        recover(
            outbox,
            self._create,
            known=lambda record: any(_same(each, record) and each.status == _end(record) for each in there),
            recovered=lambda refit: self._store.move(refit, below=stopped),
        )

    def _refits(self, run: Run) -> list[Run]:
        return [each for each in self._store.children(run) if each.tags.get(STEP_TAG) == "refit"]

    def _create(self, record: TrialRecord) -> Run:
        return self._store.child(self._run, step="refit", name=record.name, tags=record.tags, params=record.params)


def drop(store: Store, root: Run) -> None:
    """Deletes what refits of the experiment of `root` keep, where nothing needs it any more: also what a process has left
    that was killed after its evaluation had ended. Call it when `root` has ended: until then a new start needs it.
    """
    for step in STEPS:
        found = store.runs(step=step, experiment=root.tags[EXPERIMENT_TAG], status=None, tag=KEEPS_REFITS_TAG)
        here = [run for run in found if run.experiment_id == root.experiment_id]
        needed = {run.id for run in _latest(here)}
        for run in here:
            if run.status != "RUNNING" and run.id not in needed and not _drop_below(store, run):
                return  # the artifact store is away, and each request would wait for it; left for the next command


def _drop_below(store: Store, run: Run) -> bool:
    """Whether all could be deleted."""
    for refit in store.children(run):
        if refit.tags.get(STEP_TAG) == "refit" and not deletion.drop_artifact(store, refit, KEPT_REFIT):
            return False
    run.remove(KEEPS_REFITS_TAG)
    return True


def _decided(run: Run) -> bool:
    """Whether a run is a retraining run that was completed, whatever stopped it later: the next has other seeds."""
    return DECISION_TAG in run.tags


def may_be_taken(store: Store, run: Run) -> bool:
    """Whether a later run may take refits from one that has ended."""
    return run.id in {each.id for each in _stopped(store, run)}


def _stopped(store: Store, run: Run) -> list[Run]:
    """The latest runs of the step and the experiment of `run` that were stopped or failed, and have refits that are kept."""
    found = store.runs(step=run.tags[STEP_TAG], experiment=run.tags[EXPERIMENT_TAG], status=None, tag=KEEPS_REFITS_TAG)
    return _latest(each for each in found if each.experiment_id == run.experiment_id)


def _latest(runs: Iterable[Run]) -> list[Run]:
    """Of runs that keep refits, those that a new start takes them from."""
    stopped = [run for run in runs if run.status in STOPPED and not _decided(run)]
    return sorted(stopped, key=lambda each: each.start_time_ms)[-MOST_STOPPED:]


def _end(record: TrialRecord) -> str:
    """The status of a run that `record` was written to."""
    return "FINISHED" if record.failure is None else "FAILED"


def _same(run: Run, record: TrialRecord) -> bool:
    """Whether a run is of the refit that `record` describes. Params that earlier versions did not record have the values
    that those trained with.
    """
    tags = {name: value for name, value in record.tags.items() if name != ROLE_TAG}
    params = {name: str(value) for name, value in record.params.items()}
    return run.tags.items() >= tags.items() and NEW_PARAMS | run.params == NEW_PARAMS | params


def _bytes(content: str | bytes) -> NDArray[np.uint8]:
    return np.frombuffer(content.encode() if isinstance(content, str) else content, np.uint8)
