"""The same images and labels in every form that is understood give the same data set."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from pipeline.data.dataset import Dataset
from pipeline.data.exploration import explore
from pipeline.data.sources import load
from pipeline.data.split import split
from pipeline.experiment import Data

SIDE = 5
"""Pixels; the rows of `grey` are squares."""
LABELS = np.array([0, 1, 2] * 4)
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
pixels = hnp.arrays(np.uint8, (len(LABELS), SIDE, SIDE))
Form = Callable[[Path, np.ndarray], Path]


def own(path: Path, **keys) -> Data:
    return Data(dataset="own", path=str(path), **keys)


def npz(images, labels=LABELS, names=("images_train", "labels_train")) -> Form:
    """A function that writes both, converted, as an npz file."""

    def write(folder: Path, given: np.ndarray) -> Path:
        path = folder / "mine.npz"
        np.savez(path, **dict(zip(names, (images(given), labels), strict=True)))
        return path

    return write


def npy(folder: Path, given: np.ndarray) -> Path:
    np.save(folder / "X_train.npy", given)
    np.save(folder / "y_train.npy", LABELS)
    return folder


def idx(folder: Path, given: np.ndarray) -> Path:
    for kind, values in (("images-idx3", given), ("labels-idx1", LABELS.astype(np.uint8))):
        content = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.tobytes()
        # Two streams, and padding: as a tape drive or a parallel compressor leaves them.
        packed = gzip.compress(content[:9]) + gzip.compress(content[9:]) + b"\0" * 7
        (folder / f"train-{kind}-ubyte.gz").write_bytes(packed)
    return folder


def opaque(given: np.ndarray) -> np.ndarray:
    return np.concatenate([np.repeat(given[..., None], 3, -1), np.full((*given.shape, 1), 255, np.uint8)], -1)


def plain(images: np.ndarray) -> np.ndarray:
    return images


def table(images: np.ndarray, *, names=None) -> pd.DataFrame:
    """A column of labels and one per pixel, as Kaggle has them: `label, pixel1, pixel2, …`."""
    flat = images.reshape(len(images), -1)
    frame = pd.DataFrame(flat, columns=names or [f"pixel{number}" for number in range(1, flat.shape[1] + 1)])
    frame.insert(0, "label", LABELS)
    return frame


def csv(name: str = "mine.csv", *, change=lambda frame: frame, **options) -> Form:
    def write(folder: Path, given: np.ndarray) -> Path:
        change(table(given)).to_csv(folder / name, **{"index": False, **options})
        return folder / name

    return write


def grid_csv(folder: Path, given: np.ndarray) -> Path:
    names = [f"{row}x{column}" for row in range(1, SIDE + 1) for column in range(1, SIDE + 1)]
    table(given, names=names).to_csv(folder / "mine.csv", index=False)
    return folder / "mine.csv"


def parquet(folder: Path, given: np.ndarray) -> Path:
    table(given).to_parquet(folder / "mine.parquet")
    return folder / "mine.parquet"


def nested_parquet(folder: Path, given: np.ndarray) -> Path:
    pd.DataFrame({"image": given.tolist(), "label": LABELS}).to_parquet(folder / "mine.parquet")
    return folder / "mine.parquet"


def shards(folder: Path, given: np.ndarray) -> Path:
    for number, rows in enumerate((slice(0, 5), slice(5, None))):
        table(given).iloc[rows].to_parquet(folder / f"train-{number:05}-of-00002.parquet")
    return folder


def texts_of_pixels(folder: Path, given: np.ndarray) -> Path:
    texts = [" ".join(map(str, image.ravel())) for image in given]
    pd.DataFrame({"emotion": LABELS, "pixels": texts}).to_csv(folder / "mine.csv", index=False)
    return folder / "mine.csv"


FORMS = {
    "fractions from 0 to 1": npz(lambda images: images / 255),
    "half precision": npz(lambda images: (images / 255).astype(np.float16)),
    "fractions from 0 to 255": npz(lambda images: images + 0.25 * (images < 255)),
    "flat rows": npz(lambda images: images.reshape(len(images), -1)),
    "flat fractions": npz(lambda images: images.reshape(len(images), -1) / 255),
    "channels first": npz(lambda images: np.repeat(images[:, None], 3, 1), names=("x_train", "y_train")),
    "one channel first": npz(lambda images: images[:, None]),
    "opaque alpha": npz(opaque),
    "grey and opaque alpha": npz(lambda images: np.stack([images, np.full_like(images, 255)], -1)),
    "one-hot labels": npz(plain, np.eye(3)[LABELS]),
    "labels in a column": npz(plain, LABELS[:, None]),
    "labels as fractions": npz(plain, LABELS.astype(np.float32)),
    "x and y": npz(plain, names=("x", "y")),
    "data and target": npz(lambda images: images.reshape(len(images), -1), names=("data", "target")),
    "train_images and train_labels": npz(plain, names=("train_images", "train_labels")),
    "npy files": npy,
    "IDX files in several gzip streams": idx,
    "CSV": csv(),
    "CSV, gzipped": csv("mine.csv.gz"),
    "CSV with the numbers of its rows": csv(index=True),
    "CSV with semicolons": csv(sep=";"),
    "TSV": csv("mine.tsv", sep="\t"),
    "CSV without a header": csv(header=False),
    "CSV, a byte order mark": csv(encoding="utf-8-sig"),
    "CSV, columns in the order of their text": csv(change=lambda frame: frame[sorted(frame)]),
    "CSV of fractions": csv(change=lambda frame: frame.assign(**(frame.filter(like="pixel") / 255))),
    "CSV with rows and columns as names": grid_csv,
    "CSV of texts of pixels": texts_of_pixels,
    "Parquet": parquet,
    "Parquet with an array per row": nested_parquet,
    "Parquet in several files": shards,
}  # fmt: skip


@QUICK
@given(images=pixels, form=st.sampled_from(sorted(FORMS)))
def test_every_form_of_the_same_data_gives_the_same_digest(tmp_path_factory, images, form):
    images[0, 0, 0], images[1, 0, 0] = 255, 7  # bright enough that a scale from 0 to 255 is in no doubt
    folder = tmp_path_factory.mktemp("form")
    asked = load(own(npz(plain)(folder, images))).digest
    (folder / "mine.npz").unlink()
    assert load(own(FORMS[form](folder, images))).digest == asked


def read(tmp_path: Path, images, labels=LABELS, **keys) -> tuple[Dataset, str]:
    """The data set, and the line that was said."""
    said: list[str] = []
    np.savez(tmp_path / "mine.npz", images=images, labels=labels, allow_pickle=False)
    dataset = load(own(tmp_path / "mine.npz", **keys), progress=said.append)
    return dataset, "\n".join(said)


COLOURS = np.random.default_rng(3).integers(0, 256, (len(LABELS), SIDE, SIDE, 3), np.uint8)
GREY = np.random.default_rng(1).integers(60, 250, (len(LABELS), SIDE, SIDE), np.uint8)


def test_what_was_converted_is_said_in_one_line_and_recorded(tmp_path):
    dataset, said = read(tmp_path, GREY.reshape(len(GREY), -1) / 255, np.eye(3)[LABELS])
    assert said == (
        "data: flat rows of 25 read as 5x5; pixels of 0 to 1 scaled to 0 to 255; one-hot labels read as their columns"
    )
    table = explore(dataset, split(dataset, own(tmp_path, validation=0.2, test=0.2))).table
    assert table["value"][table["what"] == "converted"].tolist() == list(dataset.notes)
    assert "; ".join(dataset.notes) in said


def test_nothing_is_said_where_nothing_is_converted(tmp_path):
    assert read(tmp_path, GREY)[1] == ""


@pytest.mark.parametrize(
    ("given", "stated", "expected", "pixel_max"),
    [
        ([0, 1, 16], 16, [0, 1, 16], 16),  # whole numbers stay as they are
        ([0, 0.5, 16], 16, [0, 8, 255], 255),  # 0.5 x 255 / 16 = 7.97
        ([0, 257, 65535], 65535, [0, 1, 255], 255),
        ([0, 0.5, 1], 1, [0, 128, 255], 255),
        ([0.0, 1.0, 1.0], None, [0, 255, 255], 255),
        ([False, True, True], None, [0, 255, 255], 255),
        ([0, 0.5, 1.0000001], None, [0, 128, 255], 255),  # rounding of single precision
        ([0, 127.5, 254.6], None, [0, 128, 255], 255),
    ],
)
def test_the_scale_of_pixels_is_stated_or_seen(tmp_path, given, stated, expected, pixel_max):
    images = np.zeros((6, 1, 3), np.array(given).dtype)
    images[:] = given
    dataset, _ = read(tmp_path, images, [0, 0, 0, 1, 1, 1], pixel_max=stated)
    assert dataset.images_train[0, 0].tolist() == expected
    assert dataset.pixel_max == pixel_max


def test_fractions_of_all_parts_have_one_scale(tmp_path):
    """The largest of the test part is below 1, and still a share of 255."""
    test = {"x_test": GREY[:3] / 510, "y_test": LABELS[:3]}
    np.savez(tmp_path / "mine.npz", allow_pickle=False, x_train=GREY / 255, y_train=LABELS, **test)
    assert np.array_equal(load(own(tmp_path / "mine.npz")).images_test, np.rint(GREY[:3] / 2).astype(np.uint8))


@pytest.mark.parametrize(
    ("labels", "names", "said"),
    [
        ([1, 2, 1, 2, 3, 3], ("1", "2", "3"), "labels 1, 2, 3 read as classes of these names"),
        ([0, 7, 0, 7, 9, 9], ("0", "7", "9"), "labels 0, 7, 9 read as classes of these names"),
        ([-1, 1, -1, 1, 1, 1], ("-1", "1"), "labels -1, 1 read as classes of these names"),
        ([0, 2**63, 0, 2**63, 0, 2**63], ("0", str(2**63)), f"labels 0, {2**63} read as classes of these names"),
        ([2, 10, 2, 10, 2, 2], ("2", "10"), "labels 2, 10 read as classes of these names"),
        ([True, False] * 3, ("0", "1"), ""),
    ],
)
def test_labels_from_one_or_with_holes_are_classes_of_their_own_names(tmp_path, labels, names, said):
    dataset, line = read(tmp_path, GREY[:6], np.array(labels, "u8" if max(labels) > 9999 else None))
    assert dataset.class_names == names
    assert [int(names[label]) for label in dataset.labels_train] == labels
    assert said in line


def test_labels_counted_from_one_go_with_the_class_names(tmp_path):
    np.savez(tmp_path / "mine.npz", images=GREY, labels=LABELS + 1, class_names=["ape", "bee", "cat"])
    dataset = load(own(tmp_path / "mine.npz"))
    assert dataset.labels_train.tolist() == LABELS.tolist()
    assert dataset.notes == ("labels counted from 1",)


@pytest.mark.parametrize(
    ("shape", "arrange"),
    [([1, 25], plain), ([5, 5, 3], plain), ([3, 5, 5], lambda images: np.moveaxis(images, 3, 1))],
)
def test_a_stated_shape_is_that_of_flat_rows(tmp_path, shape, arrange):
    images = GREY.reshape(-1, 1, 25) if len(shape) == 2 else COLOURS
    flat, _ = read(tmp_path, arrange(images).reshape(len(images), -1), shape=shape)
    assert flat.digest == read(tmp_path, images)[0].digest


@pytest.mark.parametrize("name", ["images_validation", "images_val", "x_valid", "val_images", "x_val"])
def test_a_validation_part_is_the_validation_split(tmp_path, name):
    labels = name.replace("images", "labels").replace("x_", "y_")
    arrays = {"images_train": GREY, "labels_train": LABELS, name: GREY[[4, 0]] + 1, labels: LABELS[[4, 0]]}
    np.savez(tmp_path / "mine.npz", allow_pickle=False, **arrays)
    data = own(tmp_path / "mine.npz", test=0.2)
    dataset = load(data)
    parts = split(dataset, data)
    assert parts.validation.images.tolist() == (GREY[[4, 0]] + 1).tolist()
    assert parts.validation.labels.tolist() == [1, 0]
    assert len(parts.train) + len(parts.test) == len(GREY)
    assert dataset.digest != read(tmp_path, GREY)[0].digest


def test_arrays_that_are_left_unread_are_named(tmp_path):
    np.savez(tmp_path / "mine.npz", images=GREY, data=GREY.reshape(len(GREY), -1), target=LABELS, notes=np.array([1]))
    assert load(own(tmp_path / "mine.npz")).notes == ("arrays left unread: data, notes",)


def test_images_are_scaled_to_a_stated_size_with_their_proportions_kept(tmp_path):
    """4 x 2 in a frame of 4 x 4 leaves a column on each side, of the colour of the border."""
    images = np.full((12, 4, 2), 90, np.uint8)
    dataset, said = read(tmp_path, images, size=4)
    assert dataset.images_train.shape == (12, 4, 4)
    assert set(dataset.images_train.ravel().tolist()) == {90}
    assert "images of 4x2 scaled to 4x4" in said
    images[:, 1:3, 0] = 200  # a part of the border, which is not its median
    assert read(tmp_path, images, size=[4, 4])[0].images_train[0, :, 0].tolist() == [90] * 4


def test_colour_is_kept_if_asked_and_grey_is_given_three_equal_channels(tmp_path):
    dataset, said = read(tmp_path, COLOURS, channels="rgb")
    assert np.array_equal(dataset.images_train, COLOURS)
    assert said == ""
    assert "colour turned grey (data.channels=rgb keeps it)" in read(tmp_path, COLOURS)[1]
    dataset, said = read(tmp_path, GREY, channels="rgb")
    assert np.array_equal(dataset.images_train, np.repeat(GREY[..., None], 3, -1))
    assert said == "data: grey images given three equal channels"


def test_the_shape_of_an_image_has_its_channels(tmp_path):
    data = own(tmp_path, channels="rgb", validation=0.2, test=0.2)
    dataset, _ = read(tmp_path, COLOURS, channels="rgb")
    parts = split(dataset, data)
    assert (parts.image_shape, parts.inputs) == ((SIDE, SIDE, 3), 75)


def tree(folder: Path, images: np.ndarray, suffix: str = "png", **options) -> Path:
    """A folder per class; pictures in the order of `images` within it."""
    for row, image in enumerate(images):
        path = folder / "abc"[LABELS[row]] / f"{row:02}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, **options)
    return folder


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tif", "webp"])
@pytest.mark.parametrize(("images", "channels"), [(GREY, "grey"), (COLOURS // 86 * 86, "rgb")])
def test_picture_files_of_every_format_give_the_digest_of_the_array(tmp_path, suffix, images, channels):
    options = {"lossless": True} if suffix == "webp" else {}
    order = np.argsort(LABELS, kind="stable")
    np.savez(tmp_path / "mine.npz", images=images[order], labels=np.array(["a", "b", "c"])[LABELS[order]])
    asked = load(own(tmp_path / "mine.npz", channels=channels))
    assert load(own(tree(tmp_path / "tree", images, suffix, **options), channels=channels)).digest == asked.digest


def test_a_model_of_your_own_gets_images_as_they_are(tmp_path):
    for images in (GREY, COLOURS):
        np.savez(tmp_path / "mine.npz", images=images, labels=LABELS)
        kept = load(own(tmp_path / "mine.npz"), keep_colour=True)
        assert np.array_equal(kept.images_train, images)
        found = load(own(tree(tmp_path / f"{images.ndim}", images)), keep_colour=True)
        assert found.images_train.shape == images.shape


def test_scaling_keeps_the_largest_pixel_and_the_remark_is_about_the_input(tmp_path):
    images = np.zeros((12, 8, 8), np.uint8)
    images[:, 2:5, 3:7] = 16
    dataset, _ = read(tmp_path, images, size=13, pixel_max=16)
    assert (dataset.images_train.max(), dataset.pixel_max) == (16, 16)
    assert "the largest pixel is 16 of 255" in read(tmp_path, images, size=13)[1]
