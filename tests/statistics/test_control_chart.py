"""The control chart: noise and limits worked by hand, and what is beyond them."""

import math
import statistics
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import pytest
from scipy.stats import t

from pipeline.statistics.monitoring.control_chart import (  # fmt: skip
    MEASURES,
    Chart,
    ChartPoint,
    ModelScores,
    control_chart,
    is_outside,
    limit_warnings,
    measure_text,
    range_noise,
    refit_noise,
    seed_noise,
)

START = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)


def same(value: float) -> ModelScores:
    return ModelScores(value, value, value)


def night(day: int, value: float, role: Literal["champion", "challenger"] = "challenger") -> ChartPoint:
    return ChartPoint(START + timedelta(days=day), role, f"version {day}", same(value))


def nights(*values: float) -> list[ChartPoint]:
    return [night(day, value) for day, value in enumerate(values)]


def test_the_noise_of_refits_is_their_standard_deviation() -> None:
    # Mean .90; squares .0004 + 0 + .0004, over two degrees of freedom: sd .02.
    found = refit_noise([0.88, 0.90, 0.92])
    assert found is not None
    assert found.sd == pytest.approx(0.02)
    assert (found.freedom, found.how) == (2, "3 refits")


def test_equal_refits_have_no_noise_at_all() -> None:
    found = refit_noise([0.1] * 7)
    assert found is not None
    assert found.sd == 0


def test_the_noise_of_one_network_a_night_is_the_mean_moving_range_over_1_128() -> None:
    # Steps .02, .01, .03; mean .02; over 1.128 .01773. Montgomery: d2 of two is 1.128.
    found = range_noise([0.90, 0.92, 0.91, 0.94])
    assert found is not None
    assert found.sd == pytest.approx(0.02 / 1.128, rel=1e-3)
    assert found.freedom == pytest.approx(3 * 0.605)
    assert found.how == "the moving range of 4 challengers"


def test_a_slow_drift_is_no_noise_for_the_moving_range() -> None:
    drifting = [0.80 + 0.001 * day for day in range(50)]
    found = range_noise(drifting)
    assert found is not None
    assert found.sd == pytest.approx(0.001 / 1.128, rel=1e-3)
    assert statistics.stdev(drifting) > 10 * found.sd


def test_the_moving_range_has_as_much_freedom_as_is_said() -> None:
    # An sd with f degrees of freedom scatters, relative to itself, with variance 1 / (2 f).
    generator = np.random.default_rng(1)
    estimates = [range_noise(list(generator.normal(size=41))) for _ in range(2000)]
    sds = [each.sd for each in estimates if each is not None]
    assert np.mean(sds) == pytest.approx(1, abs=0.02)
    assert 1 / (2 * np.var(sds)) == pytest.approx(40 * 0.605, rel=0.1)


@pytest.mark.parametrize("values", [[], [0.9], [0.9, math.nan]])
def test_one_value_tells_no_noise(values: list[float]) -> None:
    assert refit_noise(values) is None
    assert range_noise(values) is None


def test_seed_noise_is_that_of_the_refits_by_measure() -> None:
    assert {name: each.how for name, each in seed_noise([same(0.8), same(0.9)]).items()} == dict.fromkeys(
        MEASURES, "2 refits"
    )
    assert seed_noise([same(0.8)]) == {}


def test_a_measure_that_is_not_a_number_is_left_out_of_the_noise() -> None:
    broken = [ModelScores(0.9, math.nan, 0.01), ModelScores(0.8, math.nan, 0.02)]
    assert set(seed_noise(broken)) == {"accuracy", "accuracy_gap"}


def test_limits_are_three_sd_about_the_mean_of_the_refits() -> None:
    # Mean .90, squares .0010, sd sqrt(.0010 / 4) = .015811; over c4(5) = .9400 of the tables .016820; three of them .05046.
    refits = [same(each) for each in (0.88, 0.89, 0.90, 0.91, 0.92)]
    limits = control_chart([night(0, 0.9)], refits).limits["accuracy"]
    assert (limits.low, limits.centre, limits.high) == pytest.approx((0.84954, 0.90, 0.95046), abs=2e-5)
    assert limits.how == "mean ± 3 sd of 5 refits"


def test_a_night_on_which_the_gap_of_all_refits_has_moved_is_beyond_the_limits() -> None:
    """The challenger is one of its refits: about their mean it would never be beyond."""
    refits = [same(each) for each in (0.08, 0.09, 0.10, 0.11, 0.12)]
    charted = control_chart(nights(0.9, *[0.02, 0.04] * 4, 0.10), refits)
    limits = charted.limits["accuracy_gap"]
    assert (limits.low, limits.centre, limits.high) == pytest.approx((0.03 - 0.05046, 0.03, 0.03 + 0.05046), abs=2e-5)
    assert limits.how == "mean of the last 8 challengers ± 3 sd of 5 refits"
    assert limit_warnings(charted)[0].startswith(
        "the honest gap of the challenger version 9, +10.00 points, is above its limit"
    )
    assert (
        limit_warnings(control_chart(nights(*[0.02, 0.04] * 3, 0.10), refits)) == []
    )  # too few nights to know what is usual


