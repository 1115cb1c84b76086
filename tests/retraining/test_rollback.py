"""Rollback and status through the command line, on a real registry with two former and current champions."""

import getpass
import shutil
from urllib.parse import unquote, urlsplit

import pytest

from pipeline.retraining.cleanup import prunable
from pipeline.tracking.names import CHAMPION, PREVIOUS_CHAMPION
from tests.retraining.loop import BETTER, FORCE, Loop

pytestmark = pytest.mark.tensorflow


def test_rollback_restores_the_previous_champion_and_records_who_when_and_why(promoted, capsys):
    assert promoted.call("rollback", "--why", "it mistakes sevens") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line == "rollback: champion of narrowgap-loop is now version 1, before: version 2; why: it mistakes sevens"
    assert (promoted.number(CHAMPION), promoted.number(PREVIOUS_CHAMPION)) == ("1", None)
    tags = promoted.registry.get("1").tags
    assert tags["narrowgap.rolled_back_from"] == "version 2"
    assert tags["narrowgap.rolled_back_by"] == getpass.getuser()
    assert tags["narrowgap.rolled_back_at"][:2] == "20"
    assert tags["narrowgap.rolled_back_why"] == "it mistakes sevens"
    (run,) = promoted.runs("rollback")
    assert (run.status, run.tags["narrowgap.version"]) == ("FINISHED", "1")


def test_a_second_rollback_does_not_restore_what_the_first_replaced(promoted, capsys):
    """Two people may run the same command."""
    assert promoted.call("rollback") == 0
    assert promoted.call("rollback") == 2
    assert "has no previous_champion to roll back to" in capsys.readouterr().err
    assert (promoted.number(CHAMPION), promoted.number(PREVIOUS_CHAMPION)) == ("1", None)
    assert promoted.call("rollback", "--version", "2") == 0
    assert (promoted.number(CHAMPION), promoted.number(PREVIOUS_CHAMPION)) == ("2", "1")


def test_a_version_can_be_named(promoted, capsys):
    assert promoted.call("rollback", "--version", "1") == 0
    assert "version 1, before: version 2; why: not given" in capsys.readouterr().out
    assert promoted.number(CHAMPION) == "1"


def test_a_user_without_a_name_on_this_machine_can_roll_back(promoted, monkeypatch):
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert promoted.call("rollback") == 0
    assert promoted.registry.get("1").tags["narrowgap.rolled_back_by"] == "unknown"


