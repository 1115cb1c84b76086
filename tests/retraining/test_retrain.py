"""The loop of retraining: real data, training and registry; what is kept, promoted and refused, and what interruptions and
other people leave behind.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import psutil
import pytest
import yaml
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from pipeline.data.split import Part
from pipeline.errors import BusyError
from pipeline.experiment import Retrain
from pipeline.retraining import plan
from pipeline.search.journal import StoreJournal
from pipeline.tracking import run_lock
from pipeline.tracking.names import (
    CHALLENGER,
    CHAMPION,
    CLAIM_TAG,
    DECISION_TAG,
    HOLDER_TAG,
    PREVIOUS_CHAMPION,
    RETRAIN_RUN_TAG,
)
from pipeline.tracking.registry import Registry, Version
from pipeline.tracking.run import Run
from tests.retraining.loop import BETTER, FORCE, ROOT, Loop

pytestmark = pytest.mark.tensorflow


class Power(BaseException):
    """It fails, and no `except` of the program is meant for it."""


@contextmanager
def failing(patch: pytest.MonkeyPatch, owner: object, name: str, *, when: Callable[..., bool]) -> Iterator[None]:
    """Inside the block, a call of `owner.name` of which `when` holds is not made: the power is gone."""
    real = getattr(owner, name)

    def dies(*arguments, **named):
        if when(*arguments, **named):
            raise Power
        return real(*arguments, **named)

    with patch.context() as within:
        within.setattr(owner, name, dies)
        yield


def refits(loop: Loop) -> int:
    return len(loop.runs("refit"))


# What becomes of a night.


def test_without_a_champion_the_floors_decide_and_all_of_them_are_listed(first_night: Loop):
    (version,) = first_night.registry.versions()
    assert first_night.number(CHAMPION) == "1"
    assert first_night.number(PREVIOUS_CHAMPION) is None
    assert version.tags[DECISION_TAG] == "promoted"
    decision = first_night.decision()
    assert decision["champion"] is None
    assert [each["name"] for each in decision["conditions"]] == ["accuracy", "honest gap", "calibration error"]
    (night,) = first_night.runs("retrain")
    assert (night.status, night.tags[DECISION_TAG], night.tags["narrowgap.version"]) == ("FINISHED", "promoted", "1")


def test_below_a_floor_there_is_no_champion_and_the_same_data_are_not_tried_again(tmp_path, monkeypatch, capsys):
    loop = Loop(tmp_path, monkeypatch)
    loop.write(700)
    words = ("--promotion.min_accuracy", "0.999", "--evaluation.seeds", "1")
    assert loop.night(*words) == 0
    assert "retrain: no champion yet" in capsys.readouterr().out
    assert loop.number(CHAMPION) is None
    assert loop.registry.get("1").tags[DECISION_TAG] == "kept"
    trained = refits(loop)
    assert loop.night(*words) == 0
    assert "nothing new" in (told := capsys.readouterr().out)
    assert "there is no champion" in told
    assert refits(loop) == trained


def test_a_champion_is_retrained_with_the_training_settings_of_its_own(tmp_path, monkeypatch):
    loop = Loop(tmp_path, monkeypatch)
    loop.write(400)
    asked = yaml.safe_load(loop.file.read_text())
    asked["space"]["networks"][0]["training"] = {"patience": 3, "restore_best": False}
    loop.file.write_text(yaml.safe_dump(asked))
    assert loop.night("--evaluation.seeds", "1") == 0
    assert loop.night(*FORCE, "--evaluation.seeds", "1") == 0
    trials, refitted = loop.runs("trial"), loop.runs("refit")
    assert len(refitted) == 2
    assert {(run.params["patience"], run.params["restore_best"]) for run in (*trials, *refitted)} == {("3", "False")}
    first, second = loop.registry.versions()
    assert json.loads(first.tags["narrowgap.recipe"]) == json.loads(second.tags["narrowgap.recipe"])
    assert json.loads(second.tags["narrowgap.recipe"])["training"] == {"patience": 3, "restore_best": False}


def test_where_nothing_is_new_nothing_is_trained(loop, capsys):
    before = refits(loop)
    assert loop.night() == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("retrain: nothing new: data and recipe are those that")
    assert refits(loop) == before
    assert loop.numbers() == ["1"]
    assert loop.runs("retrain")[-1].status == "FINISHED"


def test_a_champions_alias_that_somebody_took_away_is_missed_with_the_way_back(loop, capsys):
    loop.client.delete_registered_model_alias(loop.registry.name, CHAMPION)
    assert loop.night() == 0
    told = capsys.readouterr().out.splitlines()[-1]
    assert "somebody has taken the alias from version 1, set it again with rollback -P version=1" in told
    assert loop.call("rollback", "--version", "1") == 0
    assert loop.number(CHAMPION) == "1"


def test_new_data_of_the_same_kind_keep_the_champion_with_everything_written_down(loop, capsys):
    loop.write(760)
    assert loop.night() == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("retrain: kept champion version 1")
    assert (loop.number(CHAMPION), loop.number(CHALLENGER)) == ("1", "2")
    version, night = loop.registry.get("2"), loop.runs("retrain")[-1]
    assert version.tags[DECISION_TAG] == "kept"
    assert version.tags["narrowgap.mode"] == "refit"
    assert version.tags[RETRAIN_RUN_TAG] == night.id
    decision = loop.decision()
    assert not decision["promote"]
    assert decision["reason"] == version.tags["narrowgap.reason"]
    assert decision["champion"]["accuracy"] == night.metrics["champion/accuracy"]
    for name in ("decision.md", "control.png", "drift.csv", "drift.png", "reference.npz"):
        assert night.read(name)
    seeds = [run.params["seed"] for run in loop.runs("refit")]
    assert len(set(seeds)) == len(seeds) == 4  # a night's seeds are its own


def test_a_better_recipe_is_promoted_and_the_former_champion_kept_in_mind(promoted):
    assert (promoted.number(CHAMPION), promoted.number(PREVIOUS_CHAMPION)) == ("2", "1")
    version = promoted.registry.get("2")
    assert version.tags[DECISION_TAG] == "promoted"
    assert {"narrowgap.promoted_by", "narrowgap.promoted_at", "narrowgap.reason"} <= set(version.tags)
    decision = promoted.decision()
    assert all(each["met"] for each in decision["conditions"])
    assert any(each["met"] for each in decision["improvements"])
    assert promoted.answers(version)


def test_forced_the_same_data_are_tried_with_other_seeds_and_kept_can_be_a_failure_of_a_run_that_did_not_fail(
    promoted, capsys
):
    assert promoted.night(*BETTER, *FORCE, "--retrain.fail_when_kept", "true") == 1
    told = capsys.readouterr()
    assert told.out.splitlines()[-1].startswith("retrain: kept champion version 2")
    assert "retrain.fail_when_kept" in told.err
    assert promoted.runs("retrain")[-1].status == "FINISHED"
    seeds = [run.params["seed"] for run in promoted.runs("refit")]
    assert len(set(seeds)) == len(seeds)
    assert promoted.night(*BETTER) == 0
    assert "nothing new" in capsys.readouterr().out


def test_a_failure_that_is_asked_for_leaves_a_run_of_mlflow_run_finished(promoted, monkeypatch):
    """MLflow goes by the exit code, unless the run has ended; the night must not be played again."""
    own = promoted.client.create_run(promoted.client.get_experiment_by_name("loop").experiment_id).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", own)
    words = ("--evaluation.seeds", "1")  # of one seed no improvement can be shown
    assert promoted.night(*BETTER, *words, "--retrain.fail_when_kept", "true") == 1
    assert promoted.store.get(own).status == "FINISHED"


class Closed:
    """A night that came to its end, as the plan reads it."""

    def __init__(self, modes: str | None) -> None:
        self.tags = {} if modes is None else {"narrowgap.mode": modes}


@pytest.mark.parametrize(
    ("nights", "expected"),
    [
        ([], "refit, search"),
        (["search", "refit"], "refit, search"),
        (["search", "refit", "refit"], "search"),
        (["search", "refit", None, None], "refit, search"),  # nights with nothing new are no nights of training
        (["refit", "refit", None], "search"),
        (["refit, search", "refit"], "refit, search"),  # a refit that was refused was followed by a search
    ],
)
def test_every_third_night_that_trains_searches_where_that_is_asked_for(nights, expected):
    champion = Version("1", "models:/m-1", "run", 0, {})
    closed: list[Any] = [Closed(each) for each in nights]
    asked = Retrain(mode="auto", search_every=3)
    assert ", ".join(plan._modes(asked, champion, closed)) == expected
    assert plan._modes(Retrain(search_every=None), champion, closed * 5) == ("refit", "search")
    assert plan._modes(Retrain(mode="refit", search_every=1), champion, closed) == ("refit",)
    assert plan._modes(asked, None, closed) == ("search",)


def test_on_a_night_whose_turn_it_is_a_search_takes_the_place_of_the_refit(loop):
    loop.write(760)
    assert loop.night("--retrain.mode", "auto", "--retrain.search_every", "1") == 0
    night = loop.runs("retrain")[-1]
    assert night.tags["narrowgap.mode"] == "search"
    assert loop.registry.get("2").tags["narrowgap.mode"] == "search"
    seeds = [run.params["seed"] for run in loop.runs("refit")]
    assert len(set(seeds)) == len(seeds)  # the second night's search draws other lots than the first one's


def test_a_refit_that_is_refused_is_followed_by_a_search_and_both_decisions_stay(loop, capsys):
    loop.write(760)
    assert loop.night("--retrain.mode", "auto", "--evaluation.seeds", "1") == 0
    night = loop.runs("retrain")[-1]
    assert night.tags["narrowgap.mode"] == "refit, search"
    assert [loop.registry.get(each).tags["narrowgap.mode"] for each in "23"] == ["refit", "search"]
    for version, name in (("2", "refit/decision.json"), ("3", "decision.json")):
        decision = json.loads(night.read(name))
        assert decision["reason"] == loop.registry.get(version).tags["narrowgap.reason"]
        assert repr(decision["challenger"]["accuracy"]) == loop.registry.get(version).tags["narrowgap.test_accuracy"]
        assert decision["rule"]["alpha"] == 0.2  # a half each of what is allowed
    assert night.read("refit/decision.md")
    told = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith("retrain: kept champion version 1")
    ]
    assert len(told) == 2


def darker(images, labels):
    return images // 2, labels


def test_drift_is_a_warning_and_a_gate_only_where_the_rule_says_so(loop, capsys):
    loop.write(760, darker)
    assert loop.night("--evaluation.seeds", "1") == 0
    told = capsys.readouterr().out
    assert "retrain: warning: The data has moved since the champion's" in told
    assert "; warning: The data has moved since the champion's" in told.splitlines()[-1]
    assert "no drift" not in [each["name"] for each in loop.decision()["conditions"]]
    assert loop.night("--evaluation.seeds", "1", "--promotion.refuse_drift", "true") == 0
    assert "images differ in brightness" in capsys.readouterr().out.splitlines()[-1]
    (condition,) = [each for each in loop.decision()["conditions"] if each["name"] == "no drift"]
    assert not condition["met"]
    assert condition["figure"] > condition["bound"]
    assert loop.number(CHAMPION) == "1"


def test_a_refit_answers_with_the_threshold_that_the_wished_accuracy_asks_for(loop):
    from pipeline.serving.model import Serving, load, serving

    loop.write(760)
    assert loop.night("--evaluation.target_accuracy", "0.5", "--evaluation.seeds", "1") == 0
    assert loop.registry.get("2").tags["narrowgap.mode"] == "refit"
    found = serving(load(f"models:/{loop.registry.name}/2")).min_confidence
    assert 0 <= found < 1
    assert found != Serving.min_confidence


# Data that the champion cannot be asked about.


def no_sevens(images, labels):
    return images[labels != "7"], labels[labels != "7"]


def an_eight_for_sevens(images, labels):
    """As many classes, but other ones."""
    return images, np.where(labels == "7", "seven", labels)


def twice_as_large(images, labels):
    return images.repeat(2, axis=1).repeat(2, axis=2), labels


@pytest.mark.parametrize(
    ("change", "words", "told"),
    [
        (no_sevens, (), "knows the classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9; the data have 0, 1, 2, 3, 4, 5, 6, 8, 9"),
        (an_eight_for_sevens, (), "the data have 0, 1, 2, 3, 4, 5, 6, 8, 9, seven"),
        (twice_as_large, (), r"knows images (height, width) (8, 8); the data have (16, 16)"),
        (None, ("--data.pixel_max", "255"), "knows pixels up to 16; the data have 255"),
    ],
)
def test_what_the_champion_does_not_know_is_refused_in_one_line_and_not_trained(loop, capsys, change, words, told):
    loop.write(700, change)
    before = refits(loop)
    assert loop.night(*words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert refits(loop) == before
    assert (loop.number(CHAMPION), loop.numbers()) == ("1", ["1"])
    assert DECISION_TAG not in loop.runs("retrain")[-1].tags


def test_a_file_that_cannot_be_read_leaves_the_champion(loop):
    loop.data.write_bytes(loop.data.read_bytes()[:3000])
    assert loop.night() == 2
    assert (loop.number(CHAMPION), loop.numbers()) == ("1", ["1"])


def test_a_champion_that_people_registered_is_told_and_their_versions_are_left_alone(loop, capsys):
    first = loop.registry.get("1")
    by_hand = loop.registry.register(first.source, first.run_id, {"mine": "yes"})
    assert loop.night() == 0
    assert loop.numbers() == ["1", "2"]
    assert loop.registry.promote(by_hand, instead_of=first)
    loop.write(720)
    assert loop.night() == 2
    assert "champion version 2 was not made by retrain: it has no tag narrowgap." in capsys.readouterr().err
    assert loop.number(CHAMPION) == "2"


def test_test_images_that_the_champion_was_trained_on_are_counted_and_warned_of(tiny_split):
    from pipeline.retraining.history import _flattered

    champion = Version("7", "models:/m-1", "run", 0, {})
    train, test = tiny_split.train.images, tiny_split.test.images
    assert _flattered(champion, train, tiny_split) == []
    (told,) = _flattered(champion, np.concatenate([train[:5], test[:3]]), tiny_split)
    assert "version 7 was trained on 3 or more of the 12 test images" in told
    # A duplicate that is among the present training images too says nothing of the champion's division.
    doubled = Part(np.concatenate([train, test[:3]]), np.zeros(len(train) + 3, np.int64))
    assert _flattered(champion, test[:3], replace(tiny_split, train=doubled)) == []


# Interruptions.


def test_whatever_stops_a_night_the_champion_is_the_old_one_and_the_next_call_clears_up(loop, monkeypatch, capsys):
    """Each call is stopped a little later than the one before, and clears up what that one has left. MLflow gives the number
    of a version that was taken back to no other.
    """
    steps: list[tuple[type, str, Callable[..., bool], list[str]]] = [
        (Registry, "register", lambda *_: True, ["1"]),  # the model is logged, and not registered
        (Registry, "describe", lambda *_: True, ["1", "2"]),  # it is named challenger, and its decision is written
        # It is to be promoted, and only `previous_champion` has moved.
        (MlflowClient, "set_registered_model_alias", lambda *given: given[2] == CHAMPION, ["1", "3"]),
    ]
    for owner, name, when, left in steps:
        with failing(monkeypatch, owner, name, when=when), pytest.raises(Power):
            loop.night(*BETTER)
        assert loop.numbers() == left
        assert loop.number(CHAMPION) == "1"
        assert DECISION_TAG not in loop.runs("retrain")[-1].tags
    assert loop.number(PREVIOUS_CHAMPION) == "1"
    assert loop.answers(loop.registry.by_alias(CHAMPION))
    capsys.readouterr()
    assert loop.night() == 0  # data and recipe of the first night
    told = capsys.readouterr().out
    assert "set previous_champion back" in told
    assert "took back version 3, registered by a call that was interrupted" in told
    assert "nothing new" in told
    assert loop.numbers() == ["1"]
    assert (loop.number(CHAMPION), loop.number(PREVIOUS_CHAMPION), loop.number(CHALLENGER)) == ("1", None, None)


def test_a_search_that_a_night_left_unfinished_stands_in_nobodys_way_once_the_data_have_changed(
    loop, monkeypatch, capsys
):
    def search_breaks_off(step: str, *words: str) -> None:
        """Of its first trial no end is written down, and the process is gone."""
        with failing(monkeypatch, StoreJournal, "ended", when=lambda *_: True), pytest.raises(Power):
            loop.call(step, *words)
        run = loop.runs("search")[-1]
        assert run.status != "FINISHED"
        run.log(tags={HOLDER_TAG: json.dumps(run_lock.holder_of(run) | {"started": 0})})

    loop.write(760)
    search_breaks_off("retrain", "--retrain.mode", "search")
    loop.write(780)
    assert loop.call("search") == 0
    assert "search: 1 trials. Chosen" in capsys.readouterr().out
    search_breaks_off("search", "--search.resume", "never")  # somebody's own, who will want to know
    loop.write(790)
    assert loop.call("search") == 2
    assert "start anew with -P search.resume=never" in capsys.readouterr().err


KILLED_AFTER_THE_ALIAS = """
import os, signal, sys
from pipeline.tracking.registry import Registry
promote = Registry.promote
def dies(*arguments, **named):
    promote(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)
