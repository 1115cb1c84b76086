"""`predict`: images of a user's own, answered by the champion."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from PIL import Image
from rich.console import Console

from pipeline import experiment
from pipeline.data.formats import digits
from pipeline.data.own.parts import Form, Trained
from pipeline.data.own.sizes import resized
from pipeline.errors import InputError
from pipeline.serving.model import load
from pipeline.serving.predict import predict
from pipeline.tracking.store import Store
from tests.retraining.samples import SERVING, champion
from tests.test_whole import environment

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parents[2]
ROWS = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tensorflow):
    """A store with a champion of the experiment `smoke`, an npz file of digits, and the same as PNGs on white paper."""
    made = tmp_path_factory.mktemp("predict")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{made}/mlflow.db")
    images = digits().images_train
    champion(Store.connect(), made, "smoke", images)
    np.savez(made / "digits.npz", images=images[:ROWS])
    (made / "photographs").mkdir()
    for row, image in enumerate(images[:4]):
        paper = Image.fromarray((255 - image * 255.0 / 16).astype(np.uint8)).convert("RGB")
        paper.save(made / "photographs" / f"{row}.png")
    yield made
    mlflow.set_tracking_uri(before)


def predicted(given, *, named="smoke", **options):
    """The lines on the screen, the run, and its table."""
    asked = experiment.load(str(named))
    settings = dict.fromkeys(("version", "policy", "threshold", "invert")) | options
    console = Console(file=io.StringIO(), width=300)
    predict(asked, input=str(given), **settings, console=console)
    run = Store.connect().latest(step="predict", experiment=asked.name)
    assert run is not None
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue(), run, pd.read_csv(io.BytesIO(run.read("predictions.csv")))


def test_the_table_has_what_the_champion_answers_to_every_row(folder):
    _, _, table = predicted(folder / "digits.npz")
    expected = load("models:/narrowgap-smoke@champion").predict(digits().images_train[:ROWS])
    assert list(table) == ["image", *expected, "error"]
    assert table["error"].isna().all()
    assert table["image"].tolist() == list(range(ROWS))
    for column in ("label", "class", "accepted"):
        assert table[column].tolist() == expected[column].tolist()
    np.testing.assert_allclose(table["confidence"], expected["confidence"], rtol=1e-6)
    assert table["candidates"].map(json.loads).tolist() == expected["candidates"].tolist()


def test_photographs_of_the_same_digits_on_paper_get_the_same_answers(folder):
    _, _, table = predicted(folder / "photographs")
    _, _, of_rows = predicted(folder / "digits.npz")
    assert table["image"].tolist() == ["0.png", "1.png", "2.png", "3.png"]
    pd.testing.assert_frame_equal(table.drop(columns="image"), of_rows.head(4).drop(columns="image"))
    _, _, negatives = predicted(folder / "photographs", invert="no")
    assert np.abs(negatives["confidence"] - table["confidence"]).max() > 0.01


def test_pictures_of_the_users_own_data_are_what_they_were_in_training(folder, tmp_path):
    """Light paper stays light, and a digit of half its frame stays as small as it is."""
    images = digits().images_train
    own = replace(SERVING, read_as=Form(size=(8, 8), trained=Trained(16)), light=False, extent=1.0)
    (tmp_path / "mine.yaml").write_text((ROOT / "experiments" / "smoke.yaml").read_text().replace("smoke", "mine"))
    champion(Store.connect(), tmp_path, "mine", images, serving=own)
    for row, image in enumerate(images[:4]):
        paper = Image.new("L", (16, 16), 255)
        paper.paste(Image.fromarray(255 - np.minimum(15 * image, 255)), (4, 4))
        paper.save(tmp_path / f"{row}.png")
    seen = np.stack([resized(np.asarray(Image.open(tmp_path / f"{row}.png")), (8, 8)) for row in range(4)])
    expected = load("models:/narrowgap-mine@champion").predict(np.rint(seen * (16 / 255)))
    _, _, table = predicted(tmp_path, named=tmp_path / "mine.yaml")
    np.testing.assert_allclose(table["confidence"], expected["confidence"], rtol=1e-6)
    _, _, inverted = predicted(tmp_path, named=tmp_path / "mine.yaml", invert="auto")
    assert np.abs(inverted["confidence"] - table["confidence"]).max() > 0.01


def test_the_run_says_what_was_answered_and_by_whom(folder):
    screen, run, table = predicted(folder / "digits.npz", policy="min_confidence", threshold="0.6")
    accepted = int(table["accepted"].sum())
    assert 0 < accepted < ROWS
    assert (table["accepted"] == (table["confidence"] >= 0.6)).all()
    assert (run.status, run.tags["narrowgap.version"]) == ("FINISHED", "1")
    assert "mlflow.parentRunId" not in run.tags
    assert run.metrics == pytest.approx(
        {"images": ROWS, "unreadable": 0, "accepted": accepted / ROWS, "confidence": table["confidence"].mean()}
    )
    assert f"predict: {ROWS} images of digits.npz by version 1 of narrowgap-smoke: {accepted} accepted" in screen
    assert imread(io.BytesIO(run.read("contact_sheet.png"))).ndim == 3


def test_a_picture_that_cannot_be_read_costs_that_picture_alone(folder, tmp_path):
    given = shutil.copytree(folder / "photographs", tmp_path / "given")
    (given / "1.png").write_bytes(b"text")
    (given / "2.png").unlink()
    os.mkfifo(given / "2.png")
    screen, run, table = predicted(given)
    _, _, whole = predicted(folder / "photographs")
    assert table["image"].tolist() == ["0.png", "1.png", "2.png", "3.png"]
    pd.testing.assert_frame_equal(
        table.drop(columns="error").iloc[[0, 3]], whole.drop(columns="error").iloc[[0, 3]], check_dtype=False
    )
    lost = table.iloc[[1, 2]]
    assert lost[["label", "class", "confidence", "margin"]].isna().all(axis=None)
    assert (lost["accepted"].tolist(), lost["candidates"].tolist()) == ([False, False], ["[]", "[]"])
    reasons = [
        f"{given}/1.png is not a PNG, JPEG, BMP, GIF, WebP or TIFF file, or is damaged; repair or remove it",
        f"{given}/2.png is no regular file; expected a PNG, JPEG, BMP, GIF, WebP or TIFF file",
    ]
    assert lost["error"].tolist() == reasons
    lines = run.read("predictions.csv").decode().splitlines()
    assert re.match(r"0\.png,\d,digit \d,0\.\d+,0\.\d+,True,", lines[1])
    assert lines[2] == f'1.png,,,,,False,[],"{reasons[0]}"'
    *named, line, _ = screen.splitlines()
    assert named == reasons
    assert "predict: 2 images of given" in line
    assert "; 2 could not be read; run" in line
    assert (run.status, run.metrics["images"], run.metrics["unreadable"]) == ("FINISHED", 2, 2)
    assert run.metrics["accepted"] == 1
    assert '"shape": [2, 8, 8]' in run._client.get_run(run.id).inputs.dataset_inputs[0].dataset.profile


def test_where_no_picture_can_be_read_the_run_fails_with_the_first_reason(folder, tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"text")
    with pytest.raises(InputError, match=r"none of 2 pictures can be read; the first: .*a.png is not a PNG, JPEG"):
        predicted(tmp_path)
    run = Store.connect().latest(step="predict", experiment="smoke", status=None)
    assert run is not None
    assert run.status == "FAILED"


def test_of_many_unreadable_pictures_ten_are_named_on_the_screen_and_all_in_the_table(folder, tmp_path):
    shutil.copy(folder / "photographs" / "0.png", tmp_path / "good.png")
    for row in range(12):
        (tmp_path / f"{row:02}.png").write_bytes(b"text")
    screen, _, table = predicted(tmp_path)
    lines = screen.splitlines()
    assert [line.split()[0] for line in lines[:10]] == [f"{tmp_path}/{row:02}.png" for row in range(10)]
    assert lines[10] == "2 more cannot be read: see predictions.csv"
    assert table["error"].notna().sum() == 12


def test_a_name_that_is_not_utf_8_is_written_with_its_bytes(folder, tmp_path):
    given = tmp_path / os.fsdecode(b"f\xfcr")
    shutil.copytree(folder / "photographs", given)
    (given / "0.png").rename(given / os.fsdecode(b"caf\xe9.png"))
    (given / "1.png").write_bytes(b"text")
    screen, run, table = predicted(given)
    assert table["image"].tolist() == ["1.png", "2.png", "3.png", r"caf\xe9.png"]
    assert table["error"][0].startswith(rf"{tmp_path}/f\xfcr/1.png is not")
    assert r"predict: 3 images of f\xfcr by version 1" in screen
    (used,) = run._client.get_run(run.id).inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.source) == (r"f\xfcr", rf"{tmp_path}/f\xfcr")
    (given / "2.png").unlink()
    (given / "3.png").unlink()
    (given / os.fsdecode(b"caf\xe9.png")).write_bytes(b"text")
    with pytest.raises(InputError, match=r"f\\xfcr: none of 2 pictures can be read"):
        predicted(given)


def test_a_file_name_is_no_formula_in_the_table(folder, tmp_path):
    for name in ("=1+1.png", "@x.png", "-5.png", "a=b.png"):
        shutil.copy(folder / "photographs" / "0.png", tmp_path / name)
    _, _, table = predicted(tmp_path)
    assert table["image"].tolist() == ["'-5.png", "'=1+1.png", "'@x.png", "a=b.png"]


@pytest.mark.parametrize("given", [".", ""])
def test_the_working_directory_can_be_given(folder, given, monkeypatch):
    monkeypatch.chdir(folder / "photographs")
    if not given:
        with pytest.raises(InputError, match="input is not given; expected the path"):
            predicted(given)
        return
    screen, _, _ = predicted(given)
    assert "predict: 4 images of photographs by version 1" in screen


def test_a_version_can_be_named(folder):
    _, run, _ = predicted(folder / "digits.npz", version="1")
    assert run.tags["narrowgap.version"] == "1"
    with pytest.raises(InputError, match="has no version '7'; expected one of: 1"):
        predicted(folder / "digits.npz", version="7")


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (None, {}, "input is not given; expected the path"),
        ("nowhere", {}, "input is nowhere: there is no file or folder /.*/nowhere; expected the path"),
        ("~nobody-here/x", {}, "input is ~nobody-here/x: Could not determine home directory"),
        ("x" * 300, {}, "it cannot be read .File name too long"),
        (".", {"invert": "maybe"}, "invert is 'maybe'; expected one of auto, yes, no"),
        (".", {"policy": "best"}, "policy is 'best'; expected one of argmax"),
        (".", {"threshold": "0.5"}, "threshold is for the policies min_confidence and min_margin"),
        (".", {"policy": "min_margin", "threshold": "much"}, "threshold is 'much'; expected a number from 0 to 1"),
        (".", {"policy": "min_margin", "threshold": "nan"}, "threshold is 'nan'"),
    ],
)
def test_invalid_options_are_refused_before_anything_is_loaded(given, options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = dict.fromkeys(("version", "policy", "threshold", "invert")) | options
    with pytest.raises(InputError, match=message):
        predict(experiment.load("smoke"), input=given, **settings, console=Console(file=io.StringIO()))
    assert list(tmp_path.iterdir()) == []


def test_without_a_champion_the_message_says_how_to_create_one(folder):
    settings = dict.fromkeys(("version", "policy", "threshold", "invert"))
    with pytest.raises(
        InputError,
        match=r"narrowgap-digits has no champion; .*: mlflow run \. -e retrain --env-manager local -P experiment=digits$",
    ):
        predict(experiment.load("digits"), input=str(folder), **settings, console=Console(file=io.StringIO()))


def test_through_mlflow_run_a_path_is_one_of_the_folder_that_it_is_called_from(folder):
    command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "--env-manager", "local", "-e", "predict"]
    command += ["--experiment-name", "smoke", "-P", "experiment=smoke", "-P", "input=photographs"]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "predict: 4 images of photographs by version 1 of narrowgap-smoke" in done.stdout
