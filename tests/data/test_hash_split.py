"""What is held out of own data, as they grow."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.dataset import Dataset
from pipeline.data.hash_split import hash_fractions, held_out
from pipeline.data.split import Split, split
from pipeline.errors import InputError
from pipeline.experiment import Data


def images(count: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 3), np.uint8)


def dataset(shown: np.ndarray, labels: np.ndarray, *, test: int = 0) -> Dataset:
    names = tuple("abcdefghij"[: labels.max() + 1])
    return Dataset("own", shown[test:], labels[test:], shown[:test], labels[:test], names, 255, "a test")


def own(**keys) -> Data:
    return Data(dataset="own", path="x", **keys)


def prints(parts: Split) -> dict[str, set[bytes]]:
    return {name: {image.tobytes() for image in part.images} for name, part in parts.parts()}


def test_an_images_draw_is_the_start_of_its_hash():
    image = np.arange(4, dtype=np.uint8).reshape(1, 2, 2)
    digest = hashlib.sha256(b"7 data.test \x00\x01\x02\x03").digest()
    assert hash_fractions(image, seed=7, part="data.test").tolist() == [int.from_bytes(digest[:8], "big") / 2**64]


def test_seed_and_part_decide_independently():
    shown = images(4000)
    one, other, part = (
        hash_fractions(shown, seed=seed, part=part)
        for seed, part in ((1, "data.test"), (2, "data.test"), (1, "data.validation"))
    )
    # Four standard errors of a correlation of independent draws.
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(4000)
    assert abs(np.corrcoef(one, part)[0, 1]) < 4 / np.sqrt(4000)


def test_a_share_is_met_within_chance_in_the_whole_and_in_each_class():
    labels = np.arange(20_000) % 10
    held = held_out(images(20_000), labels, share=0.1, seed=1, part="data.test")
    # Standard deviations of binomials: sqrt(20,000 * .09) = 42.4 and sqrt(2,000 * .09) = 13.4; four of them.
    assert abs(held.sum() - 2000) < 4 * 42.4
    assert np.abs(np.bincount(labels[held]) - 200).max() < 4 * 13.4


cases = st.tuples(st.integers(1, 2**31 - 1), st.integers(1, 4), st.floats(0.01, 0.9))


@settings(max_examples=60, deadline=None)
@given(case=cases, count=st.integers(1, 60), more=st.integers(0, 60))
def test_no_image_that_is_there_crosses_over_when_others_come(case, count, more):
    """Small classes too, which give their smallest hash: that one may go back, and none comes in its place but a new one."""
    seed, classes, share = case
    shown, labels = images(count + more, seed=seed), np.random.default_rng(seed).integers(0, classes, count + more)
    before = held_out(shown[:count], labels[:count], share=share, seed=seed, part="data.test")
    after = held_out(shown, labels, share=share, seed=seed, part="data.test")[:count]
    assert not (after & ~before).any()
    below = hash_fractions(shown[:count], seed=seed, part="data.test") < share
    assert (before & after)[below].all()


@settings(max_examples=60, deadline=None)
@given(case=cases, count=st.integers(1, 60))
def test_every_class_is_held_out_and_order_does_not_matter(case, count):
    seed, classes, share = case
    generator = np.random.default_rng(seed)
    shown, labels = images(count, seed=seed), generator.integers(0, classes, count)
    held = held_out(shown, labels, share=share, seed=seed, part="data.test")
    assert set(labels[held]) == set(labels)
    order = generator.permutation(count)
    assert np.array_equal(held_out(shown[order], labels[order], share=share, seed=seed, part="data.test"), held[order])


@settings(max_examples=60, deadline=None)
@given(case=cases, rows=st.lists(st.integers(0, 9), min_size=1, max_size=60))
def test_exact_duplicates_are_on_the_same_side_whatever_their_labels(case, rows):
    seed, classes, share = case
    labels = np.random.default_rng(seed).integers(0, classes, len(rows))
    held = held_out(images(10)[rows], labels, share=share, seed=seed, part="data.test")
    for row in set(rows):
        assert len(set(held[np.array(rows) == row])) == 1


def test_a_class_that_has_none_below_the_share_gives_its_smallest():
    shown = images(6)
    places = hash_fractions(shown, seed=1, part="data.test")
    held = held_out(shown, np.zeros(6, int), share=places.min() / 2, seed=1, part="data.test")
    assert np.flatnonzero(held).tolist() == [places.argmin()]


def test_test_and_validation_stay_so_when_own_data_grow():
    shown, labels = images(900), np.arange(900) % 3
    before, after = (prints(split(dataset(shown[:n], labels[:n]), own())) for n in (600, 900))
    for part in ("train", "validation", "test"):
        assert before[part] < after[part]
    assert len(after["train"] | after["validation"] | after["test"]) == 900


@settings(max_examples=60, deadline=None)
@given(case=cases, count=st.integers(1, 60), data=st.data())
def test_removing_and_relabelling_moves_no_other_while_every_class_has_an_image_below_the_share(case, count, data):
    seed, classes, share = case
    generator = np.random.default_rng(seed)
    shown, old = images(count, seed=seed), generator.integers(0, classes, count)
    new = np.where(generator.random(count) < 0.3, generator.integers(0, classes, count), old)
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    below = hash_fractions(shown, seed=seed, part="data.test") < share
    # Classes that lack one in either state are left out.
    sound = np.isin(old, old[below]) & np.isin(new, old[below]) & np.isin(new, new[kept & below])
    sound &= np.isin(old, new[kept & below])
    before = held_out(shown, old, share=share, seed=seed, part="data.test")
    after = held_out(shown[kept], new[kept], share=share, seed=seed, part="data.test")
    assert np.array_equal(before[kept & sound], after[sound[kept]])


def test_the_next_smallest_of_a_class_is_held_out_when_its_last_one_goes():
    """The limit of the rule: it was trained on, and is a test image now."""
    shown = images(6)
    places = hash_fractions(shown, seed=1, part="data.test")
    first, second = places.argsort()[:2]
    labels = np.zeros(6, int)
    share = (places[first] + places[second]) / 2
    assert np.flatnonzero(held_out(shown, labels, share=share, seed=1, part="data.test")).tolist() == [first]
    rest = np.delete(np.arange(6), first)
    after = held_out(shown[rest], labels[rest], share=share, seed=1, part="data.test")
    assert rest[after].tolist() == [second]


def test_relabelling_and_removing_images_moves_no_other():
    shown, labels = images(600), np.arange(600) % 3
    whole = prints(split(dataset(shown, labels), own()))
    fewer = prints(split(dataset(shown[100:], np.roll(labels[100:], 1)), own()))
    for part in ("train", "validation", "test"):
        assert fewer[part] < whole[part]


def test_a_test_part_of_its_own_is_left_as_it_is_unless_a_share_of_it_is_asked_for():
    given = dataset(images(700), np.arange(700) % 2, test=100)
    assert np.array_equal(split(given, own()).test.images, given.images_test)
    some = split(given, own(test=0.5)).test
    # Half of 100, give or take four standard deviations of 5.
    assert 30 < len(some) < 70


def test_the_fingerprint_sees_the_seed_and_the_shares():
    given = dataset(images(300), np.arange(300) % 3)
    asked = [own(), own(), own(seed=2), own(test=0.2), own(validation=0.2)]
    assert len({split(given, data).fingerprint for data in asked}) == 4


def test_a_class_too_small_for_every_part_is_reported():
    labels = np.array([0] * 50 + [1] * 2)
    with pytest.raises(
        InputError,
        match=r"class 'b' has 2 images: 0 to train on, 1 to choose by and 1 to report on; expected at least one of each",
    ):
        split(dataset(images(52), labels), own(test=0.01, validation=0.01))


def test_three_images_of_a_class_are_enough_for_every_part():
    labels = np.array([0] * 50 + [1] * 3)
    parts = split(dataset(images(53), labels), own(test=0.01, validation=0.01))
    assert [np.bincount(part.labels).tolist()[1] for _, part in parts.parts()] == [1, 1, 1]
