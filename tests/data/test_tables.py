"""CSV and Parquet files of users."""

import csv
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
from pipeline.data.own.parts import Form
from pipeline.data.own.tables import read_images
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


def parts_of(path, **keys) -> dict[str, int]:
    """Images of each part as they are read, before anything is held out."""
    dataset = load(own(path, **keys))
    validation = () if dataset.validation is None else dataset.validation[1]
    return {"train": len(dataset.labels_train), "validation": len(validation), "test": len(dataset.labels_test)}


def nested(column: list) -> pd.DataFrame:
    """As FER2013: a label, a text of pixels, and the part."""
    texts = [" ".join(map(str, image.ravel())) for image in IMAGES]
    return pd.DataFrame({"emotion": [0, 1] * 3, "pixels": texts, "Usage": column})


@pytest.mark.parametrize(
    "column",
    [
        ["train", "train", "train", "train", "dev", "test"],
        ["train", "train", "train", "train", "eval", "test"],
        ["Train ", "train", " TRAIN", "train", "Val", "test "],
        ["Training", "Training", "Training", "Training", "PublicTest", "PrivateTest"],
        ["train_set", "train set", "trainset", "training-set", "Validation Set", "test_set"],
        ["train", "train", "train", "train", "development", "TESTING"],
    ],
)
@pytest.mark.parametrize("frame", [lambda column: table().assign(split=column), nested])
def test_words_whose_meaning_is_beyond_doubt_divide_the_rows(tmp_path, column, frame):
    frame(column).to_csv(tmp_path / "mine.csv", index=False)
    assert parts_of(tmp_path / "mine.csv") == {"train": 4, "validation": 1, "test": 1}


def test_words_that_are_not_the_names_of_parts_are_noted(tmp_path):
    nested(["Training"] * 4 + ["PublicTest", "PrivateTest"]).to_csv(tmp_path / "mine.csv", index=False)
    assert "column Usage: PublicTest read as validation, PrivateTest as test" in load(own(tmp_path / "mine.csv")).notes


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        (["train", "train", "train", "train", "unlabeled", "test"], "unlabeled beside train and test"),
        (["train", "train", "train", "train", "eval", "val"], "eval beside train and val"),
        (["train", "train", "train", "train", "train", None], "nothing beside train"),
        (["Training", "Training", "Training", "0", "1", "1"], "0 and 1 beside Training"),
    ],
)
def test_a_column_with_known_and_unknown_words_is_refused(tmp_path, column, shown):
    """Rows of test would be trained on if the column were ignored."""
    table().assign(split=column).to_csv(tmp_path / "mine.csv", index=False)
    message = f"column split of mine.csv has {shown}; expected train, validation or test in every row .*: correct the"
    with pytest.raises(InputError, match=message):
        load(own(tmp_path / "mine.csv"))


def test_a_column_without_rows_to_train_on_is_refused(tmp_path):
    table().assign(split=["test"] * 5 + ["val"]).to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(
        InputError, match=r"column split of mine.csv has rows of validation and test alone; expected rows of train"
    ):
        load(own(tmp_path / "mine.csv"))


@pytest.mark.parametrize("column", [[0, 0, 0, 0, 1, 2], ["a", "a", "b", "b", "c", "c"], [True] * 5 + [False]])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_ignored_column_of_parts_is_noted_whatever_the_images_are(tmp_path, suffix, column):
    for row, image in enumerate(IMAGES):
        (tmp_path / f"{row}.png").write_bytes(png(image))
    paths = pd.DataFrame({"path": [f"{row}.png" for row in range(6)], "label": LABELS})
    arrays = pd.DataFrame({"image": IMAGES.reshape(6, 4).tolist(), "label": LABELS})
    frames = [table(), nested([0] * 6).drop(columns="Usage"), paths, *([arrays] if suffix == "parquet" else [])]
    for frame in frames:
        path, given = tmp_path / f"mine.{suffix}", frame.assign(split=column)
        given.to_csv(path, index=False) if suffix == "csv" else given.to_parquet(path)
        dataset = load(own(path))
        assert np.array_equal(dataset.images_train, IMAGES)
        notes = [
            note for note in dataset.notes if note.startswith(f"column split of mine.{suffix} left unread: it has ")
        ]
        assert len(notes) == 1
        assert "not train, validation and test" in notes[0]


