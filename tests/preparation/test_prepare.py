"""The step `prepare` on folders of pictures with odd names."""

import io
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.tracking.store import Store
from tests.fixtures.commands import Commands

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 4, 4), np.uint8)
EXPERIMENT = """
name: odd
question: What is in a name?
data: {dataset: own, path: given, validation: .3, test: .3}
"""


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Runs `prepare` on a folder with the given classes; returns the answer and the run."""

    def call(classes, *words, name="given"):
        for row, image in enumerate(IMAGES):
            path = tmp_path / name / classes[row % len(classes)] / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
        (tmp_path / "odd.yaml").write_text(EXPERIMENT)
        commands = Commands(tmp_path, f"sqlite:///{tmp_path}/mlflow.db", monkeypatch)
        answer = commands("prepare", tmp_path / "odd.yaml", *words)
        return answer, Store.connect().latest(step="prepare", experiment="odd", status=None)

    return call


def test_a_class_may_be_named_as_long_as_a_folder_can_be(prepare):
    answer, run = prepare(["a" * 245, "b" * 245])
    assert answer.code == 0, answer.said
    names = [file.path for file in run._client.list_artifacts(run.id, "samples")]
    assert names == [f"samples/0_{'a' * 100}.png", f"samples/1_{'b' * 100}.png"]


def test_the_name_of_a_class_is_no_formula_in_the_tables(prepare):
    answer, run = prepare(["=1+1", "-1", "b"])
    assert answer.code == 0, answer.said
    counts = pd.read_csv(io.BytesIO(run.read("class_counts.csv")))
    assert counts["class"].tolist() == ["-1", "'=1+1", "b"]
    assert counts[["train", "validation", "test"]].sum(axis=None) == 40


def test_classes_with_a_single_test_image_are_named_if_it_was_held_out(prepare):
    """Another one, which was trained on, would take its place. Of ten classes of four, each has one."""
    names = [f"class {number:02}" for number in range(10)]
    words = "-P", "data.test=.001", "-P", "data.validation=.001"
    answer, run = prepare(names, *words)
    said = (
        "10 classes have a single test image (class 00, class 01, class 02, class 03, class 04 and 5 more): if it is "
        "removed or relabelled, an image that was trained on takes its place"
    )
    assert said in answer.said
    assert said in run.tags["mlflow.note.content"]
    answer, _ = prepare(["a", "b"], name="given")
    assert "single test image" not in answer.said


def test_a_class_whose_name_is_not_utf_8_is_refused_and_the_run_says_why(prepare):
    answer, run = prepare(["a", os.fsdecode(b"caf\xe9")])
    assert answer.code == 2
    assert answer.said.count("\n") == 1
    assert run.tags["narrowgap.reason"].startswith(r"a class is named 'caf\udce9'")


def test_a_data_path_that_is_not_utf_8_is_refused_in_one_line(prepare):
    name = os.fsdecode(b"f\xfcr")
    answer, _ = prepare(["a", "b"], "-P", f"data.path={name}", name=name)
    assert answer.code == 2
    assert answer.said.count("\n") == 1
