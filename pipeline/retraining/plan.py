"""Whether there is anything to retrain. Enters: the store and the registry. Leaves: a `Plan`, before TensorFlow starts."""

import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from pipeline.errors import InputError
from pipeline.experiment import Experiment, Retrain
from pipeline.search import resume
from pipeline.session import Session
from pipeline.tracking.names import (
    CHAMPION,
    DECISION_TAG,
    IDENTITY_TAG,
    MODE_TAG,
    PREVIOUS_CHAMPION,
    RETRAIN_RUN_TAG,
    VERSION_TAG,
)
from pipeline.tracking.registry import Registry, Version
from pipeline.tracking.store import Run

Mode = Literal["refit", "search"]


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
    modes: tuple[Mode, ...]
    """What is tried, in turn, until something is promoted."""


def plan(session: Session, root: Run) -> Plan:
    """Cleans up after an interrupted call, and looks whether there is anything to do; for who holds the lock."""
    registry = Registry(session.store, session.experiment.name)
    for line in _clean(session, registry):
        session.say(f"retrain: {line}")
    closed = _closed(session)
    identity = _identity(session.experiment, session)
    unchanged = bool(closed) and json.loads(closed[-1].tags[IDENTITY_TAG]) == identity
    root.log(tags={IDENTITY_TAG: json.dumps(identity), **session.prepared.tags})
    news = not unchanged or session.experiment.retrain.force
    champion = registry.by_alias(CHAMPION)
    return Plan(registry, champion, 1 + len(closed), news, _modes(session.experiment.retrain, champion, closed))


def _modes(asked: Retrain, champion: Version | None, closed: Sequence[Run]) -> tuple[Mode, ...]:
    if champion is None or asked.mode == "search":
        return ("search",)
    if asked.mode == "refit":
        return ("refit",)
    tried = [run.tags[MODE_TAG] for run in closed if MODE_TAG in run.tags]  # nights with nothing new have none
    since = len(list(takewhile(lambda modes: "search" not in modes, reversed(tried))))
    due = asked.search_every is not None and since + 1 >= asked.search_every
    return ("search",) if due else ("refit", "search")


def _closed(session: Session) -> list[Run]:
    """The nights that came to an end, oldest first: those whose run has the tag that is written last. What became of the
    run after that does not matter.
    """
    return session.store.runs(step="retrain", experiment=session.experiment.name, status=None, tag=DECISION_TAG)


def _identity(experiment: Experiment, session: Session) -> dict[str, Any]:
    """The data and the recipe, as for a search, and what decides over the outcome."""
    asked = experiment.model_dump(mode="json")
    own = {key: asked[key] for key in ("evaluation", "selection", "promotion")}
    effort = {key: asked["search"][key] for key in ("trials", "minutes")}
    return {**resume.identity(experiment, session.prepared), **own, "effort": effort, "mode": asked["retrain"]["mode"]}


def _clean(session: Session, registry: Registry) -> list[str]:
    """Makes an end of what was interrupted, and tells it. A version of a night that did not come to its end is taken back,
    whatever was decided; unless it has become champion: then its night ends here. Versions that people registered stay.
    """
    told = []
    if registry.repair_previous():
        told.append(f"set {PREVIOUS_CHAMPION} back, which an interrupted call had moved")
    crowned = {
        bearer.number for alias in (CHAMPION, PREVIOUS_CHAMPION) if (bearer := registry.by_alias(alias)) is not None
    }
    closed = {run.id for run in _closed(session)}
    for version in registry.versions():
        night = _open_night(session, version, closed)
        if night is None:
            continue
        if version.number in crowned:
            registry.tag(version, {DECISION_TAG: "promoted"})
            night.log(tags={DECISION_TAG: "promoted", VERSION_TAG: version.number})
            told.append(f"version {version.number} was promoted by a call that was interrupted after that")
        else:
            registry.delete(version)
            told.append(f"took back version {version.number}, registered by a call that was interrupted")
    return told


def _open_night(session: Session, version: Version, closed: AbstractSet[str]) -> Run | None:
    """The run of the night that registered a version, where that did not come to its end."""
    night = version.tags.get(RETRAIN_RUN_TAG)
    if night is None or night in closed:
        return None
    try:
        run = session.store.get(night)  # also one that somebody deleted, which a search does not find
    except InputError:
        return None  # deleted for good: nobody knows
    return None if DECISION_TAG in run.tags else run


def nothing_new(root: Run, planned: Plan) -> Outcome:
    """Neither data nor recipe have changed since they were judged: to train again would be to draw another lot."""
    champion, name = planned.champion, planned.registry.name
    root.log(tags={DECISION_TAG: "nothing new"})
    once = [each.number for each in planned.registry.versions() if each.tags.get(DECISION_TAG) == "promoted"]
    if champion:
        who = f"champion is version {champion.number} of {name}"
    elif once:
        who = (
            f"there is no champion of {name} any more: somebody has taken the alias from version {once[-1]}, set it again "
            f"with rollback -P version={once[-1]}"
        )
    else:
        who = f"there is no champion of {name}"
    return Outcome(
        "nothing new",
        f"retrain: nothing new: data and recipe are those that were judged last; {who} (-P retrain.force=true trains all "
        "the same)",
    )