def test_without_refits_limits_come_from_the_moving_range_of_earlier_challengers() -> None:
    # Steps of .01, eight challengers about .905, then one far away that takes no part.
    limits = control_chart(nights(*[0.90, 0.91] * 4, 0.5)).limits["accuracy"]
    reach = 3 * 0.01 / 1.128
    assert (limits.low, limits.high) == pytest.approx((0.905 - reach, 0.905 + reach), abs=1e-5)
    assert limits.how == "mean ± 3 sd of the moving range of 8 challengers"


def test_a_champion_that_is_scored_every_night_does_not_narrow_the_limits() -> None:
    champions = [night(day, 0.9, "champion") for day in range(20)]
    assert not control_chart(champions).limits["accuracy"].known


@pytest.mark.parametrize(("refits", "earlier"), [(0, 0), (4, 7)])
def test_too_few_networks_give_no_limits_and_it_is_said(refits: int, earlier: int) -> None:
    charted = control_chart(nights(*[0.9] * earlier, 0.1), [same(0.9)] * refits)
    limits = charted.limits["loss"]
    assert not limits.known
    assert limits.how == f"no limits: {refits} refits of the recipe and {earlier} earlier challengers; expected 5 or 8"
    assert limit_warnings(charted) == []


def test_what_is_beyond_a_limit_is_told_with_figure_and_limit() -> None:
    refits = [ModelScores(0.9 + each, 0.3 + each, 0.03 + each) for each in (-0.002, -0.001, 0.0, 0.001, 0.002)]
    charted = control_chart([ChartPoint(START, "challenger", "version 7", ModelScores(0.9, 0.3, 0.055))], refits)
    (warning,) = limit_warnings(charted)
    assert warning == (
        "the honest gap of the challenger version 7, +5.50 points, is above its limit of +3.50 points "
        "(mean ± 3 sd of 5 refits)"
    )


def test_both_networks_of_the_newest_night_are_judged_and_no_earlier_one() -> None:
    refits = [same(0.9)] * 5
    charted = control_chart([night(0, 0.5), night(1, 0.9, "champion"), night(1, 0.8)], refits)
    assert [each.split(",")[0] for each in limit_warnings(charted)] == [
        f"the {metric.label} of the challenger version 1" for metric in MEASURES.values()
    ]


def test_a_value_on_its_limit_is_within() -> None:
    limits = control_chart([night(0, 0.9)], [same(0.9)] * 5).limits["loss"]
    assert not is_outside(0.9, limits)
    assert is_outside(math.nextafter(0.9, 1), limits)


def test_a_figure_that_is_no_number_is_told_also_without_limits() -> None:
    assert (
        limit_warnings(control_chart([night(3, math.nan)]))[1] == "the test accuracy of the challenger version 3 is nan"
    )


def test_nights_are_put_in_the_order_of_time() -> None:
    charted = control_chart([night(2, 0.2), night(0, 0.0), night(1, 0.1)])
    assert [each.scores.loss for each in charted.points] == [0.0, 0.1, 0.2]


def test_no_night_is_refused() -> None:
    with pytest.raises(ValueError, match="no scores to chart; expected at least one"):
        control_chart([])


@pytest.mark.parametrize(("count", "stated"), [(5, 0.044), (10, 0.016), (30, 0.006)])
def test_noise_alone_is_called_beyond_as_often_as_the_docstring_says(count: int, stated: float) -> None:
    c4 = {5: 0.9400, 10: 0.9727, 30: 0.9914}[count]  # of the tables
    exact = 2 * float(t.sf(3 / c4 / math.sqrt(1 + 1 / count), count - 1))
    assert exact == pytest.approx(stated, abs=0.0006)
    generator = np.random.default_rng(count)
    alarms = 0
    for _ in range(1500):
        values = generator.normal(size=count + 1)
        charted: Chart = control_chart([night(0, float(values[-1]))], [same(float(each)) for each in values[:-1]])
        alarms += bool(limit_warnings(charted))
    assert alarms / 1500 == pytest.approx(exact, abs=4 * math.sqrt(exact / 1500))


def test_noise_alone_about_earlier_challengers_is_called_beyond_as_often_as_the_docstring_says() -> None:
    exact = 2 * float(t.sf(3 / 0.9400 / math.sqrt(1 + 1 / 8), 4))
    assert exact == pytest.approx(0.040, abs=0.0006)
    generator = np.random.default_rng(8)
    alarms = 0
    for _ in range(1500):
        values = [float(each) for each in generator.normal(size=9 + 5)]
        alarms += bool(limit_warnings(control_chart(nights(*values[:9]), [same(each) for each in values[9:]])))
    assert alarms / 1500 == pytest.approx(exact, abs=4 * math.sqrt(exact / 1500))


def test_figures_are_shown_in_their_units() -> None:
    assert measure_text("accuracy", 0.9123) == "91.23 %"
    assert measure_text("accuracy_gap", -0.0123) == "-1.23 points"
    assert measure_text("loss", 0.12346) == "0.1235 nats"
