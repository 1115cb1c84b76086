"""Retraining runs with real data, training and registry: promoted, kept and refused challengers, interruptions, and other
users of the same registry.
"""

import json
import os
import signal
import subprocess
import sys
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
from pipeline.errors import InputError
from pipeline.experiment import Retrain
from pipeline.retraining import challenger, monitoring, plan, step
from pipeline.retraining.decision import Condition, Decision
from pipeline.retraining.model_metrics import ModelMetrics
from pipeline.search.resume import identity_tag
from pipeline.search.trial_journal import TrialJournal
from pipeline.statistics.monitoring.image_features import image_figures
from pipeline.tracking import owner, run_lock
from pipeline.tracking.names import (
    CHALLENGER,
    CHAMPION,
    DECISION_TAG,
    HOLDER_TAG,
    IDENTITY_TAG,
    LEASE_TAG,
    PREVIOUS_CHAMPION,
    RETRAIN_RUN_TAG,
)
from pipeline.tracking.registry import Registry, Version
from pipeline.tracking.run import Run
from tests.fixtures import warm
from tests.retraining.loop import BETTER, FORCE, Loop

pytestmark = pytest.mark.tensorflow


class Power(BaseException):
    """A power failure: no `except` of the program is meant for it."""


@contextmanager
def failing(patch: pytest.MonkeyPatch, owner: object, name: str, *, when: Callable[..., bool]) -> Iterator[None]:
    """Inside the block, the first call of `owner.name` for which `when` is true raises `Power` instead."""
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


# Outcomes.


def test_without_a_champion_the_minimum_requirements_decide_and_all_are_listed(first_run: Loop):
    (version,) = first_run.registry.versions()
    assert first_run.number(CHAMPION) == "1"
    assert first_run.number(PREVIOUS_CHAMPION) is None
    assert version.tags[DECISION_TAG] == "promoted"
    decision = first_run.decision()
    assert decision["champion"] is None
    assert [each["name"] for each in decision["conditions"]] == ["accuracy", "honest gap", "calibration error"]
    (run,) = first_run.runs("retrain")
    assert (run.status, run.tags[DECISION_TAG], run.tags["narrowgap.version"]) == ("FINISHED", "promoted", "1")


def test_below_a_minimum_requirement_there_is_no_champion_and_the_same_data_are_not_tried_again(
    tmp_path, monkeypatch, capsys
):
    loop = Loop(tmp_path, monkeypatch)
    loop.write(700)
    words = ("--promotion.min_accuracy", "0.999", "--evaluation.seeds", "1")
    assert loop.retrain(*words) == 0
    assert "retrain: no champion yet" in capsys.readouterr().out
    assert loop.number(CHAMPION) is None
    assert loop.registry.get("1").tags[DECISION_TAG] == "kept"
    trained = refits(loop)
    assert loop.retrain(*words) == 0
    assert "nothing new" in (text := capsys.readouterr().out)
    assert "there is no champion" in text
    assert refits(loop) == trained


def test_a_champion_is_retrained_with_the_training_settings_of_its_own(tmp_path, monkeypatch):
    loop = Loop(tmp_path, monkeypatch)
    loop.write(400)
    asked = yaml.safe_load(loop.file.read_text())
    asked["space"]["networks"][0]["training"] = {"patience": 3, "restore_best": False}
    loop.file.write_text(yaml.safe_dump(asked))
    assert loop.retrain("--evaluation.seeds", "1") == 0
    assert loop.retrain(*FORCE, "--evaluation.seeds", "1") == 0
    trials, refitted = loop.runs("trial"), loop.runs("refit")
    assert len(refitted) == 2
    assert {(run.params["patience"], run.params["restore_best"]) for run in (*trials, *refitted)} == {("3", "False")}
    first, second = loop.registry.versions()
    assert json.loads(first.tags["narrowgap.recipe"]) == json.loads(second.tags["narrowgap.recipe"])
    assert json.loads(second.tags["narrowgap.recipe"])["training"] == {"patience": 3, "restore_best": False}


def test_where_nothing_is_new_nothing_is_trained(loop, capsys):
    before = refits(loop)
    assert loop.retrain() == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("retrain: nothing new: data and settings are unchanged")
    assert refits(loop) == before
    assert loop.numbers() == ["1"]
    assert loop.runs("retrain")[-1].status == "FINISHED"


