import numpy as np
import pytest

from pipeline.data.dataset import Dataset, digest_of
from pipeline.data.formats import digits
from pipeline.data.split import split
from pipeline.errors import InputError
from pipeline.experiment import Data


def dataset(per_class: int = 20, *, classes: int = 3, test: int = 6) -> Dataset:
    labels = np.repeat(np.arange(classes), per_class)
    images = np.arange(len(labels) * 4, dtype=np.uint8).reshape(-1, 2, 2)
    held = np.arange(test) % classes
    return Dataset(
        "mine", images, labels, 255 - images[:test], held, tuple("abc"[:classes]), pixel_max=255, source="a test"
    )


def test_every_class_has_its_share_in_every_part():
    parts = split(dataset(), Data(validation=15))
    assert np.bincount(parts.validation.labels).tolist() == [5, 5, 5]
    assert np.bincount(parts.train.labels).tolist() == [15, 15, 15]
    assert np.bincount(parts.test.labels).tolist() == [2, 2, 2]


def test_a_share_counts_as_so_many_of_the_training_images():
    assert len(split(dataset(), Data(validation=0.25)).validation) == 15


def test_no_image_is_in_two_parts():
    parts = split(dataset(), Data(validation=15))
    rows = {name: {image.tobytes() for image in part.images} for name, part in parts.parts()}
    assert len(rows["train"] | rows["validation"]) == 60
    assert not rows["train"] & rows["validation"]


def test_a_data_set_without_test_holds_out_a_stratified_tenth():
    parts = split(dataset(test=0), Data(validation=6))
    assert [len(part) for _, part in parts.parts()] == [48, 6, 6]
    assert np.bincount(parts.test.labels).tolist() == [2, 2, 2]


def test_a_given_test_size_takes_so_much_of_the_data_sets_own():
    assert len(split(dataset(test=12), Data(validation=6, test=6)).test) == 6


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    first, again, other = (split(dataset(), Data(validation=15, seed=seed)) for seed in (1, 1, 2))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert np.array_equal(first.validation.images, again.validation.images)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Data(validation=60), "data.validation is 60: 60 images of 60; expected fewer"),
        (Data(validation=10_000), "data.validation is 10000: 10,000 images of 60; expected fewer"),
        (Data(validation=2), "data.validation is 2: 2 images held out and 58 left; expected at least 3 on both sides"),
        (Data(validation=58), "data.validation is 58: 58 images held out and 2 left"),
        (Data(validation=15, test=7), "data.test is 7: 7 images of 6"),
    ],
)
def test_an_impossible_size_is_reported_with_the_counts(data, message):
    with pytest.raises(InputError, match=message):
        split(dataset(), data)


def test_a_class_of_one_image_cannot_be_divided():
    lone = dataset()
    lone.labels_train[:] = np.append(np.zeros(59, int), 1)
    with pytest.raises(InputError, match=r"data\.validation is 15: class 1 has a single image; expected at least 2"):
        split(lone, Data(validation=15))


def test_a_data_set_without_images_cannot_be_divided():
    with pytest.raises(InputError, match=r"data\.validation is 15: 15 images of 0"):
        split(dataset(per_class=0), Data(validation=15))


def test_unequal_classes_keep_their_proportions():
    uneven = dataset()
    uneven.labels_train[:] = np.repeat([0, 1, 2], [40, 16, 4])
    parts = split(uneven, Data(validation=15))
    assert np.bincount(parts.validation.labels).tolist() == [10, 4, 1]
    assert np.bincount(parts.train.labels).tolist() == [30, 12, 3]


def test_labels_stay_with_their_images():
    parts = split(dataset(), Data(validation=15))
    for part in (parts.train, parts.validation):
        # Image i is filled with 4i, 4i+1, …, and its class is i // 20.
        assert (part.images[:, 0, 0].astype(int) // 4 // 20).tolist() == part.labels.tolist()


def test_asking_for_the_whole_test_set_is_asking_for_no_part_of_it():
    every, whole = (split(dataset(), Data(validation=15, test=test)) for test in (None, 6))
    assert every.fingerprint == whole.fingerprint


def test_digits_hold_out_a_tenth_for_the_test_by_default():
    parts = split(digits(), Data(dataset="digits", validation=0.1))
    assert [len(part) for _, part in parts.parts()] == [1455, 162, 180]
    assert set(np.bincount(parts.test.labels)) <= {17, 18, 19}


def test_digits_are_divided_as_they_always_were():
    """Stores of people hold this fingerprint: a search goes on, and is evaluated, only with the same split."""
    parts = split(digits(), Data(dataset="digits", validation=0.1, test=0.1))
    assert parts.fingerprint == "c2d7b59e8f309e7996efe5ddc70c2c5eb94f21a55e7227e3420247d858be9546"


def test_the_digest_sees_the_last_byte_the_shape_and_the_type():
    base = np.zeros((20_000, 2, 2), np.uint8)
    changed = base.copy()
    changed[-1, -1, -1] = 1
    digests = {digest_of(each) for each in (base, changed, base.reshape(-1, 4, 1), base.astype(np.int8))}
    assert len(digests) == 4
