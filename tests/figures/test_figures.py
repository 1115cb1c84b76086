"""Every picture shows what it is said to show; each is also rendered, as for a run."""

import io
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.typing import NDArray

from pipeline.figures.comparisons import gaps as gaps_picture
from pipeline.figures.comparisons import parallel_coordinates as parallel_picture
from pipeline.figures.comparisons import pareto as pareto_picture
from pipeline.figures.comparisons.parallel_coordinates import ABSENT, FAN, Trials
from pipeline.figures.comparisons.pareto import Mark, Point
from pipeline.figures.networks import confusion_matrix as confusion_picture
from pipeline.figures.networks import curves as curves_picture
from pipeline.figures.networks import mistakes as mistakes_picture
from pipeline.figures.networks import per_class as classes_picture
from pipeline.figures.networks import reliability as reliability_picture
from pipeline.figures.style import FIT, MARK, TEST, TRAIN, canvas, png
from pipeline.models.dense import notebook_network
from pipeline.statistics import calibration, pareto, per_class
from pipeline.statistics.gap_table import Row, gap_table
from pipeline.statistics.per_class import most_confident_errors
from pipeline.statistics.trial_metrics import trial_metrics
from pipeline.training.result import Score
from tests.figures.samples import CLASS_NAMES, images, labels_and_probabilities, searched, trial

NAMES = [
    *(f"dropout_{place}" for place in range(5)),
    *(f"hidden_{layer}" for layer in range(1, 5)),
    "val_accuracy", "test_accuracy", "accuracy_gap",
]  # fmt: skip


def pixels(figure: Figure) -> NDArray[np.float32]:
    """(height, width, 4) of the PNG; a picture that is blank or does not draw fails here."""
    drawn = np.asarray(imread(io.BytesIO(png(figure)), format="png"), np.float32)
    assert drawn.std() > 0
    return drawn


def line(axes: Axes, label: str) -> tuple[list[float], list[float]]:
    """x and y of the one line of that label."""
    (found,) = [each for each in axes.get_lines() if each.get_label() == label]
    return xs(found), ys(found)


def xs(drawn: Line2D) -> list[float]:
    return list(np.asarray(drawn.get_xdata(), float).tolist())


def ys(drawn: Line2D) -> list[float]:
    return list(np.asarray(drawn.get_ydata(), float).tolist())


def bars(axes: Axes) -> list[Rectangle]:
    return [each for each in axes.patches if isinstance(each, Rectangle)]


def shaded(axes: Axes) -> NDArray[np.float64]:
    """(n, 2): the corners of the one shaded area."""
    (area,) = axes.collections
    return np.asarray(area.get_paths()[0].vertices, float)


def written(axes: Axes) -> list[str]:
    return [each.get_text() for each in axes.texts]


def legend(figure: Figure) -> list[str]:
    return [each.get_text() for each in figure.legends[0].get_texts()]


