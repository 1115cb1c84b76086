"""The step `search`: runs the loop, records every trial, and chooses a network."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pipeline.data.sources import cache_folder
from pipeline.errors import SearchFailedError
from pipeline.experiment import Experiment, Selection
from pipeline.figures.comparisons import parallel_coordinates, pareto
from pipeline.figures.style import png
from pipeline.formatting import duration
from pipeline.models.spaces import space_of
from pipeline.preparation.step import record_inputs
from pipeline.search import loop, resume, trials
from pipeline.search.deadline import Deadline, Refits
from pipeline.search.progress import ProgressDisplay
from pipeline.search.proposals.proposals import Proposals
from pipeline.search.trial_journal import TrialJournal
from pipeline.search.trials import Trial
from pipeline.search.workers.jobs import Workers
from pipeline.session import PreparedData, Session
from pipeline.statistics.pareto import front
from pipeline.statistics.selection import choose
from pipeline.tracking import run_lock
from pipeline.tracking.names import (
    CHOSEN_RUN_TAG,
    CHOSEN_TAG,
    EXPERIMENT_YAML,
    IDENTITY_TAG,
    LEFT_OUT_TAG,
    METRICS,
    OVER_TAG,
    PARALLEL_PNG,
    PARETO_PNG,
    REASON_CHOSEN_TAG,
    STEP_TAG,
    TRIALS_ASKED_TAG,
    TRIALS_CSV,
    WINDOW_TAG,
)
from pipeline.tracking.store import Run

TRIALS_PER_PLACE = 4
"""The window is at most the number of trials divided by this."""


@contextmanager
def search_run(session: Session, root: Run, before: Run | None, *, alone: bool) -> Iterator[Run]:
    """The run of the search, ended with the block: that of an earlier search that is resumed, or a new one.

    A resumed search keeps its run, which moves below the root run of today. A step `search` that was called alone is
    then the parent of a search, so it is recorded as `main`.
    """
    if before is not None:
        if alone:
            root.log(tags={STEP_TAG: "main"})
        before = session.store.reopen(before, below=root)
        before.log(tags=run_lock.owner_tag())
        with before.open() as run:
            done = sum(each.status in {"FINISHED", "FAILED"} for each in session.store.children(run))
            session.say(f"search: resuming search {run.id} ({done} trials done)")
            yield run
    elif alone:
        yield root
    else:
        with session.child(root, step="search", name="search", held=True) as run:
            yield run


def search(session: Session, run: Run, workers: Workers, *, refits: Callable[[int], Refits] | None = None) -> Run:
    """Searches the space and records the result; returns the run, with the scores of the chosen network.

    Args:
        session: What every step is given.
        run: The run of the search.
        workers: Where trials are trained.
        refits: What the same command trains after so many trials; None if nothing.
    """
    experiment, prepared = session.experiment, session.prepared
    space, wished = space_of(experiment, prepared.split), experiment.search.trials
    for note in space.notes:
        session.say(f"search: {note}")
    size, proposals = space.size(), Proposals(experiment, space)
    if size < wished:
        session.say(f"search: the space has {size} networks, fewer than search.trials={wished}")
    window = int(run.tags.get(WINDOW_TAG, _window(workers, experiment)))
    _begin(run, prepared, experiment, window)
    total = min(wished, size) if experiment.search.tuner != "hyperband" else wished
    deadline = _deadline(session, run, workers, refits)
    session.say(f"search: {_opening(experiment, total, workers.count)}")
    with ProgressDisplay(
        session.console,
        total=total,
        objective=experiment.search.objective,
        workers=workers.count,
        limit=lambda: deadline.left,
    ) as display:
        try:
            with TrialJournal(
                session.store,
                run,
                experiment,
                prepared,
                display.ended,
                say=session.say,
                folder=cache_folder() / "outbox",
            ) as journal:
                ending = loop.search(proposals, workers, journal, trials=wished, window=window, deadline=deadline)
        except SearchFailedError:
            run.log(tags={OVER_TAG: "true"})
            journal.drop_states()
            raise
    found = trials.finished_trials(session.store, run, experiment.model)
    if not trials.unpruned(found):
        raise SearchFailedError("no trial was finished")
    if ending.reason == "minutes":
        left_out = f"{total - ending.trials} of {total} trials, since {deadline.why}"
        # The same command goes on with the rest.
        run.log(tags={TRIALS_ASKED_TAG: str(ending.trials), LEFT_OUT_TAG: left_out})
    elif LEFT_OUT_TAG in run.tags:
        run.log(tags={LEFT_OUT_TAG: ""})
    _sum_up(session, run, found)
    if (
        ending.reason != "minutes"
    ):  # after that, the same command goes on; with more `search.trials`, from the beginning
        journal.drop_states()
    _say_ending(session, run, ending, found)
    return run


def _opening(experiment: Experiment, total: int, at_a_time: int) -> str:
    """What is about to be searched, for the screen."""
    objective = METRICS[experiment.search.objective]
    extreme = "lowest" if objective.unit == "nats" else "highest"
    together = f", {at_a_time} at a time" if at_a_time > 1 else ""
    trials_asked = f"{total} trial{'' if total == 1 else 's'}"
    return f"{trials_asked} in all{together}; tuner: {experiment.search.tuner}; objective: {extreme} {objective.label}"


def _deadline(session: Session, run: Run, workers: Workers, refits: Callable[[int], Refits] | None) -> Deadline:
    """The time budget of the search, with the times of the trials that are done already."""
    experiment, split = session.experiment, session.prepared.split
    deadline = Deadline(
        experiment.search.minutes,
        workers=workers.count,
        inputs=split.inputs,
        classes=split.classes,
        clock=session.limit.clock,
        whole=session.limit,
        refits=refits,
    )
    if session.limit.minutes is not None:
        session.say(f"search: {duration(max(session.limit.left, 0))} of {session.limit} are left")
    known = trials.finished_trials(session.store, run, experiment.model) if deadline.left < math.inf else []
    for trial in known:
        deadline.resume(trial, trial.recipe.settings(experiment.training).epochs)
    return deadline


def _begin(run: Run, prepared: PreparedData, experiment: Experiment, window: int) -> None:
    """Records what a later process needs to resume this search."""
    if IDENTITY_TAG not in run.tags:
        record_inputs(run, prepared)
    identity = resume.identity_tag(run, resume.identity(experiment, prepared))
    own = {
        IDENTITY_TAG: identity,
        WINDOW_TAG: str(window),
        TRIALS_ASKED_TAG: str(experiment.search.trials),
    }
    run.log(tags=prepared.tags | own)
    run.write(EXPERIMENT_YAML, experiment.to_yaml())
    if experiment.model is not None:
        run.write(experiment.model.artifact, experiment.model.source)


def _say_ending(session: Session, run: Run, ending: loop.Ending, found: list[Trial]) -> None:
    pruned = sum(trial.pruned for trial in found)
    counted = f"{len(found)} {'trial' if len(found) == 1 else 'trials'}{f', {pruned} of them pruned' if pruned else ''}"
    counted += f", {ending.failed} more failed" if ending.failed else ""
    why = {
        "trials": "",
        "exhausted": ", the space is exhausted",
        "minutes": f"; left out for time: {run.tags.get(LEFT_OUT_TAG)}",
    }[ending.reason if ending.trials < session.experiment.search.trials else "trials"]
    rule = session.experiment.selection.rule
    session.say(
        f"search: {counted}{why}. Choice of the search by the rule {rule}, on validation: {run.tags[REASON_CHOSEN_TAG]}"
    )


def _window(workers: Workers, experiment: Experiment) -> int:
    """Trials proposed at a time before their scores are reported. With many workers one waits for each, so no worker waits
    for the oldest trial; fewer if proposals learn from scores and would have too few to learn from.
    """
    if workers.count == 1:
        return 1
    ahead = 2 * workers.count
    if experiment.search.tuner in {"random", "grid"}:
        return ahead
    return max(1, min(ahead, experiment.search.trials // TRIALS_PER_PLACE))


def choose_trial(found: Sequence[Trial], selection: Selection, validation_size: int) -> tuple[Trial, str]:
    """The trial that the experiment's rule chooses on so many validation images, and why. Those that a pruner or Hyperband
    stopped early are left out: after fewer epochs a gap is small.
    """
    eligible = trials.fully_trained(found)
    candidates = [trial.candidate() for trial in eligible]
    choice = choose(candidates, selection.rule, validation_size=validation_size, tolerance=selection.tolerance)
    return eligible[choice.index], choice.reason


def _sum_up(session: Session, run: Run, found: list[Trial]) -> None:
    """Records the table, the pictures, and the chosen network with its scores and reason."""
    experiment, eligible = session.experiment, trials.fully_trained(found)
    chosen, reason = choose_trial(found, experiment.selection, len(session.prepared.split.validation))
    run.write(TRIALS_CSV, trials.table(found).to_csv(index=False))
    points = [_point(trial) for trial in eligible]
    complete = {trial.number for trial in eligible}
    stopped = [_point(trial) for trial in found if trial.number not in complete]
    best = front([point.accuracy for point in points], [point.gap for point in points])
    mark = pareto.Mark(_point(chosen), f"choice of the search: {chosen.name}")
    run.write(PARETO_PNG, png(pareto.pareto(points, list(best), [mark], stopped)))
    coordinates = [trial.coordinates() for trial in eligible]
    names = [name for name in trials.hyperparameters(eligible) if name != "depth" or experiment.model is not None]
    names.sort(key=lambda name: name.rstrip("0123456789"))  # by kind; within a kind by layer, as they came
    names += ["val_accuracy", "test_accuracy", "accuracy_gap"]
    log = experiment.training.logarithmic
    run.write(PARALLEL_PNG, png(parallel_coordinates.parallel(coordinates, names, colour_by="test_accuracy", log=log)))
    run.log(
        metrics={**{name: chosen.run.metrics[name] for name in trials.MEASURES}, "trials": len(found)}
        | ({"pruned": sum(trial.pruned for trial in found)} if experiment.search.pruner != "none" else {}),
        tags={
            CHOSEN_TAG: chosen.name,
            CHOSEN_RUN_TAG: chosen.run.id,
            REASON_CHOSEN_TAG: reason,
        },
    )
    left_out = f"\n\nLeft out for time: {run.tags[LEFT_OUT_TAG]}." if run.tags.get(LEFT_OUT_TAG) else ""
    run.note(f"**{experiment.question}**\n\nChosen by `{experiment.selection.rule}`: {reason}{left_out}")


def _point(trial: Trial) -> pareto.Point:
    return pareto.Point(trial.run.metrics["accuracy_gap"], trial.run.metrics["test_accuracy"])