def test_another_time_limit_is_new_and_without_one_the_record_is_that_of_earlier_versions(loop, capsys):
    (completed,) = loop.runs("retrain")
    recorded = json.loads(completed.tags[IDENTITY_TAG])
    assert "minutes" not in recorded
    for minutes in (60, 120):
        assert loop.retrain("--evaluation.seeds", "1", "--minutes", str(minutes)) == 0
        assert "nothing new" not in capsys.readouterr().out
    assert json.loads(loop.runs("retrain")[-1].tags[IDENTITY_TAG])["minutes"] == 120
    assert loop.retrain("--evaluation.seeds", "1", "--minutes", "120") == 0
    assert "nothing new" in capsys.readouterr().out
    assert loop.retrain("--evaluation.seeds", "1") == 0
    assert "nothing new" not in capsys.readouterr().out


def test_nothing_is_new_where_the_tag_has_a_digest_of_what_was_asked(loop, capsys, monkeypatch):
    monkeypatch.setattr("pipeline.search.resume.MOST_TAG_LETTERS", 100)
    (completed,) = loop.runs("retrain")
    completed.log(tags={IDENTITY_TAG: identity_tag(completed, json.loads(completed.tags[IDENTITY_TAG]))})
    assert loop.retrain() == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("retrain: nothing new: data and settings are unchanged")
    assert loop.runs("retrain")[-1].tags[IDENTITY_TAG] == completed.tags[IDENTITY_TAG]
    assert completed.tags[IDENTITY_TAG].startswith("sha256:")


def test_a_champion_alias_that_was_removed_is_reported_with_the_cure(loop, capsys):
    loop.client.delete_registered_model_alias(loop.registry.name, CHAMPION)
    assert loop.retrain() == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert "the alias was removed from version 1; restore it with rollback -P version=1" in line
    assert loop.call("rollback", "--version", "1") == 0
    assert loop.number(CHAMPION) == "1"


def test_new_data_of_the_same_kind_keep_the_champion_with_everything_written_down(loop, capsys):
    loop.write(760)
    assert loop.retrain() == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("retrain: kept champion version 1")
    assert (loop.number(CHAMPION), loop.number(CHALLENGER)) == ("1", "2")
    version, run = loop.registry.get("2"), loop.runs("retrain")[-1]
    assert version.tags[DECISION_TAG] == "kept"
    assert version.tags["narrowgap.mode"] == "refit"
    assert version.tags[RETRAIN_RUN_TAG] == run.id
    decision = loop.decision()
    assert not decision["promote"]
    assert decision["reason"] == version.tags["narrowgap.reason"]
    assert decision["champion"]["accuracy"] == run.metrics["champion/accuracy"]
    for name in ("decision.md", "control.png", "drift.csv", "drift.png"):
        assert run.read(name)
    with pytest.raises(InputError, match="no artifact reference"):
        run.read("reference.npz")  # of a promoted version alone
    seeds = [run.params["seed"] for run in loop.runs("refit")]
    assert len(set(seeds)) == len(seeds) == 4  # each retraining run has its own seeds


def test_a_better_recipe_is_promoted_and_the_former_champion_keeps_an_alias(promoted):
    assert (promoted.number(CHAMPION), promoted.number(PREVIOUS_CHAMPION)) == ("2", "1")
    version = promoted.registry.get("2")
    assert promoted.runs("retrain")[-1].read("reference.npz")
    assert version.tags[DECISION_TAG] == "promoted"
    assert {"narrowgap.promoted_by", "narrowgap.promoted_at", "narrowgap.reason"} <= set(version.tags)
    decision = promoted.decision()
    assert all(each["met"] for each in decision["conditions"])
    assert any(each["met"] for each in decision["improvements"])
    assert promoted.answers(version)


def test_a_forced_run_uses_other_seeds_and_fail_when_kept_sets_the_exit_code_of_a_finished_run(promoted, capsys):
    assert promoted.retrain(*BETTER, *FORCE, "--retrain.fail_when_kept", "true") == 1
    screen = capsys.readouterr()
    assert screen.out.splitlines()[-1].startswith("retrain: kept champion version 2")
    assert "retrain.fail_when_kept" in screen.err
    assert promoted.runs("retrain")[-1].status == "FINISHED"
    seeds = [run.params["seed"] for run in promoted.runs("refit")]
    assert len(set(seeds)) == len(seeds)
    assert promoted.retrain(*BETTER) == 0
    assert "nothing new" in capsys.readouterr().out


