"""Records in the outbox stay as long as a later command may read them, and no longer."""

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.evaluation.outbox_cleanup import OLD_DAYS, delete_unread
from pipeline.tracking.names import DECISION_TAG, IDENTITY_TAG, KEEPS_REFITS_TAG, OVER_TAG, PARENT_TAG
from pipeline.tracking.run import Status
from pipeline.tracking.store import Store

SEARCH = {IDENTITY_TAG: "{}"}
REFITS = {KEEPS_REFITS_TAG: "yes"}


class Box:
    """An outbox, and the runs whose records are in it."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder = store, folder

    def left(
        self, step: str, status: Status | None, tags: Mapping[str, str], *, experiment: str = "one", days: float = 0
    ) -> str:
        """The id of a run of which a record waits, since so many days."""
        run = self.store.root(step=step, experiment=experiment, tags=tags)
        if status is not None:
            run.finish(status)
        self.put(run.id, days=days)
        time.sleep(0.002)  # runs are ordered by milliseconds
        return run.id

    def put(self, name: str, *, days: float = 0) -> None:
        (self.folder / name).mkdir(parents=True)
        (self.folder / name / "3.zip").write_bytes(b"PK")
        then = time.time() - days * 24 * 60 * 60
        for place in (self.folder / name / "3.zip", self.folder / name):
            os.utime(place, (then, then))

    def after(self) -> set[str]:
        delete_unread(self.store, self.folder)
        return {each.name for each in self.folder.iterdir()}


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return Box(Store.connect(), tmp_path / "outbox")


def test_of_the_searches_of_an_experiment_only_the_latest_that_may_be_resumed_keeps_records(box: Box) -> None:
    box.left("search", "KILLED", SEARCH)  # given up with search.resume=never
    going = box.left("search", None, SEARCH)
    latest = box.left("search", "FAILED", SEARCH)
    other = box.left("search", "KILLED", SEARCH, experiment="another")
    box.left("search", "FAILED", SEARCH | {OVER_TAG: "true"}, experiment="without a winner")
    box.left("search", "FINISHED", SEARCH, experiment="finished")
    assert box.after() == {going, latest, other}


def test_a_search_of_a_retraining_run_keeps_no_records_and_hides_no_other(box: Box) -> None:
    stays = box.left("search", "KILLED", SEARCH)
    night = box.store.root(step="retrain", experiment="one", tags={})
    box.left("search", "FAILED", SEARCH | {PARENT_TAG: night.id})
    going = box.left("search", None, SEARCH | {PARENT_TAG: night.id})
    assert box.after() == {stays, going}


@pytest.mark.parametrize("step", ["evaluate", "retrain"])
def test_of_the_evaluations_that_were_stopped_the_last_three_keep_records(box: Box, step: str) -> None:
    box.left(step, "KILLED", REFITS)
    stay = {box.left(step, status, REFITS) for status in ("FAILED", "KILLED", "FAILED", None)}
    box.left(step, "FINISHED", REFITS)
    box.left(step, "KILLED", REFITS | {DECISION_TAG: "kept"})
    assert box.after() == stay


def test_records_of_a_run_that_was_deleted_go(box: Box) -> None:
    run_id = box.left("search", "KILLED", SEARCH)
    box.store.client.delete_run(run_id)
    assert box.after() == set()


def test_records_of_a_run_that_this_store_does_not_know_stay_until_they_are_old(box: Box) -> None:
    """They may be of another store."""
    box.put("0" * 31 + "1", days=OLD_DAYS - 1)
    box.put("0" * 31 + "2", days=OLD_DAYS + 1)
    box.put("no id of a run")
    assert box.after() == {"0" * 31 + "1", "no id of a run"}


def test_old_records_go_whatever_their_run_is(box: Box) -> None:
    box.left("search", "KILLED", SEARCH, days=OLD_DAYS + 1)
    stays = box.left("evaluate", None, REFITS, days=OLD_DAYS - 1)
    assert box.after() == {stays}
    again = box.folder / stays / "4.zip"
    os.utime(again.with_name("3.zip"), (0, 0))
    again.write_bytes(b"PK")
    assert box.after() == {stays}  # the newest counts


def test_what_is_no_folder_or_cannot_be_deleted_stops_nobody(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not box.folder.exists()
    delete_unread(box.store, box.folder)
    box.left("search", "FINISHED", SEARCH)
    (box.folder / ".DS_Store").touch()
    real: Any = shutil.rmtree

    def gone_meanwhile(place: Path, **options: Any) -> None:
        real(place)
        real(place, **options)

    monkeypatch.setattr(shutil, "rmtree", gone_meanwhile)  # by another process that does the same
    assert box.after() == {".DS_Store"}
