"""The step `evaluate`: the chosen network beside the notebook's without dropout, trained again and looked at closely.

Leaves a run with both gap tables, pictures and the model, and a nested run per refit.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.data.split import Split
from pipeline.errors import InputError, SearchFailedError
from pipeline.experiment import Experiment, Training, parse
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
from pipeline.search.workers import Job, Outcome, Workers
from pipeline.steps import record
from pipeline.steps.prepare import record_inputs
from pipeline.steps.session import Prepared, Session
from pipeline.tracking.store import Run

MOST_MISTAKES = 30


@dataclass(frozen=True)
class Finalist:
    """One network to train again."""

    role: str
    """`chosen` or `baseline`."""
    spec: NetworkSpec
    settings: Training


@dataclass(frozen=True, eq=False)
class Refit:
    """A finalist, trained again."""

    finalist: Finalist
    result: TrialResult
    run: Run
    pictures: dict[str, bytes]


def find_search(session: Session) -> Run:
    """The search to evaluate: the one that was named, or the experiment's latest that finished."""
    run_id = session.search_run_id
    if run_id is not None:
        run = session.store.get(run_id)
        if run.tags.get("narrowgap.step") == "main":
            nested = [each for each in session.store.children(run) if each.tags.get("narrowgap.step") == "search"]
            run = nested[0] if nested else run
        if run.tags.get("narrowgap.step") != "search":
            step = run.tags.get("narrowgap.step", "none of Narrowgap's")
            raise InputError(f"run {run_id} is of the step {step}; expected a run of the step search, or main")
        return run
    name = session.experiment.name
    latest = session.store.latest(step="search", experiment=name)
    if latest is None:
        raise InputError(
            f"no finished search of the experiment {name} in {session.store.shown}; run one: mlflow run . -e search"
        )
    return latest


def check_same(search: Run, prepared: Prepared) -> None:
    """Raises InputError when the data are not those that the search used."""
    theirs, ours = search.tags.get("narrowgap.split"), prepared.split.fingerprint
    if theirs != ours:
        raise InputError(
            f"search {search.id} used another split of the data ({str(theirs)[:12]}) than this experiment asks for now "
            f"({ours[:12]}); set data.* as in its artifact experiment.yaml, or run a new search"
        )


def evaluate(session: Session, run: Run, search: Run, workers: Workers) -> None:
    """Refits the chosen network and the baseline and records how they compare."""
    if "narrowgap.chosen_run_id" not in search.tags:
        raise SearchFailedError(f"search {search.id} has chosen no network: did it end early?")
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
    """The chosen network first, then the notebook's without dropout (left out where it is the chosen one)."""
    searched = parse_recorded(search)
    trial = session.store.get(search.tags["narrowgap.chosen_run_id"])
    spec, baseline = record.network_of(trial.tags), notebook_network()
    chosen = Finalist("chosen", spec, _settings(searched, spec))
    others = [] if spec == baseline else [Finalist("baseline", baseline, _settings(searched, baseline))]
    return [chosen, *others]


def parse_recorded(run: Run) -> Experiment:
    """The experiment as the run recorded it."""
    import yaml  # noqa: PLC0415 - small, but only here

    content = yaml.safe_load(run.read("experiment.yaml"))
    return parse(content, where=f"the artifact experiment.yaml of run {run.id}")


def _settings(experiment: Experiment, spec: NetworkSpec) -> Training:
    """As the search trained it: a fixed network may have settings of its own."""
    for fixed in experiment.space.networks or ():
        if fixed.spec() == spec:
            return experiment.training.merged(fixed.training)
    return experiment.training


def _refit(session: Session, run: Run, finalists: list[Finalist], workers: Workers) -> list[Refit]:
    """Trains the finalists on the workers; raises SearchFailedError when one fails."""
    seed = 1 + int(np.random.SeedSequence([session.experiment.search.seed, 2**32]).generate_state(1)[0] % (2**31 - 2))
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
    record.trained(run, outcome.result, split, outcome.pictures)
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
