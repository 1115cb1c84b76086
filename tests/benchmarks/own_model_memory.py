"""Memory of one worker that trains many networks of a user's own model: `python -m tests.benchmarks.own_model_memory 60`.

Enters: digits and a small network whose sizes, batch size and dropout differ in every trial: convolutional, which
TensorFlow's own kernels train, or (`--dense`) one that XLA compiles. Leaves: the resident memory of the process after
every tenth trial, on the screen; exit code 1 if it grows by more than `MOST_PER_TRIAL` a trial, the first ten left out.
"""

import argparse
import sys

import psutil

from pipeline.data.formats import digits
from pipeline.data.split import split
from pipeline.experiment import ModelCode, Training, load
from pipeline.models.recipe import Recipe
from pipeline.models.user.spec import UserSpec
from pipeline.search.trial_figures import draw_trial
from pipeline.search.workers.jobs import Job
from pipeline.search.workers.run_job import run_job

MIB = 2**20
EVERY = 10
MOST_PER_TRIAL = {"convolutional": 3.0, "dense": 25.0}
"""MiB; XLA keeps for ever what it has compiled."""
SOURCE = """
import keras

def convolutional(hp, input_shape, classes):
    inputs = keras.Input(input_shape)
    x = keras.layers.Reshape((*input_shape, 1))(inputs)
    for block in range(2):
        x = keras.layers.Conv2D(hp.Int(f"filters_{block}", 2, 64), 3, padding="same", activation="relu")(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Dropout(hp.Float(f"dropout_{block}", 0, .5))(x)
    return end(hp, inputs, x, classes)

def dense(hp, input_shape, classes):
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    for block in range(2):
        x = keras.layers.Dense(hp.Int(f"filters_{block}", 2, 64), activation="relu")(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Dropout(hp.Float(f"dropout_{block}", 0, .5))(x)
    return end(hp, inputs, x, classes)

def end(hp, inputs, x, classes):
    x = keras.layers.Dense(hp.Int("units", 2, 64), activation="relu")(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))
"""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("trials", type=int, nargs="?", default=60)
    options.add_argument("--dense", action="store_true")
    given = options.parse_args()
    code = ModelCode("net.py", "dense" if given.dense else "convolutional", SOURCE)
    data = split(digits(), load("digits").data)
    held: list[float] = []
    for number in range(given.trials):
        values = {"filters_0": 4 + number % 17, "dropout_0": 0.1 + number / 1000, "filters_1": 4 + number % 13,
                  "dropout_1": 0.2, "units": 8 + number % 29}  # fmt: skip
        spec = UserSpec(code, tuple(values.items()), parameter_count=1, has_dropout=True, compiled=False)
        settings = Training(epochs=2, batch_size=16 + number % 7, patience=None)
        outcome = run_job(Job(number, Recipe(spec), settings, number, 2), data, draw_trial)
        assert outcome.failure is None, outcome.failure
        if (number + 1) % EVERY == 0:
            held.append(psutil.Process().memory_info().rss / MIB)
            print(f"after {number + 1:3} trials: {held[-1]:,.0f} MiB", flush=True)
    grown = (held[-1] - held[0]) / (EVERY * (len(held) - 1))
    print(f"{code.function}: {grown:.2f} MiB a trial after the first {EVERY}; limit {MOST_PER_TRIAL[code.function]:g}")
    return int(grown > MOST_PER_TRIAL[code.function])


if __name__ == "__main__":
    sys.exit(main())
