"""A file that was part of the training data has, for `predict`, the very pixels that the network was trained on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.data.dataset import Dataset, Images
from pipeline.data.sources import load
from pipeline.errors import InputError
from pipeline.experiment import Data
from pipeline.serving.predict import Inputs, read_and_resize
from pipeline.serving.resize import frame_of

NOISE = np.random.default_rng(7)
LABELS = np.array([0, 1] * 6)
HELD = 4
"""Images of the test part, where there is one."""


def trained(path: Path, *, keep_colour: bool = False, **keys: Any) -> Dataset:
    """The user's data as an experiment reads them."""
    return load(Data(dataset="own", path=str(path), **keys), keep_colour=keep_colour, progress=lambda _: None)


def predicted(given: Path, data: Dataset, invert: Any = None) -> Inputs:
    """What the network gets of a file or folder."""
    return read_and_resize(given, frame_of(data.images_train, pixel_max=data.pixel_max), data.read_as, invert)


@dataclass(frozen=True)
class Kind:
    """One kind of data: `make` writes it into a folder and returns what to train on and what to predict."""

    make: Callable[[Path], tuple[Path, Path]]
    keys: Mapping[str, Any]
    part: str = "images_test"
    keep_colour: bool = False


def npz(rows: Any, **keys: Any) -> Kind:
    """One npz file, of which `predict` reads the test images."""

    def make(folder: Path) -> tuple[Path, Path]:
        parts = {"x_train": rows[HELD:], "y_train": LABELS[HELD:], "x_test": rows[:HELD], "y_test": LABELS[:HELD]}
        np.savez(folder / "mine.npz", allow_pickle=False, **parts)
        return folder / "mine.npz", folder / "mine.npz"

    return Kind(make, keys)


def npy(rows: Any, **keys: Any) -> Kind:
    """A folder of npy files, of which one is predicted."""

    def make(folder: Path) -> tuple[Path, Path]:
        for name, array in (
            ("x_train", rows[HELD:]), ("y_train", LABELS[HELD:]), ("x_test", rows[:HELD]), ("y_test", LABELS[:HELD]),
        ):  # fmt: skip
            np.save(folder / f"{name}.npy", array)
        return folder, folder / "x_test.npy"

    return Kind(make, keys)


def idx(folder: Path) -> tuple[Path, Path]:
    for name, values in (
        ("train-images-idx3", whole(16)[HELD:]), ("train-labels-idx1", LABELS[HELD:]),
        ("t10k-images-idx3", whole(16)[:HELD]), ("t10k-labels-idx1", LABELS[:HELD]),
    ):  # fmt: skip
        content = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
        (folder / f"{name}-ubyte").write_bytes(content + values.astype(np.uint8).tobytes())
    return folder, folder / "t10k-images-idx3-ubyte"


def tree(mode: str, *, sizes: tuple[tuple[int, int], ...] = ((6, 6),), most: int = 255, **keys: Any) -> Kind:
    """A folder of pictures for each of two classes, day and night."""

    def make(folder: Path) -> tuple[Path, Path]:
        pictures(folder, mode, sizes, most)
        return folder, folder

    return Kind(make, keys, part="images_train")


def pictures(folder: Path, mode: str, sizes: tuple[tuple[int, int], ...], most: int = 255) -> None:
    channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    for row, label in enumerate(LABELS):
        size = sizes[row % len(sizes)]
        pixels = NOISE.integers(0, most + 1, (*size, *channels), np.uint8)
        pixels[[0, -1], :, ...] = pixels[:, [0, -1], ...] = most * label  # day has a dark border, night a light one
        if mode == "RGBA":
            pixels[..., 3] = 255 * (pixels[..., 0] > 99)
        path = folder / ("night", "day")[label] / f"{row:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)


def table(write: Callable[[pd.DataFrame, Path], None], name: str, rows: Images, **keys: Any) -> Kind:
    """A table with a column per pixel."""

    def make(folder: Path) -> tuple[Path, Path]:
        flat = rows.reshape(len(rows), -1)
        frame = pd.DataFrame({"label": LABELS} | {f"pixel{place}": column for place, column in enumerate(flat.T)})
        write(frame, folder / name)
        return folder / name, folder / name

    return Kind(make, keys, part="images_train")


def paths(folder: Path) -> tuple[Path, Path]:
    """A CSV file with the paths of pictures of several sizes."""
    pictures(folder, "RGBA", ((6, 6), (9, 5)))
    files = sorted(folder.glob("*/*.png"))
    pd.DataFrame({"path": files, "label": [path.parent.name for path in files]}).to_csv(folder / "a.csv", index=False)
    return folder / "a.csv", folder / "a.csv"


def whole(most: int, *shape: int) -> Any:
    rows = NOISE.integers(0, most + 1, (len(LABELS), *(shape or (6, 6))))
    rows[[0, -1], ..., 0] = most  # of the range of both parts
    return rows


