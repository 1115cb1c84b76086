"""Fitting pictures of any size into the frame of a network."""

import numpy as np
import pytest
from PIL import Image

from pipeline.data.formats import digits
from pipeline.serving.inputs import Picture
from pipeline.serving.resize import Frame, frame_of, resize

DARK = Frame((8, 8), 255, light=False, extent=1.0)


def photograph(pixels, *, most=255, photographed=True):
    return Picture("picture", np.asarray(pixels, np.uint8), most, photographed)


def square(side, *, at, size, foreground=255, ground=0):
    """A bright square on a dark ground."""
    pixels = np.full((side, side), ground, np.uint8)
    pixels[at : at + size, at : at + size] = foreground
    return pixels


def test_a_frame_is_learned_from_the_networks_own_images():
    examples = np.stack([square(8, at=2, size=4), square(8, at=1, size=6), square(8, at=3, size=2)])
    assert frame_of(examples, pixel_max=255) == Frame((8, 8), 255, light=False, extent=0.5)
    assert frame_of(255 - examples, pixel_max=255) == Frame((8, 8), 255, light=True, extent=0.5)


def test_examples_that_differ_in_their_background_say_nothing_about_it():
    examples = np.stack([square(8, at=2, size=4), 255 - square(8, at=2, size=4)])
    assert frame_of(examples, pixel_max=255).light is None
    picture = photograph(255 - square(8, at=2, size=4))
    assert np.array_equal(resize(picture, frame_of(examples, pixel_max=255)), picture.pixels)


def test_a_blank_example_fills_its_frame():
    assert frame_of(np.zeros((1, 8, 6), np.uint8), pixel_max=255).extent == 1.0


def test_a_picture_of_the_networks_size_is_neither_cropped_nor_scaled():
    pixels = square(8, at=0, size=3, foreground=200, ground=7)
    assert np.array_equal(resize(photograph(pixels), DARK), pixels)


@pytest.mark.parametrize(
    ("invert", "photographed", "inverted"),
    [
        ("auto", True, True),
        ("auto", False, False),  # files of a data set are not inverted
        ("yes", False, True),
        ("no", True, False),
    ],
)
def test_a_light_background_is_inverted_where_the_networks_is_dark(invert, photographed, inverted):
    light = 255 - square(8, at=2, size=4)
    expected = 255 - light if inverted else light
    assert np.array_equal(resize(photograph(light, photographed=photographed), DARK, invert=invert), expected)


def test_a_dark_background_is_inverted_where_the_networks_is_light():
    frame = Frame((8, 8), 255, light=True, extent=1.0)
    dark = square(8, at=2, size=4)
    assert np.array_equal(resize(photograph(dark), frame), 255 - dark)
    assert np.array_equal(resize(photograph(255 - dark), frame), 255 - dark)


def test_the_object_on_a_large_picture_fills_as_much_of_the_frame_as_on_the_networks_images():
    picture = photograph(square(100, at=13, size=20))
    half = Frame((8, 8), 255, light=False, extent=0.5)
    assert np.array_equal(resize(picture, half), square(8, at=2, size=4))


def test_a_wide_object_keeps_its_proportions_and_is_centred():
    pixels = np.zeros((90, 200), np.uint8)
    pixels[5:45, 10:170] = 255  # 40 x 160: a quarter as high as wide
    expected = np.zeros((8, 8), np.uint8)
    expected[3:5] = 255
    assert np.array_equal(resize(photograph(pixels), DARK), expected)


def test_a_line_of_one_pixel_does_not_vanish():
    pixels = np.zeros((3, 5000), np.uint8)
    pixels[1, 1:-1] = 255
    result = resize(photograph(pixels), DARK)
    assert (result.max(axis=0) == 255).all()


def test_a_blank_picture_stays_blank():
    assert np.array_equal(resize(photograph(np.full((30, 50), 255)), DARK), np.zeros((8, 8)))
    assert np.array_equal(resize(photograph([[255]]), DARK), np.zeros((8, 8)))


def test_pixels_are_scaled_to_the_networks_range():
    frame = Frame((2, 2), 16, light=None, extent=1.0)
    # 16 / 255 * 127 = 7.97, * 7 = 0.44
    assert resize(photograph([[0, 255], [127, 7]]), frame).tolist() == [[0, 16], [8, 0]]
    assert resize(photograph([[0, 16], [5, 7]], most=16), frame).tolist() == [[0, 16], [5, 7]]


def test_a_photograph_of_a_digit_on_paper_becomes_nearly_the_digit_again():
    images = digits().images_train[:50]
    frame = frame_of(images[:5], pixel_max=16)
    for image in images:
        ink = Image.fromarray((255 - image * 255.0 / 16).astype(np.uint8)).resize((160, 160), Image.Resampling.NEAREST)
        paper = Image.new("L", (300, 220), 255)
        paper.paste(ink, (90, 20))
        again = resize(photograph(np.asarray(paper)), frame).astype(int)
        assert again.shape == (8, 8)
        # Cropping centres a digit, which may move it by a pixel or less; the ink stays.
        assert again.sum() == pytest.approx(image.sum(), rel=0.3)
        shifted = [np.roll(image.astype(int), shift, axis=1) for shift in (-1, 0, 1)]
        assert min(np.abs(again - each).mean() for each in shifted) < 2


def test_colour_is_fitted_each_by_itself_on_its_background():
    """A red square of 4 on blue, in a frame of 8 that objects fill by half: 4 x 4 pixels of red, centred."""
    blue, red = [0, 0, 255], [255, 0, 0]
    picture = np.full((16, 16, 3), blue, np.uint8)
    picture[2:6, 3:7] = red
    fitted = resize(Picture("x", picture, 255, photographed=True), Frame((8, 8, 3), 255, light=None, extent=0.5))
    expected = np.full((8, 8, 3), blue, np.uint8)
    expected[2:6, 2:6] = red
    assert np.array_equal(fitted, expected)


def test_a_frame_of_colour_is_light_by_its_mean():
    assert frame_of(np.full((2, 4, 4, 3), [255, 255, 0], np.uint8), pixel_max=255).light is True
    assert frame_of(np.full((2, 4, 4, 3), [255, 0, 0], np.uint8), pixel_max=255).light is False