class TestCurves:
    def test_both_measures_are_drawn_with_labelled_axes(self) -> None:
        result = trial()
        figure = curves_picture.curves(result, title="784-10")
        loss, accuracy = figure.axes
        for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
            assert line(axes, "train, dropout off") == (list(range(1, 21)), list(result.history[f"train_{name}"]))
            assert line(axes, "validation")[1] == list(result.history[f"val_{name}"])
            assert line(axes, "train as model.fit reports it")[1] == list(result.history[name])
            assert line(axes, "weights kept")[0] == [result.best_epoch + 1] * 2
            assert axes.get_xlabel() == "epoch"
        assert pixels(figure).shape[2] == 4

    def test_the_shaded_area_reaches_from_train_to_validation(self) -> None:
        result = trial(epochs=3)
        loss, _ = curves_picture.curves(result).axes
        corners = shaded(loss)
        for epoch in range(3):
            heights = corners[corners[:, 0] == epoch + 1][:, 1]
            assert heights.min() == min(result.history["train_loss"][epoch], result.history["val_loss"][epoch])
            assert heights.max() == max(result.history["train_loss"][epoch], result.history["val_loss"][epoch])

    @pytest.mark.parametrize(
        ("train", "validation", "loss_gap", "accuracy_gap"),
        [
            (Score(loss=0.5, accuracy=0.8), Score(loss=0.6, accuracy=0.78), "0.100", "2.00"),
            (Score(loss=0.50001, accuracy=0.79999), Score(loss=0.5, accuracy=0.8), "0.000", "0.00"),  # not -0.00
        ],
    )
    def test_the_headings_give_the_gap_of_the_weights_kept_over_all_images(
        self, train: Score, validation: Score, loss_gap: str, accuracy_gap: str
    ) -> None:
        figure = curves_picture.curves(replace(trial(), train=train, validation=validation))
        assert [axes.get_title(loc="left") for axes in figure.axes] == [
            f"Loss (nats), gap {loss_gap} to validation",
            f"Accuracy, gap {accuracy_gap} points to validation",
        ]

    def test_a_single_epoch_shows_dots_and_a_strip_of_gap(self) -> None:
        result = trial(epochs=1)
        figure = curves_picture.curves(result)
        loss, _ = figure.axes
        assert {each.get_marker() for each in loss.get_lines()} == {"o", "None"}
        corners = shaded(loss)
        assert np.ptp(corners[:, 0]) == pytest.approx(0.12)
        assert np.ptp(corners[:, 1]) == pytest.approx(
            abs(result.history["val_loss"][0] - result.history["train_loss"][0])
        )
        assert [tick for tick in loss.get_xticks() if 0.5 <= tick <= 1.5] == [1]
        pixels(figure)

    def test_a_loss_that_is_not_a_number_leaves_the_other_epochs(self) -> None:
        result = trial(epochs=4)
        broken = {**result.history, "val_loss": (0.5, 0.4, math.nan, math.nan)}
        figure = curves_picture.curves(replace(result, history=broken, best_epoch=1))
        assert line(figure.axes[0], "validation")[1][:2] == [0.5, 0.4]
        pixels(figure)

    def test_the_legend_stands_outside_the_curves_and_names_each_once(self) -> None:
        assert legend(curves_picture.curves(trial())) == [
            "gap", "train, dropout off", "validation", "train as model.fit reports it", "weights kept",
        ]  # fmt: skip

    @pytest.mark.parametrize("largest", [3e-5, 0.004, 2.5, 1234.0, 7e8])
    def test_losses_of_any_size_have_labels_on_the_page(self, largest: float) -> None:
        scaled = {name: tuple(largest * each for each in values) for name, values in trial().history.items()}
        inside_the_page(
            curves_picture.curves(replace(trial(), history={**trial().history, "val_loss": scaled["val_loss"]}))
        )

    def test_the_name_of_a_deep_network_stays_on_the_page(self) -> None:
        inside_the_page(curves_picture.curves(trial(), title="784(0.2)-512(0.5)-512(0.5)-512(0.5)-512(0.5)-10"))
        searched = (
            "784-512(0.5)-512(0.5)-10, activation gelu, batch_size 128, label_smoothing 0.1, learning_rate 0.01018"
        )
        inside_the_page(curves_picture.curves(trial(), title=f"{searched}, normalization layer, weight_decay 0.0131"))


