"""CSV and Parquet files in which a cell, a row or a column is wrong or missing."""

import re

import numpy as np
import pandas as pd
import pytest

from pipeline.data.own.parts import Form
from pipeline.data.own.tables import read_images
from pipeline.data.sources import load
from pipeline.errors import InputError
from pipeline.experiment import Data

IMAGES = np.random.default_rng(5).integers(60, 250, (6, 3, 3), np.uint8)
LABELS = [0, 1] * 3
NAMES = {
    "pixel0": [f"pixel{number}" for number in range(9)],
    "pixel1": [f"pixel{number}" for number in range(1, 10)],
    "0": [str(number) for number in range(9)],
    "1": [str(number) for number in range(1, 10)],
    "1x1": [f"{row}x{column}" for row in (1, 2, 3) for column in (1, 2, 3)],
    "r0c0": [f"r{row}c{column}" for row in range(3) for column in range(3)],
    "p001": [f"p{number:03}" for number in range(1, 10)],
}
SUFFIXES = ["csv", "csv.gz", "parquet"]


def own(path, **keys) -> Data:
    return Data(dataset="own", path=str(path), **keys)


def table(names=NAMES["pixel0"], **columns) -> pd.DataFrame:
    frame = pd.DataFrame(IMAGES.reshape(6, 9), columns=names)
    frame.insert(0, "label", LABELS)
    return frame.assign(**columns)


def written(frame: pd.DataFrame, path):
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return path


def with_cell(frame: pd.DataFrame, row: int, column: str, value) -> pd.DataFrame:
    """With another value in a row, from 1; the column is text, as pandas writes it."""
    changed = frame.copy()
    cells = changed[column].astype(str).tolist()
    cells[row - 1] = value
    changed[column] = cells
    return changed


def refused(path, message: str, **keys) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load(own(path, **keys))
    assert "\n" not in str(caught.value)


class TestTextInAColumnOfPixels:
    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
    @pytest.mark.parametrize("keys", [{}, {"shape": (2, 4)}])
    def test_is_refused_with_file_column_row_and_value_even_if_the_other_columns_fit_the_shape(
        self, tmp_path, names, suffix, keys
    ):
        path = written(with_cell(table(names), 5, names[4], "abc"), tmp_path / f"mine.{suffix}")
        refused(path, f"^mine.{suffix} has 'abc' in column {names[4]}, row 5; expected a number: correct", **keys)

    @pytest.mark.parametrize("value", ["NA", "nan", "?", "12 13", "1,5", "0x1f"])
    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize("row", [1, 6])
    def test_is_any_text_that_is_no_number(self, tmp_path, suffix, value, row):
        path = written(with_cell(table(), row, "pixel3", value), tmp_path / f"mine.{suffix}")
        refused(path, rf"has '{re.escape(value)}' in column pixel3, row {row}; expected a number")

    @pytest.mark.parametrize("place", [0, 4, 8])
    def test_is_not_taken_for_the_labels_of_a_file_without_labels(self, tmp_path, place):
        frame = with_cell(table(), 2, f"pixel{place}", "abc").drop(columns="label")
        path = written(frame, tmp_path / "mine.csv")
        with pytest.raises(InputError, match=f"has 'abc' in column pixel{place}, row 2; expected a number"):
            read_images(path, Form(shape=(3, 3)))

    def test_is_refused_if_all_columns_have_some(self, tmp_path):
        frame = pd.concat([table()[["label"]], table()[NAMES["pixel0"]].astype(str) + ",0"], axis=1)
        refused(written(frame, tmp_path / "mine.csv"), "has '[0-9]+,0' in column pixel0, row 1; expected a number")

    def test_is_placed_in_its_own_file_and_row_if_files_are_put_together_and_rows_divided(self, tmp_path):
        written(table(split=["train", "val"] * 3), tmp_path / "train-1.csv")
        frame = table(split=["train", "val"] * 3)
        written(with_cell(frame, 4, "pixel3", "abc"), tmp_path / "train-2.csv")
        refused(tmp_path, "^train-2.csv has 'abc' in column pixel3, row 4; expected a number")

    def test_of_numbers_alone_is_read_as_numbers(self, tmp_path):
        frame = table()
        frame["pixel3"] = frame["pixel3"].astype(str)
        frame["pixel4"] = frame["pixel4"].astype("Int64")
        dataset = load(own(written(frame, tmp_path / "mine.parquet")))
        assert np.array_equal(dataset.images_train, IMAGES)

    def test_of_class_names_in_the_first_numbered_column_is_still_the_labels(self, tmp_path):
        frame = table([f"c{number}" for number in range(1, 10)]).rename(columns={"label": "c0"})
        frame["c0"] = ["dog", "ape"] * 3
        dataset = load(own(written(frame, tmp_path / "mine.csv")))
        assert dataset.class_names == ("ape", "dog")
        assert np.array_equal(dataset.images_train, IMAGES)

    @pytest.mark.parametrize("place", [0, 4])
    def test_in_a_file_without_a_header_is_refused_in_any_row(self, tmp_path, place):
        frame = table([*range(9)])
        frame[place] = ["abc", *IMAGES.reshape(6, 9)[1:, place].astype(str)]
        frame.to_csv(tmp_path / "mine.csv", index=False, header=False)
        refused(
            tmp_path / "mine.csv", "has columns from .*: write the file again .*, or with a header if the first line is"
        )
        frame[::-1].to_csv(tmp_path / "mine.csv", index=False, header=False)
        refused(tmp_path / "mine.csv", f"has 'abc' in column pixel{place}, row 6; expected a number")

    def test_in_one_column_of_many_numbers_is_named_too(self, tmp_path):
        texts = [" ".join(map(str, image.ravel())) for image in IMAGES]
        texts[3] = texts[3].replace(" ", " abc ", 1)
        path = written(pd.DataFrame({"label": LABELS, "pixels": texts}), tmp_path / "mine.csv")
        refused(path, "^mine.csv has 'abc' in column pixels, row 4; expected a number")

    @pytest.mark.parametrize("value", [[1, 2], True])
    def test_or_a_list_or_a_truth_value_is_refused(self, tmp_path, value):
        frame = table()
        frame["pixel3"] = pd.Series([value] * 6)
        path = written(frame, tmp_path / "mine.parquet")
        refused(path, "has '(True|.1,? 2.)' in column pixel3, row 1; expected a number")


