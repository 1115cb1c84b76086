"""The experiments with a model of their own, tiny: digits three times as large, one or two trials."""

from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from pipeline.data.formats import digits
from tests.fixtures.commands import Commands

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("tensorflow")]


@pytest.fixture
def call(tmp_path, monkeypatch):
    """A step of a shipped experiment on 400 images of 24x24: its answer and the runs of its steps."""
    found = digits()
    images = np.kron(found.images_train[:400], np.ones((1, 3, 3), np.uint8))
    np.savez(tmp_path / "large.npz", images_train=images, labels_train=found.labels_train[:400])
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    command = Commands(tmp_path, uri, monkeypatch)

    def run(step: str, experiment: str, *words: str):
        small = ("--data.dataset", "own", "--data.path", str(tmp_path / "large.npz"), "--data.pixel_max", "16")
        few = (
            "--data.validation",
            "0.2",
            "--training.epochs",
            "1",
            "--search.workers",
            "1",
            "--tracking.wait_minutes",
            "0",
        )
        answer = command(step, Path(experiment), *small, *few, *words)
        client = MlflowClient(uri)
        runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
        steps: dict[str, list] = {}
        for each in runs:
            steps.setdefault(each.data.tags["narrowgap.step"], []).append(each)
        return answer, steps, client

    return run


def test_the_convolutional_network_goes_from_search_to_report(call):
    answer, steps, client = call(
        "main", "convnet", "--search.trials", "1", "--evaluation.seeds", "1", "--evaluation.finalists", "1"
    )
    assert answer.code == 0, answer.said
    (trial,) = steps["trial"]
    names = {"filters_1", "filters_2", "dropout_block_1", "dropout_block_2", "units", "dropout_dense"}
    assert names <= trial.data.params.keys()
    assert trial.data.params["architecture"].startswith("filters_1 ")
    assert trial.info.run_name.startswith("00 filters_1 ")
    files = {each.path for each in client.list_artifacts(steps["search"][0].info.run_id)}
    assert {"convnet.py", "experiment.yaml", "trials.csv", "parallel.png"} <= files
    assert "report.html" in {each.path for each in client.list_artifacts(steps["evaluate"][0].info.run_id)}
    assert steps["evaluate"][0].data.tags["narrowgap.model"].startswith("models:/")


def test_batch_normalization_and_dropout_are_a_grid_of_six(call):
    answer, steps, _ = call("search", "batchnorm_or_dropout", "--search.trials", "2")
    assert answer.code == 0, answer.said
    combinations = {(each.data.params["batchnorm"], each.data.params["dropout"]) for each in steps["trial"]}
    assert combinations == {("false", "0.0"), ("false", "0.2")}
    assert "search.trials" not in answer.said  # six networks are enough for two trials
