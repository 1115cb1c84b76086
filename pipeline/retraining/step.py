"""The step `retrain`: trains a challenger on the current data and promotes it if the gate decides so.

If the step is interrupted at any point, the champion is either the old or the new version: the alias is moved only after
the new version was loaded back and tested. The next call deletes the versions of the interrupted run, or completes the run
if the alias was moved already.
"""

import time
from collections.abc import Sequence

import numpy as np

from pipeline.errors import BusyError
from pipeline.formatting import shortened
from pipeline.preparation.step import record_inputs
from pipeline.retraining import challenger as challenging
from pipeline.retraining import drift_reference, monitoring
from pipeline.retraining.challenger import Challenger
from pipeline.retraining.decision import Decision, as_json, as_markdown
from pipeline.retraining.gate import SignificanceSettings, decide
from pipeline.retraining.model_metrics import ModelPredictions
from pipeline.retraining.plan import Plan, RetrainingOutcome
from pipeline.search.workers.jobs import Workers
from pipeline.serving.model import load
from pipeline.session import Session
from pipeline.statistics.monitoring.control_chart import seed_noise
from pipeline.tracking.names import (
    ACCURACY_GAP_TAG,
    ARCHITECTURE_TAG,
    CHAMPION,
    DECISION_JSON,
    DECISION_MD,
    DECISION_TAG,
    LEFT_OUT_TAG,
    MODE_TAG,
    PROMOTED_AT_TAG,
    PROMOTED_BY_TAG,
    REASON_TAG,
    RETRAIN_RUN_TAG,
    TEST_ACCURACY_TAG,
    VERSION_TAG,
)
from pipeline.tracking.provenance import user
from pipeline.tracking.registry import Registry, Version
from pipeline.tracking.run import MOST_TAG_LETTERS
from pipeline.tracking.store import Run

LOADED_BACK = 32
"""Test images on which a version that was loaded back must predict as the trained network did."""
DECISION_FILES = (DECISION_JSON, DECISION_MD)
MOST_VERSION_LETTERS = 5000
"""Most letters of a description or a tag of a version that every registry takes."""
FEW_SEEDS = 3
"""With fewer, the interval over seeds is very wide: with two, once ± 73 points of accuracy."""
TRIES = 3
"""How often to decide if somebody else moves the champion meanwhile."""


def retrain(session: Session, root: Run, workers: Workers, planned: Plan) -> RetrainingOutcome:
    """Trains challengers in the order of `planned.modes` until one is promoted."""
    record_inputs(root, session.prepared)
    if planned.champion is not None:
        # No training if they cannot be compared.
        challenging.load_champion(planned.registry, planned.champion, session.prepared.split)
    if planned.champion is not None and session.experiment.evaluation.seeds < FEW_SEEDS:
        session.say(
            f"retrain: evaluation.seeds={session.experiment.evaluation.seeds}: from so few, hardly any improvement over the "
            "champion can be shown; use 5 or more"
        )
    left_out: list[str] = []
    for tried, mode in enumerate(planned.modes, start=1):
        session.say(f"retrain: run {planned.number}, {mode}")
        if mode == "refit" and planned.champion is not None:
            challenger = challenging.refit_champion(session, root, workers, planned.champion, planned.number)
        else:
            challenger = challenging.search_challenger(session, root, workers, planned.number)
        if challenger.left_out:
            left_out.append(challenger.left_out)
            root.log(tags={LEFT_OUT_TAG: "; ".join(left_out)})
        version, outcome = _decide_and_promote(session, root, challenger, planned)
        if outcome.kind == "promoted":
            break
        if tried < len(planned.modes):
            session.say(outcome.message)
            for name in DECISION_FILES:  # the next decision overwrites these
                root.write(f"{mode}/{name}", root.read(name))
    modes = ", ".join(planned.modes[:tried])
    root.log(
        tags={MODE_TAG: modes, DECISION_TAG: outcome.kind, VERSION_TAG: version.number}
    )  # marks the run as completed
    return outcome


