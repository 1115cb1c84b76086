"""What may be deleted of an experiment: a pure decision over its runs and versions.

Nothing younger than `keep_days` goes. Older runs and versions go unless something needs them: a version that stays, a run
that is running, the plan of the next retraining run, or the next evaluation.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property

from pipeline.tracking.names import (
    CHAMPION,
    DECISION_TAG,
    MODE_TAG,
    MODEL_TAG,
    PREVIOUS_CHAMPION,
    PREVIOUS_CHAMPION_TAG,
    RETRAIN_RUN_TAG,
    ROLLED_BACK_AT_TAG,
    SEARCH_RUN_TAG,
    STEP_TAG,
)
from pipeline.tracking.registry import Version
from pipeline.tracking.store import Run

STEPS = ("main", "prepare", "check", "search", "trial", "evaluate", "refit", "retrain", "rollback", "predict", "prune")
"""Steps whose runs are looked at; others belong to somebody else."""
CHAMPIONS = 5
"""How many former champions stay, for a rollback."""
RETRAINING_RUNS = 10
"""How many of the newest retraining runs that trained stay, however old: the control chart needs eight."""
DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Going:
    """A run that may be deleted, and why."""

    run: Run
    why: str
    below: str | None
    """Id of the outermost run that goes with it; None if it is the outermost."""


@dataclass(frozen=True)
class Prunable:
    """What may be deleted."""

    versions: tuple[Version, ...]
    runs: tuple[Going, ...]
    """Nested runs before the run above them."""

    @cached_property
    def outermost(self) -> tuple[Going, ...]:
        """The runs of which no ancestor goes."""
        return tuple(going for going in self.runs if going.below is None)

    def below(self, top: Run) -> list[Run]:
        """The nested runs that go with an outermost run."""
        return [going.run for going in self.runs if going.below == top.id]


@dataclass(frozen=True)
class Stored:
    """One experiment in the store."""

    runs: Sequence[Run]
    """All that are not deleted, of every step."""
    versions: Sequence[Version]
    aliases: Mapping[str, str]
    """Numbers of versions by alias, those of people included."""
    deleted: AbstractSet[str] = frozenset()
    """Ids of runs that were deleted although runs below them are there."""
    elsewhere: AbstractSet[str] = frozenset()
    """Run ids and model addresses that another registered model refers to."""


def prunable(stored: Stored, *, now_ms: int, keep_days: int, search_every: int | None = None) -> Prunable:
    """Decides what may be deleted."""
    since_ms = now_ms - keep_days * DAY_MS
    stay = _staying(stored, since_ms)
    versions = tuple(version for version in stored.versions if version.number not in stay)
    tree = _Tree(stored.runs)
    needed = {run.id for run in stored.runs if run.status == "RUNNING" or run.start_time_ms > since_ms}
    for version in stored.versions:
        if version.number in stay:
            needed |= {version.run_id, version.tags.get(RETRAIN_RUN_TAG, "")}
    needed |= {run.id for run in stored.runs if {run.id, run.tags.get(MODEL_TAG)} & stored.elsewhere}
    needed |= _needed_by_next_run(stored.runs, search_every)
    going = _going(stored, tree, needed)
    # An evaluation that stays keeps its search, also one below a `main` that was killed.
    needed |= {run.tags.get(SEARCH_RUN_TAG, "") for run in stored.runs if run.id not in going}
    kept, going = tree.closure(needed), _going(stored, tree, needed)
    going |= tree.below(_unused_searches(stored.runs, kept | going.keys(), going))
    return Prunable(versions, tuple(tree.innermost_first(going)))


def _going(stored: Stored, tree: "_Tree", needed: AbstractSet[str]) -> dict[str, str]:
    """Runs that go, each with the reason: those that nothing needs and that have one, with all below them."""
    kept = tree.closure(needed)
    causes = ((run, _why(run, stored.deleted)) for run in stored.runs if run.id not in kept)
    return tree.below({run.id: why for run, why in causes if why is not None})


def _why(run: Run, deleted: AbstractSet[str]) -> str | None:
    """Why a run that nothing needs goes; None if it stays for its own sake."""
    if run.status == "KILLED":
        return "was killed"
    if run.parent_id in deleted:
        return "the run above it was deleted"
    if run.tags[STEP_TAG] == "retrain":
        return "made no version that is kept"
    return None


def _unused_searches(runs: Sequence[Run], decided: AbstractSet[str], going: Mapping[str, str]) -> dict[str, str]:
    """Searches without an evaluation that stays; none while an evaluation runs, which may be about to name its search."""
    if any(run.status == "RUNNING" and run.tags[STEP_TAG] in {"main", "evaluate"} for run in runs):
        return {}
    referred = {run.tags.get(SEARCH_RUN_TAG) for run in runs if run.id not in going}
    return {
        run.id: "no evaluation refers to it"
        for run in runs
        if run.tags[STEP_TAG] == "search" and run.id not in decided | referred
    }


def _staying(stored: Stored, since_ms: int) -> set[str]:
    """Numbers of the versions that stay: with an alias, registered by people, young, or a champion of late."""
    by_number = {version.number: version for version in stored.versions}
    stay = set(stored.aliases.values())
    stay |= {each.number for each in stored.versions if RETRAIN_RUN_TAG not in each.tags or each.created_ms > since_ms}
    once_champion = [
        each.number
        for each in stored.versions
        if each.tags.get(DECISION_TAG) == "promoted" or ROLLED_BACK_AT_TAG in each.tags
    ]
    stay |= set(once_champion[-CHAMPIONS:])
    return stay | set(_predecessors(by_number, stored.aliases))


def _predecessors(versions: Mapping[str, Version], aliases: Mapping[str, str]) -> list[str]:
    """The champions to which `rollback` goes back, call by call."""
    found: list[str] = []
    number = aliases.get(PREVIOUS_CHAMPION, "")
    if number == aliases.get(CHAMPION):  # a move was interrupted: the next call repairs it
        number = versions[number].tags.get(PREVIOUS_CHAMPION_TAG, "") if number in versions else ""
    while number in versions and number not in found and len(found) < CHAMPIONS:
        found.append(number)
        number = versions[number].tags.get(PREVIOUS_CHAMPION_TAG, "")
    return found


def _needed_by_next_run(runs: Sequence[Run], search_every: int | None) -> set[str]:
    """Runs that the next call reads: the last retraining runs, the search to evaluate, the searches to resume."""
    completed = [run.id for run in runs if run.tags[STEP_TAG] == "retrain" and DECISION_TAG in run.tags]
    trained = [run.id for run in runs if run.tags[STEP_TAG] == "retrain" and MODE_TAG in run.tags]
    retraining = {run.id for run in runs if run.tags[STEP_TAG] == "retrain"}
    searches = [run for run in runs if run.tags[STEP_TAG] == "search"]
    resumable = {run.experiment_id: run.id for run in searches if run.parent_id not in retraining}
    finished = [run.id for run in searches if run.status == "FINISHED"]
    return {
        *completed[-1:],
        *trained[-max(RETRAINING_RUNS, search_every or 0) :],
        *resumable.values(),
        *finished[-1:],
    }


class _Tree:
    """Runs with the runs below and above them. Runs are oldest first."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = {run.id: run for run in runs}
        self._nested: dict[str, list[str]] = {}
        for run in runs:
            if run.parent_id is not None:
                self._nested.setdefault(run.parent_id, []).append(run.id)

    def closure(self, ids: Iterable[str]) -> set[str]:
        """These runs, all above and below them, and the searches that their evaluations are of, likewise."""
        found: set[str] = set()
        waiting = [each for each in ids if each in self._runs]
        while waiting:
            of_search = set()
            for each in waiting:
                for run_id in (*self._above(each), each, *self._below(each)):
                    found.add(run_id)
                    of_search.add(self._runs[run_id].tags.get(SEARCH_RUN_TAG, ""))
            waiting = [each for each in of_search if each in self._runs and each not in found]
        return found

    def below(self, causes: Mapping[str, str]) -> dict[str, str]:
        """These runs and all below them, with the reason of the outermost."""
        found: dict[str, str] = {}
        for run_id, why in causes.items():
            if not any(above in causes for above in self._above(run_id)):
                found |= dict.fromkeys((run_id, *self._below(run_id)), why)
        return found

    def innermost_first(self, going: Mapping[str, str]) -> list[Going]:
        found = []
        for run_id, why in going.items():
            above = [each for each in self._above(run_id) if each in going]
            found.append((len(above), Going(self._runs[run_id], why, above[-1] if above else None)))
        return [each for _, each in sorted(found, key=lambda pair: -pair[0])]

    def _above(self, run_id: str) -> list[str]:
        """Ancestors, the nearest first."""
        found: list[str] = []
        parent = self._runs[run_id].parent_id
        while parent in self._runs and parent not in found:
            found.append(parent)
            parent = self._runs[parent].parent_id
        return found

    def _below(self, run_id: str) -> list[str]:
        found: list[str] = []
        waiting = list(self._nested.get(run_id, ()))
        while waiting:
            found.append(waiting.pop())
            waiting += self._nested.get(found[-1], ())
        return found