def test_fail_when_kept_leaves_the_run_of_mlflow_run_finished(promoted, monkeypatch):
    """MLflow sets the status from the exit code unless the run has ended; the retraining must not be repeated."""
    experiment_id = promoted.client.get_experiment_by_name("loop").experiment_id
    own = promoted.client.create_run(experiment_id, tags={"mlflow.project.entryPoint": "retrain"}).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", own)
    words = ("--evaluation.seeds", "1")  # with one seed no improvement can be significant
    assert promoted.retrain(*BETTER, *words, "--retrain.fail_when_kept", "true") == 1
    assert promoted.store.get(own).status == "FINISHED"


class CompletedRun:
    """A completed retraining run, as far as the plan reads it."""

    def __init__(self, modes: str | None) -> None:
        self.tags = {} if modes is None else {"narrowgap.mode": modes}


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        ([], "refit, search"),
        (["search", "refit"], "refit, search"),
        (["search", "refit", "refit"], "search"),
        (["search", "refit", None, None], "refit, search"),  # runs with nothing new do not count
        (["refit", "refit", None], "search"),
        (["refit, search", "refit"], "refit, search"),  # a rejected refit was followed by a search
    ],
)
def test_every_third_run_that_trains_is_a_search_if_search_every_is_3(modes, expected):
    champion = Version("1", "models:/m-1", "run", 0, {})
    completed: list[Any] = [CompletedRun(each) for each in modes]
    asked = Retrain(mode="auto", search_every=3)
    assert ", ".join(plan.choose_modes(asked, champion, completed)) == expected
    assert plan.choose_modes(Retrain(search_every=None), champion, completed * 5) == ("refit", "search")
    assert plan.choose_modes(Retrain(mode="refit", search_every=1), champion, completed) == ("refit",)
    assert plan.choose_modes(asked, None, completed) == ("search",)
    # A champion of other code cannot be trained again.
    assert plan.choose_modes(Retrain(search_every=None), champion, completed, same_code=False) == ("search",)
    with pytest.raises(InputError, match="made by other code than the experiment's model"):
        plan.choose_modes(Retrain(mode="refit"), champion, completed, same_code=False)


def test_a_search_that_is_due_replaces_the_refit(loop):
    loop.write(760)
    assert loop.retrain("--retrain.mode", "auto", "--retrain.search_every", "1") == 0
    run = loop.runs("retrain")[-1]
    assert run.tags["narrowgap.mode"] == "search"
    assert loop.registry.get("2").tags["narrowgap.mode"] == "search"
    seeds = [run.params["seed"] for run in loop.runs("refit")]
    assert len(set(seeds)) == len(seeds)  # the second search uses other seeds than the first


def test_a_rejected_refit_is_followed_by_a_search_and_both_decisions_are_kept(loop, capsys):
    loop.write(760)
    assert loop.retrain("--retrain.mode", "auto", "--evaluation.seeds", "1") == 0
    run = loop.runs("retrain")[-1]
    assert run.tags["narrowgap.mode"] == "refit, search"
    assert [loop.registry.get(each).tags["narrowgap.mode"] for each in "23"] == ["refit", "search"]
    for version, name in (("2", "refit/decision.json"), ("3", "decision.json")):
        decision = json.loads(run.read(name))
        assert decision["reason"] == loop.registry.get(version).tags["narrowgap.reason"]
        assert repr(decision["challenger"]["accuracy"]) == loop.registry.get(version).tags["narrowgap.test_accuracy"]
        assert decision["rule"]["alpha"] == 0.2  # half of alpha each
    assert run.read("refit/decision.md")
    lines = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith("retrain: kept champion version 1")
    ]
    assert len(lines) == 2


def darker(images, labels):
    return images // 2, labels


