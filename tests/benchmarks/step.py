"""Other ways to take a training step, and other batches: `python -m tests.benchmarks.step`, and with `--batches`.

Without the option: an epoch of 50,000 images with dropout by XLA, as the trainer does it, by TensorFlow's own graph with the
fused `ResourceApplyAdam`, and by the same graph with bfloat16 products; float32 weights, losses and gradients of weights.
The sides take turns; medians of three epochs, after one that is not counted. The pixels are noise: what is measured is
time. With `--batches`: whole trials of the default experiment's length on Fashion-MNIST, three seeds each.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.experiment import Training
from pipeline.models.dense import DenseSpec
from pipeline.models.recipe import Recipe
from tests.benchmarks.training import _data

COUNT, ROWS = 50_000, 8_192
NETWORKS = (
    DenseSpec((256, 256, 64), (0.1, 0.2, 0.2, 0.1), ("relu",) * 3),
    DenseSpec((256, 64), (0, 0.1, 0), ("relu",) * 2),
)
SEARCHED = (
    DenseSpec((256, 128), (0, 0.2, 0.2), ("relu",) * 2),
    DenseSpec((256, 256, 64), (0.1, 0.3, 0.2, 0.1), ("relu",) * 3),
)
BATCHES = ((128, 0.002), (256, 0.002), (256, 0.003), (256, 0.004), (512, 0.004), (512, 0.006))


class Graph:
    """The step in TensorFlow's own graph; the same calls as a `Program` has."""

    def __init__(self, spec: DenseSpec, *, bfloat16: bool) -> None:
        import tensorflow as tf

        from pipeline.models.dense_keras import initial_weights

        weights = initial_weights(spec, inputs=784, classes=10, seed=1)
        self._weights = [tf.Variable(each) for each in weights]
        self._moments = [[tf.Variable(np.zeros_like(each)) for each in weights] for _ in range(2)]
        self._done = tf.Variable(0.0)
        self._places = [place for place, rate in enumerate(spec.dropout) if rate]
        self._bfloat16 = bfloat16
        self._function = tf.function(self._stack, autograph=False)

    def run(
        self, images: Any, labels: Any, count: int, rates: Any, random: Any, thresholds: Any
    ) -> tuple[float, float]:
        loss, right = self._function(images, labels, np.int32(count), rates.first, thresholds, *random)
        return float(loss), float(right)

    def _stack(self, images: Any, labels: Any, count: Any, rate: Any, thresholds: Any, *random: Any) -> Any:
        import tensorflow as tf

        batch = images.shape[1]

        def step(number: Any, loss_sum: Any, right: Any) -> Any:
            here = {
                place: (each[number], thresholds[index])
                for index, (place, each) in enumerate(zip(self._places, random, strict=True))
            }
            with tf.GradientTape() as tape:
                answers = self._forward(tf.cast(images[number], tf.float32) * (1 / 255), here)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels[number], answers)
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, self._weights)
            done = self._done.assign_add(1.0)
            powers = {"beta1_power": tf.pow(0.9, done), "beta2_power": tf.pow(0.999, done)}
            updates = [
                tf.raw_ops.ResourceApplyAdam(
                    var=weight.handle, m=first.handle, v=second.handle, lr=rate, beta1=0.9, beta2=0.999, epsilon=1e-7,
                    grad=gradient, **powers,
                )
                for weight, first, second, gradient in zip(self._weights, *self._moments, gradients, strict=True)
            ]  # fmt: skip
            hits = tf.cast(tf.argmax(answers, 1, output_type=tf.int32) == labels[number], tf.float32)
            with tf.control_dependencies(updates):
                return number + 1, loss_sum + tf.reduce_sum(losses), right + tf.reduce_sum(hits)

        start = (tf.constant(0), tf.constant(0.0), tf.constant(0.0))
        return tf.while_loop(lambda number, *_: number * batch < count, step, start, parallel_iterations=1)[1:]

    def _forward(self, rows: Any, drawn: Any) -> Any:
        import tensorflow as tf

        from pipeline.training.layers.dropout import dropped

        layers = list(zip(self._weights[::2], self._weights[1::2], strict=True))
        for place, (kernel, bias) in enumerate(layers):
            if place in drawn:
                rows = dropped(rows, *drawn[place])
            if self._bfloat16:
                product = tf.matmul(tf.cast(rows, tf.bfloat16), tf.cast(kernel.value(), tf.bfloat16))
                rows = tf.cast(product, tf.float32)
            else:
                rows = tf.matmul(rows, kernel.value())
            rows = tf.nn.bias_add(rows, bias.value())
            if place < len(layers) - 1:
                rows = tf.nn.relu(rows)
        return rows


