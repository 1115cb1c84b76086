"""One call of the command line: the root run, the data, then the step. Cheap checks come first, TensorFlow last."""

import time

from rich.console import Console

from pipeline.errors import KeptError
from pipeline.experiment import Experiment
from pipeline.network.start import start
from pipeline.steps import found, holder, plan, resume
from pipeline.steps.crew import workers
from pipeline.steps.plan import Outcome
from pipeline.steps.session import Session, duration, load
from pipeline.tracking import views
from pipeline.tracking.reach import answering
from pipeline.tracking.store import Run, Store


def run(step: str, experiment: Experiment, *, search_run_id: str | None, console: Console) -> None:
    """Runs a step as the root run of this process, and prints where to look."""
    began, outcome = time.monotonic(), None
    store = Store.connect()
    with (
        answering(store.uri),
        store.root(step=step, experiment=experiment.name, tags=holder.mark()).open() as root,
        holder.beating(root),
    ):
        root.write("experiment.yaml", experiment.to_yaml())
        if step == "retrain":  # before anything that takes time
            holder.sole(store, root, step=step, experiment=experiment.name)
        prepared = load(experiment, progress=lambda line: console.print(line, soft_wrap=True, markup=False))
        session = Session(experiment, store, console, prepared, search_run_id)
        holder.sweep(store, root, experiment.name)
        views.ensure(store, root, question=experiment.question, depth=_depth(experiment))
        if step == "prepare":
            from pipeline.steps.prepare import prepare  # noqa: PLC0415 - needs no TensorFlow

            prepare(session, root)
        elif step == "retrain":
            outcome = _retrain(session, root)
        else:
            # What can be refused is refused before processes and TensorFlow start.
            before = found.search_for(session) if step == "evaluate" else resume.earlier(session, root.experiment_id)
            with workers(session) as crew:  # their processes start while this one imports
                start()
                from pipeline.steps.recipes import RECIPES  # noqa: PLC0415 - Keras Tuner, after TensorFlow's quiet start

                RECIPES[step](session, root, crew, before)
        views.ensure(store, root, question=experiment.question, depth=_depth(experiment))  # now with the answer
        failing = outcome is not None and outcome.kind == "kept" and experiment.retrain.fail_when_kept
        if failing:
            root.finish("FINISHED")  # `mlflow run` goes by the exit code, unless the run has ended
    session.say(
        f"{step} of {experiment.name} took {duration(time.monotonic() - began)}. Run {root.id} in {store.shown}"
    )
    view = views.SEARCHES if step in {"prepare", "evaluate", "retrain"} else views.TRIALS
    hint = "" if store.uri.startswith("http") else "   (start the UI with: make ui)"
    session.say(f"See it: {views.link(store, root, view)}{hint}")
    if outcome is not None:
        session.say(outcome.sentence)
        if failing:
            raise KeptError("the champion was kept, and retrain.fail_when_kept asks to fail then")


def _retrain(session: Session, root: Run) -> Outcome:
    """What can be refused, and that there is nothing to do, is told before processes and TensorFlow start."""
    planned = plan.plan(session, root)
    if not planned.news:
        return plan.nothing_new(root, planned)
    with workers(session) as crew:
        start()
        from pipeline.steps.retrain import retrain  # noqa: PLC0415 - as above

        return retrain(session, root, crew, planned)


def _depth(experiment: Experiment) -> int:
    """The most hidden layers that a network of the experiment has."""
    networks = experiment.space.networks
    return max(len(network.hidden) for network in networks) if networks else experiment.space.depth[1]
