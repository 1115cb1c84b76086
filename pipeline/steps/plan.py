"""Whether there is anything to retrain. Enters: the store and the registry. Leaves: a `Plan`, before TensorFlow starts."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.experiment import Experiment
from pipeline.registry.versions import CHAMPION, Registry, Version
from pipeline.steps import holder, resume
from pipeline.steps.resume import IDENTITY_TAG
from pipeline.steps.session import Session
from pipeline.tracking.store import Run

DECISION_TAG, NIGHT_TAG = "narrowgap.decision", "narrowgap.retrain_run_id"


@dataclass(frozen=True)
class Outcome:
    """How a night ended."""

    kind: Literal["promoted", "kept", "nothing new"]
    sentence: str
    """For the last line of the screen."""


@dataclass(frozen=True)
class Plan:
    """What is known before anything is trained."""

    registry: Registry
    champion: Version | None
    night: int
    """From 1."""
    news: bool
    """Whether data or recipe differ from what was judged last, or training is forced."""


def plan(session: Session, root: Run) -> Plan:
    """Takes the lock, cleans up after an interrupted call, and looks whether there is anything to do.

    Raises BusyError when another retrains the same experiment now.
    """
    holder.sole(session.store, root, step="retrain", experiment=session.experiment.name)
    registry = Registry(session.store, session.experiment.name)
    champion = registry.of(CHAMPION)
    taken_back = _clean(registry, champion)
    if taken_back:
        session.say(f"retrain: took back {', '.join(taken_back)}, registered by a call that was interrupted")
    last = session.store.latest(step="retrain", experiment=session.experiment.name, tag=DECISION_TAG)
    identity = _identity(session.experiment, session)
    unchanged = last is not None and json.loads(last.tags[IDENTITY_TAG]) == identity
    root.log(tags={IDENTITY_TAG: json.dumps(identity), **session.prepared.tags})
    night = 1 + session.store.count(step="retrain", tags={"narrowgap.experiment": session.experiment.name})
    news = not unchanged or session.experiment.retrain.force
    return Plan(registry, champion, night, news)


def _identity(experiment: Experiment, session: Session) -> dict[str, Any]:
    """The data and the recipe, as for a search, and what decides over the outcome."""
    asked = experiment.model_dump(mode="json")
    own = {key: asked[key] for key in ("evaluation", "selection", "promotion")}
    return {**resume.identity(experiment, session.prepared), **own, "mode": asked["retrain"]["mode"]}


def _clean(registry: Registry, champion: Version | None) -> list[str]:
    """Versions without a decision: the champion's was interrupted after the alias had moved; others are taken back."""
    taken_back = []
    for version in registry.versions():
        if DECISION_TAG in version.tags:
            continue
        if champion is not None and version.number == champion.number:
            registry.tag(version, {DECISION_TAG: "promoted"})
        else:
            registry.delete(version)
            taken_back.append(f"version {version.number}")
    return taken_back


def nothing_new(root: Run, planned: Plan) -> Outcome:
    """Neither data nor recipe have changed since they were judged: to train again would be to draw another lot."""
    champion = planned.champion
    root.log(tags={DECISION_TAG: "nothing new"})
    return Outcome(
        "nothing new",
        "retrain: nothing new: data and recipe are those that were judged last; champion is version "
        f"{champion.number if champion else 'none'} of {planned.registry.name} (-P retrain.force=true trains all the same)",
    )
