"""Keras runs as Narrowgap needs it, in processes of an environment and a home that ask for something else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.other_keras import OTHER, other_keras
from tests.test_whole import narrowgap, runs

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parents[2]
SEEN = """
from pipeline.training.runtime import init_tensorflow; init_tensorflow()
import keras, os
print(keras.backend.backend(), keras.config.floatx(), keras.config.image_data_format(), keras.config.max_steps_per_epoch())
print({name: value for name, value in os.environ.items() if name.startswith("KERAS_")})
"""


def test_backend_precision_and_steps_are_narrowgaps_and_the_environment_is_left_as_it_was(tmp_path):
    theirs = other_keras(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", SEEN],
        cwd=ROOT,
        env=os.environ | theirs,
        capture_output=True,
        text=True,
        check=True,
    )
    seen, kept = done.stdout.splitlines()
    assert seen == "tensorflow float32 channels_last None"
    assert kept == "{'KERAS_BACKEND': 'torch', 'KERAS_MAX_STEPS_PER_EPOCH': '1'}"
    assert OTHER["backend"] in (tmp_path / ".keras" / "keras.json").read_text()


def test_worker_processes_train_the_same_networks_whatever_keras_json_says(tmp_path):
    """The first trial has the score that it has in this process."""
    words = ("search", "--experiment", "smoke", "--search.trials", "2", "--search.workers", "2")
    done = narrowgap(tmp_path, *words, **other_keras(tmp_path / "home"))
    assert done.returncode == 0, done.stderr + done.stdout
    trials = runs(tmp_path)["trial"]
    assert [each.info.status for each in trials] == ["FINISHED"] * 2
    (first,) = (each for each in trials if each.data.tags["narrowgap.asked"] == "0")
    assert first.data.metrics["val_loss"] == pytest.approx(_first_loss_here(), abs=1e-6)


def _first_loss_here() -> float:
    """Validation loss of the first trial, trained in this process."""
    from pipeline.data import sources
    from pipeline.data.split import split
    from pipeline.experiment import load
    from pipeline.search.proposals.proposals import Proposal, Proposals
    from pipeline.training import dense_trainer

    smoke = load("smoke")
    asked = Proposals(smoke).ask()
    assert isinstance(asked, Proposal)
    data = split(sources.load(smoke.data), smoke.data)
    return dense_trainer.train(asked.recipe, asked.settings, data, seed=asked.seed, until=asked.until).validation.loss