class TestConfusion:
    def test_train_and_test_stand_side_by_side_with_their_accuracy(self) -> None:
        train, test = np.diag([60, 40]), np.array([[6, 2], [1, 1]])
        figure = confusion_picture.confusion(train, test, ("cat", "dog"), title="4-2")
        left, right = figure.axes
        assert left.get_title(loc="left") == "Train: 100 images, 100.00 % right"
        assert right.get_title(loc="left") == "Test: 10 images, 70.00 % right"
        assert left.get_ylabel() == "label"
        assert "predicted" in right.get_xlabel()
        assert [each.get_text() for each in left.get_yticklabels()] == ["cat", "dog"]
        assert [each.get_text() for each in right.get_xticklabels()] == ["cat", "dog"]
        pixels(figure)

    def test_a_cell_shows_its_share_of_the_row_in_percent(self) -> None:
        figure = confusion_picture.confusion(np.diag([1, 1]), np.array([[184, 16], [100, 100]]), ("a", "b"))
        cells = {each.get_position(): each.get_text() for each in figure.axes[1].texts}
        assert cells == {(0, 0): "92", (1, 0): "8.0", (0, 1): "50", (1, 1): "50"}

    def test_a_number_stands_in_the_middle_of_its_cell_as_plain_text_does(self, monkeypatch) -> None:
        """The same picture, but for up to half a pixel: the same ink in the same places."""
        counts = np.array([[95, 5], [30, 70]])
        copied = pixels(confusion_picture.confusion(counts, counts, ("a", "b")))
        monkeypatch.setattr(confusion_picture.Number, "draw", Text.draw)
        plain = pixels(confusion_picture.confusion(counts, counts, ("a", "b")))
        assert np.abs(copied - plain)[..., :3].sum() < 600  # 314; upside down it would be 1,168
        for axis in (0, 1):
            ink = [1 - each[..., :3].mean(axis=2) for each in (copied, plain)]
            places = [np.average(np.arange(each.shape[axis]), weights=each.sum(axis=1 - axis)) for each in ink]
            assert places[0] == pytest.approx(places[1], abs=0.05)

    def test_shares_under_half_a_percent_are_left_to_the_colour(self) -> None:
        figure = confusion_picture.confusion(np.array([[997, 3], [5, 995]]), np.diag([1, 1]), ("a", "b"))
        assert written(figure.axes[0]) == ["100", "0.5", "100"]

    def test_a_class_without_images_is_an_empty_row(self) -> None:
        figure = confusion_picture.confusion(np.diag([5, 0, 5]), np.diag([1, 0, 1]), ("a", "b", "c"))
        assert [each.get_position() for each in figure.axes[0].texts] == [(0, 0), (2, 2)]
        pixels(figure)

    def test_no_images_at_all_are_said_to_be_none(self) -> None:
        figure = confusion_picture.confusion(np.zeros((2, 2), int), np.diag([1, 1]), ("a", "b"))
        assert figure.axes[0].get_title(loc="left") == "Train: 0 images, no images"
        pixels(figure)

    def test_the_long_names_of_ten_classes_stay_on_the_page(self) -> None:
        labels, probabilities = labels_and_probabilities(2000, noise=1.5)
        counts = per_class.confusion(labels, probabilities)
        inside_the_page(confusion_picture.confusion(counts, counts, CLASS_NAMES, title="784-10"))