Registry.promote = dies
from pipeline.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_process_killed_just_after_the_alias_moved_leaves_the_new_champion_and_the_night_is_ended_by_the_next_call(
    loop, capsys
):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AFTER_THE_ALIAS, "retrain", "--experiment", str(loop.file), *BETTER],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=loop.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    night = loop.runs("retrain")[-1]
    assert night.status == "RUNNING"
    assert (loop.number(CHAMPION), loop.number(PREVIOUS_CHAMPION)) == ("2", "1")
    assert DECISION_TAG not in loop.registry.get("2").tags
    before = refits(loop)
    assert loop.night(*BETTER) == 0
    told = capsys.readouterr().out
    assert "version 2 was promoted by a call that was interrupted after that" in told
    assert "nothing new" in told
    assert refits(loop) == before
    assert loop.numbers() == ["1", "2"]
    assert loop.registry.get("2").tags[DECISION_TAG] == "promoted"
    ended = loop.store.get(night.id)
    assert (ended.status, ended.tags[DECISION_TAG]) == ("KILLED", "promoted")
    assert loop.answers(loop.registry.by_alias(CHAMPION))


def test_what_was_previous_champion_is_not_taken_back_when_its_night_was_interrupted(promoted):
    """Killed after the alias moved, and rolled back by people before the next call."""
    night = promoted.registry.get("2").tags[RETRAIN_RUN_TAG]
    promoted.client.delete_tag(night, DECISION_TAG)
    promoted.registry.promote(promoted.registry.get("1"), instead_of=promoted.registry.get("2"))
    assert promoted.night(*BETTER) == 0
    assert promoted.numbers() == ["1", "2"]
    assert (promoted.number(CHAMPION), promoted.number(PREVIOUS_CHAMPION)) == ("1", "2")


