"""Runs one step as the root run of this process: store, lock, data, then the step.

Cheap checks come first and TensorFlow last, so bad input is reported within seconds.
"""

import os
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
from rich.console import Console

from pipeline import stop_request
from pipeline.data.shared_split import temporary_folder
from pipeline.data.sources import cache_folder
from pipeline.errors import KeptError, StoreError
from pipeline.evaluation import find_search, kept_refits
from pipeline.evaluation.outbox_cleanup import delete_unread
from pipeline.experiment import Experiment
from pipeline.formatting import duration
from pipeline.models.spaces import space_of
from pipeline.retraining import plan
from pipeline.retraining.plan import RetrainingOutcome
from pipeline.search import resume
from pipeline.search.workers.choose import start_early, start_workers
from pipeline.search.workers.jobs import Workers
from pipeline.session import Session, connect, load
from pipeline.time_limit import TimeLimit
from pipeline.tracking import run_lock, views
from pipeline.tracking.connection.health import store_errors
from pipeline.tracking.names import (
    CHOSEN_TAG,
    EXPERIMENT_YAML,
    KEEPS_REFITS_TAG,
    LEFT_OUT_TAG,
    NOTE_TAG,
    REPORT,
)
from pipeline.tracking.store import Run, Store
from pipeline.training.runtime import init_tensorflow


def run(step: str, experiment: Experiment, *, search_run_id: str | None, console: Console) -> None:
    """Runs a step as the root run of this process, and prints the link to it.

    Args:
        step: `main`, `prepare`, `check`, `search`, `evaluate` or `retrain`.
        experiment: The experiment, with overrides applied.
        search_run_id: For `evaluate`: the search to evaluate; None takes the experiment's latest.
        console: The screen.

    Raises:
        KeptError: A retraining kept its champion and `retrain.fail_when_kept` is set.
    """
    began, outcome, mlflow_run = time.monotonic(), None, MlflowRun()
    start_early(step, experiment)

    def say(line: str) -> None:
        console.print(line, soft_wrap=True, markup=False)

    store = connect(experiment, console)
    with (
        temporary_folder() as folder,
        store_errors(store.uri),
        run_lock.root_run(store, step=step, experiment=experiment.name, also=mlflow_run.check) as root,
    ):
        root.write(EXPERIMENT_YAML, experiment.to_yaml())
        if store.keeps_artifacts_here(root):
            say(
                f"the server keeps artifacts in {root.artifact_uri}, a folder of this machine; others will not see them"
            )
        if step == "retrain":  # before anything that takes time
            # `prune` takes the same lease.
            run_lock.lease(store, root, of=f"registry {experiment.name}", what=f"{step} of {experiment.name}", say=say)
        prepared = load(experiment, progress=say, folder=folder)
        session = Session(experiment, store, console, prepared, TimeLimit(experiment.minutes, began))
        if step in {"main", "search"} and experiment.search.resume != "never":
            resume.lease(session, root)
        run_lock.end_orphans(store, root, experiment.name, say)
        _delete_unread_records(store)
        if experiment.model is not None:
            init_tensorflow()  # its space is found by building networks; what is wrong with it is reported now
        show = partial(
            views.ensure,
            store,
            root,
            question=experiment.question,
            depth=_depth(experiment),
            searched=experiment.searched,
            own=space_of(experiment, prepared.split).charts(),
        )
        show()
        if step == "retrain":
            outcome = _retrain_if_needed(session, root)
        else:
            _run_step(step, session, root, search_run_id)
        show()  # now with the answer
        failing = outcome is not None and outcome.kind == "kept" and experiment.retrain.fail_when_kept
        root.adopted = root.adopted and not mlflow_run.gone
        if failing or KEEPS_REFITS_TAG in root.tags:
            root.finish("FINISHED")  # `mlflow run` goes by the exit code, unless the run has ended
    _drop_kept_refits(step, store, root)
    _print_summary(session, root, step, seconds=time.monotonic() - began)
    if outcome is not None:
        session.say(outcome.message)
        if failing:
            raise KeptError("the champion was kept, and retrain.fail_when_kept asks to fail then")


def _drop_kept_refits(step: str, store: Store, root: Run) -> None:
    """Deletes what no later run needs of refits; what cannot be deleted now is left for the next run."""
    if step in {"main", "evaluate", "retrain"}:
        with suppress(StoreError), store_errors(store.uri), store.client.hurried():
            kept_refits.drop(store, root)


def _delete_unread_records(store: Store) -> None:
    """Deletes networks that the store has not taken and that no command will read. A store that is away is left alone."""
    with suppress(StoreError), store_errors(store.uri), store.client.hurried():
        delete_unread(store, cache_folder() / "outbox")


class MlflowRun:
    """The `mlflow run` that started this process, if one did."""

    def __init__(self) -> None:
        started = bool(os.environ.get("MLFLOW_RUN_ID"))
        parents = psutil.Process().parents() if started else []
        self._process = next((each for each in parents if _is_mlflow_run(each)), None)

    @property
    def gone(self) -> bool:
        """Whether it was there and has ended: then nobody else would end the run of this step."""
        return self._process is not None and _has_ended(self._process)

    def check(self) -> None:
        """Ends this process as SIGTERM does if it is gone, unless this one was asked to stop already."""
        if self.gone and not stop_request.asked():
            os.kill(os.getpid(), signal.SIGTERM)