def test_a_column_of_another_name_divides_the_rows_if_it_has_nothing_but_words_for_parts(tmp_path):
    table().assign(fold=["train"] * 4 + ["test"] * 2).to_csv(tmp_path / "mine.csv", index=False)
    assert parts_of(tmp_path / "mine.csv") == {"train": 4, "validation": 0, "test": 2}
    table().assign(fold=["train"] * 6).to_csv(tmp_path / "mine.csv", index=False)
    assert parts_of(tmp_path / "mine.csv") == {"train": 6, "validation": 0, "test": 0}


def test_of_several_columns_the_one_with_words_for_parts_divides_the_rows(tmp_path):
    table().assign(split=[0, 0, 0, 0, 1, 1], usage=["train"] * 4 + ["test"] * 2).to_csv(tmp_path / "a.csv", index=False)
    assert parts_of(tmp_path / "a.csv") == {"train": 4, "validation": 0, "test": 2}
    assert load(own(tmp_path / "a.csv")).notes == ("columns left unread: split", "flat rows of 4 read as 2x2")


def test_columns_beside_pictures_and_arrays_are_named_too(tmp_path):
    nested(["train"] * 6).rename(columns={"emotion": "label"}).assign(who="me").to_csv(
        tmp_path / "mine.csv", index=False
    )
    assert "columns left unread: who" in load(own(tmp_path / "mine.csv")).notes


class TestFilesOfAFolderWithAColumnOfParts:
    def test_the_file_to_train_on_may_have_the_rows_of_a_part_without_a_file(self, tmp_path):
        table().assign(split=["train"] * 4 + ["val"] * 2).to_csv(tmp_path / "train.csv", index=False)
        table(slice(3)).assign(split="test").to_csv(tmp_path / "test.csv", index=False)
        assert parts_of(tmp_path) == {"train": 4, "validation": 2, "test": 3}

    @pytest.mark.parametrize(
        ("name", "column"), [("train.csv", ["train"] * 4 + ["test"] * 2), ("test.csv", ["train"] * 5 + ["test"])]
    )
    def test_a_column_that_contradicts_the_names_of_files_is_refused(self, tmp_path, name, column):
        table().to_csv(tmp_path / ("test.csv" if name == "train.csv" else "train.csv"), index=False)
        table().assign(split=column).to_csv(tmp_path / name, index=False)
        other = "test" if name == "train.csv" else "train"
        with pytest.raises(InputError, match=f"column split of {name} has rows of {other}, .*; expected"):
            load(own(tmp_path))


COLOURS = np.random.default_rng(7).integers(60, 250, (6, 4, 3, 3), np.uint8)
WIDE = np.random.default_rng(8).integers(60, 250, (6, 2, 3), np.uint8)
WHOLE = [0, 1] * 3


def columns(images: np.ndarray) -> np.ndarray:
    return np.asarray(np.c_[WHOLE, images.reshape(6, -1)])


