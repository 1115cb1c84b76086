"""The step `check` on digits of which some are spoilt."""

import io

import numpy as np
import pandas as pd
import pytest

from pipeline.data.formats import digits
from pipeline.tracking.store import Store
from tests.fixtures.commands import Commands

EXPERIMENT = """
name: spoilt
question: What is wrong?
data: {dataset: own, path: spoilt.npz, pixel_max: 16}
"""
WRONG = [10, 20, 30]


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Digits with three wrong labels, four images of train also in test, and a constant one."""
    dataset = digits()
    images, labels = dataset.images_train[:500].copy(), dataset.labels_train[:500].copy()
    test = dataset.images_train[500:600].copy()
    labels[WRONG] = (labels[WRONG] + 5) % 10
    test[:4] = images[40:44]
    images[0] = 3
    labels_test = dataset.labels_train[500:600].astype(float)
    np.savez(
        tmp_path / "spoilt.npz", allow_pickle=False,
        x_train=images, y_train=labels, x_test=test, y_test=labels_test,
        x_val=dataset.images_train[600:700], y_val=dataset.labels_train[600:700],
    )  # fmt: skip
    (tmp_path / "spoilt.yaml").write_text(EXPERIMENT)
    commands = Commands(tmp_path, f"sqlite:///{tmp_path}/mlflow.db", monkeypatch)
    answer = commands("check", tmp_path / "spoilt.yaml")
    assert answer.code == 0, answer.said
    return answer, Store.connect().latest(step="check", experiment="spoilt", status=None)


def test_what_is_wrong_is_counted_listed_and_shown(check):
    answer, run = check
    assert run.metrics["duplicates_train_test"] == 4
    assert run.metrics["images_constant"] == 1
    assert run.metrics["labels_judged"] == 500
    duplicates = pd.read_csv(io.BytesIO(run.read("duplicates.csv")))
    exact = duplicates[duplicates["exact"]]
    assert exact[["part", "image", "other_part", "other_image"]].to_numpy().tolist() == [
        ["test", f"test {row}", "train", f"train {40 + row}"] for row in range(4)
    ]
    labels = pd.read_csv(io.BytesIO(run.read("suspect_labels.csv")))
    assert len({f"train {row}" for row in WRONG} & set(labels["image"])) >= 2
    page = run.read("check.html").decode()
    assert "labels stored as fractions read as whole numbers" in page
    assert page.count("data:image/png;base64") == 4  # classes, duplicates, labels, the constant image
    assert "4 images of test occur in train" in answer.said
    assert f"check: {len(labels)} of 500 training labels look wrong" in answer.said
