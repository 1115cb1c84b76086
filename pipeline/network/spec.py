"""What a network is: a record that the whole pipeline passes around. Knows nothing of Keras."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ACTIVATIONS = ("relu", "linear", "tanh", "sigmoid", "elu", "selu", "gelu", "silu")
"""Names of Keras activations that a hidden layer may have."""


@dataclass(frozen=True)
class NetworkSpec:
    """A dense network: `len(hidden)` hidden layers, then one output per class with softmax."""

    hidden: tuple[int, ...]
    """Units per hidden layer; 1 or more each."""
    dropout: tuple[float, ...]
    """`len(hidden) + 1` rates in [0, 1): one after the input, one after each hidden layer; 0 is no layer."""
    activations: tuple[str, ...]
    """One name of `ACTIVATIONS` per hidden layer."""

    def __post_init__(self) -> None:
        _check_count(
            "activations has", len(self.activations), len(self.hidden), len(self.hidden), "one per hidden layer"
        )
        _check_count(
            "dropout has",
            len(self.dropout),
            len(self.hidden) + 1,
            len(self.hidden),
            "one after the input and one after each hidden layer",
        )
        if not self.hidden:
            raise ValueError("hidden is empty; expected at least one hidden layer, such as [128]")
        for units in self.hidden:
            if units < 1:
                raise ValueError(f"a hidden layer has {units} units; expected 1 or more")
        for rate in self.dropout:
            if not 0 <= rate < 1:
                raise ValueError(f"a dropout rate is {rate}; expected 0 (no layer) or more, and less than 1")
        for name in self.activations:
            if name not in ACTIVATIONS:
                raise ValueError(f"unknown activation {name!r}; expected one of {', '.join(ACTIVATIONS)}")

    def coordinates(self) -> dict[str, int | float]:
        """The values of the network by their names in the tracking store: `depth`, `hidden_1`…, `dropout_0`…; layers
        that it lacks are absent.
        """
        sizes = {f"hidden_{layer}": units for layer, units in enumerate(self.hidden, start=1)}
        rates = {f"dropout_{place}": rate for place, rate in enumerate(self.dropout)}
        return {"depth": len(self.hidden), **sizes, **rates}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` gives an equal network."""
        return {"hidden": list(self.hidden), "dropout": list(self.dropout), "activations": list(self.activations)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "NetworkSpec":
        """The network that `to_dict` wrote."""
        return cls(tuple(content["hidden"]), tuple(content["dropout"]), tuple(content["activations"]))

    def parameters(self, inputs: int, classes: int) -> int:
        """How many trainable numbers the network has, for `inputs` pixels and `classes` outputs."""
        sizes = (inputs, *self.hidden, classes)
        return sum((before + 1) * after for before, after in itertools.pairwise(sizes))

    def architecture(self, inputs: int, classes: int) -> str:
        """For people, such as `784-256(0.2)-128-10`: a size, and the rate of the dropout that follows it."""
        sizes = (inputs, *self.hidden)
        named = (f"{size}({rate:g})" if rate else f"{size}" for size, rate in zip(sizes, self.dropout, strict=True))
        return "-".join((*named, str(classes)))


def _check_count(what: str, given: int, expected: int, layers: int, which: str) -> None:
    if given != expected:
        noun = "layer" if layers == 1 else "layers"
        raise ValueError(f"{what} {given} entries for {layers} hidden {noun}; expected {expected}: {which}")


def notebook_network(*, dropout: Sequence[float] = (0.0, 0.0, 0.0, 0.0)) -> NetworkSpec:
    """The teaching notebook's network: 128-64-32, the first layer without activation, 111,146 parameters on 28x28."""
    return NetworkSpec((128, 64, 32), tuple(dropout), ("linear", "relu", "relu"))
