"""Runs of the real shape, with figures that are made up."""

from collections.abc import Iterator

import numpy as np

from pipeline.tracking.store import Point, Run, Store

QUESTION = "Which sizes, and dropout where, narrow the gap?"
DEPTH = 3
EPOCHS = 6
CURVES = ("loss", "accuracy", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "accuracy_gap", "loss_gap")


def search(store: Store, *, experiment: str = "digits", trials: int = 12) -> Run:
    """A finished search of networks of 1 to 3 hidden layers, in turn, that names its first trial as chosen."""
    run = store.root(step="search", experiment=experiment, tags={})
    generator = np.random.default_rng(4)
    for number in range(trials):
        _trial(store, run, experiment, number, generator)
    run.log(
        metrics={
            "test_accuracy": 0.8925,
            "accuracy_gap": 0.031,
            "val_accuracy": 0.9,
            "loss_gap": 0.1,
            "trials": trials,
        },
        tags={"narrowgap.chosen": "784-256(0.2)-10"},
    )
    run.finish("FINISHED")
    return run


def _trial(store: Store, parent: Run, experiment: str, number: int, generator: np.random.Generator) -> None:
    depth = 1 + number % DEPTH
    hidden = [int(units) for units in generator.choice([32, 64, 128, 256], depth)]
    rates = [float(rate) for rate in generator.choice([0, 0.1, 0.3, 0.5], depth + 1)]
    params = {
        "depth": depth,
        **{f"hidden_{layer}": units for layer, units in enumerate(hidden, start=1)},
        **{f"dropout_{place}": rate for place, rate in enumerate(rates)},
        "architecture": "-".join(["64", *(f"{units}" for units in hidden), "10"]),
        "parameters": sum(hidden),
    }
    tags = {"narrowgap.experiment": experiment}
    trial = store.child(parent, step="trial", name=f"trial {number:02d}", tags=tags, params=params)
    gap = 0.06 - 0.04 * sum(rates) / (depth + 1) + generator.normal(0, 0.003)
    accuracy = 0.9 - 0.01 * abs(sum(rates) - 0.5) + generator.normal(0, 0.002)
    trial.log(
        metrics={
            "test_accuracy": accuracy, "val_accuracy": accuracy + 0.002, "train_accuracy": accuracy + gap,
            "test_loss": 0.3, "val_loss": 0.29, "train_loss": 0.2, "accuracy_gap": gap, "val_accuracy_gap": gap - 0.002,
            "loss_gap": 3 * gap, "fit_accuracy_gap": gap - 0.05 * sum(rates),
        },
        series=_curves(accuracy, gap),
    )  # fmt: skip
    trial.finish("FINISHED")


def _curves(accuracy: float, gap: float) -> Iterator[Point]:
    for epoch in range(EPOCHS):
        learnt = 1 - 0.5 ** (epoch + 1)
        for name in CURVES:
            end = {"accuracy_gap": gap, "loss_gap": 3 * gap}.get(name, 0.3 if name.endswith("loss") else accuracy)
            yield Point(f"epoch/{name}", end * learnt, epoch)
