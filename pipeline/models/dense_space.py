"""The search space as Keras Tuner hyperparameters.

Hyperparameters of a layer that a shallower network lacks are inactive: absent from the values, not zero.
"""

import math
from collections.abc import Mapping
from typing import Any

import keras_tuner

from pipeline.experiment import Space, Training, TrainingOverrides
from pipeline.experiment.sections.training import Choices, Range
from pipeline.models.cheap_hyperparameters import HyperParameters
from pipeline.models.dense import DenseSpec
from pipeline.models.recipe import Recipe

Values = Mapping[str, Any]
"""Values proposed by an oracle, by name: `depth`, `hidden_1`…, `dropout_0`…; or `network` for fixed networks; and
training settings that are searched."""
PLAIN = Training()
POINTS = 1_000
"""Values of a range, evenly spaced on its scale."""


def hyperparameters(space: Space, training: Training = PLAIN) -> keras_tuner.HyperParameters:
    """The space as Keras Tuner sees it: every hyperparameter is a choice; those of layer i are active from depth i on."""
    hp = HyperParameters()
    if space.networks is not None:
        hp.Choice("network", list(range(len(space.networks))))
    else:
        _declare_layers(hp, space)
    for key, searched in training.searched.items():
        hp.Choice(key, values_of(searched))
    return hp


def values_of(searched: Choices | Range) -> list[float]:
    """The values of a searched training setting: those of a list in its order, `POINTS` at most of a range."""
    if isinstance(searched, Choices):
        return list(searched.values)
    return sorted({searched.at(place / (POINTS - 1)) for place in range(POINTS)})


def _declare_layers(hp: keras_tuner.HyperParameters, space: Space) -> None:
    """Declares the layers, and what all of them share (`Space.searched`); `recipe` reads the values by the same names."""
    fewest, most = space.depth
    hp.Choice("depth", list(range(fewest, most + 1)))
    hp.Choice("dropout_0", _rates(space.input_dropout))
    for layer in range(1, most + 1):
        with hp.conditional_scope("depth", list(range(max(layer, fewest), most + 1))):
            hp.Choice(f"hidden_{layer}", list(space.hidden))
            hp.Choice(f"dropout_{layer}", _rates(space.dropout))
    for key, values in space.searched.items():
        hp.Choice(key, list(values))


def _rates(rates: list[float]) -> list[float]:
    """Rates as floats: Keras Tuner refuses a choice between 0 and 0.1."""
    return [float(rate) for rate in rates]


def recipe(space: Space, values: Values, training: Training = PLAIN) -> Recipe:
    """The recipe that proposed values stand for."""
    if space.networks is not None:
        network = space.networks[values["network"]]
        return Recipe(DenseSpec.of(network), network.training)
    layers = range(1, values["depth"] + 1)
    spec = DenseSpec(
        hidden=tuple(values[f"hidden_{layer}"] for layer in layers),
        dropout=(values["dropout_0"], *(values[f"dropout_{layer}"] for layer in layers)),
        activations=(values.get("activation", space.activations[0]),) * values["depth"],
        normalization=values.get("normalization", space.normalizations[0]),
    )
    return Recipe(
        spec,
        TrainingOverrides(**{key: values[key] for key in training.searched}),
        tuple((key, values[key]) for key in (*space.searched, *training.searched)),
    )


def size(space: Space, training: Training = PLAIN) -> int:
    """Number of different networks in the space, with different training settings."""
    settings = math.prod(len(values_of(searched)) for searched in training.searched.values())
    return settings * _networks(space)


def _networks(space: Space) -> int:
    if space.networks is not None:
        return len(space.networks)
    fewest, most = space.depth
    per_layer = len(space.hidden) * len(space.dropout)
    each = math.prod(map(len, space.searched.values())) * len(space.input_dropout)
    return each * sum(math.prod([per_layer] * depth) for depth in range(fewest, most + 1))