def test_versions_stay_when_people_delete_the_runs_of_their_nights(promoted):
    for night in promoted.runs("retrain"):
        promoted.client.delete_run(night.id)
    with pytest.MonkeyPatch.context() as patch, failing(patch, Run, "log", when=_is_a_night), pytest.raises(Power):
        promoted.night(*BETTER)
    assert promoted.numbers() == ["1", "2"]


def _is_a_night(_run: Run, **named: object) -> bool:
    """The first thing that is written after the clearing up."""
    return "narrowgap.identity" in (named.get("tags") or {})  # type: ignore[operator]  # a mapping


def test_a_disk_that_is_full_leaves_the_champion_and_is_told_in_one_line(loop, monkeypatch, capsys):
    own = loop.store.root(step="retrain", experiment="loop", tags={})
    draft = Path(unquote(urlsplit(own.artifact_uri).path)) / f".decision.json.{os.getpid()}"
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.symlink_to("/dev/full")  # Linux's device without room
    monkeypatch.setenv("MLFLOW_RUN_ID", own.id)
    loop.write(720)
    assert loop.night() == 5
    (line,) = capsys.readouterr().err.splitlines()
    assert "No space left on device" in line
    assert loop.store.get(own.id).status == "FAILED"
    assert (loop.number(CHAMPION), loop.numbers()) == ("1", ["1", "2"])
    monkeypatch.delenv("MLFLOW_RUN_ID")
    assert loop.night() == 0
    assert "took back version 2" in capsys.readouterr().out
    assert (loop.number(CHAMPION), loop.numbers()) == ("1", ["1", "3"])


