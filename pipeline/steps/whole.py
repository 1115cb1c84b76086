"""The recipes: what each step of the command line does, and the whole in one process. Owns the root run."""

import io
import time
from collections.abc import Callable

import pandas as pd
from rich.console import Console
from rich.table import Table

from pipeline.experiment import Experiment
from pipeline.steps import evaluate as evaluating
from pipeline.steps import prepare as preparing
from pipeline.steps import search as searching
from pipeline.steps.crew import workers
from pipeline.steps.display import duration
from pipeline.steps.session import Session
from pipeline.tracking import views
from pipeline.tracking.store import Run, Store


def run(step: str, experiment: Experiment, *, search_run_id: str | None, console: Console) -> None:
    """Runs a step as the root run of this process, and prints where to look."""
    start = time.monotonic()
    session = Session(experiment, Store.connect(), console)
    recipes: dict[str, Callable[[Session, Run], None]] = {
        "main": _main,
        "prepare": _prepare,
        "search": _search,
        "evaluate": lambda session, root: _evaluate(session, root, search_run_id),
    }
    with session.store.root(step=step, experiment=experiment.name, tags={}).open() as root:
        root.write("experiment.yaml", experiment.to_yaml())
        views.ensure(session.store, root, question=experiment.question, depth=_depth(experiment))
        recipes[step](session, root)
        views.ensure(session.store, root, question=experiment.question, depth=_depth(experiment))  # now with the answer
    took = duration(time.monotonic() - start)
    session.say(f"{step} of {experiment.name} took {took}. Run {root.id} in {session.store.shown}")
    view = views.SEARCHES if step in {"prepare", "evaluate"} else views.TRIALS
    hint = "" if session.store.uri.startswith("http") else "   (start the UI with: make ui)"
    session.say(f"See it: {views.link(session.store, root, view)}{hint}")


def _main(session: Session, root: Run) -> None:
    with session.child(root, step="prepare", name="prepare", tags={}) as run:
        prepared = preparing.prepare(session, run)
    root.log(tags=prepared.tags)
    with workers(session, prepared) as crew:
        with searching.search_run(session, root, prepared, alone=False) as run:
            search = searching.search(session, run, prepared, crew)
        with session.child(root, step="evaluate", name="evaluate", tags={}) as run:
            evaluated = evaluating.evaluate(session, run, prepared, search, crew)
    _speak_for(root, evaluated)
    _print_gaps(session, evaluated)


def _speak_for(root: Run, child: Run) -> None:
    """The root shows what its last step has found, so that no row in the UI is empty."""
    root.log(metrics=child.metrics, tags={key: child.tags[key] for key in ("narrowgap.chosen", "mlflow.note.content")})


def _prepare(session: Session, root: Run) -> None:
    preparing.prepare(session, root)


def _search(session: Session, root: Run) -> None:
    prepared = session.load()
    with workers(session, prepared) as crew, searching.search_run(session, root, prepared, alone=True) as run:
        searching.search(session, run, prepared, crew)
    if run is not root:
        _speak_for(root, run)


def _evaluate(session: Session, root: Run, search_run_id: str | None) -> None:
    search = evaluating.find_search(session, search_run_id)
    prepared = session.load()
    evaluating.check_same(search, prepared)
    with workers(session, prepared) as crew:
        evaluating.evaluate(session, root, prepared, search, crew)
    _print_gaps(session, root)


def _depth(experiment: Experiment) -> int:
    """The most hidden layers that a network of the experiment has."""
    networks = experiment.space.networks
    return max(len(network.hidden) for network in networks) if networks else experiment.space.depth[1]


def _print_gaps(session: Session, run: Run) -> None:
    """The summary: what was trained again, with both gaps."""
    gaps = pd.read_csv(io.BytesIO(run.read("gaps.csv")))
    shown = Table(title="Train and test, scored by the same weights with dropout off", title_justify="left")
    for column in ("network", "architecture", "test accuracy", "honest gap", "fit gap", "test loss", "loss gap"):
        shown.add_column(column, justify="left" if column in {"network", "architecture"} else "right")
    fit = gaps[gaps["measure"] == "fit"].set_index("network")
    for row in gaps[gaps["measure"] == "honest"].to_dict("records"):
        shown.add_row(
            row["network"],
            row["architecture"],
            f"{100 * row['test_accuracy']:.2f} %",
            f"{100 * row['accuracy_gap']:+.2f} points",
            f"{100 * fit.loc[row['network'], 'accuracy_gap']:+.2f} points",
            f"{row['test_loss']:.4f}",
            f"{row['loss_gap']:+.4f}",
        )
    session.console.print(shown)
