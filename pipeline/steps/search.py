"""The step `search`: ask, train, tell, and sum up. Leaves a run with a nested run per trial and the chosen network."""

from pipeline.figures import parallel, pareto
from pipeline.figures.style import png
from pipeline.findings.pareto import front
from pipeline.findings.selection import choose
from pipeline.network import space
from pipeline.search import loop
from pipeline.search.proposals import Proposals
from pipeline.search.workers import Workers
from pipeline.steps import trials
from pipeline.steps.display import Display
from pipeline.steps.journal import StoreJournal
from pipeline.steps.prepare import record_inputs
from pipeline.steps.session import Prepared, Session
from pipeline.steps.trials import Trial
from pipeline.tracking.store import Run


def search(session: Session, run: Run, prepared: Prepared, workers: Workers) -> Run:
    """Searches the experiment's space and records what was found; returns the run, which now speaks of its winner."""
    experiment = session.experiment
    run.log(tags=prepared.tags)
    record_inputs(run, prepared)
    size = space.size(experiment.space)
    wished = experiment.search.trials
    if size < wished:
        session.say(
            f"search: the space holds {size} networks, fewer than the {wished} trials asked for; it is searched whole"
        )
    total = min(wished, size) if experiment.search.tuner != "hyperband" else wished
    with Display(session.console, total=total, objective=experiment.search.objective, workers=workers.count) as display:
        journal = StoreJournal(session.store, run, experiment, prepared, display.ended)
        ending = loop.search(Proposals(experiment), workers, journal, trials=wished, window=_window(workers))
    found = trials.finished(session.store, run)
    _sum_up(session, run, prepared, found)
    counted = f"{len(found)} trials{f', {ending.failed} more failed' if ending.failed else ''}"
    early = ", the space is exhausted" if ending.reason == "exhausted" and ending.trials < wished else ""
    session.say(f"search: {counted}{early}. Chosen: {run.tags['narrowgap.reason_chosen']}")
    return run


def _window(workers: Workers) -> int:
    """Trials asked for and not told at a time: with many workers, one in hand for each, so that none waits for the
    oldest trial to end.
    """
    return 1 if workers.count == 1 else 2 * workers.count


def _sum_up(session: Session, run: Run, prepared: Prepared, found: list[Trial]) -> None:
    """Table, pictures, and the chosen network with its figures and reason."""
    experiment = session.experiment
    choice = choose(
        [trial.candidate() for trial in found],
        experiment.selection.rule,
        validation_size=len(prepared.split.validation),
    )
    chosen = found[choice.index]
    run.write("trials.csv", trials.table(found).to_csv(index=False))
    points = [pareto.Point(trial.run.metrics["accuracy_gap"], trial.run.metrics["test_accuracy"]) for trial in found]
    best = front([point.accuracy for point in points], [point.gap for point in points])
    mark = pareto.Mark(points[choice.index], f"chosen on validation: {chosen.name}")
    run.write("pareto.png", png(pareto.pareto(points, list(best), [mark])))
    coordinates = [trial.coordinates() for trial in found]
    deepest = max(len(trial.spec.hidden) for trial in found)
    names = [f"dropout_{place}" for place in range(deepest + 1)]
    names += [f"hidden_{layer}" for layer in range(1, deepest + 1)]
    names += ["val_accuracy", "test_accuracy", "accuracy_gap"]
    run.write("parallel.png", png(parallel.parallel(coordinates, names, colour_by="test_accuracy")))
    run.log(
        metrics={**{name: chosen.run.metrics[name] for name in trials.MEASURES}, "trials": len(found)},
        tags={
            "narrowgap.chosen": chosen.name,
            "narrowgap.chosen_run_id": chosen.run.id,
            "narrowgap.reason_chosen": choice.reason,
        },
    )
    run.note(f"**{experiment.question}**\n\nChosen by `{experiment.selection.rule}`: {choice.reason}")
