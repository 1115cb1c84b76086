"""A registered model behind MLflow's own server, as `make serve` starts it: what it answers, and what it refuses."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import NamedTuple

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests

from pipeline.data.dataset import Images
from pipeline.data.formats import digits
from pipeline.serving import model as models
from pipeline.statistics.selective import policies
from pipeline.tracking.store import Store
from tests.fixtures.other_keras import other_keras
from tests.retraining.samples import CLASS_NAMES, SERVING, champion, network

pytestmark = pytest.mark.tensorflow

ROWS = 40
START_SECONDS = 600


class Served(NamedTuple):
    address: str
    process: subprocess.Popen
    images: Images
    store: str

    def post(self, body):
        return requests.post(f"{self.address}/invocations", json=body, timeout=60)

    def answers(self, body) -> pd.DataFrame:
        response = self.post(body)
        assert response.status_code == 200, response.text
        return pd.DataFrame(response.json()["predictions"])


def environment(folder):
    bare = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{bare['PATH']}"  # noqa: PTH120 - not resolved
    return bare | {
        "PATH": path,
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def wait_for(address, process):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended at once"
        try:
            if requests.get(f"{address}/ping", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise AssertionError(f"no answer within {START_SECONDS} s")


def end(process):
    """Ends a server and what it started, which SIGTERM is enough for."""
    try:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def served(tmp_path_factory, tensorflow):
    folder = tmp_path_factory.mktemp("served")
    images = digits().images_train[:ROWS]
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    champion(Store.connect(), folder, "serving", images)
    mlflow.set_tracking_uri(before)
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", "models:/narrowgap-serving@champion"]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    settings = environment(folder) | other_keras(folder / "home")  # none of them may change an answer
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=settings, stdout=log, stderr=log, start_new_session=True)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(address, process)
        yield Served(address, process, images, environment(folder)["MLFLOW_TRACKING_URI"])
    finally:
        end(process)


@pytest.fixture(scope="module")
def expected(served):
    """What the same network says in this process, by the policies of `findings`."""
    probabilities = network().predict(served.images, verbose=0)
    return lambda policy, **options: policies.answer(probabilities, policy, quantile=SERVING.quantile, **options)


def test_served_predictions_are_those_of_the_model(served, expected):
    answers = served.answers({"instances": served.images.tolist()})
    found = expected("argmax")
    assert answers["label"].tolist() == found.label.tolist()
    assert answers["class"].tolist() == [CLASS_NAMES[label] for label in found.label]
    np.testing.assert_allclose(answers["confidence"], found.confidence, atol=1e-6)
    np.testing.assert_allclose(answers["margin"], found.margin, atol=1e-6)
    assert answers["accepted"].all()
    assert answers["candidates"].tolist() == [[name] for name in answers["class"]]


def test_keras_settings_of_the_servers_user_change_no_answer(served, expected):
    """The server's environment asks for another backend, float64, and one batch of 32 per call."""
    assert len(served.images) > 32
    answers = served.answers({"instances": served.images.tolist()})
    np.testing.assert_allclose(answers["confidence"], expected("argmax").confidence, atol=1e-6)


def test_the_network_is_sure_of_some_images_and_unsure_of_others(expected):
    """Otherwise the policies could not be distinguished below."""
    for policy, options in (("min_confidence", {"min_confidence": 0.6}), ("candidates", {})):
        assert 0 < expected(policy, **options).accepted.sum() < ROWS


@pytest.mark.parametrize("form", ["instances", "inputs", "dataframe_split", "dataframe_records"])
def test_flat_rows_are_answered_as_images_are(served, form):
    flat = served.images.reshape(ROWS, 64)
    body = {
        "instances": flat.tolist(),
        "inputs": flat.tolist(),
        "dataframe_split": {"columns": list(range(64)), "data": flat.tolist()},
        "dataframe_records": [{str(place): int(value) for place, value in enumerate(row)} for row in flat],
    }[form]
    as_images = served.answers({"inputs": served.images.tolist()})
    pd.testing.assert_frame_equal(served.answers({form: body}), as_images)


