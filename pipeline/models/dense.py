"""The dense network. Knows nothing of Keras."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.experiment.networks import FixedNetwork, check_layers
from pipeline.models.spec import ModelSpec


@dataclass(frozen=True)
class DenseSpec:
    """A dense network: `len(hidden)` hidden layers, then one output per class with softmax."""

    hidden: tuple[int, ...]
    """Units per hidden layer; 1 or more each."""
    dropout: tuple[float, ...]
    """`len(hidden) + 1` rates in [0, 1): one after the input, one after each hidden layer; 0 means no dropout layer."""
    activations: tuple[str, ...]
    """One name of `pipeline.experiment.networks.Activation` per hidden layer."""

    def __post_init__(self) -> None:
        check_layers(self.hidden, self.dropout, self.activations)

    @classmethod
    def of(cls, network: FixedNetwork) -> "DenseSpec":
        """The network that an experiment defines in full."""
        return cls(tuple(network.hidden), tuple(network.dropout), tuple(network.activations))

    own_settings: ClassVar[tuple[str, ...]] = ()
    """No training setting is a part of a dense network."""

    @property
    def has_dropout(self) -> bool:
        """Whether the network has any dropout layer."""
        return any(self.dropout)

    def params(self) -> dict[str, str | int | float]:
        """Params of a run, by their names in the tracking store."""
        return {**self.coordinates(), "activations": ",".join(self.activations)}

    def coordinates(self) -> dict[str, int | float]:
        """Hyperparameters by their names in the tracking store: `depth`, `hidden_1`…, `dropout_0`…, without those of
        layers that the network lacks.
        """
        sizes = {f"hidden_{layer}": units for layer, units in enumerate(self.hidden, start=1)}
        rates = {f"dropout_{place}": rate for place, rate in enumerate(self.dropout)}
        return {"depth": len(self.hidden), **sizes, **rates}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` gives an equal network."""
        return {"hidden": list(self.hidden), "dropout": list(self.dropout), "activations": list(self.activations)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "DenseSpec":
        """The network that `to_dict` wrote."""
        return cls(tuple(content["hidden"]), tuple(content["dropout"]), tuple(content["activations"]))

    def parameters(self, inputs: int, classes: int) -> int:
        """Number of trainable parameters, for `inputs` pixels and `classes` outputs."""
        sizes = (inputs, *self.hidden, classes)
        return sum((before + 1) * after for before, after in itertools.pairwise(sizes))

    def architecture(self, inputs: int, classes: int) -> str:
        """Layers as text, such as `784-256(0.2)-128-10`: a size, and in brackets the rate of the dropout after it."""
        sizes = (inputs, *self.hidden)
        named = (f"{size}({rate:g})" if rate else f"{size}" for size, rate in zip(sizes, self.dropout, strict=True))
        return "-".join((*named, str(classes)))


def dense(spec: ModelSpec) -> DenseSpec:
    """The model as a dense network, for code that only dense networks have: their trainer and their Keras model.

    Raises:
        TypeError: If it is another kind of model.
    """
    if not isinstance(spec, DenseSpec):
        raise TypeError(f"{type(spec).__name__} is not a dense network")
    return spec


def notebook_network(*, dropout: Sequence[float] = (0.0, 0.0, 0.0, 0.0)) -> DenseSpec:
    """The teaching notebook's network: 128-64-32, the first layer without activation, 111,146 parameters on 28x28."""
    return DenseSpec((128, 64, 32), tuple(dropout), ("linear", "relu", "relu"))
