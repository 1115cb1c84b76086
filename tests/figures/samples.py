"""Synthetic inputs for pictures and findings: made by a seeded generator, no network was trained.

Shaped like Fashion-MNIST's: ten classes with long names, some of them often mistaken for each other.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Images, Labels
from pipeline.models.dense import DenseSpec, dense
from pipeline.models.recipe import Recipe
from pipeline.models.spec import ModelSpec
from pipeline.training.result import EarlyStopping, Probabilities, Score, TrainingState, TrialResult

CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
ALIKE = ((0, 6), (2, 4), (2, 6), (4, 6), (5, 7), (7, 9), (3, 4))
"""Classes that the synthetic network takes for each other."""
SPEC = DenseSpec((512, 256), (0.1, 0.3, 0.3), ("relu", "relu"))


def labels_and_probabilities(count: int, *, noise: float, seed: int = 1) -> tuple[Labels, Probabilities]:
    """`count` rows of ten classes; the more noise, the more mistakes, most of them between classes that are alike."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASS_NAMES)
    likeness = 6.0 * np.eye(len(CLASS_NAMES))
    for one, other in ALIKE:
        likeness[one, other] = likeness[other, one] = 3.4
    scores = likeness[labels] + noise * generator.gumbel(size=(count, len(CLASS_NAMES)))
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return labels, (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def images(count: int, *, seed: int = 1) -> Images:
    """uint8 (count, 28, 28): soft blobs."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[-1:1:28j, -1:1:28j]
    width, height = generator.uniform(0.2, 0.9, (2, count, 1, 1))
    return np.asarray(255 * np.exp(-((rows / height) ** 4) - (columns / width) ** 4), np.uint8)


def history(epochs: int, *, dropout: float) -> dict[str, tuple[float, ...]]:
    """Curves that fall as curves do; with dropout on, training reports worse than with it off."""
    time = np.linspace(0, 3, epochs) if epochs > 1 else np.zeros(1)
    train_loss = 0.2 + 0.45 * np.exp(-time)
    val_loss = 0.3 + 0.33 * np.exp(-1.4 * time) + 0.008 * time
    curves = {
        "loss": train_loss + dropout * 0.5 + 0.05 * np.exp(-3 * time),
        "accuracy": 0.93 - 0.16 * np.exp(-time) - dropout * 0.2,
        "train_loss": train_loss,
        "train_accuracy": 0.93 - 0.15 * np.exp(-time),
        "val_loss": val_loss,
        "val_accuracy": 0.892 - 0.115 * np.exp(-1.4 * time),
    }
    return {name: tuple(float(value) for value in values) for name, values in curves.items()}


def trial(*, epochs: int = 20, spec: ModelSpec = SPEC) -> TrialResult:
    """A trial that never was."""
    curves = history(epochs, dropout=max(dense(spec).dropout))
    best = int(np.argmin(curves["val_loss"]))
    return TrialResult(
        Recipe(spec=spec),
        seed=1,
        history=curves,
        best_epoch=best,
        epochs_run=epochs,
        train=Score(curves["train_loss"][best], curves["train_accuracy"][best]),
        validation=Score(curves["val_loss"][best], curves["val_accuracy"][best]),
        test=Score(curves["val_loss"][best] + 0.01, curves["val_accuracy"][best] - 0.003),
        probabilities={},
        weights=(),
        state=TrainingState(epochs, (), (), EarlyStopping(), {}),
        seconds={},
    )


def scored(*, train: Score, validation: Score, test: Score, fit: Score) -> TrialResult:
    """A trial of two epochs with the scores that a test works its figures from; `fit` is what training last reported."""
    curves = history(2, dropout=0.0)
    curves["loss"], curves["accuracy"] = (9.0, fit.loss), (0.1, fit.accuracy)
    return replace(trial(), history=curves, best_epoch=0, epochs_run=2, train=train, validation=validation, test=test)


def searched(count: int, *, seed: int = 1) -> list[dict[str, float | None]]:
    """`count` networks of one to four layers with made-up accuracies, by their names in the tracking store."""
    generator = np.random.default_rng(seed)
    return [_network(generator) for _ in range(count)]


def _network(generator: np.random.Generator) -> dict[str, float | None]:
    depth = int(generator.integers(1, 5))
    rates: NDArray[np.float64] = np.where(
        np.arange(5) <= depth, generator.choice([0.0, 0.1, 0.2, 0.3, 0.4, 0.5], 5), np.nan
    )
    rates[0] = generator.choice([0.0, 0.1, 0.2])
    sizes = [float(generator.choice([32, 64, 128, 256, 512])) if layer < depth else None for layer in range(4)]
    dropped = float(np.nansum(rates))
    size = np.log2(np.prod([each for each in sizes if each])) / 40
    val_accuracy = 0.87 + 0.04 * size - 0.014 * (dropped - 0.5) ** 2 + generator.normal(0, 0.003)
    test_accuracy = val_accuracy - 0.003 + generator.normal(0, 0.002)
    return {
        **{f"hidden_{layer}": units for layer, units in enumerate(sizes, start=1)},
        **{f"dropout_{place}": None if np.isnan(rate) else float(rate) for place, rate in enumerate(rates)},
        "val_accuracy": float(val_accuracy),
        "test_accuracy": float(test_accuracy),
        "accuracy_gap": float(0.055 + 0.04 * size - 0.03 * dropped + generator.normal(0, 0.003)),
    }