def _decide_and_promote(
    session: Session, root: Run, challenger: Challenger, planned: Plan
) -> tuple[Version, RetrainingOutcome]:
    """Registers the challenger, decides, and promotes it or not; decides again if the champion was moved meanwhile."""
    registry, split = planned.registry, session.prepared.split
    new = challenging.challenger_predictions(challenger, split)
    version = registry.register(challenger.source, challenger.run_id, _tags(session, root, challenger, new))
    registry.set_challenger(version)
    experiment = session.experiment
    significance = SignificanceSettings(
        seed_noise(challenger.scores), attempts=len(planned.modes), seed=experiment.search.seed
    )
    for _ in range(TRIES):
        champion = registry.by_alias(CHAMPION)
        old = challenging.champion_predictions(registry, champion, split) if champion else None
        drift = monitoring.check_drift(session, root, champion) if champion else monitoring.DriftCheck()
        further = drift.conditions if experiment.promotion.refuse_drift else ()
        decision = decide(old, new, experiment.promotion, significance, class_names=split.class_names, further=further)
        judged = monitoring.JudgedChallenger(version, champion, challenger, decision)
        no_time = [f"left out for time: {challenger.left_out}"] if challenger.left_out else []
        warned = [*drift.warnings, *monitoring.unseen_classes(split), *no_time]
        warnings = monitoring.log_monitoring(session, root, judged, warned)
        _write(root, registry, version, decision, f"{experiment.name}, retraining run {planned.number}")
        reason = shortened(decision.reason, MOST_VERSION_LETTERS)
        if not decision.promote:
            registry.tag(version, {DECISION_TAG: "kept", REASON_TAG: reason})
            break
        _load_back(registry, version, challenger, split.test.images)
        drift_reference.write(
            root, drift_reference.sample(split, experiment.data.seed)
        )  # later runs measure drift by it
        if registry.promote(version, instead_of=champion):
            registry.tag(version, {DECISION_TAG: "promoted", REASON_TAG: reason, **_promoted_by()})
            break
    else:
        raise BusyError(
            f"the champion of {registry.name} was moved by somebody else {TRIES} times during this run; run `status` to see "
            "its versions"
        )
    return version, _outcome(registry, judged, warnings)


def _write(root: Run, registry: Registry, version: Version, decision: Decision, title: str) -> None:
    """Writes the decision, before anything is moved."""
    text = as_markdown(decision)
    for name, content in zip(DECISION_FILES, (as_json(decision), text), strict=True):
        root.write(name, content)
    left_out = f"Left out for time: {root.tags[LEFT_OUT_TAG]}.\n\n" if LEFT_OUT_TAG in root.tags else ""
    root.note(shortened(f"**{title}**\n\n{left_out}{text}", MOST_TAG_LETTERS))
    registry.describe(version, shortened(text, MOST_VERSION_LETTERS))


def _outcome(registry: Registry, judged: monitoring.JudgedChallenger, warnings: Sequence[str]) -> RetrainingOutcome:
    """The last line of the screen, with reason and warnings: often the only line of a log that is read."""
    champion, number, reason = judged.champion, judged.version.number, judged.decision.reason
    old = f"champion version {champion.number}" if champion else ""
    warned = "".join(f"; warning: {each}" for each in warnings)
    if judged.decision.promote:
        replacing = f", replacing {old}" if champion else ""
        line = f"retrain: promoted version {number} of {registry.name}{replacing}: {reason}{warned}"
        return RetrainingOutcome("promoted", line)
    kept = f"kept {old}" if champion else "no champion yet"
    line = f"retrain: {kept} of {registry.name}; challenger version {number} not promoted: {reason}{warned}"
    return RetrainingOutcome("kept", line)


def _tags(session: Session, root: Run, challenger: Challenger, new: ModelPredictions) -> dict[str, str]:
    metrics = new.metrics
    return {
        RETRAIN_RUN_TAG: root.id,
        MODE_TAG: challenger.mode,
        ARCHITECTURE_TAG: challenger.group.architecture,
        **challenger.group.finalist.recipe.tags(),
        **session.prepared.tags,
        **challenging.train_tags(new),
        TEST_ACCURACY_TAG: repr(metrics.accuracy),
        ACCURACY_GAP_TAG: repr(metrics.accuracy_gap),
    }


def _load_back(registry: Registry, version: Version, challenger: Challenger, images: np.ndarray) -> None:
    """Loads a version as a server would; raises RuntimeError if it predicts otherwise than the trained network."""
    expected = challenger.group.median_refit.test[:LOADED_BACK]
    model = registry.read(lambda: load(f"models:/{registry.name}/{version.number}"))
    answers = model.predict(images[:LOADED_BACK])
    same = np.array_equal(answers["label"], expected.argmax(axis=1))
    if not same or not np.allclose(answers["confidence"], expected.max(axis=1), atol=1e-5):
        raise RuntimeError(
            f"version {version.number} of {registry.name}, loaded back, does not predict as the trained network does; it "
            "was not promoted"
        )


def _promoted_by() -> dict[str, str]:
    """Who moved the champion, and when."""
    return {
        PROMOTED_BY_TAG: user(),
        PROMOTED_AT_TAG: time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
