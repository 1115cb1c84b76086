"""The pictures of drift and of the control chart show what they are said to show."""

import math
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import pytest
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipeline.figures import control_chart as control_picture
from pipeline.figures import drift as drift_picture
from pipeline.figures.style import MARK, TEST, TRAIN
from pipeline.statistics.monitoring.control_chart import ChartPoint, ModelScores, control_chart
from pipeline.statistics.monitoring.drift import Drift, drift
from pipeline.statistics.monitoring.image_features import image_figures
from tests.figures.samples import CLASS_NAMES, images
from tests.figures.test_figures import inside_the_page, legend, xs, ys

START = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
REFITS = [ModelScores(0.9 + each, 0.3 + each, 0.03 + each) for each in (-0.002, -0.001, 0.0, 0.001, 0.002)]


def night(day: int, role: Literal["champion", "challenger"], name: str, gap: float = 0.03) -> ChartPoint:
    return ChartPoint(START + timedelta(days=day), role, name, ModelScores(0.9, 0.3, gap))


def lines(figure: Figure, panel: int, colour: str) -> list[tuple[list[float], list[float]]]:
    drawn = figure.axes[panel].get_lines()
    return [(xs(each), ys(each)) for each in drawn if each.get_color() == colour and each.get_marker() != "None"]


class TestControl:
    def test_gap_accuracy_and_loss_are_drawn_over_time_in_their_units(self) -> None:
        figure = control_picture.control_chart(
            control_chart([night(day, "challenger", f"{day}") for day in range(3)], REFITS)
        )
        days = [date2num(START + timedelta(days=day)) for day in range(3)]
        for panel, value in enumerate((3.0, 90.0, 0.3)):
            ((when, heights),) = lines(figure, panel, TRAIN)
            assert when == pytest.approx(days)
            assert heights == pytest.approx([value] * 3)
        inside_the_page(figure)

    def test_each_champion_is_a_line_of_its_own(self) -> None:
        charted = control_chart(
            [night(0, "champion", "a"), night(1, "champion", "a"), night(2, "champion", "b")], REFITS
        )
        figure = control_picture.control_chart(charted)
        assert [len(when) for when, _ in lines(figure, 0, MARK)] == [2, 1]
        assert legend(figure).count("champion") == 1

    def test_the_band_reaches_from_limit_to_limit(self) -> None:
        charted = control_chart([night(0, "challenger", "1")], REFITS)
        (band,) = [
            each for each in control_picture.control_chart(charted).axes[1].patches if isinstance(each, Rectangle)
        ]
        limits = charted.limits["accuracy"]
        assert band.get_y() == pytest.approx(100 * limits.low)
        assert band.get_y() + band.get_height() == pytest.approx(100 * limits.high)

    def test_what_is_beyond_its_limits_is_ringed_there_alone(self) -> None:
        charted = control_chart([night(0, "challenger", "1"), night(1, "challenger", "2", gap=0.06)], REFITS)
        figure = control_picture.control_chart(charted)
        rings = [[each for each in axes.get_lines() if each.get_markeredgecolor() == TEST] for axes in figure.axes]
        assert [len(each) for each in rings] == [1, 0, 0]
        assert ys(rings[0][0]) == pytest.approx([6.0])
        assert "outside limits" in legend(figure)

    def test_without_limits_there_is_no_band_and_the_heading_says_why(self) -> None:
        figure = control_picture.control_chart(control_chart([night(0, "challenger", "1")]))
        assert [len(axes.patches) for axes in figure.axes] == [0, 0, 0]
        assert figure.axes[2].get_title(loc="left") == (
            "Test loss (nats): no limits: 0 refits of the recipe and 0 earlier challengers; expected 5 or 8"
        )
        inside_the_page(figure)

    def test_a_single_night_is_shown_within_days(self) -> None:
        low, high = control_picture.control_chart(control_chart([night(0, "challenger", "1")])).axes[0].get_xlim()
        assert high - low == pytest.approx(2)

    def test_figures_that_are_no_numbers_are_left_out(self) -> None:
        figure = control_picture.control_chart(control_chart([night(0, "challenger", "1", gap=math.nan)], REFITS))
        ((_, gaps),), ((_, accuracies),) = lines(figure, 0, TRAIN), lines(figure, 1, TRAIN)
        assert math.isnan(gaps[0])
        assert accuracies == pytest.approx([90.0])
        assert "outside limits" not in legend(figure)
        inside_the_page(figure)

    def test_a_year_of_nights_stays_on_the_page(self) -> None:
        inside_the_page(
            control_picture.control_chart(
                control_chart([night(day, "challenger", f"{day}") for day in range(365)], REFITS)
            )
        )


class TestDrift:
    def found(self, *, lift: int = 0, names: tuple[str, ...] = CLASS_NAMES) -> Drift:
        before, now, labels = images(600), images(600, seed=2), np.arange(600) % 10
        brighter = np.minimum(now.astype(int) + lift, 255).astype(np.uint8)
        kept = labels != 6 if lift else labels >= 0
        sides = ((before, labels), (brighter[kept], labels[kept]))
        then, today = (image_figures(*each, classes=len(names), pixel_max=255) for each in sides)
        return drift(then, today, names, seed=1)

    def test_a_bar_is_as_high_as_its_class_was_frequent(self) -> None:
        found = self.found(lift=40)
        figure = drift_picture.drift(found)
        (shares,) = [axes for axes in figure.axes if axes.get_ylabel() == "share of the images (%)"]
        heights = [each.get_height() for each in shares.patches if isinstance(each, Rectangle)]
        assert heights == pytest.approx([*(100 * found.before.shares), *(100 * found.now.shares)])
        assert [each.get_text() for each in shares.get_xticklabels()] == list(CLASS_NAMES)

    def test_both_mean_images_share_a_scale_and_their_difference_is_centred_on_0(self) -> None:
        found = self.found(lift=40)
        then, now, change = [axes.images[0] for axes in drift_picture.drift(found).axes if axes.images][:3]
        np.testing.assert_allclose(np.asarray(then.get_array()), found.before.mean_image)
        np.testing.assert_allclose(np.asarray(change.get_array()), found.now.mean_image - found.before.mean_image)
        assert then.get_clim() == now.get_clim()
        reach = float(np.abs(found.now.mean_image - found.before.mean_image).max())
        assert list(change.get_clim()) == pytest.approx([-reach, reach])

    def test_the_heading_gives_the_verdict_and_each_size(self) -> None:
        moved, quiet = (drift_picture.drift(self.found(lift=lift)) for lift in (40, 0))
        assert moved.get_suptitle().startswith(
            "Data drift since the champion was trained\nclass shares 0.10 (drift, limit 0.05)"
        )
        assert quiet.get_suptitle().startswith("No data drift")
        inside_the_page(moved)
        inside_the_page(quiet)

    def test_short_names_of_classes_stand_upright_and_equal_data_is_drawn(self) -> None:
        data = image_figures(images(60), np.arange(60) % 2, classes=2, pixel_max=255)
        figure = drift_picture.drift(drift(data, data, ("0", "1"), seed=1))
        (shares,) = [axes for axes in figure.axes if axes.get_ylabel() == "share of the images (%)"]
        assert [each.get_rotation() for each in shares.get_xticklabels()] == [0, 0]
        change = [axes.images[0] for axes in figure.axes if axes.images][2]
        assert change.get_clim() == (-drift_picture.LEAST, drift_picture.LEAST)
        inside_the_page(figure)
