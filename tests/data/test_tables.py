"""CSV and Parquet files of users."""

import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

from pipeline.data import formats
from pipeline.data.sources import load
from pipeline.data.split import split
from pipeline.errors import InputError
from pipeline.experiment import Data

IMAGES = np.random.default_rng(5).integers(60, 250, (6, 2, 2), np.uint8)
LABELS = ["dog", "ape"] * 3


def own(path, **keys) -> Data:
    return Data(dataset="own", path=str(path), **keys)


def table(rows=slice(None)) -> pd.DataFrame:
    frame = pd.DataFrame(IMAGES.reshape(6, 4), columns=[f"pixel{number}" for number in range(4)])
    frame.insert(0, "label", LABELS)
    return pd.DataFrame(frame[rows])


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_kaggle_folder_has_a_file_per_part_and_a_test_file_without_labels_is_left_unread(tmp_path):
    table().to_csv(tmp_path / "fashion-mnist_train.csv", index=False)
    table(slice(2)).to_csv(tmp_path / "fashion-mnist_test.csv", index=False)
    table().to_csv(tmp_path / "sample_submission.csv", index=False)
    dataset = load(own(tmp_path))
    assert dataset.images_test.tolist() == IMAGES[:2].tolist()
    assert dataset.class_names == ("ape", "dog")
    assert "files left unread: sample_submission.csv" in dataset.notes
    table().drop(columns="label").to_csv(tmp_path / "fashion-mnist_test.csv", index=False)
    dataset = load(own(tmp_path))
    assert len(dataset.labels_test) == 0
    assert "fashion-mnist_test.csv has no labels and is left unread" in dataset.notes


def test_a_column_may_divide_the_rows_into_parts(tmp_path):
    column = ["train", "train", "train", "train", "val", "Test"]
    table().assign(split=column).to_csv(tmp_path / "mine.csv", index=False)
    data = own(tmp_path / "mine.csv")
    parts = split(load(data), data)
    assert [len(part) for _, part in parts.parts()] == [4, 1, 1]
    assert parts.test.images.tolist() == IMAGES[5:].tolist()


def test_a_class_may_be_called_none_or_na(tmp_path):
    table().assign(label=["None", "NA"] * 3).to_csv(tmp_path / "mine.csv", index=False)
    assert load(own(tmp_path / "mine.csv")).class_names == ("NA", "None")


def test_other_columns_are_left_unread_and_named(tmp_path):
    table().assign(age=5, who="me").to_csv(tmp_path / "mine.csv", index=False)
    assert load(own(tmp_path / "mine.csv")).notes == (
        "columns left unread: age, who",
        "flat rows of 4 read as 2x2",
    )


def test_a_column_of_paths_names_pictures_below_the_file(tmp_path):
    (tmp_path / "pics").mkdir()
    for row, image in enumerate(IMAGES):
        (tmp_path / "pics" / f"{row}.png").write_bytes(png(image))
    frame = pd.DataFrame({"file_name": [f"pics/{row}.png" for row in range(6)], "label": LABELS})
    frame.to_csv(tmp_path / "mine.csv", index=False)
    dataset = load(own(tmp_path / "mine.csv"))
    assert dataset.images_train.tolist() == IMAGES.tolist()
    assert dataset.facts.source_of("train", 4) == "pics/4.png"
    frame.loc[3, "file_name"] = "pics/7.png"
    frame.to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(
        InputError, match=r"file_name in row 4 of mine.csv is 'pics/7.png': there is no such file below"
    ):
        load(own(tmp_path / "mine.csv"))


def test_pictures_inside_a_parquet_file_and_its_class_names_are_read_as_hugging_face_stores_them(tmp_path):
    rows = {
        "image": [{"bytes": png(image), "path": None} for image in IMAGES],
        "label": [0, 1] * 3,
    }
    features = {"label": {"names": ["cat", "dog"]}}
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    parquet.write_table(pa.table(rows).replace_schema_metadata(metadata), tmp_path / "train-00000-of-00001.parquet")
    dataset = load(own(tmp_path))
    assert dataset.images_train.tolist() == IMAGES.tolist()
    assert dataset.class_names == ("cat", "dog")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="label"), "has the columns pixel0, .*; expected one of labels, named label"),
        (lambda frame: frame.assign(label=[None, *LABELS[1:]]), "has no label in row 1; expected a label per image"),
        (
            lambda frame: frame.assign(pixel1=[None, *range(100, 105)]),
            "has nan in image 0 .1 such values.; expected finite",
        ),
        (lambda frame: frame.assign(pixel1="x"), "flat rows of 3 pixels, and no square has so many"),
        (
            lambda frame: frame.drop(columns="pixel3"),
            "flat rows of 3 pixels, and no square has so many; expected data.shape",
        ),
        (lambda frame: frame[["label"]], "has the columns .*; expected one per pixel, or one named path"),
        (lambda frame: frame[:0], "has no rows; expected one per image"),
        (lambda frame: frame.assign(pixel0=-1), "has a pixel of -1 in image 0"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_malformed_is_reported_in_one_line(tmp_path, suffix, change, message):
    path = tmp_path / f"mine.{suffix}"
    frame = change(table())
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    with pytest.raises(InputError, match=message) as caught:
        load(own(path))
    assert "\n" not in str(caught.value)


def test_files_of_a_folder_have_the_same_columns_and_a_part_each(tmp_path):
    table().to_csv(tmp_path / "a.csv", index=False)
    table().to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(
        InputError, match=r"has a.csv and b.csv; expected train.csv|has a.csv, b.csv; expected train.csv"
    ):
        load(own(tmp_path))
    (tmp_path / "a.csv").rename(tmp_path / "train.csv")
    table().drop(columns="pixel2").to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(InputError, match=r"test.csv has no column pixel2, as the file to train on has"):
        load(own(tmp_path))


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
def test_a_file_of_too_much_is_not_read(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"mine.{suffix}"
    many = pd.concat([table()] * 300)
    many.to_parquet(path) if suffix == "parquet" else many.to_csv(path, index=False)
    monkeypatch.setattr(formats, "LARGEST", 600)
    with pytest.raises(InputError, match=r"expected (.* )?at most"):
        load(own(path))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from(["csv", "csv.gz", "parquet"]))
def test_damage_anywhere_is_reported_in_one_line_or_read(tmp_path, data, suffix):
    path = tmp_path / f"mine.{suffix}"
    table().to_parquet(path) if suffix == "parquet" else table().to_csv(path, index=False)
    raw = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        del raw[place:]
    else:
        raw[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    try:
        dataset = load(own(path))
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either way will do
    else:
        assert len(dataset.images_train) == len(dataset.labels_train)
