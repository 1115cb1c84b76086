"""The section `search`: how the space is searched."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pipeline.experiment.sections.base import SCHEDULER, Count, Section, Seed, no_bool


class Search(Section):
    """How the space is searched."""

    tuner: Literal["random", "grid", "bayesian", "bayesian_stock", "hyperband"] = "bayesian"
    """Search algorithm: Keras Tuner's `random`, `grid`, `hyperband` or `bayesian_stock`, or `bayesian`, a faster version of
    the last. `bayesian` optimises the acquisition function faster; `bayesian_stock` takes seconds per proposal and can
    propose a network twice."""
    objective: Literal["val_loss", "val_accuracy", "val_balanced_accuracy"] = "val_loss"
    """Metric that the search minimises (`val_loss`) or maximises (the others). `val_balanced_accuracy` is the mean recall of
    the classes: it counts rare classes as much as frequent ones."""
    pruner: Literal["none", "median", "successive_halving"] = "none"
    """Stops weak trials early: `median` those that are worse than the median of the trials before, after a quarter and after
    half of the epochs; `successive_halving` those that are not among the best third, after a ninth and after a third.
    Pruned trials are never chosen. `hyperband` stops trials by itself and takes `none` only."""
    trials: Count = 24
    """Maximum number of trials."""
    seed: Seed = 1
    """Random seed of the proposals and, with the number of a trial, of its weights, order of images and dropout."""
    workers: Literal["auto"] | Count = "auto"
    """Networks trained at the same time: 1 trains in this process, more in one process each. `auto` uses one process per
    GPU, or per core without GPUs."""
    resume: Literal["auto", "never"] = "auto"
    """`auto` resumes the latest search of the experiment if it did not finish or `trials` has grown; `never` starts a new
    search."""
    minutes: Annotated[float, Field(gt=0), BeforeValidator(no_bool)] | None = None
    """Time budget in minutes from the start or resumption of the search; a trial starts only if it is expected to finish in
    time. Null sets no limit. `minutes` at the top bounds search and refits together; if both are given, both hold."""
    trial_minutes: Annotated[float, Field(gt=0), BeforeValidator(no_bool)] | None = None
    """Longest training of one network in minutes, refits included. One that takes longer ends as FAILED, and the others go
    on. Null sets no limit."""
    wait_minutes: Annotated[float, Field(gt=0)] = 120
    """Longest time without any worker of `cluster`, in minutes. After that the command ends with exit code 5, and the same
    command resumes."""
    cluster: Annotated[str, Field(pattern=SCHEDULER)] | None = None
    """Address of a Dask scheduler, `tcp://host:port` or `tls://host:port`, whose workers train; null trains on this
    machine."""

    @model_validator(mode="after")
    def _prunes_once(self) -> Self:
        if self.tuner == "hyperband" and self.pruner != "none":
            raise ValueError(
                f"pruner is {self.pruner}, and tuner=hyperband stops weak trials by itself; expected pruner=none, or "
                "another tuner"
            )
        return self
