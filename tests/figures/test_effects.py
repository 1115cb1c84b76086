"""The pictures of what dropout does: forest plot of the search, lines of the designed check."""

import io
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread

from pipeline.figures.comparisons import effects as effects_picture
from pipeline.figures.comparisons import placement as placement_picture
from pipeline.figures.style import GREY, MARK, TEST, png
from pipeline.statistics.effects.design import Factor
from pipeline.statistics.effects.model import Effect, Effects, effects
from pipeline.statistics.effects.placement import placement
from tests.statistics.trials import known

pytestmark = pytest.mark.usefixtures("small_forests")


@pytest.fixture
def found(small_forests: None) -> Effects:
    """Effects over a hundred networks."""
    return effects(known(100))


def inside_the_page(figure: Figure) -> None:
    """It draws, and the outermost pixels of the page are white."""
    drawn = np.asarray(imread(io.BytesIO(png(figure)), format="png"), np.float32)
    assert drawn.std() > 0
    for edge in (drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]):
        assert np.all(edge == 1)


def row_of(figure: Figure, label: str, panel: int) -> tuple[list[float], float, object]:
    """Ends of the interval, estimate and colour of the row of that name."""
    place = [each.get_text().strip() for each in figure.axes[0].get_yticklabels()].index(label)
    drawn = [each for each in figure.axes[panel].get_lines() if set(np.asarray(each.get_ydata(), float)) == {place}]
    interval, estimate = drawn[:2]
    return (
        list(np.asarray(interval.get_xdata(), float)),
        float(np.asarray(estimate.get_xdata(), float)[0]),
        interval.get_color(),
    )


def placed(seeds: int) -> pd.DataFrame:
    """A network of two layers; the gap closes by 5 points per 1.0 of rate, whatever the position."""
    generator = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "depth": 2, "hidden_1": 256.0, "hidden_2": 64.0, "seed": seed,
            **{f"dropout_{each}": rate * (each == place) for each in range(3)},
            "test_accuracy": 0.88 + generator.normal(0, 0.001),
            "accuracy_gap": 0.05 - 0.05 * rate + generator.normal(0, 0.001),
        }
        for seed in range(seeds)
        for place, rate in [(0, 0.0), *((place, rate) for place in range(3) for rate in (0.1, 0.3))]
    )  # fmt: skip


@pytest.mark.parametrize(("panel", "outcome"), [(0, "test_accuracy"), (1, "accuracy_gap")])
def test_a_row_shows_estimate_and_interval(panel: int, outcome: str, found: Effects) -> None:
    effect = found.fit(outcome).effect("dropout_1")
    interval, estimate, _ = row_of(effects_picture.effects(found), "after hidden layer 1", panel)
    assert interval == [effect.low, effect.high]
    assert estimate == effect.estimate


def test_what_is_wished_for_what_is_not_and_what_cannot_be_told_differ_in_colour(found: Effects) -> None:
    figure = effects_picture.effects(found)
    wished = [{"raises": MARK, "lowers": TEST}, {"raises": TEST, "lowers": MARK}]
    for panel, outcome in enumerate(("test_accuracy", "accuracy_gap")):
        drawn = found.fit(outcome).effects
        assert {each.verdict for each in drawn} == {"raises", "lowers", "cannot tell"}
        for each in drawn:
            assert row_of(figure, each.label, panel)[2] == wished[panel].get(each.verdict, GREY)


def test_rows_stand_under_headings_that_give_their_step(found: Effects) -> None:
    labels = [each.get_text() for each in effects_picture.effects(found).axes[0].get_yticklabels()]
    headings = [label for label in labels if not label.startswith(" ")]
    assert headings == ["Dropout, per 0.1 of rate", "Size, per doubling", "Depth, against the fewest layers"]
    assert len(labels) == 3 + 5 + 4 + 3