# Others.


def test_a_second_call_gives_way_in_no_time_naming_the_holder_and_a_dead_holder_is_recognised(loop, capsys):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        run = loop.store.root(step="retrain", experiment="loop", tags=mark_of(other.pid))
        run.log(tags={CLAIM_TAG: repr(time.time())})
        assert loop.night() == 4
        (line,) = capsys.readouterr().err.splitlines()
        assert f"retrain of loop is being run by process {other.pid} on " in line
        assert run.id in line
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # it is dead, and its parent has not asked for it
        assert loop.night() == 0
    finally:
        other.kill()
        other.wait()
    assert "nothing new" in capsys.readouterr().out
    assert loop.store.get(run.id).status == "KILLED"


def mark_of(pid: int) -> dict[str, str]:
    """The mark of another process on this machine."""
    own = json.loads(run_lock.owner_tag()[HOLDER_TAG])
    return {HOLDER_TAG: json.dumps(own | {"pid": pid, "started": psutil.Process(pid).create_time()})}


def test_of_two_that_claim_at_once_the_later_gives_way_whichever_run_was_made_first(loop, monkeypatch):
    """`mlflow run` makes the run long before its process claims anything."""
    early = loop.store.root(step="retrain", experiment="loop", tags=run_lock.owner_tag())
    late = loop.store.root(step="retrain", experiment="loop", tags=run_lock.owner_tag())

    def meanwhile(claimed_at: float) -> Callable[[float], None]:
        return lambda _seconds: late.log(tags={CLAIM_TAG: repr(claimed_at)})

    monkeypatch.setattr(time, "sleep", meanwhile(time.time() - 60))
    with pytest.raises(BusyError, match=late.id):
        run_lock.exclusive(loop.store, early, step="retrain", experiment="loop")
    late.log(tags={"narrowgap.step": "elsewhere"})  # out of the way of the first look
    monkeypatch.setattr(time, "sleep", lambda _seconds: late.log(
        tags={"narrowgap.step": "retrain", CLAIM_TAG: repr(time.time() + 60)}
    ))  # fmt: skip
    run_lock.exclusive(loop.store, early, step="retrain", experiment="loop")


