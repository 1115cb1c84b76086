"""The finished trials of a search, read from the store."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import pandas as pd

from pipeline.experiment import ModelCode, Training
from pipeline.models.recipe import Recipe
from pipeline.models.user.spec import UserSpec
from pipeline.statistics.selection import Candidate
from pipeline.tracking.names import ASKED_TAG, PROPOSAL_TAG, PRUNED_TAG, STEP_TAG, TUNER_PREFIX
from pipeline.tracking.store import Run, Store

MEASURES = (
    "val_loss", "val_accuracy", "val_accuracy_gap", "test_accuracy", "accuracy_gap", "test_loss", "loss_gap",
    "fit_accuracy_gap", "fit_loss_gap", "train_accuracy", "train_loss", "best_epoch", "epochs_run", "seconds",
)  # fmt: skip
"""Metrics of a row, in the order of the columns."""
Hyperparameter = float | str
"""Its value: a number or a text."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One finished trial."""

    number: int
    run: Run
    recipe: Recipe

    @property
    def name(self) -> str:
        return self.run.params["architecture"]

    @property
    def pruned(self) -> bool:
        """Whether `search.pruner` stopped it early: it is shown, and never chosen."""
        return PRUNED_TAG in self.run.tags

    @property
    def parameters(self) -> int:
        return int(self.run.params["parameters"])

    @property
    def proposed(self) -> Mapping[str, Any]:
        """The hyperparameters as the oracle gave them."""
        values: Mapping[str, Any] = json.loads(self.run.tags[PROPOSAL_TAG])
        return values

    def epochs_trained(self, epochs: int) -> float:
        """Number of epochs that the metric `seconds` covers, given the number of a full training:
        without those of the trial that it continues (Hyperband), and counted fully if it stopped early by itself.
        """
        until = self.run.metrics["epochs_run"] if self.pruned else self.proposed.get("tuner/epochs", epochs)
        return float(until - self.proposed.get("tuner/initial_epoch", 0))

    def candidate(self) -> Candidate:
        """What a selection may know of the trial: validation results only."""
        measured = self.run.metrics
        return Candidate(
            self.name,
            measured["val_loss"],
            measured["val_accuracy"],
            measured["val_accuracy_gap"],
            self.parameters,
            kind="trial",
        )

    @property
    def searched(self) -> dict[str, Hyperparameter]:
        """What is searched besides the layers of a dense network, by name, or all hyperparameters of a user's own model; yes
        and no as 1 and 0.
        """
        spec = self.recipe.spec
        if isinstance(spec, UserSpec):
            return {**dict(spec.values), **spec.coordinates()}
        others = {*spec.coordinates(), "network"}
        return {
            name: value
            for name, value in self.proposed.items()
            if name not in others and not name.startswith(TUNER_PREFIX)
        }

    @property
    def hyperparameters(self) -> dict[str, Hyperparameter]:
        """All hyperparameters by name, without those of layers that it lacks."""
        searched = self.searched
        layers = self.recipe.spec.coordinates()
        return {**{name: value for name, value in layers.items() if name not in searched}, **searched}

    def coordinates(self) -> dict[str, Hyperparameter]:
        """Hyperparameters and metrics by name."""
        return {**self.hyperparameters, **{name: self.run.metrics[name] for name in MEASURES}}


def finished_trials(store: Store, search: Run, code: ModelCode | None = None) -> list[Trial]:
    """The finished trials of a search, in the order of proposals; `code` is that of a user's own model."""
    runs = [run for run in store.children(search) if run.tags.get(STEP_TAG) == "trial"]
    trials = {
        int(run.tags[ASKED_TAG]): Trial(int(run.tags[ASKED_TAG]), run, Recipe.from_tags(run.tags, code))
        for run in runs
        if run.status == "FINISHED"
    }
    return [trials[number] for number in sorted(trials)]


def unpruned(found: Sequence[Trial]) -> list[Trial]:
    """The trials that can be chosen: those that no pruner stopped."""
    return [trial for trial in found if not trial.pruned]


def fully_trained(found: Sequence[Trial]) -> list[Trial]:
    """The trials that were trained to the last epoch; Hyperband stops others on lower rungs, and a pruner those that are
    weak.
    """
    found = unpruned(found)
    rungs = [trial.proposed.get("tuner/epochs", 0) for trial in found]
    highest = max(rungs, default=0)
    return [trial for trial, rung in zip(found, rungs, strict=True) if rung == highest]


def full_seconds(found: Sequence[Trial], training: Training) -> float:
    """Expected seconds of a network trained with all epochs, from the first one: the mean of the fully trained trials.
    The seconds of one that continues another, or that was to end earlier, are scaled to all epochs (Hyperband).
    """

    def scaled(trial: Trial) -> float:
        epochs = trial.recipe.settings(training).epochs
        return trial.run.metrics["seconds"] * epochs / trial.epochs_trained(epochs)

    return fmean(scaled(trial) for trial in fully_trained(found) or found)


def hyperparameters(trials: Sequence[Trial]) -> list[str]:
    """Names of the hyperparameters of all trials: those of the trial that has the most first."""
    longest_first = sorted((list(trial.hyperparameters) for trial in trials), key=len, reverse=True)
    return list(dict.fromkeys(name for names in longest_first for name in names))


def searched(trials: Sequence[Trial]) -> list[str]:
    """Names of what is searched besides the layers of dense networks, or of all hyperparameters of a user's own model."""
    return list(dict.fromkeys(name for trial in trials for name in trial.searched))


def table(trials: Sequence[Trial]) -> pd.DataFrame:
    """One row per trial: `trials.csv`."""
    columns = ["trial", "architecture", "parameters", *hyperparameters(trials), *MEASURES, "pruned", "run_id"]
    rows = [
        {
            "trial": trial.number,
            "architecture": trial.name,
            "parameters": trial.parameters,
            "pruned": trial.pruned,
            "run_id": trial.run.id,
            **trial.coordinates(),
        }
        for trial in trials
    ]
    return pd.DataFrame(rows, columns=columns)