def test_what_is_searched_besides_layers_has_rows_under_headings_of_its_own() -> None:
    trials = known(100).assign(
        learning_rate=np.tile([0.0011, 0.0023, 0.0047, 0.0094], 25),
        label_smoothing=np.repeat([0.0001, 0.1999], 50),
        activation=np.tile(["relu", "gelu"], 50),
    )
    asked = {
        "learning_rate": Factor(log=True),
        "label_smoothing": Factor(log=False),
        "activation": Factor(first="relu"),
    }
    figure = effects_picture.effects(effects(trials, asked))
    labels = [each.get_text() for each in figure.axes[0].get_yticklabels()]
    assert labels[-6:] == [
        "Numbers, per doubling", "   learning_rate",
        "From the lowest to the highest value", "   label_smoothing 0.0001 to 0.1999",
        "Choices, against the first", "   activation=gelu, not relu",
    ]  # fmt: skip
    inside_the_page(figure)


def test_a_column_without_estimate_says_why() -> None:
    figure = effects_picture.effects(effects(known(100).assign(dropout_0=0.1)))
    for axes in figure.axes:
        assert axes.texts[0].get_text() == "cannot tell: never varied"
    inside_the_page(figure)


def test_a_search_that_tells_nothing_has_its_picture_too() -> None:
    figure = effects_picture.effects(effects(known(100).iloc[:3]))
    assert "no fit" in figure.axes[0].get_title(loc="left")
    inside_the_page(figure)


def test_no_interval_of_dropout_is_cut_off_and_nothing_leaves_the_page(found: Effects) -> None:
    figure = effects_picture.effects(found)
    for axes, outcome in zip(figure.axes, effects_picture.PANELS, strict=True):
        low, high = axes.get_xlim()
        drawn: list[Effect] = [each for each in found.fit(outcome).effects if each.kind != "depth"]
        assert all(low < each.low and each.high < high for each in drawn)
        assert low < 0 < high
    inside_the_page(figure)


def means(axes: Axes) -> tuple[list[float], list[float]]:
    """The one line with dots."""
    (line,) = [each for each in axes.get_lines() if each.get_marker() == "o"]
    return list(np.asarray(line.get_xdata(), float)), list(np.asarray(line.get_ydata(), float))


def test_a_panel_shows_the_means_of_its_position_from_no_dropout_on() -> None:
    found = placement(placed(3))
    figure = placement_picture.placement(found)
    for column in range(3):
        for row, outcome in enumerate(("test_accuracy", "accuracy_gap")):
            rates, points = means(figure.axes[3 * row + column])
            assert rates == [0, 0.1, 0.3]
            assert points == [0, *(cell.difference.mean for cell in found.at(outcome, column))]


def test_the_band_is_the_interval_and_no_band_is_cut_off() -> None:
    found = placement(placed(3))
    axes = placement_picture.placement(found).axes[4]
    (area,) = axes.collections
    corners = np.asarray(area.get_paths()[0].vertices, float)
    for cell in found.at("accuracy_gap", 1):
        heights = corners[corners[:, 0] == cell.rate][:, 1]
        assert (heights.min(), heights.max()) == (cell.difference.low, cell.difference.high)
    low, high = axes.get_ylim()
    assert all(
        low < each.difference.low < each.difference.high < high
        for each in found.cells
        if each.outcome == "accuracy_gap"
    )


def test_positions_are_named_with_their_sizes_and_share_their_scale() -> None:
    figure = placement_picture.placement(placement(placed(3)))
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == [
        "after the input", "after hidden layer 1 (256)", "after hidden layer 2 (64)",
    ]  # fmt: skip
    assert len({axes.get_ylim() for axes in figure.axes[:3]}) == len({axes.get_ylim() for axes in figure.axes[3:]}) == 1
    inside_the_page(figure)


def test_one_seed_is_said_to_have_no_interval() -> None:
    found = placement(placed(1))
    assert math.isnan(found.cells[0].difference.low)
    figure = placement_picture.placement(found)
    assert "one seed, so no interval" in figure.get_suptitle()
    inside_the_page(figure)


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        placement_picture.placement(placement(placed(1).iloc[:1]))