class TestPareto:
    def test_the_front_is_drawn_in_points_and_percent(self) -> None:
        points = [Point(0.05, 0.90), Point(0.03, 0.89), Point(0.06, 0.88)]
        figure = pareto_picture.pareto(points, [1, 0])
        (axes,) = figure.axes
        gaps, accuracies = line(axes, "Pareto front")
        assert gaps == pytest.approx([3, 5])
        assert accuracies == pytest.approx([89, 90])
        drawn = {each.get_label(): each.get_drawstyle() for each in axes.get_lines()}
        assert drawn["Pareto front"] == "steps-post", "none has reached what lies between"
        assert line(axes, "other networks")[1] == pytest.approx([88])
        assert "honest gap" in axes.get_xlabel()
        assert axes.get_ylabel() == "test accuracy (%)"
        pixels(figure)

    def test_the_chosen_and_the_baseline_are_told_apart_and_named(self) -> None:
        marks = [Mark(Point(0.05, 0.90), "chosen: 784-10"), Mark(Point(0.07, 0.87), "notebook: 784-128-10")]
        figure = pareto_picture.pareto([Point(0.05, 0.90), Point(0.06, 0.89)], [0], marks)
        shapes = {each.get_label(): (each.get_marker(), each.get_color()) for each in figure.axes[0].get_lines()}
        assert shapes["chosen: 784-10"] == ("*", MARK)
        assert shapes["notebook: 784-128-10"] == ("D", TEST)
        assert legend(figure)[-2:] == ["chosen: 784-10", "notebook: 784-128-10"]

    def test_networks_that_learned_nothing_are_counted_instead_of_drawn(self) -> None:
        # Best .90, median .89: the picture reaches down to .90 - 3 x .01 = .87.
        points = [Point(0.05, 0.90), Point(0.05, 0.895), Point(0.05, 0.89), Point(0.05, 0.88), Point(0.0, 0.1)]
        figure = pareto_picture.pareto(points, [4, 0])
        (axes,) = figure.axes
        assert axes.get_title(loc="left") == "5 trained networks: better is up and left (1 below 87.0 % not shown)"
        assert line(axes, "Pareto front")[1] == pytest.approx([90])
        assert axes.get_ylim()[0] > 87

    def test_a_single_network_is_drawn(self) -> None:
        figure = pareto_picture.pareto([Point(0.05, 0.90)], [0], [Mark(Point(0.05, 0.90), "chosen")])
        assert figure.axes[0].get_title(loc="left") == "1 trained network: better is up and left"
        pixels(figure)

    def test_a_network_without_figures_is_left_out(self) -> None:
        figure = pareto_picture.pareto([Point(0.05, 0.90), Point(math.nan, math.nan)], [0])
        assert line(figure.axes[0], "Pareto front")[1] == pytest.approx([90])
        assert legend(figure) == ["Pareto front"], "no entry without a dot"
        pixels(figure)

    def test_no_network_draws_empty_axes(self) -> None:
        figure = pareto_picture.pareto([], [])
        assert figure.axes[0].get_title(loc="left") == "0 trained networks: better is up and left"
        pixels(figure)

    def test_two_hundred_networks_and_long_names_stay_on_the_page(self) -> None:
        points = [Point(float(each["accuracy_gap"] or 0), float(each["test_accuracy"] or 0)) for each in searched(200)]
        best = pareto.front([each.accuracy for each in points], [each.gap for each in points])
        marks = [Mark(points[0], "chosen on validation: 784(0.2)-512(0.5)-256(0.5)-128(0.5)-64(0.5)-10")]
        inside_the_page(pareto_picture.pareto(points, list(best), marks))
        settings = "activation gelu, learning_rate 0.01018, batch_size 64, weight_decay 0.1982, label_smoothing 0.1"
        searched_too = [Mark(points[0], f"{marks[0].label}, {settings}")]
        inside_the_page(pareto_picture.pareto(points, list(best), searched_too))


