"""Finds the search to evaluate, and checks it before anything heavy starts."""

import yaml

from pipeline.errors import InputError
from pipeline.experiment import Experiment, names, parse
from pipeline.formatting import command
from pipeline.session import PreparedData, Session
from pipeline.tracking.names import CHOSEN_RUN_TAG, EXPERIMENT_TAG, EXPERIMENT_YAML, SPLIT_TAG, STEP_TAG
from pipeline.tracking.store import Run


def search_for(session: Session, run_id: str | None) -> Run:
    """The checked search: the given run, or the latest that finished."""
    search = _named_or_latest(session, run_id)
    _check(session, search)
    return search


def _named_or_latest(session: Session, run_id: str | None) -> Run:
    """The given run, or the experiment's latest search that finished."""
    if run_id is not None:
        run = session.store.get(run_id)
        if run.tags.get(STEP_TAG) == "main":
            nested = [each for each in session.store.children(run) if each.tags.get(STEP_TAG) == "search"]
            if not nested:
                raise InputError(
                    f"main run {run_id} has no search any more: it went on elsewhere; name the search's run"
                )
            run = nested[0]
        if run.tags.get(STEP_TAG) != "search":
            step = run.tags.get(STEP_TAG, "none of Narrowgap's")
            raise InputError(f"run {run_id} is of the step {step}; expected a run of the step search, or main")
        return run
    name = session.experiment.name
    latest = session.store.latest(step="search", experiment=name)
    if latest is None:
        raise InputError(
            f"no finished search of the experiment {name} in {session.store.shown}; run one: "
            + command("search", name, known=name in names())
        )
    return latest


def _check(session: Session, search: Run) -> None:
    """Raises InputError if the search belongs to another experiment, chose nothing, used other data, or lost its trials or
    its artifact experiment.yaml.
    """
    prepared: PreparedData = session.prepared
    name, asked = search.tags.get(EXPERIMENT_TAG), session.experiment.name
    if name != asked:
        raise InputError(f"search {search.id} is of the experiment {name}, not {asked}; say -P experiment={name}")
    if CHOSEN_RUN_TAG not in search.tags:
        raise InputError(f"search {search.id} has chosen no network: it did not finish; run the search again to go on")
    theirs, ours = search.tags.get(SPLIT_TAG), prepared.split.fingerprint
    if theirs != ours:
        raise InputError(
            f"search {search.id} used another split of the data ({str(theirs)[:12]}) than this experiment asks for now "
            f"({ours[:12]}); set data.* as in its artifact experiment.yaml, or run a new search"
        )
    trials = (each for each in session.store.children(search) if each.tags.get(STEP_TAG) == "trial")
    if not any(each.status == "FINISHED" for each in trials):
        raise InputError(
            f"search {search.id} has no finished trials any more: their runs were deleted; restore them "
            "(mlflow runs restore --run-id ID), or run a new search"
        )
    recorded(search)


def recorded(run: Run) -> Experiment:
    """The experiment as the run recorded it."""
    content = yaml.safe_load(run.read(EXPERIMENT_YAML))
    return parse(content, where=f"the artifact experiment.yaml of run {run.id}")
