"""Which trial of a search is the best of it."""

import pytest

from pipeline.experiment import Selection
from pipeline.search.step import choose_trial
from tests.evaluation.samples import figures, relu, trial

pytestmark = pytest.mark.tensorflow
"""The step imports Keras Tuner."""


def test_a_network_that_hyperband_stopped_early_is_not_chosen_for_its_small_gap() -> None:
    early = trial(0, relu(8), figures(accuracy=0.90, gap=0.001), proposed={"tuner/epochs": 7})
    full = [
        trial(1, relu(8), figures(accuracy=0.90, gap=0.04), proposed={"tuner/epochs": 20}),
        trial(2, relu(16), figures(accuracy=0.90, gap=0.03), proposed={"tuner/epochs": 20}),
    ]
    chosen, reason = choose_trial([early, *full], Selection(), 10_000)
    assert chosen is full[1]
    assert "the smallest validation gap of 2 trials: " in reason
    # Stopped for time, no trial was trained longer.
    assert choose_trial([early], Selection(), 10_000)[0] is early
