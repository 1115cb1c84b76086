"""The step `retrain`: a challenger on the present data, judged against the champion, promoted only when it is better.

Whatever stops it, the champion is the old or the new one: the alias is moved last, after the new version has been loaded
back; and the next call takes back the versions of a night that did not come to its end, or ends it where the alias was
moved already.
"""

import time
from collections.abc import Sequence

import numpy as np

from pipeline.errors import BusyError
from pipeline.experiment import Experiment
from pipeline.preparation.step import record_inputs
from pipeline.retraining import challenger as challenging
from pipeline.retraining import history
from pipeline.retraining.challenger import Challenger
from pipeline.retraining.decision import Decision, as_json, as_markdown
from pipeline.retraining.gate import decide
from pipeline.retraining.plan import Outcome, Plan
from pipeline.retraining.rule import Rule, Scored
from pipeline.search.workers.jobs import Workers
from pipeline.serving.model import load
from pipeline.session import Session
from pipeline.statistics.monitoring.control_chart import noise
from pipeline.tracking.names import (
    ACCURACY_GAP_TAG,
    ARCHITECTURE_TAG,
    CHAMPION,
    DECISION_TAG,
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
from pipeline.tracking.store import Run

PROBE = 32
"""Test images that a version must answer, once loaded back, as the network did."""
DECISION_FILES = ("decision.json", "decision.md")
TRIES = 3
"""How often is decided again when somebody else moves the champion meanwhile."""


def retrain(session: Session, root: Run, workers: Workers, planned: Plan) -> Outcome:
    """Trains, judges, and moves the champion where the gate says so."""
    record_inputs(root, session.prepared)
    if planned.champion is not None:
        challenging.known(planned.champion, session.prepared.split)  # what cannot be compared is not trained
    for tried, mode in enumerate(planned.modes, start=1):
        session.say(f"retrain: night {planned.night}, {mode}")
        if mode == "refit" and planned.champion is not None:
            challenger = challenging.refitted(session, root, workers, planned.champion, planned.night)
        else:
            challenger = challenging.searched(session, root, workers, planned.night)
        version, outcome = _judged(session, root, challenger, planned, ways=len(planned.modes))
        if outcome.kind == "promoted":
            break
        if tried < len(planned.modes):
            session.say(outcome.sentence)
            for name in DECISION_FILES:  # another decision is about to take its place
                root.write(f"{mode}/{name}", root.read(name))
    ways = ", ".join(planned.modes[:tried])
    root.log(
        tags={MODE_TAG: ways, DECISION_TAG: outcome.kind, VERSION_TAG: version.number}
    )  # the night has come to its end
    return outcome


def _judged(
    session: Session, root: Run, challenger: Challenger, planned: Plan, *, ways: int
) -> tuple[Version, Outcome]:
    """Registers the challenger, decides, and acts; decides again when somebody has moved the champion meanwhile."""
    registry, split = planned.registry, session.prepared.split
    new = challenging.scored(challenger, split)
    version = registry.register(challenger.source, challenger.run_id, _tags(session, root, challenger, new))
    registry.set_challenger(version)
    rule = _rule(session.experiment, challenger, ways)
    for _ in range(TRIES):
        champion = registry.by_alias(CHAMPION)
        old = challenging.champion_scored(champion, split) if champion else None
        moved = history.drifted(session, root, champion) if champion else history.DriftCheck()
        further = moved.conditions if session.experiment.promotion.refuse_drift else ()
        decision = decide(old, new, rule, class_names=split.class_names, further=further)
        judged = history.JudgedChallenger(version, champion, challenger, decision)
        warnings = history.log_monitoring(session, root, judged, moved.warnings)
        _write(root, registry, version, decision, f"{session.experiment.name}, night {planned.night}")
        if not decision.promote:
            registry.tag(version, {DECISION_TAG: "kept", REASON_TAG: decision.reason})
            break
        _probe(registry, version, challenger, split.test.images)
        if registry.promote(version, instead_of=champion):
            registry.tag(version, {DECISION_TAG: "promoted", REASON_TAG: decision.reason, **_signed()})
            break
    else:
        raise BusyError(
            f"the champion of {registry.name} was moved by somebody else {TRIES} times in a row; look who does: status"
        )
    return version, _outcome(registry, judged, warnings)


def _write(root: Run, registry: Registry, version: Version, decision: Decision, title: str) -> None:
    """The decision, before it is acted upon."""
    text = as_markdown(decision)
    for name, content in zip(DECISION_FILES, (as_json(decision), text), strict=True):
        root.write(name, content)
    root.note(f"**{title}**\n\n{text}")
    registry.describe(version, text)


def _outcome(registry: Registry, judged: history.JudgedChallenger, warnings: Sequence[str]) -> Outcome:
    """The night's last line: all that is read of a log."""
    champion, number, reason = judged.champion, judged.version.number, judged.decision.reason
    old = f"champion version {champion.number}" if champion else "no champion"
    warned = "".join(f"; warning: {each}" for each in warnings)
    if judged.decision.promote:
        return Outcome(
            "promoted", f"retrain: promoted version {number} of {registry.name}, before: {old}; {reason}{warned}"
        )
    kept = f"kept {old}" if champion else "no champion yet"
    return Outcome("kept", f"retrain: {kept} of {registry.name}; challenger version {number}: {reason}{warned}")


def _rule(experiment: Experiment, challenger: Challenger, ways: int) -> Rule:
    """The experiment's margins; what seeds alone do is taken from the challenger's own refits. Where two challengers are
    tried on one night, each is held to half of the error that is allowed.
    """
    asked = experiment.promotion.model_dump(exclude={"refuse_drift"})
    alpha = asked.pop("alpha") / ways
    return Rule(**asked, alpha=alpha, noise=noise(challenger.scores), seed=experiment.search.seed)


def _tags(session: Session, root: Run, challenger: Challenger, new: Scored) -> dict[str, str]:
    figures = new.figures
    return {
        RETRAIN_RUN_TAG: root.id,
        MODE_TAG: challenger.mode,
        ARCHITECTURE_TAG: challenger.group.architecture,
        **challenger.group.finalist.recipe.tags(),
        **session.prepared.tags,
        **challenging.train_tags(new),
        TEST_ACCURACY_TAG: repr(figures.accuracy),
        ACCURACY_GAP_TAG: repr(figures.accuracy_gap),
    }


def _probe(registry: Registry, version: Version, challenger: Challenger, images: np.ndarray) -> None:
    """Loads a version as a server would; raises RuntimeError when it does not answer as the network that was judged."""
    expected = challenger.group.median_refit.test[:PROBE]
    answers = load(f"models:/{registry.name}/{version.number}").predict(images[:PROBE])
    same = np.array_equal(answers["label"], expected.argmax(axis=1))
    if not same or not np.allclose(answers["confidence"], expected.max(axis=1), atol=1e-5):
        raise RuntimeError(
            f"version {version.number} of {registry.name}, loaded back, answers otherwise than what was judged"
        )


def _signed() -> dict[str, str]:
    """Who moved the champion, and when."""
    return {
        PROMOTED_BY_TAG: user(),
        PROMOTED_AT_TAG: time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