def test_empty_options_as_mlflow_run_passes_them_count_as_not_given(promoted):
    assert promoted.call("rollback", "--version", "", "--why", "") == 0
    assert promoted.number(CHAMPION) == "1"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--version", "7"), "narrowgap-loop has no version '7'; expected one of: 1, 2"),
        (("--version", "one"), "narrowgap-loop has no version 'one'; expected one of: 1, 2"),
        (("--version", "2"), "version 2 is already the champion of narrowgap-loop"),
        (("--reason", "x"), "unknown option --reason of rollback"),
    ],
)
def test_an_impossible_rollback_is_refused_in_one_line(promoted, capsys, words, message):
    assert promoted.call("rollback", *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert (promoted.number(CHAMPION), promoted.number(PREVIOUS_CHAMPION)) == ("2", "1")


def test_without_a_previous_champion_a_version_is_asked_for(loop, capsys):
    assert loop.call("rollback") == 2
    assert "has no previous_champion to roll back to; name a version" in capsys.readouterr().err
    assert loop.number(CHAMPION) == "1"


def test_after_an_interrupted_promotion_the_champion_is_not_taken_for_its_own_predecessor(promoted):
    """Version 2 was being replaced: only `previous_champion` was moved."""
    promoted.registry.tag(promoted.registry.get("2"), {"narrowgap.previous_champion": "1"})
    promoted.client.set_registered_model_alias("narrowgap-loop", PREVIOUS_CHAMPION, "2")
    assert promoted.call("rollback") == 0
    assert (promoted.number(CHAMPION), promoted.number(PREVIOUS_CHAMPION)) == ("1", None)


def test_a_version_with_deleted_files_is_refused(tmp_path, monkeypatch, tensorflow, capsys):
    """A registry of its own, because files are deleted."""
    loop = Loop(tmp_path, monkeypatch)
    loop.write(300)
    floors = ("--promotion.min_accuracy", "0", "--evaluation.seeds", "1")
    assert loop.retrain(*floors) == 0
    first = loop.registry.get("1")
    second = loop.registry.register(first.source, first.run_id, first.tags)
    model = loop.client.get_logged_model(first.source.rsplit("/", maxsplit=1)[-1])
    shutil.rmtree(unquote(urlsplit(model.artifact_location).path))
    capsys.readouterr()
    assert loop.call("rollback", "--version", second.number) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be loaded" in line
    assert loop.number(CHAMPION) == "1"
    # Such a champion is refused before anything is trained.
    loop.write(310)
    before = len(loop.runs("refit"))
    assert loop.retrain(*floors) == 2
    assert "cannot be loaded" in capsys.readouterr().err
    assert len(loop.runs("refit")) == before


def test_after_a_prune_the_next_night_trains_with_new_seeds_and_rollback_goes_back(promoted, monkeypatch, capsys):
    """Two more nights are kept; of these only the newest is needed by the next."""
    seeds = ("--evaluation.seeds", "1")
    for _ in range(2):
        assert promoted.retrain(*BETTER, *FORCE, *seeds) == 0
    trained = {run.params["seed"] for run in promoted.runs("refit")}
    monkeypatch.setattr(prunable, "RETRAINING_RUNS", 1)
    capsys.readouterr()
    assert promoted.call("prune", "--keep_days", "0", "--apply", "yes") == 0
    # A search every seventh night: the last seven are counted.
    assert "prune: deleted of loop, older than 0 days: 0 runs, 1 version, 0 models" in capsys.readouterr().out
    monkeypatch.setattr(prunable, "_needed_by_next_run", lambda runs, _every: {runs[-1].id})
    assert promoted.call("prune", "--keep_days", "0", "--apply", "yes") == 0
    assert promoted.numbers() == ["1", "2", "4"]
    assert len(promoted.runs("retrain")) == 3
    assert promoted.retrain(*BETTER, *FORCE, *seeds) == 0
    assert promoted.runs("retrain")[-1].tags["narrowgap.run_number"] == "5"
    assert promoted.runs("refit")[-1].params["seed"] not in trained
    assert promoted.call("rollback") == 0
    assert promoted.number(CHAMPION) == "1"
    assert promoted.answers(promoted.registry.by_alias(CHAMPION))


def test_status_shows_every_version_newest_first_with_alias_decision_figures_and_age(promoted, capsys):
    promoted.registry.register(promoted.registry.get("2").source, promoted.registry.get("2").run_id, {})
    assert promoted.call("status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("narrowgap-loop in sqlite:///")
    rows = [[cell.strip() for cell in line.split("│")] for line in lines if "│" in line]
    assert [row[1] for row in rows] == ["3", "2", "1"]
    third, second, first = rows
    assert third[3] == "none yet"
    assert (second[2], second[3], second[4], second[5]) == ("champion, challenger", "promoted", "refit", "64-16-10")
    accuracy = float(promoted.registry.get("2").tags["narrowgap.test_accuracy"])
    assert second[6] == f"{100 * accuracy:.2f}"
    assert second[7][0] in "+-"
    assert second[8]
    assert (first[2], first[3], first[4]) == ("previous_champion", "promoted", "search")


def test_status_of_an_empty_registry_says_how_to_add_a_version(tmp_path, monkeypatch, capsys):
    loop = Loop(tmp_path, monkeypatch)
    assert loop.call("status") == 0
    assert "narrowgap-loop has no versions in sqlite:///" in capsys.readouterr().out