class TestParallel:
    @pytest.mark.parametrize("count", [1, 2, 24, 200])
    def test_every_trial_is_a_line_over_every_axis(self, count: int) -> None:
        figure = parallel_picture.parallel(searched(count), NAMES, colour_by="test_accuracy")
        lines = [each for each in figure.axes[0].get_lines() if len(xs(each)) == len(NAMES)]
        assert len(lines) == count
        assert [each.get_text() for each in figure.axes[0].get_xticklabels()] == [
            each.replace("_", "\n", 1) for each in NAMES
        ]
        inside_the_page(figure)

    def test_a_layer_that_a_network_lacks_is_drawn_below_its_axis_at_none(self) -> None:
        trials: Trials = [
            {"hidden_1": 64.0, "hidden_2": None, "score": 0.9},
            {"hidden_1": 32.0, "hidden_2": 64.0, "score": 0.8},
        ]
        heights = lines_of(trials, ["hidden_1", "hidden_2", "score"])
        assert heights[0] == pytest.approx([1, ABSENT, 1], abs=FAN)
        assert heights[1] == pytest.approx([0, 1, 0], abs=FAN)
        figure = parallel_picture.parallel(trials, ["hidden_1", "hidden_2", "score"], colour_by="score")
        assert written(figure.axes[0]).count("none") == 1

    def test_a_value_that_is_not_a_number_is_drawn_like_one_that_is_missing(self) -> None:
        trials: Trials = [{"hidden_1": 64.0, "score": math.nan}, {"hidden_1": 32.0, "score": 0.8}]
        assert lines_of(trials, ["hidden_1", "score"])[0][1] == pytest.approx(ABSENT, abs=FAN)

    def test_the_same_rate_has_the_same_height_on_every_dropout_axis(self) -> None:
        trials: Trials = [
            {"dropout_0": 0.1, "dropout_1": 0.5, "score": 0.9123},
            {"dropout_0": 0.0, "dropout_1": 0.1, "score": 0.8123},
        ]
        first, second = lines_of(trials, ["dropout_0", "dropout_1", "score"])
        assert first[:2] == pytest.approx([0.5, 1], abs=FAN)
        assert second[:2] == pytest.approx([0, 0.5], abs=FAN)

    def test_texts_are_spaced_evenly_by_the_alphabet_and_named(self) -> None:
        trials: Trials = [{"activation": name, "score": 0.8123} for name in ("relu", "elu", "gelu")]
        heights = [each[0] for each in lines_of(trials, ["activation", "score"])]
        assert sorted(heights) == pytest.approx([0, 0.5, 1], abs=FAN)
        figure = parallel_picture.parallel(trials, ["activation", "score"], colour_by="score")
        assert written(figure.axes[0])[:3] == ["elu", "gelu", "relu"]

    def test_a_logarithmic_range_is_even_on_its_scale(self) -> None:
        rates = [1e-4, 1e-3, 1e-2, *(1e-4 * 1.5**step for step in range(1, 9))]
        trials: Trials = [{"rate": rate, "score": 0.8} for rate in rates]
        for log, height in (((), 0.0009 / 0.0099), ({"rate"}, 0.5)):
            figure = parallel_picture.parallel(trials, ["rate", "score"], colour_by="score", log=log)
            assert ys(figure.axes[0].get_lines()[2 + 1])[0] == pytest.approx(height)  # after the two axes

    def test_the_best_trial_is_drawn_last(self) -> None:
        trials: Trials = [{"a": 1.0, "score": value} for value in (0.8, 0.95, 0.9)]
        drawn = parallel_picture.parallel(trials, ["a", "score"], colour_by="score").axes[0].get_lines()
        assert ys(drawn[-1])[1] == pytest.approx(1, abs=FAN)

    def test_trials_without_a_colour_are_drawn(self) -> None:
        pixels(parallel_picture.parallel([{"a": 1.0}, {"a": 2.0}], ["a", "b"], colour_by="score"))


def lines_of(trials: Trials, names: list[str]) -> list[list[float]]:
    """Heights of every trial's line, in the order of the trials, of which the last name decides the drawing order."""
    drawn = parallel_picture.parallel(trials, names, colour_by=names[-1]).axes[0].get_lines()[len(names) :]
    order = sorted(range(len(trials)), key=lambda each: np.nan_to_num(float(trials[each][names[-1]] or 0)))
    heights = dict(zip(order, drawn, strict=True))
    return [ys(heights[each]) for each in range(len(trials))]