def _has_ended(process: psutil.Process) -> bool:
    """Whether a process has ended. It stays in the system's table until its parent asks for it, which in a container may be
    never.
    """
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _is_mlflow_run(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    return "run" in words and any(Path(word).name == "mlflow" for word in words[:3])


def _run_step(step: str, session: Session, root: Run, search_run_id: str | None) -> None:
    if step == "prepare":
        from pipeline.preparation.step import prepare  # noqa: PLC0415 - needs no TensorFlow

        prepare(session, root)
        return
    if step == "check":
        from pipeline.checking.step import check  # noqa: PLC0415 - needs no TensorFlow

        check(session, root)
        return
    # Bad input is reported before processes and TensorFlow start.
    if step == "evaluate":
        earlier: Run | None = find_search.search_for(session, search_run_id)
    else:
        earlier = resume.search_to_resume(session, root.experiment_id)
    with start_workers(session) as workers:  # their processes start while this one imports
        init_tensorflow()
        {"main": _main, "search": _search, "evaluate": _evaluate}[step](session, root, workers, earlier)


def _main(session: Session, root: Run, workers: Workers, earlier: Run | None) -> None:
    """Prepare, search, evaluate: a nested run each."""
    from pipeline.evaluation.screen_table import print_gaps  # noqa: PLC0415 - as above
    from pipeline.evaluation.seeds_in_time import refits_to_come  # noqa: PLC0415 - Keras Tuner, after TensorFlow's quiet start
    from pipeline.evaluation.step import evaluate  # noqa: PLC0415 - as above
    from pipeline.preparation.step import prepare  # noqa: PLC0415 - as above
    from pipeline.search.step import search, search_run  # noqa: PLC0415 - as above

    root.log(tags=session.prepared.tags)
    with session.child(root, step="prepare", name="prepare") as run:
        prepare(session, run)
    found = resume.unevaluated(session, root.experiment_id) if earlier is None else None
    if found is not None:
        session.say(f"search: search {found.id} has finished, and its evaluation was stopped; it is evaluated now")
        session.store.move(found, below=root)
    else:
        with search_run(session, root, earlier, alone=False) as run:
            found = search(session, run, workers, refits=partial(refits_to_come, session.experiment))
    with session.child(root, step="evaluate", name="evaluate") as run:
        result = evaluate(session, run, found, workers)
    _copy_result(root, run)
    root.write(REPORT, result.report)
    print_gaps(session, run, result)


def _search(session: Session, root: Run, workers: Workers, earlier: Run | None) -> None:
    """A search alone, or the rest of one that was interrupted."""
    from pipeline.search.step import search, search_run  # noqa: PLC0415 - Keras Tuner, after TensorFlow's quiet start

    with search_run(session, root, earlier, alone=True) as run:
        search(session, run, workers)
    if run is not root:
        _copy_result(root, run)


def _evaluate(session: Session, root: Run, workers: Workers, search: Run | None) -> None:
    """The named search, or the experiment's latest that finished."""
    from pipeline.evaluation.screen_table import print_gaps  # noqa: PLC0415 - as above
    from pipeline.evaluation.step import evaluate  # noqa: PLC0415 - Keras Tuner, after TensorFlow's quiet start

    if search is None:
        raise ValueError("no search to evaluate")
    print_gaps(session, root, evaluate(session, root, search, workers))


def _retrain_if_needed(session: Session, root: Run) -> RetrainingOutcome:
    """Retrains if there is something to do: what a scheduled job runs at night. Bad input is reported before processes and
    TensorFlow start.
    """
    planned = plan.plan(session, root)
    if not planned.needs_training:
        return plan.nothing_new(root, planned)
    with start_workers(session) as workers:
        init_tensorflow()
        from pipeline.retraining.step import retrain  # noqa: PLC0415 - Keras Tuner, after TensorFlow's quiet start

        return retrain(session, root, workers, planned)


def _copy_result(root: Run, child: Run) -> None:
    """Copies the result of the last step to the root run, so its row in the UI is not empty."""
    copied = [key for key in (CHOSEN_TAG, NOTE_TAG, LEFT_OUT_TAG) if key in child.tags]
    root.log(metrics=child.metrics, tags={key: child.tags[key] for key in copied})


def _print_summary(session: Session, root: Run, step: str, *, seconds: float) -> None:
    """Prints the time that the step took, its run, and how to open its view in the UI."""
    store, name = session.store, session.experiment.name
    what = name if step == "main" else f"{name}: {step}"
    session.say(f"{what} took {duration(seconds)}. MLflow run: {root.id} in {store.shown}")
    view = views.SEARCHES if step in {"prepare", "check", "evaluate", "retrain"} else views.TRIALS
    start = "" if store.uri.startswith("http") else "make ui, then "
    session.say(f"Compare runs: {start}{views.link(store, root, view)}")


def _depth(experiment: Experiment) -> int:
    """Largest number of hidden layers in the space of the experiment."""
    networks = experiment.space.networks
    return max(len(network.hidden) for network in networks) if networks else experiment.space.depth[1]
