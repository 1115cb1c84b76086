"""The finished trials of a search, read back from the store. Enters: a search's run. Leaves: rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.models.recipe import Recipe
from pipeline.statistics.selection import Candidate
from pipeline.tracking.names import ASKED_TAG, PROPOSAL_TAG, STEP_TAG
from pipeline.tracking.store import Run, Store

MEASURES = (
    "val_loss", "val_accuracy", "val_accuracy_gap", "test_accuracy", "accuracy_gap", "test_loss", "loss_gap",
    "fit_accuracy_gap", "fit_loss_gap", "train_accuracy", "train_loss", "best_epoch", "epochs_run", "seconds",
)  # fmt: skip
"""The metrics of a row, in the order of the table's columns."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One trial that finished."""

    number: int
    run: Run
    recipe: Recipe

    @property
    def name(self) -> str:
        return self.run.params["architecture"]

    @property
    def parameters(self) -> int:
        return int(self.run.params["parameters"])

    @property
    def proposed(self) -> Mapping[str, Any]:
        """The hyperparameters as the oracle gave them."""
        values: Mapping[str, Any] = json.loads(self.run.tags[PROPOSAL_TAG])
        return values

    def candidate(self) -> Candidate:
        """What a selection may know of it."""
        measured = self.run.metrics
        return Candidate(
            self.name, measured["val_loss"], measured["val_accuracy"], measured["val_accuracy_gap"], self.parameters
        )

    def coordinates(self) -> dict[str, float | None]:
        """Its place in the space and its figures, by name; layers that it lacks are absent."""
        return {**self.recipe.spec.coordinates(), **{name: self.run.metrics[name] for name in MEASURES}}


def finished(store: Store, search: Run) -> list[Trial]:
    """In the order of asking."""
    runs = [run for run in store.children(search) if run.tags.get(STEP_TAG) == "trial"]
    trials = [
        Trial(int(run.tags[ASKED_TAG]), run, Recipe.from_tags(run.tags)) for run in runs if run.status == "FINISHED"
    ]
    return sorted(trials, key=lambda trial: trial.number)


def fully_trained(found: Sequence[Trial]) -> list[Trial]:
    """Those that Hyperband, if it is that, let train to the last epoch; it stops the others on lower rungs."""
    rungs = [trial.proposed.get("tuner/epochs", 0) for trial in found]
    highest = max(rungs, default=0)
    return [trial for trial, rung in zip(found, rungs, strict=True) if rung == highest]


def table(trials: Sequence[Trial]) -> pd.DataFrame:
    """One row per trial: `trials.csv`."""
    deepest = max(len(trial.recipe.spec.hidden) for trial in trials)
    places = [f"dropout_{place}" for place in range(deepest + 1)]
    layers = [f"hidden_{layer}" for layer in range(1, deepest + 1)]
    columns = ["trial", "architecture", "parameters", "depth", *layers, *places, *MEASURES, "run_id"]
    rows = [
        {
            "trial": trial.number,
            "architecture": trial.name,
            "parameters": trial.parameters,
            "run_id": trial.run.id,
            **trial.coordinates(),
        }
        for trial in trials
    ]
    return pd.DataFrame(rows, columns=columns)
