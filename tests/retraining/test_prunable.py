"""What may be deleted, told with runs and versions that exist in memory alone. Ages are in days; 90 are kept."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.retraining.cleanup.prunable import DAY_MS, Prunable, Stored, prunable
from pipeline.retraining.run_number import next_number
from pipeline.tracking.registry import Version
from pipeline.tracking.store import Run

NOW = 1_000 * DAY_MS
OLD, YOUNG = 200, 10
NOBODY: Any = None


def run(
    run_id: str, step: str, *, age: float = OLD, below: str | None = None, status: str = "FINISHED", **tags: str
) -> Run:
    parent = {} if below is None else {"mlflow.parentRunId": below}
    own = {"narrowgap.step": step, **parent, **{f"narrowgap.{name}": value for name, value in tags.items()}}
    start = int(NOW - age * DAY_MS)
    return Run(NOBODY, run_id, "1", run_id, status, own, {}, {}, f"/artifacts/{run_id}", start)


def night(name: str, *, age: float = OLD, trained: bool = True, **tags: str) -> list[Run]:
    """A retraining run with two refits, or one that found nothing new."""
    if not trained:
        return [run(name, "retrain", age=age, decision="nothing new", **tags)]
    refits = [run(f"{name}/refit{seed}", "refit", age=age, below=name) for seed in (1, 2)]
    return [run(name, "retrain", age=age, decision="kept", mode="refit", **tags), *refits]


def search_night(name: str, *, age: float = OLD) -> list[Run]:
    """A retraining run with a search of two trials, and its evaluation with one refit."""
    return [
        run(name, "retrain", age=age, decision="promoted", mode="search"),
        run(f"{name}/search", "search", age=age, below=name),
        run(f"{name}/trial1", "trial", age=age, below=f"{name}/search"),
        run(f"{name}/trial2", "trial", age=age, below=f"{name}/search"),
        run(f"{name}/evaluate", "evaluate", age=age, below=name, search_run_id=f"{name}/search"),
        run(f"{name}/refit", "refit", age=age, below=f"{name}/evaluate"),
    ]


def recent_nights(count: int = 10) -> list[Run]:
    """Enough young ones that no old one is needed by the next."""
    return [each for number in range(count) for each in night(f"young{number}", age=count - number)]


def version(number: int, of: str, *, age: float = OLD, before: str | None = None, **tags: str) -> Version:
    own = {"narrowgap.retrain_run_id": of, **{f"narrowgap.{name}": value for name, value in tags.items()}}
    if before is not None:
        own["narrowgap.previous_champion"] = before
    return Version(str(number), f"models:/m-{of}", of, int(NOW - age * DAY_MS), own)


def decided(runs: Sequence[Run], versions: Sequence[Version] = (), **named: Any) -> Prunable:
    aliases = named.pop("aliases", {})
    keep_days, search_every = named.pop("keep_days", 90), named.pop("search_every", None)
    ordered = sorted(runs, key=lambda each: each.start_time_ms)
    stored = Stored(ordered, versions, aliases, **named)
    return prunable(stored, now_ms=NOW, keep_days=keep_days, search_every=search_every)


def gone(*arguments: Any, **named: Any) -> set[str]:
    return {each.run.id for each in decided(*arguments, **named).runs}


def test_an_old_night_goes_with_its_refits_and_a_young_one_stays():
    assert gone([*night("old"), *recent_nights()]) == {"old", "old/refit1", "old/refit2"}
    assert gone([*night("old", age=89.9), *recent_nights()]) == set()
    assert gone([*night("old", age=90.1), *recent_nights()]) == {"old", "old/refit1", "old/refit2"}


def test_nested_runs_go_before_the_run_above_them_so_an_interrupted_prune_finds_the_rest():
    found = decided([*search_night("old"), *search_night("young", age=YOUNG), *recent_nights()])
    order = [each.run.id for each in found.runs]
    assert set(order) == {each.id for each in search_night("old")}
    assert order.index("old/trial1") < order.index("old/search") < order.index("old")
    assert order.index("old/refit") < order.index("old/evaluate") < order.index("old")
    assert [each.run.id for each in found.outermost] == ["old"]
    assert {each.id for each in found.below(found.outermost[0].run)} == set(order) - {"old"}


def test_a_champion_keeps_its_night_with_search_evaluation_trials_and_refits():
    stored = [*search_night("champion"), *night("other"), *recent_nights()]
    found = gone(stored, [version(1, "champion")], aliases={"champion": "1"})
    assert found == {"other", "other/refit1", "other/refit2"}


@pytest.mark.parametrize("alias", ["champion", "previous_champion", "challenger", "an alias of the team"])
def test_a_version_with_any_alias_stays_and_so_does_its_night(alias):
    found = decided([*night("a"), *recent_nights()], [version(1, "a", decision="kept")], aliases={alias: "1"})
    assert (found.versions, found.runs) == ((), ())


def test_an_old_version_without_an_alias_goes_with_its_night():
    versions = [version(1, "a", decision="kept"), version(2, "young9", age=1, decision="kept")]
    found = decided([*night("a"), *recent_nights()], versions)
    assert [each.number for each in found.versions] == ["1"]
    assert {each.run.id for each in found.runs} == {"a", "a/refit1", "a/refit2"}


def champions(count: int) -> tuple[list[Run], list[Version]]:
    """As many promotions, each replacing the one before."""
    runs = [each for number in range(1, count + 1) for each in night(f"n{number}", age=OLD + count - number)]
    versions = [
        version(number, f"n{number}", before=str(number - 1) if number > 1 else "", decision="promoted")
        for number in range(1, count + 1)
    ]
    return runs, versions


def test_rollback_can_still_go_five_champions_back():
    runs, versions = champions(9)
    aliases = {"champion": "9", "previous_champion": "8"}
    found = decided([*runs, *recent_nights()], versions, aliases=aliases)
    assert [each.number for each in found.versions] == ["1", "2", "3"]  # 8, 7, 6, 5 and 4 stay
    assert {each.run.id for each in found.outermost} == {"n1", "n2", "n3"}


def test_after_rollbacks_the_champions_before_and_the_last_promoted_all_stay():
    """Rolled back from 9 to 4: `rollback` would go on to 3, 2, 1, and 9 to 5 may be made champion again."""
    runs, versions = champions(9)
    found = decided([*runs, *recent_nights()], versions, aliases={"champion": "4", "previous_champion": "3"})
    assert found.versions == ()
    assert found.runs == ()


def test_without_a_champion_the_last_five_promoted_stay():
    runs, versions = champions(7)
    assert [each.number for each in decided([*runs, *recent_nights()], versions).versions] == ["1", "2"]


def test_an_interrupted_move_of_the_champion_hides_no_predecessor():
    """Both aliases name version 9; the next call repairs them from the tag of version 9."""
    runs, versions = champions(9)
    aliases = {"champion": "9", "previous_champion": "9"}
    assert [each.number for each in decided([*runs, *recent_nights()], versions, aliases=aliases).versions] == [
        "1",
        "2",
        "3",
    ]


def test_predecessors_in_a_circle_end():
    versions = [version(1, "a", before="2"), version(2, "b", before="1")]
    found = decided([*night("a"), *night("b"), *recent_nights()], versions, aliases={"previous_champion": "1"})
    assert found.versions == ()


def test_a_version_that_people_made_champion_by_hand_counts_as_a_champion():
    by_hand = version(1, "a", decision="kept", rolled_back_at="2026-01-01T00:00:00")
    assert decided([*night("a"), *recent_nights()], [by_hand]).versions == ()


def test_a_version_that_people_registered_stays_with_its_run():
    theirs = Version("1", "models:/m-x", "a", int(NOW - OLD * DAY_MS), {})
    found = decided([*night("a"), *recent_nights()], [theirs])
    assert (found.versions, found.runs) == ((), ())


@pytest.mark.parametrize("reference", ["a", "models:/m-7"])
def test_what_another_registered_model_refers_to_stays(reference):
    runs = [*night("a", model="models:/m-7"), *night("b"), *recent_nights()]
    assert gone(runs, elsewhere={reference}) == {"b", "b/refit1", "b/refit2"}


@pytest.mark.parametrize("busy", ["old", "old/search", "old/trial1"])
def test_whatever_is_running_stays_with_all_above_and_below_it(busy):
    old = search_night("old")
    next(each for each in old if each.id == busy).status = "RUNNING"
    found = gone([*old, *search_night("young", age=YOUNG), *night("other"), *recent_nights()])
    assert found == {"other", "other/refit1", "other/refit2"}


def test_killed_runs_go_when_they_are_old():
    runs = [
        run("main", "main", status="KILLED"),
        run("search", "search", below="main", status="KILLED"),
        run("trial", "trial", below="search"),
        run("younger", "predict", status="KILLED", age=YOUNG),
        run("prediction", "predict", status="KILLED"),
        run("done", "predict"),
        run("failed", "main", status="FAILED"),
        run("newer search", "search", age=YOUNG),
    ]
    found = decided(runs)
    assert {each.run.id for each in found.runs} == {"main", "search", "trial", "prediction"}
    assert {each.why for each in found.runs} == {"was killed"}


def test_a_killed_search_that_can_be_resumed_stays():
    runs = [run("search", "search", status="KILLED"), run("trial", "trial", below="search")]
    assert gone(runs) == set()


def test_a_killed_search_stays_though_a_retraining_run_searched_after_it():
    runs = [run("search", "search", status="KILLED"), run("trial", "trial", below="search")]
    assert gone([*runs, *search_night("young", age=YOUNG), *recent_nights()]) == set()


def test_a_search_that_was_evaluated_stays_and_one_that_nothing_refers_to_goes():
    runs = [
        run("used", "search"),
        run("used/trial", "trial", below="used"),
        run("unused", "search"),
        run("unused/trial", "trial", below="unused"),
        run("evaluate", "evaluate", search_run_id="used"),
        run("newest", "search", age=YOUNG),
    ]
    assert gone(runs) == {"unused", "unused/trial"}
    # An evaluation that has just begun has not named its search yet.
    assert gone([*runs, run("begun", "evaluate", age=0, status="RUNNING")]) == set()
    # The evaluation was killed: nothing refers to the search any more.
    killed = [*runs[:4], run("evaluate", "evaluate", status="KILLED", search_run_id="used"), runs[5]]
    assert gone(killed) == {"used", "used/trial", "unused", "unused/trial", "evaluate"}


def test_the_latest_finished_search_stays_for_the_next_evaluation():
    runs = [
        run("older", "search", age=OLD + 2),
        run("finished", "search", age=OLD + 1),
        run("killed", "search", status="KILLED"),
    ]
    assert gone(runs) == {"older"}


def test_trials_whose_search_was_deleted_go():
    runs = [run("trial", "trial", below="gone"), run("refit", "refit", below="elsewhere"), run("search", "search")]
    found = decided(runs, deleted={"gone"})
    assert [(each.run.id, each.why) for each in found.runs] == [("trial", "the run above it was deleted")]


def test_of_few_nights_the_newest_ten_that_trained_stay_however_old_they_are():
    nights = [each for number in range(13) for each in night(f"n{number:02}", age=OLD + 13 - number)]
    assert {each.partition("/")[0] for each in gone(nights)} == {"n00", "n01", "n02"}
    assert gone(nights, search_every=12) == {"n00", "n00/refit1", "n00/refit2"}


def test_the_newest_night_stays_since_the_next_compares_its_data_with_it():
    nights = [*night("a", age=OLD + 2, trained=False), *night("b", age=OLD + 1, trained=False)]
    assert gone(nights) == {"a"}


def test_with_keep_days_0_everything_that_nothing_needs_goes():
    nights = [each for number in range(12) for each in night(f"n{number:02}", age=12 - number)]
    assert {each.partition("/")[0] for each in gone(nights, keep_days=0)} == {"n00", "n01"}


def test_an_empty_store_has_nothing_to_delete():
    assert decided([]) == Prunable((), ())


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([], 1),
        ([None, None], 3),  # of an earlier Narrowgap
        ([None, None, "3"], 4),
        (["7"], 8),  # the six before were deleted
        ([None, "7", "9"], 10),
        (["7", None], 9),  # made by an earlier Narrowgap meanwhile
    ],
)
def test_a_retraining_run_has_a_number_of_its_own_though_older_runs_were_deleted(numbers, expected):
    completed: list[Any] = [
        SimpleNamespace(tags={} if number is None else {"narrowgap.run_number": number}) for number in numbers
    ]
    assert next_number(completed) == expected