@pytest.mark.parametrize(
    ("params", "policy", "options"),
    [
        ({"policy": "candidates"}, "candidates", {}),
        ({"policy": "min_confidence", "min_confidence": 0.6}, "min_confidence", {"min_confidence": 0.6}),
        ({"policy": "min_confidence"}, "min_confidence", {"min_confidence": SERVING.min_confidence}),
        ({"policy": "min_margin", "min_margin": 0.5}, "min_margin", {"min_margin": 0.5}),
        ({"policy": "min_margin"}, "min_margin", {"min_margin": SERVING.min_margin}),
    ],
)
def test_a_request_can_name_its_policy(served, expected, params, policy, options):
    answers = served.answers({"inputs": served.images.tolist(), "params": params})
    found = expected(policy, **options)
    assert answers["accepted"].tolist() == found.accepted.tolist()
    assert answers["candidates"].tolist() == [
        [CLASS_NAMES[label] for label in np.flatnonzero(row)] for row in found.candidates
    ]


IMAGE = np.zeros((8, 8), int).tolist()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"instances": [[1, 2, 3]]}, "the input has shape (1, 3); expected images (8, 8), or flat rows of 64"),
        ({"instances": [IMAGE, IMAGE[:7]]}, "inhomogeneous"),
        ({"instances": [["a"] * 64]}, "the input is not an array of numbers"),
        ({"instances": []}, "expected images (8, 8)"),
        ({"instances": [[17] * 64]}, "pixels range from 17 to 17; expected 0 to 16"),
        ({"instances": [[-1] * 64]}, "pixels range from -1 to -1; expected 0 to 16"),
        ({"instances": [[[None] * 8] * 8]}, "pixels range from nan to nan"),
        ({"inputs": [IMAGE], "params": {"policy": "best"}}, "unknown policy 'best'; expected one of argmax"),
        (
            {"inputs": [IMAGE], "params": {"policy": "min_margin", "min_margin": 2}},
            "min_margin is 2.0; expected 0 to 1",
        ),
        ({"inputs": [IMAGE], "params": {"min_margin": "much"}}, "min_margin"),
        ({"pictures": [IMAGE]}, "instances"),
    ],
)
def test_what_is_malformed_is_refused_with_a_reason_and_the_server_lives_on(served, body, reason):
    response = served.post(body)
    assert response.status_code == 400
    assert reason in response.json()["message"]
    assert len(served.answers({"instances": [IMAGE]})) == 1


def test_what_is_no_json_is_refused_and_the_server_lives_on(served):
    response = requests.post(
        f"{served.address}/invocations", data=b"{", headers={"Content-Type": "application/json"}, timeout=60
    )
    assert response.status_code == 400
    assert served.process.poll() is None
    assert len(served.answers({"instances": [IMAGE]})) == 1


def test_rows_are_predicted_in_blocks_and_answered_as_all_at_once(served, monkeypatch):
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(served.store)
    try:
        model = models.load("models:/narrowgap-serving@champion")
    finally:
        mlflow.set_tracking_uri(before)
    whole = model.predict(served.images)
    classifier = model.unwrap_python_model()
    seen = []
    predict, convert = classifier._model.predict, classifier._pixels

    def watched(block, **options):
        seen.append(("predicted", len(block)))
        return predict(block, **options)

    def converted(block):
        seen.append(("converted", len(block)))
        return convert(block)

    monkeypatch.setattr(classifier._model, "predict", watched)
    monkeypatch.setattr(classifier, "_pixels", converted)
    monkeypatch.setitem(type(classifier)._array.__globals__, "BLOCK_BYTES", 7 * 8 * 8 * 4 + 1)
    pd.testing.assert_frame_equal(model.predict(served.images), whole, rtol=1e-5)
    # Of 40 images in blocks of 7, never two blocks are there as float32 at a time.
    assert seen == [(step, rows) for rows in (7, 7, 7, 7, 7, 5) for step in ("converted", "predicted")]
    bad = served.images.copy()
    bad[-1, 0, 0] = 17
    with pytest.raises(mlflow.exceptions.MlflowException, match="pixels range from 0 to 17; expected 0 to 16"):
        model.predict(bad)


def test_a_loaded_model_says_how_it_reads_images(served, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(served.store)
    try:
        assert models.serving(models.load("models:/narrowgap-serving@champion")) == SERVING
    finally:
        mlflow.set_tracking_uri(before)