def test_drift_is_a_warning_and_a_condition_only_with_refuse_drift(loop, capsys):
    loop.write(760, darker)
    assert loop.retrain("--evaluation.seeds", "1") == 0
    screen = capsys.readouterr().out
    assert "retrain: warning: Data drift since the champion was trained" in screen
    assert "; warning: Data drift since the champion was trained" in screen.splitlines()[-1]
    assert "no drift" not in [each["name"] for each in loop.decision()["conditions"]]
    assert loop.retrain("--evaluation.seeds", "1", "--promotion.refuse_drift", "true") == 0
    assert "brightness differs" in capsys.readouterr().out.splitlines()[-1]
    (condition,) = [each for each in loop.decision()["conditions"] if each["name"] == "no drift"]
    assert not condition["met"]
    assert condition["figure"] > condition["bound"]
    assert loop.number(CHAMPION) == "1"


@pytest.mark.parametrize(
    ("mode", "roles"), [("refit", ["challenger"]), ("search", ["baseline"]), ("auto", ["challenger", "baseline"])]
)
def test_a_challenger_that_there_was_no_time_for_has_three_seeds_and_a_warning(loop, capsys, mode, roles):
    """Refit or search, or both, one after the other."""
    loop.write(300)
    assert loop.retrain() == 0
    assert loop.retrain(*FORCE, "--retrain.mode", mode, "--evaluation.seeds", "5", "--minutes", "0.0001") == 0
    rest = "has 3 of up to 5 seeds, since more would not have been finished within minutes=0.0001"
    assert f"; warning: left out for time: {roles[-1]} {rest}" in capsys.readouterr().out.splitlines()[-1]
    run = loop.runs("retrain")[-1]
    assert run.tags["narrowgap.mode"] == {"auto": "refit, search"}.get(mode, mode)
    left_out = "; ".join(f"{role} {rest}" for role in roles)
    assert run.tags["narrowgap.left_out"] == left_out
    assert f"\n\nLeft out for time: {left_out}.\n\n" in run.tags["mlflow.note.content"]
    if mode == "refit":
        assert sum(each.tags["narrowgap.step"] == "refit" for each in loop.store.children(run)) == 3


