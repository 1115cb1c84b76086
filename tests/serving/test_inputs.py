"""Reading the images to predict from every file type."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data import formats
from pipeline.errors import InputError
from pipeline.serving.inputs import Picture, Unreadable, read


def pictures(path, *, shape=(2, 3), pixel_max=255):
    return list(read(path, image_shape=shape, pixel_max=pixel_max))


def idx(images):
    sizes = b"".join(size.to_bytes(4, "big") for size in images.shape)
    return bytes([0, 0, 8, images.ndim]) + sizes + images.tobytes()


ROWS = np.array([[[0, 9, 200], [1, 2, 3]], [[4, 5, 6], [7, 8, 255]]], np.uint8)


@pytest.mark.parametrize("name", ["images", "x", "x_test", "images_train", "anything"])
def test_the_images_of_an_npz_file_are_its_rows(tmp_path, name):
    np.savez(tmp_path / "a.npz", allow_pickle=False, **{name: ROWS})
    found = pictures(tmp_path / "a.npz")
    assert [each.name for each in found] == ["0", "1"]
    assert np.array_equal([each.pixels for each in found], ROWS)
    assert {each.photographed for each in found} == {False}


def test_test_images_come_before_train_images(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=ROWS, y_train=[0, 1], x_test=ROWS[:1], y_test=[0])
    assert len(pictures(tmp_path / "a.npz")) == 1


def test_flat_rows_as_long_as_an_image_are_taken(tmp_path):
    np.savez(tmp_path / "a.npz", images=ROWS.reshape(2, 6))
    assert np.array_equal([each.pixels for each in pictures(tmp_path / "a.npz")], ROWS)


@pytest.mark.parametrize(("pack", "name"), [(bytes, "t10k-images-idx3-ubyte"), (gzip.compress, "images.gz")])
def test_an_idx_file_is_known_by_its_content(tmp_path, pack, name):
    (tmp_path / name).write_bytes(pack(idx(ROWS)))
    assert np.array_equal([each.pixels for each in pictures(tmp_path / name)], ROWS)


@pytest.mark.parametrize(("largest", "most"), [(16, 16), (17, 255)])
def test_arrays_within_the_networks_range_are_on_its_scale(tmp_path, largest, most):
    np.savez(tmp_path / "a.npz", images=np.full((1, 2, 3), largest))
    assert [each.most for each in pictures(tmp_path / "a.npz", pixel_max=16)] == [most]


def test_a_folder_gives_its_pictures_and_those_below_by_name(tmp_path):
    (tmp_path / "shoes" / ".trash").mkdir(parents=True)
    for name, colour in (
        ("b.JPG", "white"),
        ("a.png", "black"),
        ("shoes/c.jpeg", "red"),
        ("shoes/.trash/d.png", "red"),
    ):
        kind = "PNG" if name.endswith("png") else "JPEG"
        Image.new("RGB", (5, 4), colour).save(tmp_path / name, kind)
    (tmp_path / "Thumbs.db").write_bytes(b"not a picture")
    found = pictures(tmp_path)
    assert [each.name for each in found] == ["a.png", "b.JPG", "shoes/c.jpeg"]
    assert [each.pixels.shape for each in found] == [(4, 5)] * 3
    # Red is .299 x 255 = 76 in grey, give or take what JPEG makes of it.
    assert [int(each.pixels[0, 0]) for each in found] == [0, 255, pytest.approx(76, abs=1)]
    assert {each.photographed for each in found} == {True}


def test_one_picture_is_known_by_its_content_regardless_of_its_name(tmp_path):
    Image.new("L", (5, 4), 7).save(tmp_path / "picture.dat", "PNG")
    (found,) = pictures(tmp_path / "picture.dat")
    assert (found.name, found.pixels.tolist()) == ("picture.dat", [[7] * 5] * 4)


def test_what_cannot_be_read_in_a_folder_is_named_with_its_reason_in_its_place(tmp_path):
    for name in ("a.png", "c.png"):
        Image.new("L", (5, 4), 7).save(tmp_path / name)
    (tmp_path / "b.png").write_bytes(b"text")
    os.mkfifo(tmp_path / "d.png")
    (tmp_path / "e.png").symlink_to("nowhere")
    found = pictures(tmp_path)
    assert [each.name for each in found] == ["a.png", "b.png", "c.png", "d.png", "e.png"]
    assert [type(each) for each in found] == [Picture, Unreadable, Picture, Unreadable, Unreadable]
    assert (
        found[1].reason
        == f"{tmp_path}/b.png is not a PNG, JPEG, BMP, GIF, WebP or TIFF file, or is damaged; repair or remove it"
    )
    assert "no regular file" in found[3].reason
    assert "cannot be read (No such file or directory)" in found[4].reason


def test_a_folder_that_cannot_be_listed_is_named_and_the_rest_is_read(tmp_path, monkeypatch):
    Image.new("L", (5, 4), 7).save(tmp_path / "a.png")
    (tmp_path / "shut").mkdir()
    scan = os.scandir

    def scandir(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)  # root may list every folder
    found = pictures(tmp_path)
    assert [(each.name, type(each)) for each in found] == [("a.png", Picture), ("shut", Unreadable)]
    assert found[1].reason == f"{tmp_path}/shut cannot be read (Permission denied); make it readable or leave it out"


def test_names_that_are_not_utf_8_are_given_with_their_bytes(tmp_path):
    Image.new("L", (5, 4), 7).save(tmp_path / os.fsdecode(b"caf\xe9.png"))
    (tmp_path / os.fsdecode(b"caf\xe9")).mkdir()
    (tmp_path / os.fsdecode(b"caf\xe9/x.png")).write_bytes(b"text")
    bad, good = pictures(tmp_path)
    assert (bad.name, good.name) == (r"caf\xe9/x.png", r"caf\xe9.png")
    assert bad.reason.startswith(rf"{tmp_path}/caf\xe9/x.png is not")
    (alone,) = pictures(tmp_path / os.fsdecode(b"caf\xe9.png"))
    assert alone.name == r"caf\xe9.png"


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe: not a regular file; expected an npz, npy, IDX, CSV"):
        pictures(tmp_path / "pipe")


def test_a_file_of_too_much_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "x.idx").write_bytes(idx(ROWS))  # 28 bytes
    monkeypatch.setattr(formats, "LARGEST", 27)
    with pytest.raises(InputError, match=r"x\.idx has 28 bytes; expected .* at most"):
        pictures(tmp_path / "x.idx")
    monkeypatch.setattr(formats, "LARGEST", 28)
    assert len(pictures(tmp_path / "x.idx")) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("a,b\n1,2\n"), "not a file of images; expected an npz, npy, IDX, CSV"),
        (lambda path: path.write_bytes(b""), "not a file of images; expected an npz, npy, IDX, CSV"),
        (lambda path: path.write_bytes(idx(np.zeros(20, np.uint8))), r"1 dimension \(labels\); expected 3 \(images\)"),
        (lambda path: path.write_bytes(idx(ROWS)[:-1]), "truncated"),
        (lambda path: path.write_bytes(idx(ROWS[:0])), "no pixels in it"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), "damaged"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + b"x" * 99), "is no npz file, or a truncated one"),
        (lambda path: path.mkdir(), "contains no picture; expected at least one PNG, JPEG"),
        (Path.is_dir, "cannot be read"),
    ],
)
def test_a_file_without_images_is_refused_in_one_line(tmp_path, make, message):
    make(tmp_path / "input")
    with pytest.raises(InputError, match=message) as error:
        pictures(tmp_path / "input")
    assert "\n" not in str(error.value)
    assert "input" in str(error.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": ROWS, "b": ROWS}, "has the arrays a, b; expected its images as 'images'"),
        ({"images": ROWS / 10}, "fractions up to 25.5; expected 0 to 1 or 0 to 255"),
        ({"images": ROWS.astype(int) + 1}, "pixel of 256"),
        ({"images": ROWS[:0]}, "no pixels"),
        ({"images": np.zeros((4, 7))}, r"flat rows of 7 pixels; the model takes 2x3; expected rows of 6"),
        ({"images": np.array([None])}, "Python objects"),
    ],
)
def test_arrays_that_are_not_images_are_refused_in_one_line(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", allow_pickle=True, **arrays)
    with pytest.raises(InputError, match=message):
        pictures(tmp_path / "a.npz")