class TestGaps:
    def table_of(self, count: int) -> list[Row]:
        one, other = trial_metrics(trial()), trial_metrics(trial(spec=notebook_network()))
        rows = [Row("chosen", "784(0.1)-512(0.3)-256(0.3)-10", dropout=True, seeds=[one, other])]
        return [*rows, Row("baseline", "784-128-64-32-10", dropout=False, seeds=[other])][:count]

    def test_the_gap_is_written_beside_every_network_by_both_measures(self) -> None:
        table = gap_table(self.table_of(2))
        figure = gaps_picture.gaps(table)
        accuracy, loss = figure.axes
        assert sorted(written(accuracy)) == sorted(f"{100 * gap:+.2f}" for gap in table["accuracy_gap"])
        assert sorted(written(loss)) == sorted(f"{gap:+.3f}" for gap in table["loss_gap"])
        assert [each.get_text() for each in accuracy.get_yticklabels()] == [
            "chosen\n784(0.1)-512(0.3)-256(0.3)-10",
            "baseline\n784-128-64-32-10",
        ]
        assert legend(figure) == ["train, dropout off", "test", "train as model.fit reports it"]
        inside_the_page(figure)

    def test_test_and_both_measures_of_train_have_their_own_colours(self) -> None:
        accuracy, _ = gaps_picture.gaps(gap_table(self.table_of(1))).axes
        dots = [each for each in accuracy.get_lines() if each.get_marker() in {"o", "D"}]
        assert {each.get_color() for each in dots} == {TRAIN, TEST, FIT}
        assert len(dots) == 4

    def test_one_network_that_is_as_good_on_test_as_on_train_is_drawn(self) -> None:
        flat = {"accuracy": (0.5,), "loss": (0.7,)}
        same = trial(epochs=1)
        same = replace(same, history={**same.history, **flat}, train=same.test)
        pixels(gaps_picture.gaps(gap_table([Row("chosen", "x", dropout=False, seeds=[trial_metrics(same)])])))

    def test_ten_networks_with_long_names_stay_on_the_page(self) -> None:
        measured = [trial_metrics(trial())]
        names = [f"784(0.2)-512(0.5)-512(0.5)-512(0.5)-{64 + number}(0.5)-10" for number in range(10)]
        rows = [Row(f"network {place}", name, dropout=True, seeds=measured) for place, name in enumerate(names)]
        inside_the_page(gaps_picture.gaps(gap_table(rows)))


class TestReliability:
    def test_a_bar_is_as_high_as_its_bin_was_right(self) -> None:
        labels, probabilities = labels_and_probabilities(400, noise=1.5)
        measured = calibration.reliability(labels, probabilities)
        figure = reliability_picture.reliability(measured, part="test")
        above, below = figure.axes
        assert [bar.get_height() for bar in bars(above)] == pytest.approx(measured.accuracy.tolist(), nan_ok=True)
        assert [bar.get_height() for bar in bars(below)] == pytest.approx(measured.share.tolist())
        error = 100 * measured.expected_calibration_error
        assert above.get_title(loc="left") == f"Calibration on test: expected calibration error {error:.2f} points"
        assert line(above, "perfectly calibrated") == ([0, 1], [0, 1])
        inside_the_page(figure)

    def test_a_network_that_is_always_sure_leaves_empty_bins(self) -> None:
        measured = calibration.reliability(np.array([0, 1]), np.eye(2, dtype=np.float32))
        pixels(reliability_picture.reliability(measured, part="test"))


class TestMistakes:
    def test_every_mistake_is_shown_with_what_it_was_taken_for_and_what_it_is(self) -> None:
        found = most_confident_errors(np.array([1, 0]), np.array([[0.7, 0.3], [0.1, 0.9]], np.float32), most=5)
        shown = images(2)
        figure = mistakes_picture.mistakes(shown, found, ("cat", "dog"), pixel_max=255, part="test")
        (axes,) = figure.axes
        assert written(axes) == ["dog (90.0 %)", "true: cat", "cat (70.0 %)", "true: dog"]
        for drawn, row in zip(axes.images, (1, 0), strict=True):
            np.testing.assert_array_equal(drawn.get_array(), shown[row])
            assert drawn.get_clim() == (0, 255)

    def test_thirty_mistakes_fill_five_rows_that_do_not_overlap(self) -> None:
        labels, probabilities = labels_and_probabilities(500, noise=2)
        found = most_confident_errors(labels, probabilities, most=30)
        figure = mistakes_picture.mistakes(images(500), found, CLASS_NAMES, pixel_max=255, part="test")
        boxes = [(left, top) for left, _, _, top in (each.get_extent() for each in figure.axes[0].images)]
        assert len(boxes) == len(set(boxes)) == 30
        assert len({round(top, 6) for _, top in boxes}) == 5
        inside_the_page(figure)

    def test_no_mistake_is_said_to_be_none(self) -> None:
        figure = mistakes_picture.mistakes(images(1), [], ("cat", "dog"), pixel_max=255, part="test")
        assert figure.get_suptitle() == "No error on test"
        pixels(figure)