def steps() -> None:
    """A table of seconds: the first call, which compiles, and an epoch."""
    from pipeline.models.dense_keras import initial_weights
    from pipeline.training.layers.dropout import DropoutMasks
    from pipeline.training.program import Program, Rates
    from pipeline.training.program_cache import dense_key

    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (COUNT, 784), np.uint8)
    labels = generator.integers(0, 10, COUNT).astype(np.int32)
    print("| network | batch | side | first call, s | epoch, s |\n|---|---|---|---|---|")
    for spec in NETWORKS:
        for batch in (128, 256, 512):
            stack = (ROWS // batch, batch)
            masks = DropoutMasks(spec, 784, 1)
            xla = Program(
                dense_key(spec, Training(batch_size=batch)), inputs=784, classes=10, pixel_max=255, stack=stack
            )
            xla.reset(initial_weights(spec, inputs=784, classes=10, seed=1))
            sides: dict[str, Any] = {
                "XLA": xla,
                "graph": Graph(spec, bfloat16=False),
                "graph, bfloat16": Graph(spec, bfloat16=True),
            }
            rates = Rates(np.float32(0.001))
            first = {name: _call(side, images, labels, masks, stack, rates, 0) for name, side in sides.items()}
            times: dict[str, list[float]] = {name: [] for name in sides}
            for _ in range(4):
                for name, side in sides.items():
                    times[name].append(sum(_epoch(side, images, labels, masks, stack, rates)))
            for name, taken in times.items():
                usual = statistics.median(taken[1:])
                print(
                    f"| {spec.architecture(784, 10)} | {batch} | {name} | {first[name]:.2f} | {usual:.3f} |", flush=True
                )


def _epoch(
    side: Any, images: NDArray[Any], labels: NDArray[Any], masks: Any, stack: tuple[int, int], rates: Any
) -> list[float]:
    return [_call(side, images, labels, masks, stack, rates, min(ROWS, COUNT - at), at) for at in range(0, COUNT, ROWS)]


def _call(
    side: Any, images: NDArray[Any], labels: NDArray[Any], masks: Any, stack: tuple[int, int], rates: Any, count: int,
    at: int = 0,
) -> float:  # fmt: skip
    """Seconds of one call, the drawing of random numbers included."""
    start = time.perf_counter()
    rows = np.arange(at, at + ROWS) % COUNT
    side.run(
        images[rows].reshape(*stack, 784), labels[rows].reshape(stack), count, rates, masks.draw(0, at, stack),
        masks.thresholds(),
    )  # fmt: skip
    return time.perf_counter() - start


def batches(seeds: Sequence[int] = (11, 12, 13)) -> None:
    """A table of means over seeds: scores, gap, and processor seconds of a trial."""
    from pipeline.training import dense_trainer

    data = _data()
    print(
        "| network | batch | rate | validation loss (sd) | test accuracy (sd) | honest gap, points (sd) | s |\n"
        + "|---" * 7
        + "|"
    )
    for spec in SEARCHED:
        for batch, rate in BATCHES:
            asked = Training(epochs=20, batch_size=batch, learning_rate=rate, schedule="cosine", patience=5)
            figures = []
            for seed in seeds:
                start = time.process_time()
                result = dense_trainer.train(Recipe(spec), asked, data, seed=seed)
                gap = 100 * (result.train.accuracy - result.test.accuracy)
                figures.append((result.validation.loss, 100 * result.test.accuracy, gap, time.process_time() - start))
            (loss, right, gap, seconds), spread = np.mean(figures, axis=0), np.std(figures, axis=0, ddof=1)
            print(
                f"| {spec.architecture(784, 10)} | {batch} | {rate:g} | {loss:.4f} ({spread[0]:.4f}) "
                f"| {right:.2f} ({spread[1]:.2f}) | {gap:.2f} ({spread[2]:.2f}) | {seconds:.1f} |",
                flush=True,
            )


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--batches", action="store_true")
    given = options.parse_args()
    from pipeline.training.runtime import init_tensorflow

    init_tensorflow()
    (batches if given.batches else steps)()
    return 0


if __name__ == "__main__":
    sys.exit(main())
