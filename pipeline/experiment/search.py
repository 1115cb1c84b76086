"""The section `search`: how the space is searched."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.experiment.base import Count, Section, Seed


class Search(Section):
    """How the space is searched."""

    tuner: Literal["random", "grid", "bayesian", "bayesian_stock", "hyperband"] = "bayesian"
    """Which of Keras Tuner's oracles proposes; `bayesian` is its Gaussian process with our search for the next network
    to try, `bayesian_stock` Keras Tuner's own: seconds per proposal, and it can propose a network twice."""
    objective: Literal["val_loss", "val_accuracy"] = "val_loss"
    """What the search minimises (`val_loss`) or maximises (`val_accuracy`)."""
    trials: Count = 24
    """How many networks to train at most."""
    seed: Seed = 1
    """Decides the proposals and, with a trial's number, its weights, order of images and dropout."""
    workers: Literal["auto"] | Count = "auto"
    """Networks trained at the same time: 1 in this process; more, or `auto` (one per core), in processes of their own."""
    resume: Literal["auto", "never"] = "auto"
    """`auto` goes on with the experiment's latest search when that did not finish, or is to have more trials."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """No trial starts that would not be finished so many minutes after the search, or its going on, began."""
    cluster: Annotated[str, Field(pattern=r"^(tcp|tls)://[^\s:/]+:\d+$")] | None = None
    """`tcp://host:port` or `tls://host:port` of a Dask scheduler to train on, instead of this machine."""