FRACTIONS = np.minimum(whole(255), 254) + 0.5
DIM = np.minimum(whole(255), 254) + 0.25
DIM[:HELD] *= 0.3
"""Fractions up to 255, of which those of the test part could have another range."""
CSV: Callable[[pd.DataFrame, Path], None] = lambda frame, path: frame.to_csv(path, index=False)  # noqa: E731
BARE: Callable[[pd.DataFrame, Path], None] = lambda frame, path: frame.to_csv(path, index=False, header=False)  # noqa: E731
COUNTED: Callable[[pd.DataFrame, Path], None] = lambda frame, path: frame.to_csv(  # noqa: E731
    path, index=False, header=[str(place) for place in range(len(frame.columns))]
)
PARQUET: Callable[[pd.DataFrame, Path], None] = lambda frame, path: frame.to_parquet(path)  # noqa: E731

KINDS = {
    "each colour by itself": npz(whole(255, 75).astype(np.uint8), shape=[3, 5, 5], channels="rgb"),
    "each colour by itself, scaled": npz(whole(255, 75).astype(np.uint8), shape=[3, 5, 5], size=4, channels="rgb"),
    "each colour by itself, grey": npz(whole(255, 75).astype(np.uint8), shape=[3, 5, 5]),
    "colours last": npz(whole(255, 75).astype(np.uint8), shape=[5, 5, 3], channels="rgb"),
    "channels first": npz(whole(255, 3, 5, 5).astype(np.uint8), channels="rgb"),
    "flat rows of a shape": npz(whole(255, 36).astype(np.uint8), shape=[4, 9]),
    "flat rows that are squares, scaled": npz(whole(255, 64).astype(np.uint8), size=[4, 9]),
    "flat rows of a shape, scaled to one of as many pixels": npz(whole(255, 36).astype(np.uint8), shape=[4, 9], size=6),
    "flat rows in grey for a network of colour": npz(whole(255, 36).astype(np.uint8), channels="rgb"),
    "colour that a model of one's own keeps": Kind(npz(whole(255, 5, 5, 3)).make, {}, keep_colour=True),
    "12 bits": npz(whole(4095).astype(np.uint16), pixel_max=4095),
    "12 bits, flat and scaled": npy(whole(4095, 64).astype(np.uint16), pixel_max=4095, size=5),
    "0 to 16": npz(whole(16), pixel_max=16),
    "0 to 16 as fractions": npz(np.minimum(whole(16) + 0.25, 16), pixel_max=16),
    "0 to 16 with whole numbers alone in the test part": npz(
        np.concatenate([whole(16)[:HELD], np.minimum(whole(16) + 0.25, 16)[HELD:]]), pixel_max=16
    ),
    "0 to 1": npz(whole(255) / 255),
    "true and false": npy(whole(1).astype(bool)),
    "fractions up to 255": npz(FRACTIONS),
    "fractions up to 255 that are dim in the test part": npz(DIM),
    "scaled arrays": npz(whole(255).astype(np.uint8), size=[9, 4]),
    "IDX": Kind(idx, {"pixel_max": 16}),
    "grey pictures": tree("L"),
    "scaled pictures": tree("L", sizes=((6, 6), (12, 7), (5, 3)), size=5),
    "coloured pictures": tree("RGB", sizes=((6, 6), (12, 7)), size=[4, 6], channels="rgb"),
    "coloured pictures in grey": tree("RGB"),
    "transparent pictures on white": tree("RGBA", channels="rgb"),
    "transparent pictures on black": tree("RGBA", sizes=((6, 6), (12, 7)), size=5, background="black"),
    "pictures of 0 to 16": tree("L", most=16, pixel_max=16),
    "pictures of 0 to 16, scaled": tree("L", sizes=((6, 6), (12, 7)), size=5, most=9, pixel_max=16),
    "pictures whose range is said to be larger": tree("L", pixel_max=510),
    "CSV of pixels": table(CSV, "a.csv", whole(16), pixel_max=16),
    "CSV without a header": table(BARE, "a.csv", whole(16), pixel_max=16, size=4),
    "CSV of a shape without a header": table(BARE, "a.csv", whole(255, 40), shape=[5, 8]),
    "CSV with counted columns": table(COUNTED, "a.csv", whole(255)),
    "CSV of colours": table(CSV, "a.csv", whole(255, 48), shape=[3, 4, 4], channels="rgb"),
    "Parquet of fractions": table(PARQUET, "a.parquet", whole(255) / 255, size=4),
    "CSV of paths": Kind(paths, {"size": 5, "background": "black"}, part="images_train"),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_was_trained_on_is_predicted_with_the_same_pixels(tmp_path: Path, kind: Kind) -> None:
    path, given = kind.make(tmp_path)
    data = trained(path, keep_colour=kind.keep_colour, **kind.keys)
    found = predicted(given, data)
    assert not any(found.errors)
    assert np.array_equal(found.images, getattr(data, kind.part))


def test_pictures_are_not_inverted_whatever_the_background_of_a_class_is(tmp_path: Path) -> None:
    """Day has a light border and night a dark one; here all examples of the network's images are of night."""
    pictures(tmp_path, "L", ((6, 6),))
    data = trained(tmp_path)
    night = frame_of(data.images_train[data.labels_train == 1], pixel_max=255)
    assert night.light is False
    given = read_and_resize(tmp_path, night, data.read_as, None)
    assert np.array_equal(given.images, data.images_train)
    asked = read_and_resize(tmp_path, night, data.read_as, "yes")
    assert np.array_equal(asked.images, 255 - data.images_train)


def test_a_border_of_30_in_training_is_30_in_predict(tmp_path: Path) -> None:
    for name, border in (("day", 200), ("night", 30)):
        (tmp_path / name).mkdir()
        for row in range(4):
            pixels = np.full((28, 28), border, np.uint8)
            pixels[10:18, 10:18] = 100 + row
            Image.fromarray(pixels).save(tmp_path / name / f"{row}.png")
    data = trained(tmp_path)
    assert predicted(tmp_path / "night", data).images[:, 0, 0].tolist() == [30] * 4
    assert predicted(tmp_path / "day" / "0.png", data).images[:, 0, 0].tolist() == [200]


def test_a_small_object_stays_small(tmp_path: Path) -> None:
    """Classes that differ by the size of a square: 8 of 64 pixels are 4 of 28, rounded, and 48 are 21."""
    for name, side in (("large", 48), ("small", 8)):
        (tmp_path / name).mkdir()
        for row in range(4):
            pixels = np.zeros((64, 64), np.uint8)
            pixels[(64 - side) // 2 : (64 + side) // 2, (64 - side) // 2 : (64 + side) // 2] = 200 + row
            Image.fromarray(pixels).save(tmp_path / name / f"{row}.png")
    data = trained(tmp_path, size=28)
    for name, side in (("large", 21), ("small", 4)):
        (image,) = predicted(tmp_path / name / "0.png", data).images
        assert int((image > 100).sum(axis=0).max()) == pytest.approx(side, abs=1)


def test_a_picture_of_another_size_than_in_training_is_fitted_as_a_whole(tmp_path: Path) -> None:
    """10 x 20 pixels in a frame of 6 x 6: 3 x 6, and the colour of the border above and below."""
    pictures(tmp_path, "L", ((6, 6),))
    data = trained(tmp_path)
    Image.fromarray(np.full((10, 20), 70, np.uint8)).save(tmp_path / "wide.png")
    assert predicted(tmp_path / "wide.png", data).images.tolist() == [[[70] * 6] * 6]


def test_pictures_go_to_255_where_the_stated_range_is_that_of_arrays(tmp_path: Path) -> None:
    data = trained(npz(whole(16), pixel_max=16).make(tmp_path)[0], pixel_max=16)
    Image.fromarray(np.full((6, 6), 255, np.uint8)).save(tmp_path / "white.png")
    assert np.unique(predicted(tmp_path / "white.png", data).images).tolist() == [16]
    pd.DataFrame({"path": ["white.png"]}).to_csv(tmp_path / "a.csv")
    assert np.unique(predicted(tmp_path / "a.csv", data).images).tolist() == [16]


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (
            npz(whole(4095), pixel_max=4095),
            np.full((1, 6, 6), 4096),
            r"a pixel of 4096 in image 0; expected 0 to 4095, as the model was trained on: scale the images$",
        ),
        (npz(whole(255)), np.full((1, 6, 6), 256), r"a pixel of 256 in image 0; expected 0 to 255: scale the images$"),
        (npz(whole(255)), np.full((1, 6, 6), 25.5), r"fractions up to 25.5; expected 0 to 1 or 0 to 255: scale them$"),
        (
            npz(FRACTIONS),
            np.full((1, 6, 6), 0.75),
            r"no pixel above 0.75; expected 0 to 255, as the model was trained on: images \* 255, if they go from 0 to 1$",
        ),
        (
            npz(whole(255, 75), shape=[3, 5, 5], size=4, channels="rgb"),
            np.zeros((2, 36)),
            r"flat rows of 36 pixels; the model takes 4x4x3; expected rows of 75 or 48$",
        ),
    ],
)
def test_what_training_would_refuse_is_refused_and_no_key_of_an_experiment_is_the_cure(
    tmp_path: Path, kind: Kind, given: Any, message: str
) -> None:
    data = trained(kind.make(tmp_path)[0], **kind.keys)
    np.save(tmp_path / "given.npy", given)
    with pytest.raises(InputError, match=message) as refused:
        predicted(tmp_path / "given.npy", data)
    assert "data." not in str(refused.value)


def test_fractions_of_a_range_that_training_knew_may_be_dim(tmp_path: Path) -> None:
    data = trained(npz(FRACTIONS).make(tmp_path)[0])
    np.save(tmp_path / "given.npy", np.full((1, 6, 6), 25.75))
    assert np.unique(predicted(tmp_path / "given.npy", data).images).tolist() == [26]
