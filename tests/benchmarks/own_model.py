"""The Keras trainer on one thread against `model.fit`, as people write it, on two: `python -m tests.benchmarks.own_model`.

Enters: Fashion-MNIST and the network of experiments/convnet.py. Leaves: a table of seconds, of the whole and per epoch, and
of validation losses, on the screen; exit code 1 when the trainer is less than twice as fast in the whole, or reaches
another validation loss than `model.fit`. The whole is what a trial needs: training, scores on validation after each epoch,
and scores of the kept weights on train, validation and test. Each run has a process of its own, and the sides take turns.
"""

import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from pipeline.experiment import Training, load
from tests.benchmarks.training import _data

FASTER = 2.0
"""So many times at least, in the whole."""
SEEDS = (1, 2)
EPOCHS = 3
BATCHES = (32, 64)
"""Keras' own batch size, and that of the experiment."""
VALUES = {
    "filters_1": 16,
    "dropout_block_1": 0.2,
    "filters_2": 32,
    "dropout_block_2": 0.2,
    "units": 64,
    "dropout_dense": 0.4,
}


@dataclass(frozen=True)
class Run:
    """One network trained by one side."""

    whole: float
    """Seconds from building to the last score."""
    epoch: float
    """Seconds of training per epoch after the first, scoring taken off."""
    loss: float
    """The lowest validation loss of the epochs."""


def trainer(batch: int, seed: int) -> Run:
    """The Keras trainer, one thread."""
    from pipeline.training.runtime import init_tensorflow

    init_tensorflow()
    from pipeline.models.recipe import Recipe
    from pipeline.models.user.spec import UserSpec
    from pipeline.training.choose_trainer import train

    code = load("convnet").model
    assert code is not None
    spec = UserSpec(code, tuple(VALUES.items()), parameter_count=0, has_dropout=True, compiled=False)
    settings = Training(epochs=EPOCHS, batch_size=batch, learning_rate=0.001, schedule="constant", patience=3)
    data = _data()
    began = time.perf_counter()
    result = train(Recipe(spec), settings, data, seed=seed)
    return Run(time.perf_counter() - began, result.seconds["train"] / EPOCHS, min(result.history["val_loss"]))


def model_fit(batch: int, seed: int) -> Run:
    """`model.fit` with early stopping, and `model.evaluate`, two threads: pixels divided beforehand."""
    from pipeline.training.runtime import init_tensorflow

    init_tensorflow()
    import keras
    import keras_tuner
    import tensorflow as tf

    from pipeline.models.user.code import function

    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.threading.set_inter_op_parallelism_threads(2)
    data = _data()
    parts = [((part.images / data.pixel_max).astype(np.float32), part.labels) for _, part in data.parts()]
    hp = keras_tuner.HyperParameters()
    hp.values = dict(VALUES)
    code = load("convnet").model
    assert code is not None
    began = time.perf_counter()
    np.random.seed(seed)  # noqa: NPY002 - the order of images in `fit`
    model = function(code)(hp, (28, 28), data.classes)
    model.compile(keras.optimizers.Adam(0.001), "sparse_categorical_crossentropy", metrics=["accuracy"])
    starts: list[float] = []
    ends: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: starts.append(time.perf_counter()),
        on_test_begin=lambda *_: ends.append(time.perf_counter()),
    )
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)
    fitted = model.fit(
        *parts[0], batch_size=batch, epochs=EPOCHS, validation_data=parts[1], callbacks=[stopping, clock], verbose=0
    )
    epoch = statistics.mean(end - start for start, end in zip(starts[1:], ends[1:], strict=False))
    for part in parts:
        model.evaluate(*part, verbose=0)
    return Run(time.perf_counter() - began, epoch, min(fitted.history["val_loss"]))


def main() -> int:
    """Runs both sides, prints the table; 0 when every claim holds."""
    _data()  # fetched and checked once, before anything is timed
    batches = [int(each) for each in sys.argv[1:]] or BATCHES
    print(f"convnet.py, {VALUES}, {EPOCHS} epochs, seeds {SEEDS}; medians\n")
    print(
        "| batch | side | threads | whole, s | times | s / epoch | times | validation loss, mean (lowest to highest) |"
    )
    print("|---|---|---|---|---|---|---|---|")
    failed = []
    for batch in batches:
        theirs, ours = [], []
        for seed in SEEDS:
            theirs.append(_alone(model_fit, batch, seed))
            ours.append(_alone(trainer, batch, seed))
        print(_row(batch, "`model.fit`", 2, theirs, theirs))
        print(_row(batch, "trainer", 1, ours, theirs), flush=True)
        ratio = _median(theirs, "whole") / _median(ours, "whole")
        apart = abs(statistics.mean(each.loss for each in ours) - statistics.mean(each.loss for each in theirs))
        spread = max(max(each.loss for each in side) - min(each.loss for each in side) for side in (ours, theirs))
        failed += [f"fails: {ratio:.2f} times as fast; claimed: {FASTER:g}"] if ratio < FASTER else []
        failed += [f"fails: losses {apart:.4f} apart; seeds differ by {spread:.4f}"] if apart > spread else []
    print("\n" + ("\n".join(failed) or f"holds: at least {FASTER:g} times as fast, and the same validation loss"))
    return 1 if failed else 0


def _alone(side: Callable[[int, int], Run], batch: int, seed: int) -> Run:
    """One run in a fresh process."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(side, batch, seed).result()


def _median(runs: list[Run], name: str) -> float:
    return float(statistics.median(getattr(run, name) for run in runs))


def _row(batch: int, side: str, threads: int, runs: list[Run], theirs: list[Run]) -> str:
    whole, epoch = _median(runs, "whole"), _median(runs, "epoch")
    losses = [run.loss for run in runs]
    return (
        f"| {batch} | {side} | {threads} | {whole:.1f} | {_median(theirs, 'whole') / whole:.1f} | {epoch:.2f} "
        f"| {_median(theirs, 'epoch') / epoch:.1f} "
        f"| {statistics.mean(losses):.4f} ({min(losses):.4f} to {max(losses):.4f}) |"
    )


if __name__ == "__main__":
    sys.exit(main())
