"""Parts of a trial besides its training steps, as they were and as they are: `python -m tests.benchmarks.trial_parts`.

Real Fashion-MNIST, 784(0.1)-256-64-10, batches of 128, one thread. The earlier code is rebuilt here: scoring by Keras'
layers one after the other, a program for every trial, pictures with constrained layout and plain texts. The two sides
take turns; medians. Exit code 1 if the scores differ by more than rounding.
"""

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest import mock

import numpy as np
from matplotlib.text import Text
from numpy.typing import NDArray

from pipeline.experiment import Training
from pipeline.models.dense import DenseSpec
from pipeline.models.recipe import Recipe
from tests.benchmarks.training import _data

SPEC = DenseSpec((256, 64), (0.1, 0, 0), ("relu", "relu"))
SETTINGS = Training(epochs=4, batch_size=128, learning_rate=0.002, schedule="cosine", patience=None)
REPEATS = 7


def main() -> int:
    from pipeline.training.runtime import init_tensorflow

    init_tensorflow()
    from pipeline.models.dense_keras import build
    from pipeline.search.trial_figures import draw_trial
    from pipeline.training import dense_trainer, scoring, training_loop
    from pipeline.training.program_cache import PROGRAMS

    data = _data()
    result = dense_trainer.train(Recipe(SPEC), SETTINGS, data, seed=1)
    trainer = dense_trainer._Trainer(SPEC, SETTINGS, data, 1)
    trainer.start()
    trainer.set_weights(result.weights)
    model = build(SPEC, image_shape=(28, 28), classes=10, pixel_max=255, seed=1)
    model.set_weights(result.weights)
    parts = (training_loop.probe(data, 1), data.validation)

    def layers() -> list[NDArray[np.float32]]:
        return [_by_layers(model, part.images.reshape(len(part), -1)) for part in parts]

    def program() -> list[NDArray[np.float32]]:
        return [trainer.log_probabilities(part) for part in parts]

    apart = max(float(np.abs(old - new).max()) for old, new in zip(layers(), program(), strict=True))
    losses = [scoring.score(logs[1], data.validation.labels).loss for logs in (layers(), program())]
    print("| part | before, s | after, s |\n|---|---|---|")
    print(_row("scores after an epoch, 20,000 images", *_medians(layers, program)))
    products = [np.ascontiguousarray(part.images.reshape(len(part), -1), np.float32) for part in parts]
    kernels = result.weights[::2]

    def multiply() -> None:
        for rows in products:
            _products(rows, kernels)

    print(_row("of that, the matrix products alone", *_medians(multiply, multiply)))
    print(f"| one epoch of training | | {result.seconds['train'] / SETTINGS.epochs:.3f} |")
    rows = np.ascontiguousarray(data.train.images.reshape(len(data.train), -1), np.float32)

    def multiply_back() -> None:
        _training_products(rows, kernels, SETTINGS.batch_size)

    print(_row("of that, the matrix products alone", *_medians(multiply_back, multiply_back)))

    def anew() -> None:
        PROGRAMS.forget()
        dense_trainer.train(Recipe(SPEC), SETTINGS, data, seed=2, until=1)

    def again() -> None:
        dense_trainer.train(Recipe(SPEC), SETTINGS, data, seed=2, until=1)

    print(_row("a trial of one epoch, its network new or compiled before", *_medians(anew, again)))

    def draw() -> object:
        return draw_trial(result, data)

    print(_row("two pictures", *_medians(lambda: _plainly(draw), draw)))
    print(f"\nlog-probabilities at most {apart:.1e} apart; validation loss {losses[0]:.9f} and {losses[1]:.9f}")
    return int(apart > 1e-5)


def _by_layers(model: Any, flat: NDArray[np.uint8]) -> NDArray[np.float32]:
    import keras
    import tensorflow as tf

    *hidden, output = (layer for layer in model.layers if isinstance(layer, keras.layers.Dense))
    pieces = []
    for start in range(0, len(flat), 5_000):
        rows = tf.cast(flat[start : start + 5_000], tf.float32) * (1 / 255)
        for layer in hidden:
            rows = layer(rows)
        pieces.append(tf.nn.log_softmax(tf.matmul(rows, output.kernel) + output.bias).numpy())
    return np.concatenate(pieces)


def _products(rows: NDArray[np.float32], kernels: tuple[NDArray[np.float32], ...]) -> None:
    import tensorflow as tf

    for start in range(0, len(rows), 1_000):
        part = tf.constant(rows[start : start + 1_000])
        for kernel in kernels:
            part = tf.matmul(part, kernel)


def _training_products(rows: NDArray[np.float32], kernels: tuple[NDArray[np.float32], ...], batch: int) -> None:
    """The products of one epoch: of each layer forwards, of its kernel's gradient, and of that of the layer before."""
    import tensorflow as tf

    held = [tf.constant(kernel) for kernel in kernels]
    for start in range(0, len(rows), batch):
        inputs = [tf.constant(rows[start : start + batch])]
        for kernel in held:
            inputs.append(tf.matmul(inputs[-1], kernel))
        gradient = inputs.pop()
        for place in reversed(range(len(held))):
            tf.matmul(inputs[place], gradient, transpose_a=True)
            if place:  # nobody asks for the gradient of the images
                gradient = tf.matmul(gradient, held[place], transpose_b=True)


def _plainly(draw: Callable[[], object]) -> object:
    """Draws with constrained layout and plain texts."""
    from pipeline.figures.networks import confusion_matrix, curves

    with ExitStack() as stack:
        for module in (confusion_matrix, curves):
            stack.enter_context(mock.patch.object(module, "place"))
        stack.enter_context(mock.patch.object(confusion_matrix.Number, "draw", Text.draw))
        return draw()


def _medians(*sides: Callable[[], object]) -> list[float]:
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(REPEATS):
        for side, taken in zip(sides, times, strict=True):
            taken.append(_seconds(side))
    return [statistics.median(taken) for taken in times]


def _seconds(side: Callable[[], object]) -> float:
    start = time.perf_counter()
    side()
    return time.perf_counter() - start


def _row(part: str, before: float, after: float) -> str:
    return f"| {part} | {before:.3f} | {after:.3f} |"


if __name__ == "__main__":
    sys.exit(main())
