"""Means over seeds with their scatter and interval."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW  # type: ignore[import-untyped]  # has no types

from pipeline.statistics.seed_summary import Summary, over_seeds, summarise, summarise_metrics


def test_mean_scatter_and_interval_are_those_worked_by_hand() -> None:
    # Mean 3, squares 4 + 1 + 0 + 1 + 4 = 10 over n - 1 = 4; t(.975, 4) = 2.776 445 from a printed table.
    summary = summarise([1, 2, 3, 4, 5])
    reach = 2.776445 * math.sqrt(2.5) / math.sqrt(5)
    assert (summary.mean, summary.n) == (3, 5)
    assert summary.sd == pytest.approx(math.sqrt(2.5))
    assert (summary.low, summary.high) == pytest.approx((3 - reach, 3 + reach), rel=1e-6)


@given(values=st.lists(st.floats(-1, 1), min_size=2, max_size=20))
def test_the_interval_is_that_of_statsmodels(values: list[float]) -> None:
    summary = summarise(values)
    expected = DescrStatsW(values)
    assert summary.sd == pytest.approx(np.std(values, ddof=1), abs=1e-9)
    assert summary.mean == pytest.approx(expected.mean, abs=1e-9)
    if summary.sd > 1e-9:  # below, theirs is rounding
        assert (summary.low, summary.high) == pytest.approx(expected.tconfint_mean(alpha=0.05), abs=1e-9)


def test_an_interval_excludes_zero_exactly_where_a_t_test_does() -> None:
    for values in ([0.2, 1.0, 1.5], [0.6, 1.0, 1.5], [-0.1, -0.3, -0.2, -0.2]):
        summary = summarise(values)
        assert (summary.low > 0 or summary.high < 0) == (stats.ttest_1samp(values, 0).pvalue < 0.05)


def test_one_seed_tells_nothing_of_its_scatter() -> None:
    summary = summarise([0.9])
    assert (summary.mean, summary.n) == (0.9, 1)
    assert all(map(math.isnan, (summary.sd, summary.low, summary.high)))


def test_equal_values_have_exactly_their_mean_and_no_scatter() -> None:
    # A sum of three .1 in floating point is .30000000000000004.
    assert summarise([0.1, 0.1, 0.1]) == Summary(0.1, 0.0, 0.1, 0.1, 3)


def test_numpy_numbers_become_plain_ones() -> None:
    summary = summarise(np.array([0.5, 0.75], np.float32))
    assert {type(summary.mean), type(summary.sd), type(summary.low)} == {float}
    assert summary.mean == 0.625


def test_no_values_are_refused() -> None:
    with pytest.raises(ValueError, match="no values to summarise; expected one per seed, at least one"):
        summarise([])


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_refused(broken: float) -> None:
    with pytest.raises(ValueError, match=r"values are \[0.9, .*\]; expected finite numbers only"):
        summarise([0.9, broken])


def test_the_table_is_long_and_keeps_the_order() -> None:
    table = over_seeds({
        "b": [{"test_loss": 0.2, "accuracy_gap": 0.01}, {"test_loss": 0.4, "accuracy_gap": 0.03}],
        "a": [{"test_loss": 0.5, "accuracy_gap": 0.05}],
    })  # fmt: skip
    assert table.columns.tolist() == ["network", "metric", "mean", "sd", "low", "high", "n"]
    assert table["network"].tolist() == ["b", "b", "a", "a"]
    assert table["metric"].tolist() == ["test_loss", "accuracy_gap", "test_loss", "accuracy_gap"]
    assert table["mean"].tolist() == pytest.approx([0.3, 0.02, 0.5, 0.05])
    assert table["n"].tolist() == [2, 2, 1, 1]
    assert table["sd"].tolist() == pytest.approx([math.sqrt(0.02), math.sqrt(0.0002), math.nan, math.nan], nan_ok=True)


def test_a_seed_may_name_its_metrics_in_another_order() -> None:
    summaries = summarise_metrics("a", [{"x": 1, "y": 10}, {"y": 30, "x": 3}])
    assert {metric: each.mean for metric, each in summaries.items()} == {"x": 2, "y": 20}


def test_a_table_of_no_networks_is_empty_and_has_its_columns() -> None:
    table = over_seeds({})
    assert len(table) == 0
    assert table.columns.tolist() == ["network", "metric", "mean", "sd", "low", "high", "n"]


def test_a_network_without_seeds_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="784-10 has no seeds; expected the metrics of at least one"):
        over_seeds({"784-10": []})


def test_seeds_with_different_metrics_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"784-10: seeds 1 and 3 do not share the metrics \['x', 'y'\]"):
        over_seeds({"784-10": [{"x": 1}, {"x": 2}, {"y": 3}]})


def test_a_figure_that_is_no_number_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"784-10, x: values are \[1.0, nan\]"):
        over_seeds({"784-10": [{"x": 1}, {"x": math.nan}]})