class TestAColumnThatIsMissing:
    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
    @pytest.mark.parametrize("keys", [{}, {"shape": (2, 4)}])
    def test_is_named_even_if_the_others_fit_the_shape(self, tmp_path, names, suffix, keys):
        path = written(table(names).drop(columns=names[4]), tmp_path / f"mine.{suffix}")
        message = (
            f"^mine.{suffix} has columns from {names[0]} to {names[-1]}, but no {names[4]}; expected a column for each"
        )
        refused(path, message, **keys)

    def test_is_named_with_how_many_more(self, tmp_path):
        path = written(table().drop(columns=["pixel2", "pixel4", "pixel7"]), tmp_path / "mine.csv")
        refused(path, r"from pixel0 to pixel8, but no pixel2 \(and 2 more\); expected")

    def test_is_found_at_once_among_the_largest_numbers(self, tmp_path):
        path = written(table([*NAMES["1x1"][:8], "999999999x999999999"]), tmp_path / "mine.csv")
        refused(path, r"from 1x1 to 999999999x999999999, but no 1x4 \(and 999,999,997,999,999,991 more\)")

    def test_in_the_file_to_train_on_alone_is_named(self, tmp_path):
        written(table(), tmp_path / "test.csv")
        written(table().drop(columns="pixel8"), tmp_path / "train.csv")
        refused(tmp_path, "^test.csv has a column pixel8, which the file to train on has not", shape=(2, 4))

    def test_is_named_in_the_input_of_predict(self, tmp_path):
        path = written(table().drop(columns=["label", "pixel4"]), tmp_path / "mine.csv")
        with pytest.raises(InputError, match="from pixel0 to pixel8, but no pixel4; expected"):
            read_images(path, Form(shape=(2, 4)))


class TestACellThatIsMissing:
    @pytest.mark.parametrize(("cells", "text"), [(7, "7 cells"), (1, "1 cell")])
    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    @pytest.mark.parametrize("last", ["label", "pixel8"])
    def test_because_its_line_is_cut_off_is_told_with_the_line_and_the_counts(
        self, tmp_path, cells, text, separator, last
    ):
        frame = table() if last == "pixel8" else table()[[*NAMES["pixel0"], "label"]]
        lines = frame.to_csv(index=False, sep=separator).splitlines()
        lines[4] = separator.join(lines[4].split(separator)[:cells])
        (tmp_path / "mine.csv").write_text("\n".join([*lines[:2], "", *lines[2:]]))
        refused(tmp_path / "mine.csv", f"^mine.csv has {text} in line 6; expected 10 as in line 1: the line is cut off")

    def test_by_itself_is_told_with_its_column_and_row(self, tmp_path):
        for suffix in SUFFIXES:
            path = written(table(pixel1=[1, 2, None, 4, 5, 6]), tmp_path / f"mine.{suffix}")
            refused(path, f"^mine.{suffix} has no value in column pixel1, row 3; expected one in each cell: fill it")
        path = written(table(pixel1=[1, 2, None, None, 5, None]), tmp_path / "mine.csv")
        refused(path, r"in column pixel1, row 3 \(3 cells are empty\); expected")

    def test_in_the_labels_is_told_with_the_row_of_its_file(self, tmp_path):
        frame = table(label=[0, 1, 0, None, 0, 1], split=["train", "val"] * 3)
        refused(written(frame, tmp_path / "mine.csv"), "^mine.csv has no value in column label, row 4; expected one")


def test_a_number_that_is_wrong_is_told_in_grammar_for_one_and_for_several(tmp_path):
    path = written(table(pixel1=[1, 2, "inf", 4, 5, 6]), tmp_path / "mine.csv")
    refused(path, "^the train part of mine.csv has inf in image 2; expected finite numbers")
    path = written(table(pixel1=[1, 2, "inf", "inf", 5, 6]), tmp_path / "mine.csv")
    refused(path, r"^the train part of mine.csv has inf in image 2 \(2 such values\); expected finite numbers")


def test_files_of_a_folder_are_told_with_the_part_that_each_became(tmp_path):
    for name in ("fashion-mnist_train.csv", "fashion-mnist_test.csv"):
        written(table(), tmp_path / name)
    told = "fashion-mnist_train.csv read as train, fashion-mnist_test.csv as test"
    assert told in load(own(tmp_path)).notes
    written(table(), tmp_path / "val.csv")
    (tmp_path / "fashion-mnist_train.csv").rename(tmp_path / "train_1.csv")
    written(table(), tmp_path / "train_2.csv")
    told = "train_1.csv, train_2.csv read as train, val.csv as validation, fashion-mnist_test.csv as test"
    assert told in load(own(tmp_path)).notes
