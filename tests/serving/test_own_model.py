"""A user's own model for colour, from workers that do not have its file to answers over HTTP and of `predict`."""

import io
import subprocess
import sys

import keras
import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
from mlflow import MlflowClient
from PIL import Image

from tests.fixtures import warm
from tests.search.processes import Cluster
from tests.serving.test_served import end, free_port, wait_for
from tests.test_whole import ROOT, artifact, environment, runs

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

COLOURS = np.array([[255, 20, 0], [0, 200, 40], [10, 30, 255]])
"""Red, green and blue: the classes."""
ROWS = 9
FILE = """
import keras

@keras.saving.register_keras_serializable()
class Warmer(keras.layers.Layer):
    def call(self, x):
        return 1.5 * x

def build(hp, input_shape, classes):
    assert input_shape == (4, 5, 3)
    inputs = keras.Input(input_shape)
    x = keras.layers.Conv2D(hp.Choice("filters", [4, 8]), 2, activation="relu")(Warmer()(inputs))
    return keras.Model(inputs, keras.layers.Dense(classes)(keras.layers.Flatten()(x)))
"""
EXPERIMENT = """
name: colour
question: Does it see colour?
model: net.py:build
data: {dataset: own, path: colour.npz, channels: rgb}
training: {epochs: 6, batch_size: 16, learning_rate: 0.02}
search: {tuner: grid, trials: 2}
evaluation: {finalists: 1, seeds: 2}
"""


def images(count: int):
    """A bright block in the colour of its class, on dark noise, which makes each image another."""
    labels = np.arange(count) % 3
    made = np.random.default_rng(1).integers(0, 40, (count, 4, 5, 3))
    made[:, 1:3, 1:4] = np.maximum(made[:, 1:3, 1:4], COLOURS[labels][:, None, None])
    return made.astype(np.uint8), labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a retraining on a remote scheduler leaves; its worker runs in a folder without the file or this project."""
    made = tmp_path_factory.mktemp("mine")
    (made / "net.py").write_text(FILE)
    (made / "colour.yaml").write_text(EXPERIMENT)
    pixels, labels = images(240)
    np.savez(made / "colour.npz", images=pixels, labels=np.array(["red", "green", "blue"])[labels])
    cluster = Cluster(tmp_path_factory.mktemp("dask"))
    try:
        cluster.start_scheduler()
        cluster.start_worker()
        words = ("retrain", "--experiment", "colour.yaml", "--search.cluster", cluster.address)
        done = warm.run(*words, env=environment(made), cwd=made)
    finally:
        cluster.close()
    assert done.returncode == 0, done.stderr + done.stdout
    assert "promoted version 1 of narrowgap-colour" in done.stdout
    return made


@pytest.fixture(scope="module")
def expected(folder):
    """What the file of the model, loaded by Keras alone with its code, says to the first rows: probabilities."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    source = client.get_model_version_by_alias("narrowgap-colour", "champion").source
    copy = mlflow.artifacts.download_artifacts(source, dst_path=str(folder / "copy"))
    mlflow.set_tracking_uri(before)
    scope: dict = {}
    exec(compile(FILE, "net.py", "exec"), scope)  # noqa: S102 - as its user does
    with keras.saving.custom_object_scope({"Custom>Warmer": scope["Warmer"]}):
        network = keras.models.load_model(f"{copy}/artifacts/network.keras", compile=False)
    assert network.input_shape == (None, 4, 5, 3)
    return network.predict(images(ROWS)[0], verbose=0)


def test_workers_without_the_users_file_train_it(folder):
    trials = runs(folder)["trial"]
    assert sorted(run.data.params["filters"] for run in trials) == ["4", "8"]
    assert {run.info.status for run in trials} == {"FINISHED"}


def test_images_in_colour_and_flat_rows_are_answered_over_http_and_grey_ones_refused(folder, expected):
    port = free_port()
    command = [sys.executable, "-m", "pipeline", "serve", "--experiment", "colour.yaml", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(folder, PYTHONPATH=str(ROOT)), stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(address, process)
        pixels = images(ROWS)[0]
        flat = pixels.reshape(ROWS, 60)
        for body in (
            {"instances": pixels.tolist()},
            {"inputs": flat.tolist()},
            {"dataframe_split": {"columns": list(range(60)), "data": flat.tolist()}},
        ):
            response = requests.post(f"{address}/invocations", json=body, timeout=60)
            assert response.status_code == 200, response.text
            answers = pd.DataFrame(response.json()["predictions"])
            assert answers["label"].tolist() == expected.argmax(axis=1).tolist()
            assert answers["confidence"].tolist() == pytest.approx(expected.max(axis=1).tolist(), abs=1e-5)
        refused = requests.post(f"{address}/invocations", json={"instances": pixels[..., 0].tolist()}, timeout=60)
        assert refused.status_code == 400
        assert "expected images (4, 5, 3), or flat rows of 60" in refused.json()["message"]
    finally:
        end(process)


@pytest.mark.parametrize("given", ["new.npz", "first.npz", "new.csv", "pictures"])
def test_predict_reads_colour_from_arrays_rows_of_a_table_and_pictures(folder, expected, given):
    pixels = images(ROWS)[0]
    if given == "new.npz":
        np.savez(folder / given, images=pixels)
    elif given == "first.npz":
        np.savez(folder / given, images=np.moveaxis(pixels, 3, 1))
    elif given == "new.csv":
        pd.DataFrame(pixels.reshape(ROWS, 60), columns=[f"pixel{place}" for place in range(60)]).to_csv(
            folder / given, index=False
        )
    else:
        (folder / given).mkdir()
        for row, image in enumerate(pixels):
            Image.fromarray(image).save(folder / given / f"{row}.png")
    words = ("predict", "--experiment", "colour.yaml", "--input", given, "--invert", "no")
    done = warm.run(*words, env=environment(folder), cwd=folder)
    assert done.returncode == 0, done.stderr
    run = runs(folder)["predict"][-1]
    table = pd.read_csv(io.BytesIO(artifact(folder, run, "predictions.csv")))
    names = ["blue", "green", "red"]
    assert table["class"].tolist() == [names[label] for label in expected.argmax(axis=1)]
    assert table["confidence"].tolist() == pytest.approx(expected.max(axis=1).tolist(), abs=1e-5)
