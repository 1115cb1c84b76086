"""The reference for drift: no image is kept, old files are read, and a damaged one counts as gone."""

import io
from typing import Any

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.retraining import drift_reference
from pipeline.retraining.drift_reference import NoReferenceError
from pipeline.statistics.monitoring.drift import drift
from pipeline.tracking.registry import Version


class OneFile:
    """A store with one run that has one artifact, or none; also that run."""

    def __init__(self, content: bytes | None = None) -> None:
        self.content = content

    def get(self, run_id: str) -> "OneFile":
        assert run_id == "r1"
        return self

    def write(self, path: str, content: bytes) -> None:
        assert path == "reference.npz"
        self.content = content

    def read(self, path: str) -> bytes:
        if path != "reference.npz" or self.content is None:
            raise InputError(f"run r1 has no artifact {path}: is it a run of Narrowgap's?")
        return self.content


def champion(decision: str = "promoted") -> Version:
    return Version("3", "models:/m-1", "r1", 0, {"narrowgap.retrain_run_id": "r1", "narrowgap.decision": decision})


def read(store: OneFile, split: Any, decision: str = "promoted") -> Any:
    anything: Any = store
    return drift_reference.read(anything, champion(decision), split)


def written(split: Any) -> OneFile:
    store = OneFile()
    anything: Any = store
    drift_reference.write(anything, drift_reference.sample(split, seed=1))
    return store


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_what_is_written_is_read_back(tiny_split):
    before, after = drift_reference.sample(tiny_split, seed=1), read(written(tiny_split), tiny_split)
    assert before.digests.tolist() == after.digests.tolist()
    for name in ("counts", "brightness", "figures", "sd", "mean_image"):
        assert np.array_equal(getattr(before, name), getattr(after, name))


def test_no_image_is_in_the_file(tiny_split):
    content = written(tiny_split).content
    assert content is not None
    with np.load(io.BytesIO(content)) as file:
        arrays = {name: file[name] for name in file}
    count = len(tiny_split.train)
    of_each_image = {name: array.shape for name, array in arrays.items() if array.shape[:1] == (count,)}
    # 16 pixels have become 2 x 2 blocks, a histogram and two roughnesses; a digest says nothing of its image.
    assert of_each_image == {"digests": (count,), "brightness": (count,), "figures": (count, 18)}
    assert arrays["mean_image"].shape == (4, 4)
    every_byte = b"".join(array.tobytes() for array in arrays.values())
    assert not any(image.tobytes() in every_byte for image in tiny_split.train.images)


def test_a_file_with_images_as_earlier_versions_wrote_it_gives_the_same_figures_and_is_replaced_by_them(tiny_split):
    train = tiny_split.train
    store = OneFile(npz(images=train.images, labels=train.labels))
    old = read(store, tiny_split)
    assert store.content is not None
    with np.load(io.BytesIO(store.content)) as file:
        assert "images" not in file
    assert np.array_equal(read(store, tiny_split).figures, old.figures)
    new = drift_reference.sample(tiny_split, seed=1)
    assert sorted(old.digests.tolist()) == sorted(new.digests.tolist())
    assert old.counts.tolist() == new.counts.tolist()
    ours, theirs = (drift(each, new, tiny_split.class_names, seed=1) for each in (old, new))
    assert [each.size for each in ours.tests[:2]] == [each.size for each in theirs.tests[:2]] == [0, 0]


GOOD = {"counts": np.ones(3, int), "digests": np.zeros(2, "V16"), "brightness": np.zeros(2), "sd": 0.1}
"""Beside `figures` and `mean_image`, of two images of 4x4."""


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "EOFError"),
        (b"<html>502 Bad Gateway</html>", "ValueError"),
        (npz(**GOOD)[:200], "BadZipFile"),
        (npz(**GOOD), "KeyError"),
        (npz(**GOOD, figures=np.zeros((2, 5)), mean_image=np.zeros((4, 4))), "ValueError"),
        (npz(**GOOD, figures=np.zeros((2, 18)), mean_image=np.zeros((8, 8))), "ValueError"),
        (npz(images=np.zeros((2, 4, 4), np.uint8)), "KeyError"),
        (npz(images=np.zeros((2, 4, 4), np.uint8), labels=np.array([0, 7])), "ValueError"),
        (npz(images=np.zeros((0, 4, 4), np.uint8), labels=np.zeros(0, int)), "ValueError"),
        (npz(images=np.array([None]), labels=np.array([0])), "ValueError"),
    ],
)
def test_a_damaged_file_counts_as_gone_and_says_what_is_wrong(tiny_split, content, kind):
    with pytest.raises(NoReferenceError, match=rf"reference.npz of run r1, .* is damaged \({kind}\)$"):
        read(OneFile(content), tiny_split)


def test_a_file_that_is_right_but_small_is_read(tiny_split):
    content = npz(**GOOD, figures=np.zeros((2, 18), np.float32), mean_image=np.zeros((4, 4)))
    assert len(read(OneFile(content), tiny_split)) == 2


def test_a_deleted_file_and_one_that_never_was_are_told_apart(tiny_split):
    with pytest.raises(NoReferenceError, match="the sample of the champion's training images was deleted"):
        read(OneFile(), tiny_split)
    with pytest.raises(NoReferenceError, match="version 3 was made champion by hand after the gate had refused it"):
        read(OneFile(), tiny_split, "kept")
