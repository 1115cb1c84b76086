"""Published figures are shown beside those of the refits."""

import pytest

from pipeline.data.split import Split
from pipeline.evaluation.analyses import published
from pipeline.evaluation.finalists import BASELINE
from pipeline.experiment import Published
from pipeline.models.dense import notebook_network
from tests.evaluation.analyses.evaluated import BETTER, WORSE, evaluated, finalist, table
from tests.evaluation.samples import figures, group, relu

pytestmark = pytest.mark.tensorflow

PUBLISHED = Published(source="a book", train_accuracy=0.95, train_loss=0.11, test_accuracy=0.89, test_loss=0.7)


def test_published_figures_stand_beside_ours_by_both_measures(digits_split: Split) -> None:
    seeds = [figures(accuracy=0.90, gap=gap) for gap in (0.04, 0.05, 0.06)]
    theirs = group(finalist(BASELINE, notebook_network(), published=PUBLISHED), seeds)
    other = group(finalist("network 2", relu(8)), WORSE)
    look = published.analyse(evaluated(digits_split, other, theirs))
    found = table(look, "published.csv").set_index("figure")
    assert set(found["architecture"]) == {"64-128-64-32-10"}
    train = found.loc["train_accuracy"]
    # Training itself reported a point less than its network scored: .93, .94, .95, by t(.975, 2) ± .0248.
    assert (train["published"], train["fit"], train["honest"]) == pytest.approx((0.95, 0.94, 0.95))
    assert (train["fit_low"], train["fit_high"]) == pytest.approx((0.915159, 0.964841), abs=1e-6)
    assert list(found.loc["test_loss", ["published", "fit", "honest"]]) == pytest.approx([0.7, 0.3, 0.3])
    # Published: .95 less .89, and .7 less .11.
    assert found.loc["accuracy_gap", "published"] == pytest.approx(0.06)
    assert found.loc["loss_gap", "published"] == pytest.approx(0.59)
    assert list(found.loc["accuracy_gap", ["fit", "honest"]]) == pytest.approx([0.04, 0.05])
    assert set(found["source"]) == {"a book"}
    assert look is not None
    assert "train accuracy, %" in look.message
    assert "94.00 ± 2.48" in look.message


def test_nobody_published_nothing_to_see(digits_split: Split) -> None:
    assert published.analyse(evaluated(digits_split, group(finalist("a", relu(8)), BETTER))) is None
