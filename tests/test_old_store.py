"""A store that the code before the restructuring left goes on to be of use: see fixtures/README.md."""

from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from PIL import Image
from sklearn.datasets import load_digits

from tests.fixtures.commands import Commands
from tests.fixtures.old_store import unpack

pytestmark = pytest.mark.tensorflow

RETRAIN = ("--retrain.mode", "refit", "--training.epochs", "12", "--promotion.alpha", "0.001")
"""Refits the champion's network; at this alpha, with two refits, nothing can be shown, so that the champion stays."""


def runs(client: MlflowClient, experiment: str, step: str) -> list:
    """Oldest first."""
    ids = [each.experiment_id for each in client.search_experiments()]
    where = f"tags.`narrowgap.experiment` = '{experiment}' and tags.`narrowgap.step` = '{step}'"
    return list(client.search_runs(ids, where, order_by=["attributes.start_time ASC"]))


def bearers(client: MlflowClient) -> dict[str, str]:
    """Versions by their alias."""
    return {alias: str(number) for alias, number in client.get_registered_model("narrowgap-kept").aliases.items()}


@pytest.fixture(scope="module")
def old(tmp_path_factory, tensorflow):
    """The old store, and commands on it."""
    folder = tmp_path_factory.mktemp("old")
    uri = unpack(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "pipeline.tracking.owner.GONE_SECONDS", 1
        )  # its machine is another one: its heartbeats are watched
        call = Commands(folder, uri, patch)
        yield SimpleNamespace(
            client=MlflowClient(uri, uri),
            uri=uri,
            call=lambda step, name, *words: call(step, folder / "experiments" / f"{name}.yaml", *words),
        )


def test_an_old_search_that_was_killed_goes_on_and_trains_only_what_is_missing(old):
    before = {run.info.run_id: run.info for run in runs(old.client, "cut", "trial") if run.info.status == "FINISHED"}
    assert 0 < len(before) < 4
    (search,) = runs(old.client, "cut", "search")
    done = old.call("search", "cut")
    assert done.code == 0, done.said
    assert f"resuming search {search.info.run_id} ({len(before)} trials done)" in done.said
    assert old.client.get_run(search.info.run_id).info.status == "FINISHED"
    trials = runs(old.client, "cut", "trial")
    finished = [run for run in trials if run.info.status == "FINISHED"]
    assert sorted(run.data.tags["narrowgap.asked"] for run in finished) == ["0", "1", "2", "3"]
    assert {run.info.status for run in trials} <= {"FINISHED", "KILLED"}
    same = {run.info.run_id: run.info.end_time for run in finished if run.info.run_id in before}
    assert same == {run_id: info.end_time for run_id, info in before.items()}


def test_an_old_search_is_evaluated(old):
    done = old.call("evaluate", "found", "--evaluation.finalists", "1")
    assert done.code == 0, done.said
    then, now = runs(old.client, "found", "evaluate")
    assert now.data.tags["narrowgap.search_run_id"] == then.data.tags["narrowgap.search_run_id"]
    assert set(then.data.metrics) <= set(now.data.metrics)


def test_an_old_champion_answers(old):
    mlflow.set_tracking_uri(old.uri)  # forgotten again by the next command
    images = load_digits().images[:50]
    answers = mlflow.pyfunc.load_model("models:/narrowgap-kept@champion").predict(images.astype(np.uint8))
    assert {"label", "class", "confidence"} <= set(answers.columns)
    assert np.mean(answers["label"] == load_digits().target[:50]) > 0.7


def test_an_old_champion_predicts_pictures_as_before(old, tmp_path):
    """Its settings do not say how training read its data: light paper is inverted, as its examples are dark."""
    images = load_digits().images[:20].astype(np.uint8)
    np.savez(tmp_path / "digits.npz", images=images)
    (tmp_path / "paper").mkdir()
    for row, image in enumerate(images):
        Image.fromarray((255 - image * 255.0 / 16).astype(np.uint8)).save(tmp_path / "paper" / f"{row:02}.png")
    tables: list[pd.DataFrame] = []
    for given in ("digits.npz", "paper"):
        done = old.call("predict", "kept", "--input", str(tmp_path / given))
        assert done.code == 0, done.said
        run = runs(old.client, "kept", "predict")[-1]
        tables.append(pd.read_csv(Path(run.info.artifact_uri.removeprefix("file://")) / "predictions.csv"))
    assert np.mean(tables[0]["label"] == load_digits().target[:20]) > 0.7
    of_rows, of_paper = (table.drop(columns="image") for table in tables)
    pd.testing.assert_frame_equal(of_rows, of_paper)


def test_an_old_champion_is_listed_refitted_and_rolled_back(old):
    assert bearers(old.client) == {"champion": "2", "previous_champion": "1", "challenger": "2"}
    listed = old.call("status", "kept")
    assert listed.code == 0, listed.said
    assert [word in listed.said for word in ("champion", "previous_champion", "promoted")] == [True] * 3, listed.said

    night = old.call("retrain", "kept", *RETRAIN)
    assert night.code == 0, night.said
    assert "kept champion version 2" in night.said
    assert "is gone" not in night.said
    assert bearers(old.client) == {"champion": "2", "previous_champion": "1", "challenger": "3"}
    new, champion = (old.client.get_model_version("narrowgap-kept", number).tags for number in ("3", "2"))
    assert new["narrowgap.architecture"] == champion["narrowgap.architecture"]

    back = old.call("rollback", "kept", "--why", "it was better")
    assert back.code == 0, back.said
    assert bearers(old.client)["champion"] == "1"
