"""Whether a retraining run has anything to train, decided before TensorFlow starts; cleans up after interrupted runs."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from pipeline.errors import InputError
from pipeline.experiment import Experiment, Retrain
from pipeline.models.recipe import of_code
from pipeline.retraining.rollback import finish_interrupted
from pipeline.retraining.run_number import next_number
from pipeline.search import resume
from pipeline.session import Session
from pipeline.tracking.names import (
    CHAMPION,
    DECISION_TAG,
    IDENTITY_TAG,
    MODE_TAG,
    PREVIOUS_CHAMPION,
    RETRAIN_RUN_TAG,
    RUN_NUMBER_TAG,
    VERSION_TAG,
)
from pipeline.tracking.registry import Registry, Version
from pipeline.tracking.store import Run

Mode = Literal["refit", "search"]


@dataclass(frozen=True)
class RetrainingOutcome:
    """How a retraining run ended."""

    kind: Literal["promoted", "kept", "nothing new"]
    message: str
    """Last line of the screen."""


@dataclass(frozen=True)
class Plan:
    """What is known before anything is trained."""

    registry: Registry
    champion: Version | None
    number: int
    """Number of this retraining run, from 1; only completed runs count."""
    needs_training: bool
    """Whether data or settings differ from those of the last completed run, or training is forced."""
    modes: tuple[Mode, ...]
    """Tried in this order until a challenger is promoted."""


def plan(session: Session, root: Run) -> Plan:
    """Cleans up after interrupted runs and plans this one. The caller holds the lock of the experiment."""
    registry = Registry(session.store, session.experiment.name)
    for line in _clean_up(session, registry):
        session.say(f"retrain: {line}")
    completed = completed_runs(session)
    identity = _identity(session.experiment, session)
    unchanged = bool(completed) and not resume.differences(completed[-1], identity)
    number = next_number(completed)
    tags = {IDENTITY_TAG: resume.identity_tag(root, identity), RUN_NUMBER_TAG: str(number)}
    root.log(tags={**tags, **session.prepared.tags})
    champion = registry.by_alias(CHAMPION)
    return Plan(
        registry,
        champion,
        number=number,
        needs_training=not unchanged or session.experiment.retrain.force,
        modes=choose_modes(
            session.experiment.retrain,
            champion,
            completed,
            same_code=champion is None or of_code(champion.tags, session.experiment.model),
        ),
    )


def choose_modes(
    settings: Retrain, champion: Version | None, completed: Sequence[Run], *, same_code: bool = True
) -> tuple[Mode, ...]:
    """What to try, in order. Without a champion there is nothing to refit, and neither if it was made by other code than the
    experiment's `model` (`same_code`).

    Raises:
        InputError: A refit is asked for, and the champion was made by other code.
    """
    if champion is None or settings.mode == "search":
        return ("search",)
    if not same_code:
        if settings.mode == "refit":
            raise InputError(
                f"champion version {champion.number} was made by other code than the experiment's model, so its recipe "
                "cannot be trained again; restore the file, or set retrain.mode to auto or search"
            )
        return ("search",)
    if settings.mode == "refit":
        return ("refit",)
    tried = [run.tags[MODE_TAG] for run in completed if MODE_TAG in run.tags]  # a run without training has none
    since = len(list(takewhile(lambda modes: "search" not in modes, reversed(tried))))
    due = settings.search_every is not None and since + 1 >= settings.search_every
    return ("search",) if due else ("refit", "search")


def completed_runs(session: Session) -> list[Run]:
    """Retraining runs that were completed, oldest first: those with the tag that is written last. The status does not count:
    a run may fail or be killed after its decision.
    """
    return session.store.runs(step="retrain", experiment=session.experiment.name, status=None, tag=DECISION_TAG)


def _identity(experiment: Experiment, session: Session) -> dict[str, Any]:
    """The data, the settings that identify a search, and the settings of evaluation and gate."""
    settings = experiment.model_dump(mode="json")
    own = {key: settings[key] for key in ("evaluation", "selection", "promotion")}
    effort = {key: settings["search"][key] for key in ("trials", "minutes")}
    if experiment.minutes is not None:  # newer than retraining runs of earlier versions
        own["minutes"] = experiment.minutes
    return {
        **resume.identity(experiment, session.prepared),
        **own,
        "effort": effort,
        "mode": settings["retrain"]["mode"],
    }


def _clean_up(session: Session, registry: Registry) -> list[str]:
    """Cleans up after interrupted runs; returns one message per action.

    A version whose run was interrupted is deleted, whatever was decided. If it has become the champion, its run is completed
    instead. Versions that people registered are left alone.
    """
    messages = [
        f"{each.message}; it is {'completed' if each.moved else 'withdrawn'} now"
        for each in finish_interrupted(session.store, registry)
    ]
    if registry.repair_previous():
        messages.append(f"repaired the alias {PREVIOUS_CHAMPION}, which an interrupted run had moved")
    promoted = {
        version.number for alias in (CHAMPION, PREVIOUS_CHAMPION) if (version := registry.by_alias(alias)) is not None
    }
    completed = {run.id for run in completed_runs(session)}
    for version in registry.versions():
        run = _interrupted_run(session, version, completed)
        if run is None:
            continue
        if version.number in promoted:
            registry.tag(version, {DECISION_TAG: "promoted"})
            run.log(tags={DECISION_TAG: "promoted", VERSION_TAG: version.number})
            messages.append(f"completed an interrupted run that had already promoted version {version.number}")
        else:
            registry.delete(version)
            messages.append(f"deleted version {version.number}, registered by an interrupted run")
    return messages


def _interrupted_run(session: Session, version: Version, completed: AbstractSet[str]) -> Run | None:
    """The retraining run that registered a version, if it was interrupted."""
    run_id = version.tags.get(RETRAIN_RUN_TAG)
    if run_id is None or run_id in completed:
        return None
    try:
        run = session.store.get(run_id)  # finds deleted runs too, which a search does not
    except InputError:
        return None  # deleted permanently: whether it was completed is unknown
    return None if DECISION_TAG in run.tags else run


def nothing_new(root: Run, planned: Plan) -> RetrainingOutcome:
    """Ends a run without training: data and settings are unchanged, so retraining would only change the random seed."""
    champion, name = planned.champion, planned.registry.name
    root.log(tags={DECISION_TAG: "nothing new"})
    promoted = [each.number for each in planned.registry.versions() if each.tags.get(DECISION_TAG) == "promoted"]
    if champion:
        state = f"champion is version {champion.number} of {name}"
    elif promoted:
        state = (
            f"there is no champion of {name}: the alias was removed from version {promoted[-1]}; restore it with "
            f"rollback -P version={promoted[-1]}"
        )
    else:
        state = f"there is no champion of {name}"
    return RetrainingOutcome(
        "nothing new",
        f"retrain: nothing new: data and settings are unchanged since the last retraining run; {state} "
        "(-P retrain.force=true trains anyway)",
    )