def test_a_claim_that_was_long_in_writing_gives_way_to_one_that_was_made_meanwhile(loop, monkeypatch):
    """Who made it has waited, seen nobody, and begun."""
    slow = loop.store.root(step="retrain", experiment="loop", tags=run_lock.owner_tag())
    quick = loop.store.root(step="retrain", experiment="loop", tags=run_lock.owner_tag())
    real = Run.log

    def slowly(run: Run, **named: Any) -> None:
        if run is slow and CLAIM_TAG in named.get("tags", {}):
            run_lock.exclusive(loop.store, quick, step="retrain", experiment="loop")
            time.sleep(run_lock.SETTLE_SECONDS)
        real(run, **named)

    monkeypatch.setattr(Run, "log", slowly)
    with pytest.raises(BusyError, match=quick.id):
        run_lock.exclusive(loop.store, slow, step="retrain", experiment="loop")


def test_a_registry_that_fails_is_no_registry_without_a_champion(loop, monkeypatch):
    loop.write(720)

    def fails(*_arguments):
        raise MlflowException("the database is gone")

    monkeypatch.setattr(type(loop.client), "get_model_version_by_alias", fails)
    before = refits(loop)
    with pytest.raises(MlflowException, match="the database is gone"):
        loop.night()
    assert refits(loop) == before
    monkeypatch.undo()


def test_a_champion_that_people_moved_meanwhile_is_what_is_decided_against(loop, monkeypatch):
    first = loop.registry.get("1")
    again = loop.registry.register(first.source, first.run_id, first.tags)
    real = Registry.describe
    judged: list[str] = []

    def moves(self: Registry, version: Version, markdown: str) -> None:
        real(self, version, markdown)
        if not judged:
            assert loop.registry.promote(again, instead_of=first)
        judged.append(version.number)

    monkeypatch.setattr(Registry, "describe", moves)
    assert loop.night(*BETTER) == 0
    assert judged == ["3", "3"]
    assert (loop.number(CHAMPION), loop.number(PREVIOUS_CHAMPION)) == ("3", "2")