class TestManyClasses:
    NAMES = tuple(f"species {place:02}" for place in range(30))

    def test_a_confusion_matrix_of_thirty_classes_is_larger_and_stays_inside_the_page(self) -> None:
        counts = np.eye(30, dtype=int) * 9 + 1
        figure = confusion_picture.confusion(counts, counts, self.NAMES, title="240-30")
        assert figure.get_size_inches()[0] == pytest.approx(11.8 * 30 / 16)
        assert len(figure.axes[0].texts) == 900
        inside_the_page(figure)

    def test_numbers_too_small_to_read_are_left_to_the_colour(self) -> None:
        counts = np.eye(80, dtype=int)
        figure = confusion_picture.confusion(counts, counts, [str(place) for place in range(80)])
        assert len(figure.axes[0].texts) == 0
        assert np.trace(np.asarray(figure.axes[0].images[0].get_array())) == 80

    def test_an_image_that_is_not_square_keeps_its_proportions(self) -> None:
        found = most_confident_errors(np.array([1]), np.array([[0.7, 0.3]], np.float32), most=1)
        wide = np.zeros((1, 5, 10), np.uint8)
        (axes,) = mistakes_picture.mistakes(wide, found, ("cat", "dog"), pixel_max=255, part="test").axes
        left, right, bottom, top = axes.images[0].get_extent()
        assert right - left == pytest.approx(0.92)
        assert bottom - top == pytest.approx(0.46)


class TestClasses:
    def test_the_weakest_class_comes_first(self) -> None:
        labels = np.array([0, 0, 1, 1])
        shares = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], np.float32)
        figure = classes_picture.classes(per_class.per_class(labels, shares, ("cat", "dog")), part="test")
        (axes,) = figure.axes
        # dog: precision 1, recall 1/2, F1 2/3; cat: precision 2/3, recall 1, F1 4/5.
        assert [each.get_text() for each in axes.get_yticklabels()] == ["dog", "cat"]
        assert [bar.get_width() for bar in bars(axes)] == pytest.approx([1, 2 / 3, 1 / 2, 1])
        assert written(axes) == ["100.0", "66.7", "50.0", "100.0"]
        assert legend(figure) == ["precision", "recall"]
        inside_the_page(figure)


def inside_the_page(figure: Figure) -> None:
    """Nothing is cut off: the outermost pixels of the page are white."""
    drawn = pixels(figure)
    for edge in (drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]):
        assert np.all(edge == 1)


def test_a_png_shows_what_savefig_shows() -> None:
    ours, theirs = io.BytesIO(png(curves_picture.curves(trial()))), io.BytesIO()
    curves_picture.curves(trial()).savefig(theirs, format="png")
    theirs.seek(0)
    np.testing.assert_array_equal(imread(ours, format="png"), imread(theirs, format="png"))


def test_the_same_input_gives_the_same_bytes_also_from_two_threads() -> None:
    with ThreadPoolExecutor(2) as threads:
        drawn = list(threads.map(lambda _: png(curves_picture.curves(trial(epochs=5))), range(4)))
    assert len(set(drawn)) == 1


def test_no_picture_touches_the_state_of_pyplot() -> None:
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    png(curves_picture.curves(trial(epochs=2)))
    assert plt.get_fignums() == before


def test_axes_come_row_by_row_on_white() -> None:
    figure, axes = canvas(4, 3, rows=2, columns=3)
    assert len(axes) == 6
    first, second, below = (axes[place].get_position() for place in (0, 1, 3))
    assert (second.x0 > first.x0, below.y0 < first.y0) == (True, True)
    assert figure.get_facecolor() == to_rgba("white")
