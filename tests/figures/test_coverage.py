"""What a network is worth when it may pass: accuracy against coverage, and calibration before and after."""

import math

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from numpy.typing import NDArray

from pipeline.figures.networks.coverage import coverage
from pipeline.figures.networks.reliability import reliability
from pipeline.figures.style import MARK, TEST, TRAIN
from pipeline.statistics import calibration
from pipeline.statistics.selective.thresholds import (
    Curve,
    Evaluation,
    Threshold,
    accuracy_coverage_curve,
    evaluate,
    threshold_for,
)
from tests.figures.samples import labels_and_probabilities
from tests.figures.test_figures import bars, inside_the_page, legend, line, pixels


def curve_of(answered: list[int], right: list[int]) -> Curve:
    return Curve("confidence", np.linspace(0.9, 0.5, len(answered)), np.array(answered), np.array(right))


VALIDATION = curve_of([50, 75, 100], [50, 70, 80])
TEST_CURVE = curve_of([40, 100], [38, 78])
CHOSEN = Threshold("confidence", 0.9, 0.7, 0.75, 0.93, 0.91, "reason")
MISSING = Threshold("confidence", 0.999, None, 0.5, 1.0, 0.9487, "reason")
HELD = Evaluation(rows=100, answered=70, accuracy=0.92, low=0.84, high=0.96, reached=True)


def part(axes: Axes, name: str) -> tuple[list[float], list[float]]:
    (label,) = [str(each.get_label()) for each in axes.get_lines() if str(each.get_label()).startswith(name)]
    return line(axes, label)


def interval(axes: Axes) -> NDArray[np.float64]:
    """Ends (2, 2) of the one error bar."""
    (bar,) = [each for each in axes.containers if isinstance(each, ErrorbarContainer)]
    return np.asarray(bar[2][0].get_segments()[0], float)


class TestCoverage:
    def test_both_curves_are_drawn_in_percent_with_labelled_axes(self) -> None:
        figure = coverage(VALIDATION, TEST_CURVE)
        (axes,) = figure.axes
        for name, shares, accuracies in (
            ("validation", [50, 75, 100], [100, 100 * 70 / 75, 80]),
            ("test", [40, 100], [95, 78]),
        ):
            across, up = part(axes, name)
            assert across == pytest.approx(shares)
            assert up == pytest.approx(accuracies)
        assert [each.get_color() for each in axes.get_lines()] == [TRAIN, TEST]
        assert "highest confidence first" in axes.get_xlabel()
        assert axes.get_ylabel() == "accuracy of the accepted images (%)"
        inside_the_page(figure)

    def test_the_legend_gives_the_area_of_each_part(self) -> None:
        # Validation .25 * (5/75) + .25 * .2 = .0667; test .4 * .05 + .6 * .22 = .152.
        assert legend(coverage(VALIDATION, TEST_CURVE)) == [
            "validation, mean error over all shares 6.67 %",
            "test, mean error over all shares 15.20 %",
        ]

    def test_target_choice_and_check_are_marked_where_they_are(self) -> None:
        figure = coverage(VALIDATION, TEST_CURVE, CHOSEN, HELD)
        (axes,) = figure.axes
        assert line(axes, "target, 90 %")[1] == [90, 90]
        assert line(axes, "chosen on validation: confidence of 0.700 or more") == ([75], [93])
        np.testing.assert_allclose(interval(axes), [[70, 84], [70, 96]])
        shapes = {(each.get_marker(), each.get_color()) for each in axes.get_lines()}
        assert {("*", MARK), ("D", TEST)} <= shapes
        assert legend(figure)[-1] == "the same threshold on test, 95 % interval"
        inside_the_page(figure)

    @pytest.mark.parametrize(("reached", "word"), [(True, "reached"), (False, "missed")])
    def test_the_heading_says_what_came_of_it_on_test(self, reached: bool, word: str) -> None:
        held = Evaluation(rows=100, answered=70, accuracy=0.92, low=0.84, high=0.96, reached=reached)
        (axes,) = coverage(VALIDATION, TEST_CURVE, CHOSEN, held).axes
        assert axes.get_title(loc="left") == f"92.0 % right when 70.0 % of test are accepted: target of 90 % {word}"

    def test_a_target_out_of_reach_is_drawn_and_said_to_be(self) -> None:
        figure = coverage(VALIDATION, TEST_CURVE, MISSING)
        (axes,) = figure.axes
        assert axes.get_title(loc="left") == "99.9 % is out of reach: 100 validation images show no more than 94.87 %"
        assert line(axes, "target, 99.9 %")[1] == pytest.approx([99.9, 99.9])
        assert "*" not in {each.get_marker() for each in axes.get_lines()}
        inside_the_page(figure)

    def test_a_threshold_that_no_test_row_reaches_is_marked_on_validation_alone(self) -> None:
        none = Evaluation(rows=100, answered=0, accuracy=math.nan, low=0.0, high=1.0, reached=False)
        figure = coverage(VALIDATION, TEST_CURVE, CHOSEN, none)
        assert not figure.axes[0].containers
        assert figure.axes[0].get_title(loc="left") == "93.0 % right when 75.0 % of validation are accepted"
        inside_the_page(figure)

    def test_a_target_below_both_curves_is_inside_the_picture(self) -> None:
        low = Threshold("confidence", 0.3, 0.0, 1.0, 0.8, 0.7, "reason")
        (axes,) = coverage(VALIDATION, TEST_CURVE, low).axes
        assert axes.get_ylim()[0] < 30

    def test_the_first_few_images_do_not_press_the_rest_into_a_corner(self) -> None:
        (axes,) = coverage(curve_of([1, 1000], [0, 900]), curve_of([1000], [880])).axes
        assert part(axes, "validation")[1] == [90]
        assert 80 < axes.get_ylim()[0] < 88

    def test_curves_of_one_point_are_dots(self) -> None:
        tie = accuracy_coverage_curve(np.arange(10), np.full((10, 10), 0.1, np.float32))
        figure = coverage(tie, tie)
        assert [each.get_marker() for each in figure.axes[0].get_lines()] == ["o", "o"]
        pixels(figure)

    def test_ten_thousand_rows_of_a_network_are_drawn_by_either_measure(self) -> None:
        labels, probabilities = labels_and_probabilities(10_000, noise=1.0)
        for by in ("confidence", "margin"):
            halves = [(labels[half], probabilities[half]) for half in (slice(5000), slice(5000, None))]
            validation, test = (accuracy_coverage_curve(*half, by) for half in halves)
            chosen = threshold_for(validation, 0.95)
            figure = coverage(validation, test, chosen, evaluate(chosen, *halves[1]))
            assert f"highest {by} first" in figure.axes[0].get_xlabel()
            inside_the_page(figure)


