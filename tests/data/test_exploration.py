import numpy as np
import pytest
from matplotlib.patches import Rectangle

from pipeline.data.exploration import Exploration, explore
from pipeline.data.formats import digits
from pipeline.data.split import Part, Split, split
from pipeline.experiment import Data
from pipeline.figures import exploration as pictures
from pipeline.figures.style import png


def part(*images: list[int], labels: list[int]) -> Part:
    return Part(np.array(images, np.uint8).reshape(-1, 1, 2), np.array(labels, np.int64))


@pytest.fixture
def seen() -> Exploration:
    """Images of two pixels; the first never changes in training."""
    parts = Split(
        train=part([7, 0], [7, 1], [7, 1], [7, 255], labels=[0, 0, 1, 1]),
        validation=part([7, 1], [0, 0], labels=[0, 1]),
        test=part([7, 1], [7, 1], [0, 0], [9, 9], labels=[0, 0, 0, 0]),
        class_names=("a", "b"),
        pixel_max=255,
        data_digest="",
        fingerprint="",
    )
    return explore(digits(), parts)


def test_duplicates_count_images_of_the_later_part_that_the_earlier_one_has(seen):
    assert seen.duplicates == {"train/validation": 1, "train/test": 2, "validation/test": 3}


def test_the_range_of_each_pixel_is_over_the_training_images(seen):
    assert seen.pixel_min.tolist() == [[7, 0]]
    assert seen.pixel_max.tolist() == [[7, 255]]
    assert (seen.pixel_min == seen.pixel_max).sum() == 1


def test_the_histogram_counts_every_training_pixel_once(seen):
    expected = {0: 1, 1: 2, 7: 4, 255: 1}
    assert {value: count for value, count in enumerate(seen.intensities) if count} == expected
    assert len(seen.intensities) == 256


def test_classes_are_counted_per_part_also_where_one_is_missing(seen):
    assert seen.class_counts.loc["a"].tolist() == [2, 1, 4]
    assert seen.class_counts.loc["b"].tolist() == [2, 1, 0]


def test_the_table_says_all_that(seen):
    table = dict(zip(seen.table["what"].tolist(), seen.table["value"].tolist(), strict=True))
    assert table["train: shape"] == "4x1x2"
    assert table["train: images per class"] == "2"
    assert table["test: images per class"] == "0 to 4"
    assert table["test: classes without an image"] == 1
    assert table["validation: blank images"] == 1
    assert table["smallest value at a pixel's place"] == "0 to 7"
    assert table["largest value at a pixel's place"] == "7 to 255 (of 255)"
    assert table["zeros"] == "12.5 % of all pixel values"
    # Without the zero: 1, 1, 7, 7, 7, 7, 255.
    assert table["median without the zeros"] == 7
    assert table["missing values"] == "none: every pixel is an unsigned byte"


def test_images_that_are_all_blank_have_no_median():
    blank = part([0, 0], labels=[0])
    table = explore(digits(), Split(blank, blank, blank, ("a",), 255, "", "")).table
    assert dict(zip(table["what"].tolist(), table["value"].tolist(), strict=True))["median without the zeros"] == "none"


def test_digits_have_no_duplicates_and_three_pixels_that_are_always_zero():
    dataset = digits()
    seen = explore(dataset, split(dataset, Data(dataset="digits", validation=0.1)))
    assert set(seen.duplicates.values()) == {0}
    assert (seen.pixel_max == 0).sum() == 3


def test_the_grid_shows_a_hundred_samples_of_a_class_row_by_row():
    images = np.arange(120, dtype=np.uint8).repeat(4).reshape(-1, 2, 2)
    (axes,) = pictures.samples(images, "Bag", pixel_max=255).axes
    sheet = np.asarray(axes.images[0].get_array())
    assert axes.get_title(loc="left") == "Bag: 100 of 120 training images"
    # Tiles of 2x2 with a line between: the image of row 3, column 4 is number 34.
    assert sheet.shape == (30, 30)
    assert sheet[9:11, 12:14].tolist() == [[34, 34], [34, 34]]


def test_a_class_of_few_images_leaves_the_rest_of_its_grid_blank():
    (axes,) = pictures.samples(np.full((1, 2, 2), 9, np.uint8), "Bag", pixel_max=16).axes
    sheet = np.asarray(axes.images[0].get_array())
    assert sheet.sum() == 4 * 9
    assert axes.get_title(loc="left") == "Bag: 1 of 1 training images"


def test_the_histogram_leaves_out_the_zeros(seen):
    (axes,) = pictures.intensities(seen).axes
    heights = [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)]
    assert len(heights) == 255
    assert (heights[0], heights[6], sum(heights)) == (2, 4, 7)


def test_every_picture_of_the_exploration_can_be_drawn(seen):
    for figure in (pictures.pixel_range(seen), pictures.class_counts(seen), pictures.intensities(seen)):
        assert png(figure).startswith(b"\x89PNG")


def test_colour_is_shown_as_shares_of_the_largest_pixel(seen):
    image = np.zeros((1, 2, 2, 3), np.uint8)
    image[..., 1] = 8
    (axes,) = pictures.samples(image, "Bag", pixel_max=16).axes
    assert np.asarray(axes.images[0].get_array())[0, 0].tolist() == [0, 0.5, 0]


def test_images_in_colour_are_explored_and_drawn():
    images = np.zeros((4, 2, 2, 3), np.uint8)
    images[0], images[1, 0, 0] = 255, [1, 2, 3]
    whole = Part(images, np.array([0, 1, 0, 1]))
    found = explore(digits(), Split(whole, whole, whole, ("a", "b"), 255, "", ""))
    table = dict(zip(found.table["what"].tolist(), found.table["value"].tolist(), strict=True))
    assert table["train: blank images"] == 2
    assert table["train: shape"] == "4x2x2x3"
    assert found.pixel_max.shape == (2, 2, 3)
    assert png(pictures.pixel_range(found)).startswith(b"\x89PNG")
