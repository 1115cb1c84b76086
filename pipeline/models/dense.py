"""The dense network. Knows nothing of Keras."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.experiment.sections.space import FixedNetwork, check_layers
from pipeline.models.spec import ModelSpec

EPSILON = 1e-3
"""Added to a variance by normalization; Keras' default."""
MOMENTUM = 0.99
"""Share of the moving averages that batch normalization keeps in a training step; Keras' default."""


@dataclass(frozen=True)
class DenseSpec:
    """A dense network: `len(hidden)` hidden layers, then one output per class with softmax."""

    hidden: tuple[int, ...]
    """Units per hidden layer; 1 or more each."""
    dropout: tuple[float, ...]
    """`len(hidden) + 1` rates in [0, 1): one after the input, one after each hidden layer; 0 means no dropout layer."""
    activations: tuple[str, ...]
    """One name of `pipeline.experiment.sections.space.Activation` per hidden layer."""
    normalization: str = "none"
    """Of every hidden layer, before its activation; a name of `pipeline.experiment.sections.space.Normalization`. With
    `batch`, the hidden layers have no bias: the offset of the normalization takes its place."""

    def __post_init__(self) -> None:
        check_layers(self.hidden, self.dropout, self.activations, self.normalization)

    @classmethod
    def of(cls, network: FixedNetwork) -> "DenseSpec":
        """The network that an experiment defines in full."""
        return cls(tuple(network.hidden), tuple(network.dropout), tuple(network.activations), network.normalization)

    own_settings: ClassVar[tuple[str, ...]] = ()
    """No training setting is a part of a dense network."""

    @property
    def has_dropout(self) -> bool:
        """Whether the network has any dropout layer."""
        return any(self.dropout)

    def params(self) -> dict[str, str | int | float]:
        """Params of a run, by their names in the tracking store."""
        names = {"activations": ",".join(self.activations), "normalization": self.normalization}
        return {**self.coordinates(), **names}

    def coordinates(self) -> dict[str, int | float]:
        """Hyperparameters by their names in the tracking store: `depth`, `hidden_1`…, `dropout_0`…, without those of
        layers that the network lacks.
        """
        sizes = {f"hidden_{layer}": units for layer, units in enumerate(self.hidden, start=1)}
        rates = {f"dropout_{place}": rate for place, rate in enumerate(self.dropout)}
        return {"depth": len(self.hidden), **sizes, **rates}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` gives an equal network. Without normalization, they are those of earlier
        versions.
        """
        layers = {"hidden": list(self.hidden), "dropout": list(self.dropout), "activations": list(self.activations)}
        return layers if self.normalization == "none" else {**layers, "normalization": self.normalization}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "DenseSpec":
        """The network that `to_dict` wrote."""
        return cls(
            tuple(content["hidden"]),
            tuple(content["dropout"]),
            tuple(content["activations"]),
            content.get("normalization", "none"),
        )

    def parameters(self, inputs: int, classes: int) -> int:
        """Number of trainable parameters, for `inputs` pixels and `classes` outputs."""
        sizes = (inputs, *self.hidden, classes)
        affine = sum((before + 1) * after for before, after in itertools.pairwise(sizes))
        return affine + sum(self.hidden) * {"none": 0, "batch": 1, "layer": 2}[self.normalization]

    def architecture(self, inputs: int, classes: int) -> str:
        """Layers as text, such as `784-256(0.2)-128-10`: a size, and in brackets the rate of the dropout after it; then the
        normalization, if there is any.
        """
        sizes = (inputs, *self.hidden)
        named = (f"{size}({rate:g})" if rate else f"{size}" for size, rate in zip(sizes, self.dropout, strict=True))
        layers = "-".join((*named, str(classes)))
        return layers if self.normalization == "none" else f"{layers}, normalization {self.normalization}"


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