class TestFirstLine:
    @pytest.mark.parametrize("start", [0, 1])
    @pytest.mark.parametrize("options", [{}, {"quoting": csv.QUOTE_ALL}, {"sep": ";"}, {"index": True}])
    def test_whole_numbers_that_count_are_a_header(self, tmp_path, start, options):
        frame = pd.DataFrame(columns(IMAGES))
        frame.columns = pd.RangeIndex(start, start + 5)
        frame.to_csv(tmp_path / "mine.csv", **{"index": False, **options})
        dataset = load(own(tmp_path / "mine.csv"))
        assert np.array_equal(dataset.images_train, IMAGES)
        assert dataset.labels_train.tolist() == WHOLE
        assert f"column {start} read as labels" in dataset.notes

    @pytest.mark.parametrize("start", [0, 1])
    @pytest.mark.parametrize("options", [{}, {"quoting": csv.QUOTE_ALL}, {"index": True}])
    def test_they_are_after_a_label_column_that_has_a_number_too(self, tmp_path, start, options):
        """As `pd.concat([labels, pixels], axis=1)` names them, if the labels have no name."""
        pixels = pd.DataFrame(IMAGES.reshape(6, 4), columns=pd.RangeIndex(start, start + 4))
        frame = pd.concat([pd.Series(WHOLE, name=0), pixels], axis=1)
        frame.to_csv(tmp_path / "mine.csv", **{"index": False, **options})
        dataset = load(own(tmp_path / "mine.csv"))
        assert np.array_equal(dataset.images_train, IMAGES)
        assert dataset.labels_train.tolist() == WHOLE

    def test_so_they_are_in_parquet(self, tmp_path):
        pd.DataFrame(columns(IMAGES)).to_parquet(tmp_path / "mine.parquet")
        dataset = load(own(tmp_path / "mine.parquet"))
        assert np.array_equal(dataset.images_train, IMAGES)
        assert dataset.labels_train.tolist() == WHOLE

    @pytest.mark.parametrize(
        ("images", "keys"),
        [(COLOURS, {"shape": [4, 3, 3], "channels": "rgb"}), (WIDE, {"shape": [2, 3]}), (IMAGES, {})],
    )
    @pytest.mark.parametrize("header", [True, False])
    @pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    def test_rows_of_any_stated_shape_need_no_header(self, tmp_path, images, keys, header, quoting):
        frame = pd.DataFrame(columns(images))
        frame.to_csv(tmp_path / "mine.csv", index=False, header=header, quoting=quoting)
        dataset = load(own(tmp_path / "mine.csv", **keys))
        assert np.array_equal(dataset.images_train, images)
        assert dataset.labels_train.tolist() == WHOLE

    @pytest.mark.parametrize("header", [True, False])
    def test_rows_of_another_shape_are_refused_with_the_number_of_their_pixels(self, tmp_path, header):
        pd.DataFrame(columns(WIDE)).to_csv(tmp_path / "mine.csv", index=False, header=header)
        with pytest.raises(InputError, match=r"flat rows of 6 pixels, and no square has so many; expected data.shape"):
            load(own(tmp_path / "mine.csv"))

    def test_a_row_that_starts_with_a_name_is_no_header_if_its_numbers_repeat(self, tmp_path):
        """Otherwise the first image is lost, and pixels are put in the order of its values."""
        images = IMAGES.copy()
        images[0] = [[7, 200], [7, 90]]
        frame = pd.DataFrame(images.reshape(6, 4))
        frame.insert(0, "kind", LABELS)
        frame.to_csv(tmp_path / "mine.csv", index=False, header=False)
        dataset = load(own(tmp_path / "mine.csv"))
        assert np.array_equal(dataset.images_train, images)
        assert dataset.class_names == ("ape", "dog")

    @pytest.mark.parametrize("header", [True, False])
    def test_pixels_alone_are_read_in_full_where_nobody_asks_for_labels(self, tmp_path, header):
        pd.DataFrame(IMAGES.reshape(6, 4)).to_csv(tmp_path / "mine.csv", index=False, header=header)
        images = read_images(tmp_path / "mine.csv", Form(shape=(2, 2))).images
        assert images.tolist() == IMAGES.reshape(6, 4).tolist()


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
        (lambda frame: frame.assign(label=[None, *LABELS[1:]]), "has no value in column label, row 1; expected"),
        (
            lambda frame: frame.assign(pixel1=[None, *range(100, 105)]),
            "has no value in column pixel1, row 1; expected one in each cell",
        ),
        (lambda frame: frame.assign(pixel1="x"), "has 'x' in column pixel1, row 1; expected a number"),
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


def test_text_that_is_not_utf_8_in_a_parquet_file_is_reported(tmp_path):
    path = tmp_path / "mine.parquet"
    frame = table()
    frame["label"] = "cape"
    parquet.write_table(pa.Table.from_pandas(frame), path, compression="none")
    path.write_bytes(path.read_bytes().replace(b"cape", b"\xe3ape"))
    with pytest.raises(InputError, match=r"mine.parquet cannot be read as Parquet .*UTF8.*write the file again"):
        load(own(path))