def test_a_damaged_reference_is_one_warning_and_the_night_goes_on(loop, capsys):
    (run,) = loop.runs("retrain")
    whole = run.read("reference.npz")
    try:
        run.write("reference.npz", whole[: len(whole) // 2])  # the files belong to the fixture that was copied
        loop.write(760)
        assert loop.retrain("--evaluation.seeds", "1", "--promotion.refuse_drift", "true") == 0
    finally:
        run.write("reference.npz", whole)
    screen = capsys.readouterr().out
    assert screen.count("retrain: warning: drift cannot be measured: the artifact reference.npz of run") == 1
    assert [each["met"] for each in loop.decision()["conditions"] if each["name"] == "no drift"] == [False]
    assert loop.registry.get("2").tags[DECISION_TAG] == "kept"


def test_the_warnings_of_a_refit_do_not_stay_on_the_run_when_its_search_has_none(loop):
    (run,) = loop.runs("retrain")
    monitoring.tag_warnings(run, ["drift", "no test images of class 3"])
    assert loop.runs("retrain")[0].tags["narrowgap.warning"] == "drift; no test images of class 3"
    monitoring.tag_warnings(run, [])
    assert "narrowgap.warning" not in loop.runs("retrain")[0].tags
    monitoring.tag_warnings(run, [])


def test_a_refit_is_served_with_the_threshold_for_the_target_accuracy(loop):
    from pipeline.serving.model import Serving, load, serving

    loop.write(760)
    assert loop.retrain("--evaluation.target_accuracy", "0.5", "--evaluation.seeds", "1") == 0
    assert loop.registry.get("2").tags["narrowgap.mode"] == "refit"
    found = serving(load(f"models:/{loop.registry.name}/2")).min_confidence
    assert 0 <= found < 1
    assert found != Serving.min_confidence


# Data that do not fit the champion.


def no_sevens(images, labels):
    return images[labels != "7"], labels[labels != "7"]


def an_eight_for_sevens(images, labels):
    """The same number of classes, but other ones."""
    return images, np.where(labels == "7", "seven", labels)


def twice_as_large(images, labels):
    return images.repeat(2, axis=1).repeat(2, axis=2), labels


@pytest.mark.parametrize(
    ("change", "words", "message"),
    [
        (no_sevens, (), "expects the classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9; the data have 0, 1, 2, 3, 4, 5, 6, 8, 9"),
        (an_eight_for_sevens, (), "the data have 0, 1, 2, 3, 4, 5, 6, 8, 9, seven"),
        (twice_as_large, (), r"expects images of the shape (8, 8); the data have (16, 16)"),
        (None, ("--data.pixel_max", "255"), "expects pixels up to 16; the data have 255"),
    ],
)
def test_data_that_do_not_fit_the_champion_are_refused_in_one_line_without_training(
    loop, capsys, change, words, message
):
    loop.write(700, change)
    before = refits(loop)
    assert loop.retrain(*words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert refits(loop) == before
    assert (loop.number(CHAMPION), loop.numbers()) == ("1", ["1"])
    assert DECISION_TAG not in loop.runs("retrain")[-1].tags


def test_a_file_that_cannot_be_read_leaves_the_champion(loop):
    loop.data.write_bytes(loop.data.read_bytes()[:3000])
    assert loop.retrain() == 2
    assert (loop.number(CHAMPION), loop.numbers()) == ("1", ["1"])


def test_a_champion_that_people_registered_is_refused_and_their_versions_are_left_alone(loop, capsys):
    first = loop.registry.get("1")
    by_hand = loop.registry.register(first.source, first.run_id, {"mine": "yes"})
    assert loop.retrain() == 0
    assert loop.numbers() == ["1", "2"]
    assert loop.registry.promote(by_hand, instead_of=first)
    loop.write(720)
    assert loop.retrain() == 2
    assert "champion version 2 was not made by retrain: it has no tag narrowgap." in capsys.readouterr().err
    assert loop.number(CHAMPION) == "2"


def test_test_images_that_the_champion_was_trained_on_are_counted(tiny_split):
    from pipeline.retraining import monitoring

    def leaked_test_images(trained_on, split):
        labels = np.zeros(len(trained_on), np.int64)
        return monitoring.leaked_test_images(image_figures(trained_on, labels, classes=3, pixel_max=255), split)

    train, test = tiny_split.train.images, tiny_split.test.images
    assert leaked_test_images(train, tiny_split) == 0
    assert leaked_test_images(np.concatenate([train[:5], test[:3]]), tiny_split) == 3
    # Duplicates of current training images do not count.
    doubled = Part(np.concatenate([train, test[:3]]), np.zeros(len(train) + 3, np.int64))
    assert leaked_test_images(test[:3], replace(tiny_split, train=doubled)) == 0


# Interruptions.


def test_an_interrupted_run_leaves_the_old_champion_and_the_next_call_cleans_up(loop, monkeypatch, capsys):
    """Each call is interrupted later than the one before, and cleans up after it. MLflow does not reuse the number of a
    deleted version.
    """
    steps: list[tuple[type, str, Callable[..., bool], list[str]]] = [
        (Registry, "register", lambda *_: True, ["1"]),  # the model is logged but not registered
        (Registry, "describe", lambda *_: True, ["1", "2"]),  # it is the challenger, and its decision is written
        # During its promotion: only `previous_champion` was moved.
        (MlflowClient, "set_registered_model_alias", lambda *given: given[2] == CHAMPION, ["1", "3"]),
    ]
    for where, name, when, left in steps:
        with failing(monkeypatch, where, name, when=when), pytest.raises(Power):
            loop.retrain(*BETTER)
        assert loop.numbers() == left
        assert loop.number(CHAMPION) == "1"
        assert DECISION_TAG not in loop.runs("retrain")[-1].tags
    assert loop.number(PREVIOUS_CHAMPION) == "1"
    assert loop.answers(loop.registry.by_alias(CHAMPION))
    capsys.readouterr()
    assert loop.retrain() == 0  # data and settings of the first run
    screen = capsys.readouterr().out
    assert "repaired the alias previous_champion" in screen
    assert "deleted version 3, registered by an interrupted run" in screen
    assert "nothing new" in screen
    assert loop.numbers() == ["1"]
    assert (loop.number(CHAMPION), loop.number(PREVIOUS_CHAMPION), loop.number(CHALLENGER)) == ("1", None, None)


def test_the_unfinished_search_of_a_retraining_run_is_abandoned_once_the_data_change(loop, monkeypatch, capsys):
    def interrupt_search(step: str, *words: str) -> None:
        """Interrupts before the end of the first trial is recorded; the process no longer exists."""
        with failing(monkeypatch, TrialJournal, "ended", when=lambda *_: True), pytest.raises(Power):
            loop.call(step, *words)
        run = loop.runs("search")[-1]
        assert run.status != "FINISHED"
        run.log(tags={HOLDER_TAG: json.dumps(run_lock.holder_of(run) | {"ticks": 0})})

    loop.write(760)
    interrupt_search("retrain", "--retrain.mode", "search")
    loop.write(780)
    assert loop.call("search") == 0
    assert (
        "search: 1 trial. Choice of the search by the rule one_standard_error, on validation: "
        in capsys.readouterr().out
    )
    interrupt_search("search", "--search.resume", "never")  # started by a user, who must decide
    loop.write(790)
    assert loop.call("search") == 2
    assert "or start a new one with -P search.resume=never" in capsys.readouterr().err


KILLED_AFTER_THE_ALIAS = (
    """
import os, signal
from pipeline.tracking.registry import Registry
promote = Registry.promote
def dies(*arguments, **named):
    promote(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)
Registry.promote = dies
"""
    + warm.COMMAND_LINE
)


def test_a_process_killed_just_after_the_alias_moved_leaves_the_new_champion_and_the_next_call_completes_the_run(
    loop, capsys
):
    words = ("retrain", "--experiment", str(loop.file), *BETTER)
    killed = warm.run(*words, env=os.environ, cwd=loop.folder, code=KILLED_AFTER_THE_ALIAS)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    run = loop.runs("retrain")[-1]
    assert run.status == "RUNNING"
    assert (loop.number(CHAMPION), loop.number(PREVIOUS_CHAMPION)) == ("2", "1")
    assert DECISION_TAG not in loop.registry.get("2").tags
    before = refits(loop)
    assert loop.retrain(*BETTER) == 0
    screen = capsys.readouterr().out
    assert "completed an interrupted run that had already promoted version 2" in screen
    assert "nothing new" in screen
    assert refits(loop) == before
    assert loop.numbers() == ["1", "2"]
    assert loop.registry.get("2").tags[DECISION_TAG] == "promoted"
    ended = loop.store.get(run.id)
    assert (ended.status, ended.tags[DECISION_TAG]) == ("KILLED", "promoted")
    assert loop.answers(loop.registry.by_alias(CHAMPION))


def test_a_previous_champion_is_not_deleted_if_its_run_was_interrupted(promoted):
    """Killed after the alias moved, and rolled back by people before the next call."""
    run_id = promoted.registry.get("2").tags[RETRAIN_RUN_TAG]
    promoted.client.delete_tag(run_id, DECISION_TAG)
    promoted.registry.promote(promoted.registry.get("1"), instead_of=promoted.registry.get("2"))
    assert promoted.retrain(*BETTER) == 0
    assert promoted.numbers() == ["1", "2"]
    assert (promoted.number(CHAMPION), promoted.number(PREVIOUS_CHAMPION)) == ("1", "2")


def test_versions_stay_if_people_delete_their_retraining_runs(promoted):
    for run in promoted.runs("retrain"):
        promoted.client.delete_run(run.id)
    with pytest.MonkeyPatch.context() as patch, failing(patch, Run, "log", when=_writes_identity), pytest.raises(Power):
        promoted.retrain(*BETTER)
    assert promoted.numbers() == ["1", "2"]


def _writes_identity(_run: Run, **named: object) -> bool:
    """The first write after the clean-up."""
    return "narrowgap.identity" in (named.get("tags") or {})  # type: ignore[operator]  # a mapping


def test_classes_without_test_images_are_a_warning(tiny_split):
    names = ("a", "b", "c", *(f"class {place}" for place in range(9)))
    assert monitoring.unseen_classes(tiny_split) == []
    (warning,) = monitoring.unseen_classes(replace(tiny_split, class_names=names))
    assert warning.startswith("no test images of class 0, class 1, class 2, class 3, class 4 and 4 more, so a loss of")


def test_a_long_reason_is_cut_to_what_run_and_registry_take(loop):
    (version,) = loop.registry.versions()
    run = loop.store.root(step="retrain", experiment="loop", tags={})
    requirement = Condition("accuracy", met=False, figure=0.1, bound=0.8, sentence="x" * 9000)
    metrics = ModelMetrics(0.9, 0.1, 0.01, 0.1, 0.02)
    decision = Decision(False, "x" * 9000, (requirement,), (), None, metrics, {})
    step._write(run, loop.registry, version, decision, "loop, retraining run 1")
    assert len(loop.client.get_model_version(loop.registry.name, "1").description) == 5000
    assert len(loop.client.get_run(run.id).data.tags["mlflow.note.content"]) == 8000
    assert run.read("decision.md").decode().count("x" * 9000) == 2


def test_of_many_classes_those_from_the_first_difference_on_are_named():
    theirs = [f"c{place}" for place in range(200)]
    ours = [*theirs[:150], "new", *theirs[150:]]
    assert challenger._class_names(theirs, ours) == (
        "…, c150, c151, c152, c153, c154, c155, c156, c157, c158, c159 and 40 more",
        "…, new, c150, c151, c152, c153, c154, c155, c156, c157, c158 and 41 more",
    )
    assert challenger._class_names(["a", "b"], ["a", "c"]) == ("a, b", "a, c")


def test_a_full_disk_leaves_the_champion_and_is_reported_in_one_line(loop, monkeypatch, capsys):
    experiment_id = loop.client.get_experiment_by_name("loop").experiment_id
    made = loop.client.create_run(experiment_id, tags={"mlflow.project.entryPoint": "retrain"})
    own = loop.store.get(made.info.run_id)
    draft = Path(unquote(urlsplit(own.artifact_uri).path)) / f".decision.json.{os.getpid()}"
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.symlink_to("/dev/full")  # the Linux device that is always full
    monkeypatch.setenv("MLFLOW_RUN_ID", own.id)
    loop.write(720)
    assert loop.retrain() == 5
    (line,) = capsys.readouterr().err.splitlines()
    assert "No space left on device" in line
    assert loop.store.get(own.id).status == "FAILED"
    assert (loop.number(CHAMPION), loop.numbers()) == ("1", ["1", "2"])
    monkeypatch.delenv("MLFLOW_RUN_ID")
    assert loop.retrain() == 0
    assert "deleted version 2" in capsys.readouterr().out
    assert (loop.number(CHAMPION), loop.numbers()) == ("1", ["1", "3"])


# Other users.


def test_a_second_call_exits_at_once_naming_the_holder_and_a_dead_holder_is_recognised(loop, capsys):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        run = loop.store.root(step="retrain", experiment="loop", tags=owner_tag_of(other.pid))
        run.log(tags={LEASE_TAG: json.dumps({"of": "registry loop", "what": "retrain of loop", "state": "held"})})
        assert loop.retrain() == 4
        (line,) = capsys.readouterr().err.splitlines()
        assert f"retrain of loop is being run by process {other.pid} on " in line
        assert run.id in line
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # a zombie: dead, and not yet waited for
        assert loop.retrain() == 0
    finally:
        other.kill()
        other.wait()
    assert "nothing new" in capsys.readouterr().out
    assert loop.store.get(run.id).status == "KILLED"


def owner_tag_of(pid: int) -> dict[str, str]:
    """Owner tag of another process on this machine."""
    own = json.loads(run_lock.owner_tag()[HOLDER_TAG])
    started = psutil.Process(pid).create_time()
    return {HOLDER_TAG: json.dumps(own | {"pid": pid, "started": started, "ticks": owner._ticks(pid)})}


def test_a_failing_registry_is_not_taken_for_one_without_a_champion(loop, monkeypatch, capsys):
    loop.write(720)

    def fails(*_arguments):
        raise MlflowException("the database is gone")

    monkeypatch.setattr(MlflowClient, "get_model_version_by_alias", fails)
    before = refits(loop)
    assert loop.retrain() == 1
    assert "the database is gone" in capsys.readouterr().err
    assert refits(loop) == before
    monkeypatch.undo()


def test_a_champion_that_people_moved_meanwhile_is_the_one_compared_with(loop, monkeypatch):
    first = loop.registry.get("1")
    again = loop.registry.register(first.source, first.run_id, first.tags)
    real = Registry.describe
    judged: list[str] = []

    def describe_and_move(self: Registry, version: Version, markdown: str) -> None:
        real(self, version, markdown)
        if not judged:
            assert loop.registry.promote(again, instead_of=first)
        judged.append(version.number)

    monkeypatch.setattr(Registry, "describe", describe_and_move)
    assert loop.retrain(*BETTER) == 0
    assert judged == ["3", "3"]
    assert (loop.number(CHAMPION), loop.number(PREVIOUS_CHAMPION)) == ("3", "2")
