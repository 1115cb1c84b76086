"""The contact sheet shows what was answered."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.image import imread
from matplotlib.patches import Rectangle

from pipeline.figures.contact_sheet import COLUMNS, MOST, Answer, sheet
from pipeline.figures.style import TEST, png
from tests.figures.samples import images

ANSWERS = [
    Answer("a.png", "Trouser", 0.987, accepted=True),
    Answer("shoes/a very long name of a file.png", "Ankle boot", 0.412, accepted=False),
    Answer("$\\frac$.png", "$x", 0.5, accepted=True),
]


def drawn(answers, **changes):
    settings = {"pixel_max": 255, "light": False, "title": "pics", "total": len(answers)}
    return sheet(images(len(answers)), answers, **{**settings, **changes})


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_each_image_bears_its_class_its_confidence_and_the_end_of_its_name():
    figure = drawn(ANSWERS)
    assert texts(figure) == [
        "Trouser 99 %", "a.png", "Ankle boot 41 % ?", "…y long name of a file.png", "$x 50 %", "$\\frac$.png",
    ]  # fmt: skip
    assert len(figure.axes[0].images) == 3
    assert imread(io.BytesIO(png(figure))).shape[2] == 4


def test_what_was_not_accepted_alone_is_framed():
    frames = [patch for patch in drawn(ANSWERS).axes[0].patches if isinstance(patch, Rectangle)]
    assert [to_hex(frame.get_edgecolor()).upper() for frame in frames] == [TEST]
    assert 1 < frames[0].get_x() < 2  # around the second image


def test_a_sheet_of_more_than_fit_says_so():
    figure = drawn([Answer(str(row), "Bag", 0.9, accepted=True) for row in range(MOST)], total=10_000)
    assert len(figure.axes[0].images) == MOST
    assert "(the first 96 of 10,000)" in figure.get_suptitle()


def test_a_sheet_of_all_says_nothing_of_the_first():
    assert "first" not in drawn(ANSWERS).get_suptitle()


@pytest.mark.parametrize(("light", "shade"), [(False, 1.0), (True, 0.0)])
def test_a_dark_background_is_drawn_white_as_paper(light, shade):
    figure = sheet(
        np.zeros((1, 4, 6), np.uint8), ANSWERS[:1], pixel_max=16, light=light, title="pics", total=1
    )  # fmt: skip
    image = figure.axes[0].images[0]
    assert image.to_rgba(np.asarray(image.get_array()))[0, 0, 0] == shade
    left, right, bottom, top = image.get_extent()
    assert (bottom - top) / (right - left) == pytest.approx(4 / 6)


def test_rows_begin_anew_after_as_many_columns():
    figure = drawn([Answer(str(row), "Bag", 0.9, accepted=True) for row in range(COLUMNS + 1)])
    lefts = [image.get_extent()[0] for image in figure.axes[0].images]
    assert lefts[COLUMNS] == lefts[0]


def test_colour_is_drawn_as_it_is():
    colours = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3), np.uint8)
    figure = sheet(colours, ANSWERS[:1], pixel_max=255, light=False, title="pics", total=1)
    assert np.array_equal(np.asarray(figure.axes[0].images[0].get_array()), colours[0] / 255)
