"""A user's own images, out of real files."""

import gzip
import io
import os
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from pipeline.data import formats
from pipeline.data.exploration import explore
from pipeline.data.sources import load
from pipeline.data.split import split
from pipeline.errors import InputError
from pipeline.experiment import Data

IMAGES = np.arange(6 * 2 * 3, dtype=np.uint8).reshape(6, 2, 3) * 7
LABELS = np.array([0, 1, 0, 1, 0, 1])


def own(path, **keys) -> Data:
    return Data(dataset="own", path=str(path), **keys)


def npz(folder, **arrays):
    path = folder / "mine.npz"
    np.savez(path, **arrays)
    return path


def idx(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.astype(np.uint8).tobytes()


def picture(path, image: np.ndarray, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **options)


@pytest.fixture
def tree(tmp_path):
    """Two classes of three pictures each, 3 wide and 2 high."""
    for row, image in enumerate(IMAGES):
        picture(tmp_path / "tree" / ("cat", "dog")[row % 2] / f"{row}.png", image)
    return tmp_path / "tree"


class TestNpz:
    def test_arrays_come_as_they_are(self, tmp_path):
        path = npz(tmp_path, images_train=IMAGES, labels_train=LABELS, images_test=IMAGES[:2], labels_test=[1, 1])
        dataset = load(own(path))
        assert dataset.images_train.tolist() == IMAGES.tolist()
        assert dataset.images_test.shape == (2, 2, 3)
        assert dataset.labels_test.tolist() == [1, 1]
        assert dataset.class_names == ("0", "1")
        assert (dataset.name, dataset.pixel_max, dataset.source) == ("own", 255, str(path))
        assert dataset.images_train.dtype == np.uint8
        assert dataset.labels_train.dtype == np.int64

    def test_the_names_of_keras_files_serve_and_other_arrays_are_left_alone(self, tmp_path):
        pickled = np.array([None, "never read"], object)
        dataset = load(own(npz(tmp_path, x_train=IMAGES, y_train=LABELS[:, None], notes=pickled)))
        assert dataset.labels_train.tolist() == LABELS.tolist()
        assert len(dataset.images_test) == 0

    def test_the_digest_sees_images_labels_and_the_test_part(self, tmp_path):
        other = IMAGES.copy()
        other[-1, -1, -1] ^= 1
        digests = {
            load(own(npz(tmp_path, **arrays))).digest
            for arrays in (
                {"images_train": IMAGES, "labels_train": LABELS},
                {"images_train": other, "labels_train": LABELS},
                {"images_train": IMAGES, "labels_train": 1 - LABELS},
                {"images_train": IMAGES, "labels_train": LABELS, "images_test": IMAGES[:1], "labels_test": LABELS[:1]},
            )
        }
        assert len(digests) == 4

    @pytest.mark.parametrize("kind", ["<i8", ">u2", "f4", "f8", "u1"])
    def test_whole_numbers_of_any_type_give_the_same_data_set(self, tmp_path, kind):
        given = np.asfortranarray(IMAGES.astype(kind))
        plain = load(own(npz(tmp_path, images_train=IMAGES, labels_train=LABELS)))
        assert load(own(npz(tmp_path, images_train=given, labels_train=LABELS))).digest == plain.digest

    def test_text_labels_are_named_in_sorted_order(self, tmp_path):
        labels = ["dog", "ape", "dog", "ape", "cat", "cat"]
        dataset = load(own(npz(tmp_path, images_train=IMAGES, labels_train=labels)))
        assert dataset.class_names == ("ape", "cat", "dog")
        assert dataset.labels_train.tolist() == [2, 0, 2, 0, 1, 1]

    def test_bytes_are_text_too(self, tmp_path):
        labels = np.array(["dög".encode(), b"ape"] * 3)
        assert load(own(npz(tmp_path, images_train=IMAGES, labels_train=labels))).class_names == ("ape", "dög")

    def test_given_class_names_decide_the_order(self, tmp_path):
        labels = ["dog", "ape"] * 3
        path = npz(tmp_path, images_train=IMAGES, labels_train=labels, class_names=["dog", "ape"])
        assert load(own(path)).labels_train.tolist() == [0, 1] * 3
        path = npz(tmp_path, images_train=IMAGES, labels_train=LABELS, class_names=["no", "yes"])
        assert load(own(path)).class_names == ("no", "yes")

    def test_a_last_axis_of_one_is_dropped_and_of_three_turned_grey_as_pillow_does(self, tmp_path):
        colours = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), np.uint8)
        dataset = load(own(npz(tmp_path, images_train=colours, labels_train=LABELS)))
        assert dataset.images_train.tolist() == [
            np.asarray(Image.fromarray(image).convert("L")).tolist() for image in colours
        ]
        dataset = load(own(npz(tmp_path, images_train=IMAGES[..., None], labels_train=LABELS)))
        assert dataset.images_train.tolist() == IMAGES.tolist()

    def test_a_smaller_largest_pixel_is_asked_for_and_held(self, tmp_path):
        path = npz(tmp_path, images_train=IMAGES % 17, labels_train=LABELS)
        assert load(own(path, pixel_max=16)).pixel_max == 16
        with pytest.raises(InputError, match=r"has a pixel of 16 in image 2; expected 0 to 15 .data.pixel_max.: raise"):
            load(own(path, pixel_max=15))

    def test_images_that_look_scaled_otherwise_are_remarked_on(self, tmp_path):
        said: list[str] = []
        path = npz(tmp_path, images_train=IMAGES % 17, labels_train=LABELS)
        load(own(path), progress=said.append)
        assert said == [
            "data: the largest pixel is 16 of 255; if these images go from 0 to 16, set -P data.pixel_max=16"
        ]  # fmt: skip
        load(own(path, pixel_max=255), progress=said.append)
        assert len(said) == 1

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({}, "has no images_train, but labels_train; expected images_train and labels_train"),
            ({"images_train": IMAGES, "images_test": IMAGES}, r"has images_test, but no labels_test; it .* expected both"),
            ({"images_train": IMAGES.reshape(6, 6)}, r"has flat rows of 6 pixels, and no square has so many; expected data"),
            ({"images_train": np.zeros((6, 2, 3, 5))}, r"is 6x2x3x5; expected \(n, h, w\), \(n, h, w, channels\)"),
            ({"images_train": np.ones((6, 2, 3, 4), np.uint8)}, "has transparent pixels in image 0; expected an alpha"),
            ({"images_train": np.float64(3)}, "images_train of mine.npz is no dimension"),
            ({"images_train": IMAGES[:0]}, "is 0x2x3: there are no pixels"),
            ({"images_train": IMAGES[:, :0]}, "is 6x0x3: there are no pixels"),
            ({"images_train": IMAGES * 1j}, "of type complex128"),
            ({"images_train": IMAGES / 10}, r"has fractions up to 24.5; expected 0 to 1 or 0 to 255: state the largest"),
            ({"images_train": IMAGES / 127.5 - 1}, r"a pixel of -1 in image 0; expected 0 to 255 .*: \(images \+ 1\) / 2"),
            ({"images_train": IMAGES.astype(int) * 200}, r"a pixel of 49000 in image 5; .* state the largest"),
            ({"images_train": np.where(IMAGES == 70, np.nan, IMAGES)}, r"has nan in image 1; .*missing"),
            ({"images_train": np.where(IMAGES == 70, np.inf, IMAGES)}, "has inf in image 1"),
            ({"images_train": IMAGES.astype(int) - 1}, "a pixel of -1 in image 0; expected 0 to 255 .*: scale"),
            ({"images_train": IMAGES.astype(int) * 2}, "a pixel of 490 in image 5; expected 0 to 255"),
            ({"images_train": IMAGES * 0}, "is blank: every pixel is 0"),
            ({"images_train": IMAGES.astype(object)}, "holds Python objects, which are not read; expected plain"),
            ({"labels_train": LABELS.astype(object)}, r"labels_train .* holds Python objects.*labels.astype\(str\)"),
            ({"labels_train": LABELS[:5]}, "has 6 images and labels_train of mine.npz 5 labels; expected equal"),
            ({"labels_train": np.eye(2)[LABELS] * [1, 2]}, r"labels_train of mine.npz is 6x2, and row 1 is not one-hot"),
            ({"labels_train": LABELS / 2}, r"has a label 0.5 at 1; expected whole numbers or text"),
            ({"labels_train": np.where(LABELS, np.nan, 0)}, r"has a label nan at 1; expected whole numbers or text"),
            ({"labels_train": LABELS[None]}, r"labels_train of mine.npz is 1x6, and row 0 is not one-hot"),
            ({"labels_train": LABELS * 0}, "all images are of the class '0'; expected two classes or more"),
            ({"labels_train": np.array([0, 0, 0, 0, 0, 1])}, "class '1' has 1 image to train on; expected at least 2"),
            ({"labels_train": np.array([b"\xff", b"a"] * 3)}, "has bytes that are no UTF-8"),
            ({"labels_train": np.array(["", "a"] * 3)}, "a class is named ''; expected printable text"),
            ({"labels_train": np.array(["a\nb", "a"] * 3)}, r"a class is named 'a\\nb'"),
            ({"labels_train": np.array(["$x$", "a"] * 3)}, "with one dollar sign at most"),
            ({"class_names": ["a"]}, "has a label 1; expected 0 to 0, as there are class names"),
            ({"class_names": ["a", "a"]}, "two classes are named 'a'; expected a name for each"),
            ({"class_names": ["a", "b", "c"]}, "class 'c' has 0 images to train on; expected at least 2"),
            ({"class_names": 5}, "class_names of .* is int64 of shape .*; expected a list of text"),
            (
                {"labels_train": np.array(["a", "b"] * 3), "class_names": ["a", "c"]},
                "has a label 'b'; expected one of class_names: a, c",
            ),
            (
                {"images_test": IMAGES[:2], "labels_test": [0, 2]},
                r"class '2' has 0 images to train on \(1 in the test part\)",
            ),
            ({"images_test": IMAGES[:2], "labels_test": ["a", "b"]}, "are numbers here and text there; expected one"),
            ({"images_test": IMAGES[:2, :1], "labels_test": [0, 1]}, r"images of 2x3 and .* of 1x3 .height x width."),
            ({"images_test": IMAGES[:2], "labels_test": [0]}, "images_test of mine.npz has 2 images and labels_test"),
        ],
    )  # fmt: skip
    def test_what_is_malformed_is_reported_in_one_line(self, tmp_path, arrays, message):
        given = {"images_train": IMAGES, "labels_train": LABELS} | arrays if arrays else {"labels_train": LABELS}
        with pytest.raises(InputError, match=message) as caught:
            load(own(npz(tmp_path, **given)))
        assert "\n" not in str(caught.value)

    def test_one_image_of_a_class_is_enough_to_train_on_where_nothing_is_held_out(self, tmp_path):
        arrays = {"images_train": IMAGES[:2], "labels_train": [0, 1]}
        test, validation = (
            {f"images_{part}": IMAGES[2:4], f"labels_{part}": [0, 1]} for part in ("test", "validation")
        )
        path = npz(tmp_path, **arrays, **test, **validation)
        assert [len(part) for _, part in split(load(own(path)), own(path)).parts()] == [2, 2, 2]
        for some in (arrays, {**arrays, **test}, {**arrays, **validation}):
            with pytest.raises(InputError, match=r"class '0' has 1 image to train on.*; expected at least 2: add"):
                load(own(npz(tmp_path, **some)))
        arrays["labels_train"] = [0, 0]
        with pytest.raises(InputError, match=r"class '1' has 0 images to train on .*; expected at least 1: add"):
            load(own(npz(tmp_path, **arrays, **test, **validation)))

    @pytest.mark.parametrize("twin", ["images_train", "images_train.npy"])
    def test_two_arrays_of_one_name_are_refused_so_no_limit_is_passed_by_one_of_them(self, tmp_path, monkeypatch, twin):
        path = npz(tmp_path, images_train=np.zeros((6, 100, 100), np.uint8), labels_train=LABELS)
        small = io.BytesIO()
        np.save(small, IMAGES)
        monkeypatch.setattr(formats, "LARGEST", 1000)
        with zipfile.ZipFile(path, "a") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile's own, of the second entry
            file.writestr(twin, small.getvalue())
        with pytest.raises(InputError, match=r"mine.npz has two arrays called images_train; expected each once: write"):
            load(own(path))

    @pytest.mark.parametrize(("train", "test"), [("u1", "i8"), ("i2", "u4"), ("u8", "i8"), ("i8", "u8")])
    def test_whole_numbers_of_two_types_are_labels_of_one_data_set(self, tmp_path, train, test):
        arrays = {"images_train": IMAGES, "labels_train": LABELS.astype(train)}
        dataset = load(own(npz(tmp_path, **arrays, images_test=IMAGES[:2], labels_test=np.array([1, 0], test))))
        assert (dataset.labels_train.tolist(), dataset.labels_test.tolist()) == ([0, 1, 0, 1, 0, 1], [1, 0])
        assert dataset.class_names == ("0", "1")

    @pytest.mark.parametrize("kind", ["u1", "u4", "u8"])
    def test_a_class_of_the_test_part_alone_is_refused_by_its_whole_number(self, tmp_path, kind):
        arrays = {"images_train": IMAGES, "labels_train": LABELS, "images_test": IMAGES[:1]}
        with pytest.raises(InputError, match=r"class '3' has 0 images to train on \(1 in the test part\)"):
            load(own(npz(tmp_path, **arrays, labels_test=np.array([3], kind))))

    def test_a_label_too_large_for_int64_in_one_part_alone_is_refused(self, tmp_path):
        arrays = {"images_train": IMAGES, "labels_train": LABELS, "images_test": IMAGES[:1]}
        with pytest.raises(InputError, match=r"class '9223372036854775808' has 0 images to train on"):
            load(own(npz(tmp_path, **arrays, labels_test=np.array([2**63], np.uint64))))

    def test_the_first_bad_value_is_named_and_all_are_counted_across_blocks(self, tmp_path):
        images = np.zeros((2500, 1, 2))
        images[1203, 0, 1], images[2400, 0, 0] = np.inf, np.nan
        with pytest.raises(InputError, match=r"has inf in image 1203 \(2 such values\); expected finite numbers"):
            load(own(npz(tmp_path, images_train=images, labels_train=np.arange(2500) % 2)))

    def test_what_zipfile_does_not_know_is_reported_as_damage(self, tmp_path):
        path = npz(tmp_path, images_train=IMAGES, labels_train=LABELS)
        raw = bytearray(path.read_bytes())
        raw[raw.index(b"PK\x01\x02") + 6] = 99  # the version that is needed to unpack
        path.write_bytes(raw)
        with pytest.raises(InputError, match=r"mine.npz is no npz file, or a truncated one \(zip file version 9.9\)"):
            load(own(path))

    def test_what_is_no_npz_file_is_reported(self, tmp_path):
        path = tmp_path / "mine.npz"
        path.write_bytes(b"hello")
        with pytest.raises(InputError, match=r"mine.npz is no npz file, or a truncated one"):
            load(own(path))
        np.save(tmp_path / "x.npy", IMAGES)
        with pytest.raises(
            InputError, match=r"x.npy, one array; expected the folder that has it, with images.npy and labels.npy"
        ):
            load(own(tmp_path / "x.npy"))
        with zipfile.ZipFile(tmp_path / "kaggle.zip", "w") as file:
            file.writestr("train.csv", "label,pixel0")
        with pytest.raises(
            InputError, match=r"kaggle.zip, a zip file; unpack it and name the folder or the file in it"
        ):
            load(own(tmp_path / "kaggle.zip"))
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("images_train", "text")
            file.writestr("labels_train", "text")
        with pytest.raises(InputError, match=r"images_train of .* is no array of NumPy's"):
            load(own(path))

    def test_a_file_that_unpacks_to_too_much_is_not_unpacked(self, tmp_path):
        path, claim = tmp_path / "bomb.npz", 8 * 2**30
        np.savez_compressed(path, images_train=IMAGES, labels_train=LABELS)
        raw = path.read_bytes()
        # The size in the zip's directory, which comes last: 128 bytes of header and 36 of pixels.
        place = raw.rindex((164).to_bytes(4, "little"))
        path.write_bytes(raw[:place] + min(claim, 2**32 - 2).to_bytes(4, "little") + raw[place + 4 :])
        with pytest.raises(InputError, match=r"bomb.npz unpacks to 4.0 GiB; expected 4 at most: store images as uint8"):
            load(own(path))

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_damage_anywhere_is_reported_or_harmless(self, tmp_path, data):
        buffer = io.BytesIO()
        np.savez_compressed(buffer, images_train=IMAGES, labels_train=LABELS)
        raw = bytearray(buffer.getvalue())
        place = data.draw(st.integers(0, len(raw) - 1))
        if data.draw(st.booleans()):
            del raw[place:]
        else:
            raw[place] ^= data.draw(st.integers(1, 255))
        path = tmp_path / "damaged.npz"
        path.write_bytes(raw)
        try:
            dataset = load(own(path))
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either way will do
        else:
            assert dataset.images_train.tolist() == IMAGES.tolist()
            assert dataset.labels_train.tolist() == LABELS.tolist()

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        images=hnp.arrays(
            st.sampled_from([np.uint8, np.int16, np.int64, np.float32]),
            st.tuples(st.just(4), st.integers(1, 3), st.integers(1, 3)),
            elements=st.integers(0, 127),
        )
    )
    def test_any_whole_numbers_in_range_are_read_back(self, tmp_path, images):
        images[0, 0, 0] = 2  # fractions up to 1 are scaled
        dataset = load(own(npz(tmp_path, images_train=images, labels_train=[0, 1, 1, 0])))
        assert np.array_equal(dataset.images_train, images)


