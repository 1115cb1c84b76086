"""The trainer on one thread against `model.fit`, as the notebook writes it, on two: `python -m tests.benchmarks.training`.

Enters: Fashion-MNIST. Leaves: a table of seconds per epoch and of validation losses, on the screen; exit code 1 when
the trainer is less than five times as fast, or reaches another validation loss than `model.fit`, without dropout or
with dropout in every position. Each run has a process of its own, and the two sides take turns, so that what else the
machine does meets both.
"""

import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from pipeline.data.sources import load
from pipeline.data.split import Split, split
from pipeline.experiment import Data, Training
from pipeline.models.dense import DenseSpec, notebook_network
from pipeline.models.recipe import Recipe

FASTER = 5.0
"""So many times at least."""
SEEDS = (1, 2, 3)
SETTINGS = Training(epochs=5, batch_size=32, learning_rate=0.001, schedule="constant", patience=None)
"""The notebook's, but for its length."""
CASES = {
    "no dropout": notebook_network(),
    "dropout everywhere": notebook_network(dropout=(0.1, 0.1, 0.1, 0.1)),
}


@dataclass(frozen=True)
class Run:
    """One network trained by one side."""

    first: float
    """Seconds of what happens once: building, compiling or tracing; the first epoch's own work taken off."""
    epoch: float
    """Seconds per epoch, the mean; scoring taken off."""
    loss: float
    """The lowest validation loss of the epochs, dropout off."""


def trainer(spec: DenseSpec, seed: int) -> Run:
    """The compiled trainer, one thread."""
    from pipeline.training.runtime import init_tensorflow

    init_tensorflow()
    from pipeline.training.dense_trainer import train

    result = train(Recipe(spec), SETTINGS, _data(), seed=seed)
    epoch = result.seconds["train"] / SETTINGS.epochs
    first = result.seconds["build"] + result.seconds["compile"]
    return Run(first, epoch, min(result.history["val_loss"]))


def model_fit(spec: DenseSpec, seed: int) -> Run:
    """`model.fit`, two threads: pixels divided beforehand, batches of 32, Adam, as in the notebook.

    The seed decides the first weights, no more: under Keras' global seed every epoch has the same order of images,
    which would be to its disadvantage.
    """
    from pipeline.training.runtime import init_tensorflow

    init_tensorflow()
    import keras
    import tensorflow as tf

    from pipeline.models.dense_keras import build

    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.threading.set_inter_op_parallelism_threads(2)
    data = _data()
    train, validation = ((part.images / data.pixel_max).astype(np.float32) for part in (data.train, data.validation))
    began = time.perf_counter()
    model = build(spec, image_shape=(28, 28), classes=data.classes, pixel_max=1, seed=seed)
    model.compile(
        optimizer=keras.optimizers.Adam(SETTINGS.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    starts: list[float] = []
    ends: list[float] = []
    # Scoring comes between the end of an epoch's training and the end of the epoch, and is kept out of the time.
    clock = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: starts.append(time.perf_counter()),
        on_test_begin=lambda *_: ends.append(time.perf_counter()),
    )
    fitted = model.fit(
        train,
        data.train.labels,
        batch_size=SETTINGS.batch_size,
        epochs=SETTINGS.epochs,
        validation_data=(validation, data.validation.labels),
        validation_batch_size=5_000,
        callbacks=[clock],
        verbose=0,
    )
    epoch = statistics.mean(end - start for start, end in zip(starts[1:], ends[1:], strict=True))
    return Run(ends[0] - began - epoch, epoch, min(fitted.history["val_loss"]))


def main() -> int:
    """Runs both sides on both cases, prints the table; 0 when every claim holds."""
    _data()  # fetched and checked once, before anything is timed
    print(
        f"784-128-64-32-10, batches of {SETTINGS.batch_size}, {SETTINGS.epochs} epochs, seeds {SEEDS}; medians\n\n"
        "| network | side | threads | once, s | s / epoch | times | validation loss, mean (lowest to highest) |\n"
        "|---|---|---|---|---|---|---|"
    )
    failed = []
    for case, spec in CASES.items():
        theirs, ours = [], []
        for seed in SEEDS:
            theirs.append(_alone(model_fit, spec, seed))
            ours.append(_alone(trainer, spec, seed))
        ratio = statistics.median(run.epoch for run in theirs) / statistics.median(run.epoch for run in ours)
        print(_row(case, "`model.fit`", 2, theirs, 1.0))
        print(_row(case, "trainer", 1, ours, ratio), flush=True)
        failed += _failed(case, ratio, [run.loss for run in theirs], [run.loss for run in ours])
    print("\n" + ("\n".join(failed) or f"holds: at least {FASTER:g} times as fast, and the same validation loss"))
    return 1 if failed else 0


def _failed(case: str, ratio: float, theirs: list[float], ours: list[float]) -> list[str]:
    """The claims that do not hold. Losses are the same when their means are no further apart than the wider of the
    two sides' seeds are among themselves.
    """
    apart = abs(statistics.mean(ours) - statistics.mean(theirs))
    spread = max(max(side) - min(side) for side in (ours, theirs))
    return [
        *([f"fails: {case}: {ratio:.2f} times as fast; claimed: {FASTER:g}"] if ratio < FASTER else []),
        *([f"fails: {case}: losses {apart:.4f} apart; seeds differ by {spread:.4f}"] if apart > spread else []),
    ]


def _alone(side: Callable[[DenseSpec, int], Run], spec: DenseSpec, seed: int) -> Run:
    """One run in a fresh process."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(side, spec, seed).result()


def _row(case: str, side: str, threads: int, runs: list[Run], ratio: float) -> str:
    first, epoch = (statistics.median(getattr(run, name) for run in runs) for name in ("first", "epoch"))
    losses = [run.loss for run in runs]
    return (
        f"| {case} | {side} | {threads} | {first:.1f} | {epoch:.2f} | {ratio:.1f} "
        f"| {statistics.mean(losses):.4f} ({min(losses):.4f} to {max(losses):.4f}) |"
    )


def _data() -> Split:
    asked = Data(dataset="fashion_mnist", validation=10_000, seed=1)
    return split(load(asked, progress=lambda _: None), asked)


if __name__ == "__main__":
    sys.exit(main())
