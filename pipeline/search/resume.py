"""Decides whether a search resumes an earlier one: `search_to_resume`, by what `identity` says of both.

The known results are in the tracking store and, where it was away, in the outbox. `trial_journal.py` reads them, and
`loop.py` gives them to a fresh oracle instead of training them again. What makes two searches the same is in a tag of the
search's run, section by section, so a difference can be named.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeGuard

from pipeline.errors import BusyError, InputError
from pipeline.experiment import Experiment
from pipeline.formatting import few
from pipeline.session import PreparedData, Session
from pipeline.tracking import run_lock
from pipeline.tracking.names import (
    EXPERIMENT_TAG,
    IDENTITY_TAG,
    OVER_TAG,
    SEARCH_JSON,
    SEARCH_RUN_TAG,
    STEP_TAG,
    TRIALS_ASKED_TAG,
)
from pipeline.tracking.run import MOST_TAG_LETTERS
from pipeline.tracking.store import Run, Store

DIGEST = "sha256:"
SEEN_IN_DIGEST = {"path", "shape", "size", "channels", "background"}
"""Keys of `data` that matter by the images alone, whose digest is compared."""

NEW_TRAINING = {"class_weight": "none", "weight_decay": 0, "label_smoothing": 0}
"""Keys of `training` that searches of earlier versions do not have, and the values that mean what they did."""
NEW_SPACE = {"normalization": "none"}
"""The same for `space` and its fixed networks."""


def identity(experiment: Experiment, prepared: PreparedData) -> dict[str, Any]:
    """What must be equal for two searches to be the same: everything that affects proposals or results."""
    asked = experiment.model_dump(mode="json", exclude={"space": {"networks": {"__all__": {"published"}}}})
    search = {key: asked["search"][key] for key in ("tuner", "objective", "seed")}
    if experiment.search.pruner != "none":  # newer than searches of earlier versions
        search["pruner"] = experiment.search.pruner
    own = experiment.model
    space = _without_new(asked["space"], NEW_SPACE)
    if space["networks"] is not None:
        space["networks"] = [_network(each) for each in space["networks"]]
    return {
        "data": {key: value for key, value in asked["data"].items() if key not in SEEN_IN_DIGEST} | prepared.tags,
        **({"space": space} if own is None else {"model": own.identity()}),
        "training": _without_new(asked["training"], NEW_TRAINING),
        "search": search,
    }


def _network(asked: dict[str, Any]) -> dict[str, Any]:
    own = _without_new(asked["training"], dict.fromkeys(NEW_TRAINING))
    return _without_new(asked, NEW_SPACE) | {"training": own}


def _without_new(section: dict[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """A section without keys that earlier versions did not have, where they mean what those did."""
    return {key: value for key, value in section.items() if key not in new or value != new[key]}


def lease(session: Session, root: Run) -> None:
    """Makes sure that no other process runs this search, or begins or resumes the same one, until `root` has ended.

    Raises:
        BusyError: If another process does.
    """
    same = _digest(identity(session.experiment, session.prepared) | {"in": root.experiment_id})
    run_lock.lease(
        session.store,
        root,
        of=f"search {session.experiment.name} {same}",
        what=f"the search of {session.experiment.name}",
        cure="wait for it, or start another with -P search.resume=never",
        say=session.say,
    )


def identity_tag(run: Run, found: Mapping[str, Any]) -> str:
    """The value of the tag `narrowgap.identity`: the identity as JSON or, where it is too long for a tag, its digest. The
    JSON is then written to an artifact of the run.
    """
    text = json.dumps(found)
    if len(text) <= MOST_TAG_LETTERS:
        return text
    run.write(SEARCH_JSON, text)
    return _digest(found)


def differences(run: Run, ours: Mapping[str, Any]) -> list[str]:
    """Differences between the recorded identity of a run and ours, such as `training.epochs is 20 there and 30 here`."""
    tag = run.tags[IDENTITY_TAG]
    if tag == _digest(ours):
        return []
    if not tag.startswith(DIGEST):
        return _differences(json.loads(tag), ours)
    try:
        theirs = json.loads(run.read(SEARCH_JSON))
    except InputError:
        return [f"its settings, which its deleted artifact {SEARCH_JSON} could name"]
    return _differences(theirs, ours)


def _digest(found: Mapping[str, Any]) -> str:
    return DIGEST + hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def search_to_resume(session: Session, experiment_id: str) -> Run | None:
    """The experiment's latest search in this MLflow experiment if it can be resumed: it did not finish, or
    `search.trials` has grown. Searches of retraining runs are left out.

    Raises:
        BusyError: If another process runs it.
        InputError: If it is unfinished, no process runs it, and it differs from this search.
    """
    asked = session.experiment
    if asked.search.resume == "never":
        return None
    run = _latest(session.store, asked.name, experiment_id, status=None)
    if run is None or OVER_TAG in run.tags:
        return None
    different = differences(run, identity(asked, session.prepared))
    if run.status == "FINISHED":
        return run if not different and asked.search.trials > int(run.tags[TRIALS_ASKED_TAG]) else None
    if run.status == "RUNNING" and run_lock.alive(session.store, run):
        if different:
            return None
        # One that takes no lease, since it was started with search.resume=never.
        holder = run_lock.holder_of(run_lock.owner_of(session.store, run) or run)
        raise BusyError(
            f"search {run.id} is being run by process {holder['pid']} on {holder['host']}; wait for it, or start another "
            "with -P search.resume=never"
        )
    if different:
        raise InputError(
            f"the unfinished search {run.id} differs: {few(different, separator='; ')}. Finish it as it was started, "
            "or start a new one with -P search.resume=never"
        )
    return run


def may_go_on(store: Store, run: Run) -> bool:
    """Whether a later command may resume a search that has ended and still lacks trials, as `search_to_resume` asks for one
    experiment. Of a search that finished all trials are recorded.
    """
    if run.status == "FINISHED" or OVER_TAG in run.tags:
        return False
    latest = _latest(store, run.tags[EXPERIMENT_TAG], run.experiment_id, status=None)
    return latest is not None and latest.id == run.id


def unevaluated(session: Session, experiment_id: str) -> Run | None:
    """The experiment's latest search if it is this one and has finished, and the step `main` that ran it was stopped before
    its evaluation had ended. It is evaluated, not repeated.
    """
    asked, store = session.experiment, session.store
    if asked.search.resume == "never":
        return None
    run = _latest(store, asked.name, experiment_id, status="FINISHED")
    parent = store.find(run.parent_id) if run is not None and run.parent_id is not None else None
    if (
        run is None
        or parent is None
        or parent.tags.get(STEP_TAG) != "main"
        or parent.status not in {"KILLED", "FAILED"}
    ):
        return None
    if differences(run, identity(asked, session.prepared)) or int(run.tags[TRIALS_ASKED_TAG]) != asked.search.trials:
        return None
    return None if store.count(step="evaluate", tags={SEARCH_RUN_TAG: run.id}) else run


def _latest(store: Store, name: str, experiment_id: str, *, status: str | None) -> Run | None:
    """The experiment's latest search that a user started: those of retraining runs are theirs, and hide none."""
    retraining = {run.id for run in store.runs(step="retrain", experiment=name, status=None)}
    searches = store.newest_first(
        step="search", experiment=name, status=status, experiment_id=experiment_id, tag=IDENTITY_TAG
    )
    return next((run for run in searches if run.parent_id not in retraining), None)


def _differences(theirs: Mapping[str, Any], ours: Mapping[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key in sorted({*theirs, *ours}):
        there, here = theirs.get(key), ours.get(key)
        if isinstance(there, dict) and isinstance(here, dict):
            found += _differences(there, here, f"{prefix}{key}.")
        elif _networks(there) and _networks(here) and len(there) == len(here):
            found += _differences(_by_place(there), _by_place(here), f"{prefix}{key}.")
        elif _networks(there) and _networks(here):
            found.append(f"{prefix}{key} has {len(there)} entries there and {len(here)} here")
        elif there != here:
            found.append(f"{prefix}{key} is {there} there and {here} here")
    return found


def _by_place(networks: list[dict[str, Any]]) -> dict[str, Any]:
    return {str(place): each for place, each in enumerate(networks)}


def _networks(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    """Whether a value is a list of fixed networks."""
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)