class TestIdx:
    def test_a_folder_in_fashion_mnists_manner_is_read_with_and_without_a_test_part(self, tmp_path):
        (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(IMAGES))
        (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS)))
        dataset = load(own(tmp_path))
        assert dataset.images_train.tolist() == IMAGES.tolist()
        assert len(dataset.labels_test) == 0
        (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(IMAGES[:1]))
        with pytest.raises(InputError, match=r"has no t10k-labels-idx1-ubyte .*; expected t10k-images-idx3-ubyte and"):
            load(own(tmp_path))
        (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(LABELS[:1]))
        assert load(own(tmp_path)).labels_test.tolist() == [0]

    @pytest.mark.parametrize(
        ("name", "pack", "message"),
        [
            (
                "train-images-idx3-ubyte.gz",
                gzip.compress,
                "train-images-idx3-ubyte unpacks to more than .* MiB; expected",
            ),
            ("train-images-idx3-ubyte", bytes, r"train-images-idx3-ubyte has 1,048,576 bytes; expected .* MiB at most"),
        ],
    )
    def test_a_file_of_too_much_is_not_read_or_unpacked(self, tmp_path, monkeypatch, name, pack, message):
        images = np.ones((6, 1, (2**20 - 16) // 6), np.uint8)  # 1 MiB with its header
        (tmp_path / name).write_bytes(pack(idx(images)))
        (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS))
        monkeypatch.setattr(formats, "LARGEST", 2**20 - 1)
        with pytest.raises(InputError, match=message):
            load(own(tmp_path))
        monkeypatch.setattr(formats, "LARGEST", 2**20)
        assert len(load(own(tmp_path)).labels_train) == 6


class TestPictures:
    def test_a_folder_per_class_is_read(self, tree):
        (tree / ".DS_Store").write_bytes(b"x")
        (tree / "cat" / ".hidden.png").write_bytes(b"x")
        (tree / "README.txt").write_text("which is no picture")
        dataset = load(own(tree))
        assert dataset.class_names == ("cat", "dog")
        assert dataset.labels_train.tolist() == [0, 0, 0, 1, 1, 1]
        assert dataset.images_train.tolist() == IMAGES[[0, 2, 4, 1, 3, 5]].tolist()

    def test_folders_below_a_class_belong_to_it_and_leftovers_are_skipped_and_counted(self, tree):
        (tree / "cat" / "kittens").mkdir()
        (tree / "cat" / "0.png").rename(tree / "cat" / "kittens" / "0.png")
        (tree / "cat" / ".ipynb_checkpoints").mkdir()
        (tree / "__MACOSX").mkdir()
        for name in ("Thumbs.db", "cat/.DS_Store", "cat/desktop.ini", "cat/notes.txt", "LICENSE", "dog/1.png.part"):
            (tree / name).write_bytes(b"x")
        dataset = load(own(tree))
        assert dataset.labels_train.tolist() == [0, 0, 0, 1, 1, 1]
        assert dataset.images_train[2].tolist() == IMAGES[0].tolist()  # 2.png, 4.png, kittens/0.png
        assert dataset.notes == ("skipped, as no pictures: 8 (.DS_Store, .ipynb_checkpoints, 1.png.part and 5 more)",)

    @pytest.mark.parametrize("name", ["val", "validation", "Valid"])
    def test_a_folder_for_validation_is_the_validation_split(self, tree, name):
        whole = tree.parent / "whole"
        (whole / "Train").mkdir(parents=True)
        for label in ("cat", "dog"):
            picture(whole / name / label / "x.png", IMAGES[0] + 1)
            (tree / label).rename(whole / "Train" / label)
        data = own(whole, test=0.4)
        parts = split(load(data), data)
        assert parts.validation.images.tolist() == [(IMAGES[0] + 1).tolist()] * 2

    def test_a_folder_around_all_is_looked_into(self, tree):
        outer = tree.parent / "outer"
        outer.mkdir()
        tree.rename(outer / "faces")
        dataset = load(own(outer))
        assert dataset.class_names == ("cat", "dog")
        assert dataset.notes == ("read below faces/",)

    def test_pictures_of_any_size_are_scaled_to_the_stated_one_and_the_message_offers_it(self, tree):
        picture(tree / "dog" / "x.png", np.full((8, 12), 40, np.uint8))
        with pytest.raises(InputError, match=r"expected one size: -P data.size='\[2, 3\]' scales all"):
            load(own(tree))
        dataset = load(own(tree, size=[2, 3]))
        assert dataset.images_train[-1].tolist() == [[40] * 3] * 2
        assert dataset.images_train[0].tolist() == IMAGES[0].tolist()
        assert dataset.notes == ("pictures of 2 sizes scaled to 3x2",)

    def test_train_and_test_serve_and_test_may_lack_a_class(self, tree):
        (tree / "cat").rename(tree.parent / "cat")
        for name in ("train/cat", "test/cat", "train/dog"):
            (tree / name).parent.mkdir(exist_ok=True)
        (tree / "dog").rename(tree / "train" / "dog")
        (tree.parent / "cat").rename(tree / "train" / "cat")
        picture(tree / "test" / "dog" / "x.png", IMAGES[0])
        dataset = load(own(tree))
        assert dataset.labels_train.tolist() == [0, 0, 0, 1, 1, 1]
        assert dataset.labels_test.tolist() == [1]
        (tree / "test" / "dog").rename(tree / "test" / "emu")
        with pytest.raises(InputError, match=r"class 'emu' has 0 images to train on .1 in the test part."):
            load(own(tree))

    def test_colours_of_a_picture_and_of_an_array_give_the_same_grey(self, tmp_path):
        colours = np.random.default_rng(1).integers(0, 256, (4, 3, 3, 3), np.uint8)
        for row, image in enumerate(colours):
            picture(tmp_path / "tree" / "ab"[row // 2] / f"{row}.png", image)
        from_array = load(own(npz(tmp_path, images_train=colours, labels_train=[0, 0, 1, 1])))
        assert load(own(tmp_path / "tree")).digest == from_array.digest

    def test_a_jpeg_is_turned_upright(self, tree):
        exif = Image.Exif()
        exif[0x0112] = 6  # lies on its side
        wide = np.full((3, 2), 200, np.uint8)
        picture(tree / "cat" / "x.JPG", wide, format="JPEG", exif=exif)
        assert load(own(tree)).images_train[3].tolist() == [[200] * 3] * 2

    def test_an_opaque_alpha_channel_and_one_bit_are_harmless(self, tree):
        picture(tree / "cat" / "x.png", np.dstack([IMAGES[1]] * 3 + [np.full((2, 3), 255, np.uint8)]))
        Image.fromarray(IMAGES[1] > 50).save(tree / "cat" / "y.png")
        images = load(own(tree)).images_train
        assert images[3].tolist() == IMAGES[1].tolist()
        assert images[4].tolist() == np.where(IMAGES[1] > 50, 255, 0).tolist()

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda tree: picture(tree / "dog" / "x.png", IMAGES[0, :1]), r"x.png has 3x1 pixels and .*0.png 3x2 .width"),
            (lambda tree: Image.new("F", (3, 2)).save(tree / "cat" / "x.tif"), "x.tif has pixels of 32 bits"),
            (lambda tree: (tree / "cat" / "x.png").write_bytes(b"text"), "x.png is not a PNG, JPEG, BMP, GIF"),
            (lambda tree: (tree / "cat" / "x.png").write_bytes(b""), "x.png is not a PNG, JPEG, BMP, GIF"),
            (lambda tree: Image.new("L", (3, 2)).save(tree / "cat" / "x.png", format="PPM"), "x.png is not a PNG, JPEG"),
            (lambda tree: (tree / "cat" / "x.heic").write_text("x"), "x.heic is no picture; expected PNG, JPEG"),
            (lambda tree: (tree / "emu").mkdir(), "emu is empty; expected pictures of its class"),
            (lambda tree: picture(tree / "x.png", IMAGES[0]), "x.png is beside the class folders"),
            (lambda tree: (tree / "train").mkdir(), "has the folders cat, dog, train; expected train, with or"),
            (lambda tree: [path.unlink() for path in (tree / "dog").glob("[13].png")], "class 'dog' has 1 image to"),
            (lambda tree: os.mkfifo(tree / "cat" / "x.png"), "x.png is no picture; expected PNG, JPEG"),
            (lambda tree: (tree / os.fsdecode(b"caf\xe9")).mkdir(), r"caf\\xe9 is empty; expected pictures of its class"),
            (lambda tree: (tree / "dog").rename(tree / os.fsdecode(b"caf\xe9")), r"a class is named 'caf\\udce9'; expected"),
            (lambda tree: (tree / "dog" / "x.png").symlink_to("nowhere"), "x.png cannot be read .No such file"),
        ],
    )  # fmt: skip
    def test_what_is_malformed_is_reported_in_one_line(self, tree, spoil, message):
        spoil(tree)
        with pytest.raises(InputError, match=message) as caught:
            load(own(tree))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("suffix", ["png", "jpg"])
    def test_a_truncated_picture_is_reported(self, tmp_path, suffix):
        noise = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
        for row in range(4):
            picture(tmp_path / "ab"[row // 2] / f"{row}.{suffix}", noise)
        path = tmp_path / "a" / f"1.{suffix}"
        path.write_bytes(path.read_bytes()[:-300])
        with pytest.raises(InputError, match=rf"1.{suffix} cannot be read \(.*truncated.*\); repair or remove it"):
            load(own(tmp_path))

    def test_a_picture_that_unpacks_to_too_much_is_not_unpacked(self, tree):
        path = tree / "cat" / "0.png"
        raw = path.read_bytes()
        # Of the header chunk, width and height: 10,000 by 10,000; and its checksum.
        header = b"IHDR" + (10_000).to_bytes(4, "big") * 2 + raw[24:29]
        path.write_bytes(raw[:12] + header + zlib.crc32(header).to_bytes(4, "big") + raw[33:])
        with pytest.raises(InputError, match=r"0.png is too large: Image size .*; scale it down"):
            load(own(tree))

    def test_pictures_that_are_too_many_are_reported_before_they_are_read(self, tree, monkeypatch):
        monkeypatch.setattr(formats, "LARGEST", 35)
        with pytest.raises(
            InputError, match=r"there are 6 pictures of 3x2 pixels .width x height., more than .* GiB; scale them"
        ):
            load(own(tree))

    def test_an_empty_folder_is_reported_with_what_was_expected(self, tmp_path):
        with pytest.raises(InputError, match=r"has no folders and no train-images-idx3-ubyte; expected a folder of"):
            load(own(tmp_path))
        (tmp_path / "train").mkdir()
        with pytest.raises(InputError, match=r"train has no folders; expected one per class"):
            load(own(tmp_path))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (None, "data.path is null, but data.dataset is own; expected the path of a file of arrays, of a table"),
        ("no/such.npz", "data.path is no/such.npz: there is no file or folder /.*/no/such.npz; expected"),
        ("x" * 300, "cannot be read .File name too long"),
        ("~nobody-here/x", "Could not determine home directory"),
    ],
)
def test_a_path_that_cannot_be_used_is_reported(path, message):
    with pytest.raises(InputError, match=message):
        load(Data(dataset="own", path=path))


def test_own_data_are_divided_and_explored_like_any(tree):
    dataset = load(own(tree))
    parts = split(dataset, own(tree, validation=0.3, test=0.3))
    assert set(explore(dataset, parts).duplicates.values()) == {0}
    assert sorted(image.tobytes() for _, part in parts.parts() for image in part.images) == sorted(
        image.tobytes() for image in IMAGES
    )


def test_an_image_is_traced_to_its_file_or_row(tree, tmp_path):
    facts = load(own(tree)).facts
    assert facts.source_of("train", 4) == "tree/dog/3.png"
    path = npz(tmp_path, images_train=IMAGES, labels_train=LABELS, images_test=IMAGES[:1], labels_test=LABELS[:1])
    assert load(own(path)).facts.source_of("test", 0) == "test 0"
    assert load(own(path)).facts.parts == ("train", "test")
