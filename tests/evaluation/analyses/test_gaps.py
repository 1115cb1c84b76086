"""The gap table shows every network by both measures, with its intervals."""

import pytest

from pipeline.data.split import Split
from pipeline.evaluation.analyses import gaps
from pipeline.evaluation.finalists import BASELINE
from tests.evaluation.analyses.evaluated import BETTER, WORSE, evaluated, finalist, section, table
from tests.evaluation.samples import figures, group, relu

pytestmark = pytest.mark.tensorflow


def test_a_network_has_dropout_when_any_rate_is_above_0(digits_split: Split) -> None:
    dropped = group(finalist("finalist 1", relu(8, dropout=(0.1, 0.0))), BETTER)
    plain = group(finalist(BASELINE, relu(8), reference=True), WORSE)
    found = table(gaps.analyse(evaluated(digits_split, dropped, plain)), "gaps.csv")
    assert found["network"].tolist() == ["chosen", "baseline"] * 2
    assert found["dropout"].tolist() == ["Y", "N"] * 2


def test_the_picture_shows_ten_networks_and_the_table_all(digits_split: Split) -> None:
    groups = [group(finalist(f"network {place}", relu(8 + place)), BETTER) for place in range(12)]
    look = gaps.analyse(evaluated(digits_split, *groups))
    assert len(table(look, "gaps.csv")) == 24
    assert look.summary_picture is not None
    assert "of 10 networks" in look.summary_picture.alt


def test_people_read_percent_and_half_of_the_interval(digits_split: Split) -> None:
    seeds = [figures(accuracy=accuracy, gap=0.02) for accuracy in (0.89, 0.90, 0.91)]
    honest, fit = section(gaps.analyse(evaluated(digits_split, group(finalist("a", relu(8)), seeds)))).tables
    # t(.975, 2) = 4.30265: .01 * 4.30265 / sqrt(3) = .0248.
    assert honest.frame.loc[0, "test accuracy, %"] == "90.00 ± 2.48"
    assert honest.frame.loc[0, "honest gap, points"] == "+2.00 ± 0.00"
    assert list(fit.frame)[4] == "fit gap, points"


def test_one_seed_is_said_to_have_no_interval(digits_split: Split) -> None:
    seen = section(gaps.analyse(evaluated(digits_split, group(finalist("a", relu(8)), BETTER))))
    assert "One seed: no intervals." in seen.text
    assert seen.tables[0].frame.loc[0, "test accuracy, %"] == "90.00"
