"""The step `evaluate`: the chosen network beside the notebook's without dropout, trained again and looked at closely.

Leaves a run with both gap tables, pictures and the model, and a nested run per refit.
"""

from dataclasses import dataclass

from pipeline.data.split import Split
from pipeline.errors import SearchFailedError
from pipeline.experiment import Experiment, Training
from pipeline.figures import classes as classes_figure
from pipeline.figures import gaps as gaps_figure
from pipeline.figures import mistakes as mistakes_figure
from pipeline.figures import reliability as reliability_figure
from pipeline.figures.style import png
from pipeline.findings import calibration, classes, metrics, mistakes
from pipeline.findings.table import Row, gaps_table, markdown
from pipeline.network.build import build
from pipeline.network.result import TrialResult
from pipeline.network.spec import NetworkSpec, notebook_network
from pipeline.registry.model import log_model
from pipeline.search.proposals import seed_of
from pipeline.search.workers import Job, Outcome, Workers
from pipeline.steps import record
from pipeline.steps.found import recorded
from pipeline.steps.prepare import record_inputs
from pipeline.steps.session import Session
from pipeline.tracking.store import Run

MOST_MISTAKES = 30
REFIT = 2**32
"""A number that no trial has: a refit is trained with a seed that the search has not seen."""


@dataclass(frozen=True)
class Finalist:
    """One network to train again."""

    role: str
    """`chosen`, `baseline`, or for further fixed networks `other 2`, …"""
    spec: NetworkSpec
    settings: Training


@dataclass(frozen=True, eq=False)
class Refit:
    """A finalist, trained again."""

    finalist: Finalist
    result: TrialResult
    run: Run
    pictures: dict[str, bytes]


def evaluate(session: Session, run: Run, search: Run, workers: Workers) -> None:
    """Refits the chosen network and the baseline and records how they compare."""
    prepared = session.prepared
    run.log(tags={**prepared.tags, "narrowgap.search_run_id": search.id})
    record_inputs(run, prepared)
    finalists = _finalists(session, search)
    session.say(f"evaluate: training {' and '.join(f'the {each.role}' for each in finalists)} again with a fresh seed")
    refits = _refit(session, run, finalists, workers)
    chosen = refits[0]
    _compare(session, run, prepared.split, refits, search)
    _look_closely(run, prepared.split, chosen)
    run.log(
        metrics=metrics.trial_metrics(chosen.result),
        tags={"narrowgap.chosen": chosen.run.params["architecture"], **record.network_tag(chosen.finalist.spec)},
    )
    _log_model(run, prepared.split, chosen)


def _finalists(session: Session, search: Run) -> list[Finalist]:
    """The chosen network first; then the other fixed networks, if the space is a list of such, or else the notebook's
    without dropout as the baseline (left out where it is the chosen one).
    """
    searched = recorded(search)
    trial = session.store.get(search.tags["narrowgap.chosen_run_id"])
    chosen = record.network_of(trial.tags)
    others = [fixed.spec() for fixed in searched.space.networks or ()] or [notebook_network()]
    finalists = [Finalist("chosen", chosen, _settings(searched, chosen))]
    for spec in others:
        if spec != chosen:
            plain = not any(spec.dropout) and "baseline" not in {each.role for each in finalists}
            role = "baseline" if plain else f"other {len(finalists)}"
            finalists.append(Finalist(role, spec, _settings(searched, spec)))
    return finalists


def _settings(experiment: Experiment, spec: NetworkSpec) -> Training:
    """As the search trained it: a fixed network may have settings of its own."""
    for fixed in experiment.space.networks or ():
        if fixed.spec() == spec:
            return experiment.training.merged(fixed.training)
    return experiment.training


def _refit(session: Session, run: Run, finalists: list[Finalist], workers: Workers) -> list[Refit]:
    """Trains the finalists on the workers; raises SearchFailedError when one fails."""
    seed = seed_of(session.experiment.search.seed, REFIT)
    prepared, runs = session.prepared, dict[int, Run]()
    for number, finalist in enumerate(finalists):
        runs[number] = session.store.child(
            run,
            step="refit",
            name=f"refit {finalist.role}",
            tags={
                "narrowgap.experiment": session.experiment.name,
                "narrowgap.role": finalist.role,
                **prepared.tags,
                **record.network_tag(finalist.spec),
            },
            params=record.trial_params(finalist.spec, finalist.settings, seed, prepared.split),
        )
        workers.submit(Job(number, finalist.spec, finalist.settings, seed, finalist.settings.epochs))
    refits: dict[int, Refit] = {}
    try:
        while len(refits) < len(finalists):
            for outcome in workers.finished():
                refits[outcome.number] = _ended(
                    finalists[outcome.number], outcome, runs[outcome.number], prepared.split
                )
                del runs[outcome.number]
    except BaseException:
        for unfinished in runs.values():
            if unfinished.status == "RUNNING":
                unfinished.finish("KILLED", "the evaluation was stopped before this refit had ended")
        raise
    return [refits[number] for number in range(len(finalists))]


def _ended(finalist: Finalist, outcome: Outcome, run: Run, split: Split) -> Refit:
    if outcome.result is None:
        run.finish("FAILED", outcome.failure)
        raise SearchFailedError(f"the {finalist.role} could not be trained again: {outcome.failure}")
    record.trained(run, outcome.result, split, outcome.pictures, seconds=outcome.seconds)
    run.finish("FINISHED")
    return Refit(finalist, outcome.result, run, dict(outcome.pictures))


def _compare(session: Session, run: Run, split: Split, refits: list[Refit], search: Run) -> None:
    """The notebook's table by both measures: csv, picture, note, screen."""
    rows = [
        Row(refit.finalist.role, refit.finalist.spec.architecture(split.inputs, split.classes), refit.result)
        for refit in refits
    ]
    table = gaps_table(rows)
    run.write("gaps.csv", table.to_csv(index=False))
    run.write("gaps.png", png(gaps_figure.gaps(table)))
    reason = search.tags["narrowgap.reason_chosen"]
    run.note(f"**{session.experiment.question}**\n\n{reason}\n\n{markdown(table)}")


def _look_closely(run: Run, split: Split, chosen: Refit) -> None:
    """Curves, confusion, classes, calibration and mistakes of the chosen network."""
    for name, content in chosen.pictures.items():
        run.write(name, content)
    test, probabilities = split.test, chosen.result.probabilities["test"]
    by_class = classes.per_class(test.labels, probabilities, split.class_names)
    run.write("classes.csv", by_class.to_csv(index=False))
    run.write("classes.png", png(classes_figure.classes(by_class, part="test")))
    measured = calibration.reliability(test.labels, probabilities)
    run.log(metrics={"test_calibration_error": measured.expected_calibration_error})
    run.write("reliability.png", png(reliability_figure.reliability(measured, part="test")))
    found = mistakes.surest(test.labels, probabilities, most=MOST_MISTAKES)
    page = mistakes_figure.mistakes(test.images, found, split.class_names, pixel_max=split.pixel_max, part="test")
    run.write("mistakes.png", png(page))


def _log_model(run: Run, split: Split, chosen: Refit) -> None:
    height, width = split.train.images.shape[1:]
    model = build(
        chosen.finalist.spec,
        image_shape=(height, width),
        classes=split.classes,
        pixel_max=split.pixel_max,
        seed=chosen.result.seed,
    )
    model.set_weights(chosen.result.weights)
    address = log_model(run, model, split.test.images[:5])
    run.log(tags={"narrowgap.model": address})