class TestBeforeAndAfterScaling:
    LABELS, PROBABILITIES = labels_and_probabilities(2000, noise=1.3)
    TEMPERATURE = calibration.fit_temperature(LABELS, PROBABILITIES)
    BEFORE = calibration.reliability(LABELS, PROBABILITIES)
    AFTER = calibration.reliability(LABELS, calibration.apply_temperature(PROBABILITIES, TEMPERATURE))

    def test_each_panel_shows_its_own_bins_and_error(self) -> None:
        figure = reliability(self.BEFORE, part="test", scaled=self.AFTER, temperature=1.234)
        left, right, left_below, right_below = figure.axes
        for above, below, measured in ((left, left_below, self.BEFORE), (right, right_below, self.AFTER)):
            assert [bar.get_height() for bar in bars(above)] == pytest.approx(measured.accuracy.tolist(), nan_ok=True)
            assert [bar.get_height() for bar in bars(below)] == pytest.approx(measured.share.tolist())
        before, after = (100 * each.expected_calibration_error for each in (self.BEFORE, self.AFTER))
        assert left.get_title(loc="left") == f"As trained: expected calibration error {before:.2f} points"
        assert right.get_title(loc="left") == f"Temperature scaled (T = 1.23): {after:.2f} points"
        assert figure.get_suptitle() == "Calibration on test"
        inside_the_page(figure)

    def test_both_panels_have_one_scale_and_one_legend(self) -> None:
        figure = reliability(self.BEFORE, part="test", scaled=self.AFTER)
        left, right, left_below, right_below = figure.axes
        assert left.get_ylim() == right.get_ylim()
        assert left_below.get_ylim() == right_below.get_ylim()
        assert max(bar.get_height() for bar in bars(left_below) + bars(right_below)) <= left_below.get_ylim()[1]
        assert len(figure.legends) == 1
        assert sorted(legend(figure)) == [
            "accuracy at the bin's mean confidence", "accuracy of the bin", "perfectly calibrated",
        ]  # fmt: skip

    def test_without_a_second_record_there_is_one_panel(self) -> None:
        assert len(reliability(self.BEFORE, part="test").axes) == 2
