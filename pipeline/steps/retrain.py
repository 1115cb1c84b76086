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
from pipeline.findings.control import noise
from pipeline.registry.decision import Decision, as_json, as_markdown
from pipeline.registry.gate import decide
from pipeline.registry.model import load
from pipeline.registry.rule import Rule, Scored
from pipeline.registry.versions import CHAMPION, Registry, Version
from pipeline.search.workers import Workers
from pipeline.steps import challenger as challenging
from pipeline.steps import nights, record
from pipeline.steps.challenger import Challenger
from pipeline.steps.plan import DECISION_TAG, MODE_TAG, NIGHT_TAG, VERSION_TAG, Outcome, Plan
from pipeline.steps.prepare import record_inputs
from pipeline.steps.session import Session
from pipeline.tracking.store import Run
from pipeline.tracking.who import user

PROBE = 32
"""Test images that a version must answer, once loaded back, as the network did."""
DECISION_FILES = ("decision.json", "decision.md")
TRIES = 3
"""How often is decided again when somebody else moves the champion meanwhile."""


def retrain(session: Session, root: Run, crew: Workers, planned: Plan) -> Outcome:
    """Trains, judges, and moves the champion where the gate says so."""
    record_inputs(root, session.prepared)
    if planned.champion is not None:
        challenging.known(planned.champion, session.prepared.split)  # what cannot be compared is not trained
    for tried, mode in enumerate(planned.modes, start=1):
        session.say(f"retrain: night {planned.night}, {mode}")
        if mode == "refit" and planned.champion is not None:
            challenger = challenging.refitted(session, root, crew, planned.champion, planned.night)
        else:
            challenger = challenging.searched(session, root, crew, planned.night)
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
    registry.name_challenger(version)
    rule = _rule(session.experiment, challenger, ways)
    for _ in range(TRIES):
        champion = registry.of(CHAMPION)
        old = challenging.champion_scored(champion, split) if champion else None
        moved = nights.drifted(session, root, champion) if champion else nights.Moved()
        further = moved.conditions if session.experiment.promotion.refuse_drift else ()
        decision = decide(old, new, rule, class_names=split.class_names, further=further)
        judged = nights.Judged(version, champion, challenger, decision)
        warnings = nights.tell(session, root, judged, moved.warnings)
        _write(root, registry, version, decision, f"{session.experiment.name}, night {planned.night}")
        if not decision.promote:
            registry.tag(version, {DECISION_TAG: "kept", "narrowgap.reason": decision.reason})
            break
        _probe(registry, version, challenger, split.test.images)
        if registry.enthrone(version, instead_of=champion):
            registry.tag(version, {DECISION_TAG: "promoted", "narrowgap.reason": decision.reason, **_signed()})
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


def _outcome(registry: Registry, judged: nights.Judged, warnings: Sequence[str]) -> Outcome:
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
        NIGHT_TAG: root.id,
        MODE_TAG: challenger.mode,
        "narrowgap.architecture": challenger.group.architecture,
        **record.recipe_tags(challenger.group.finalist.recipe),
        **session.prepared.tags,
        **challenging.train_tags(new),
        "narrowgap.test_accuracy": repr(figures.accuracy),
        "narrowgap.accuracy_gap": repr(figures.accuracy_gap),
    }


def _probe(registry: Registry, version: Version, challenger: Challenger, images: np.ndarray) -> None:
    """Loads a version as a server would; raises RuntimeError when it does not answer as the network that was judged."""
    expected = challenger.group.typical.test[:PROBE]
    answers = load(f"models:/{registry.name}/{version.number}").predict(images[:PROBE])
    same = np.array_equal(answers["label"], expected.argmax(axis=1))
    if not same or not np.allclose(answers["confidence"], expected.max(axis=1), atol=1e-5):
        raise RuntimeError(
            f"version {version.number} of {registry.name}, loaded back, answers otherwise than what was judged"
        )


def _signed() -> dict[str, str]:
    """Who moved the champion, and when."""
    return {
        "narrowgap.promoted_by": user(),
        "narrowgap.promoted_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
