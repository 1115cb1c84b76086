"""The section `space`: the networks to search over, as ranges or as a list of fixed networks."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from pipeline.experiment.sections.base import Accuracy, Count, Rate, Section, no_bool
from pipeline.experiment.sections.training import TrainingOverrides

Activation = Literal["relu", "linear", "tanh", "sigmoid", "elu", "selu", "gelu", "silu"]
"""Names of Keras activations that a hidden layer may have."""


Normalization = Literal["none", "batch", "layer"]
"""How a hidden layer is normalized, before its activation."""


def _one_of(kind: Any) -> Callable[[Any], Any]:
    """Refuses names that a `Literal` lacks, alone or in a list, in one line."""
    known = get_args(kind)

    def checked(value: Any) -> Any:
        given = value if isinstance(value, list) else [value]
        if not given or not all(isinstance(name, str) and name in known for name in given):
            raise ValueError(f"expected one of {', '.join(known)}, or a list of them")
        return value

    return checked


def check_layers(
    hidden: Sequence[int], dropout: Sequence[float], activations: Sequence[str], normalization: str
) -> None:
    """Checks that the layers of a dense network fit together.

    Raises:
        ValueError: Naming what was given and what was expected.
    """
    _check_count("activations has", len(activations), len(hidden), len(hidden), "one per hidden layer")
    places = "one after the input and one after each hidden layer"
    _check_count("dropout has", len(dropout), len(hidden) + 1, len(hidden), places)
    if not hidden:
        raise ValueError("hidden is empty; expected at least one hidden layer, such as [128]")
    for units in hidden:
        if units < 1:
            raise ValueError(f"a hidden layer has {units} units; expected 1 or more")
    for rate in dropout:
        if not 0 <= rate < 1:
            raise ValueError(f"a dropout rate is {rate}; expected 0 (no layer) or more, and less than 1")
    known = get_args(Activation)
    for name in activations:
        if name not in known:
            raise ValueError(f"unknown activation {name!r}; expected one of {', '.join(known)}")
    if normalization not in get_args(Normalization):
        raise ValueError(
            f"unknown normalization {normalization!r}; expected one of {', '.join(get_args(Normalization))}"
        )


def _check_count(what: str, given: int, expected: int, layers: int, which: str) -> None:
    if given != expected:
        noun = "layer" if layers == 1 else "layers"
        raise ValueError(f"{what} {given} entries for {layers} hidden {noun}; expected {expected}: {which}")


class Published(Section):
    """Published results of a network, by the fit measure: train scores as training last reported them."""

    source: Annotated[str, Field(min_length=1)]
    """Source of the results."""
    train_accuracy: Accuracy
    """Training accuracy, 0 to 1."""
    train_loss: Annotated[float, Field(ge=0), BeforeValidator(no_bool)]
    """Training loss, nats."""
    test_accuracy: Accuracy
    """Test accuracy, 0 to 1."""
    test_loss: Annotated[float, Field(ge=0), BeforeValidator(no_bool)]
    """Test loss, nats."""


class FixedNetwork(Section):
    """One network given in full."""

    hidden: Annotated[list[Count], Field(min_length=1)]
    """Units per hidden layer."""
    dropout: list[Rate]
    """Dropout rates: one after the input and one after each hidden layer, so one more than `hidden` has entries; 0 means no
    dropout layer."""
    activations: list[Activation]
    """Activation of each hidden layer."""
    normalization: Normalization = "none"
    """As in `space`, but one value."""
    training: TrainingOverrides = TrainingOverrides()
    """Training settings of this network that differ from the experiment's."""
    published: Published | None = None
    """Published results of this network, shown beside ours."""

    @model_validator(mode="after")
    def _is_a_network(self) -> Self:
        check_layers(self.hidden, self.dropout, self.activations, self.normalization)
        return self


class Space(Section):
    """The search space: values to choose from, or a list of fixed networks."""

    depth: Annotated[list[Count], Field(min_length=2, max_length=2)] = [1, 4]
    """Minimum and maximum number of hidden layers."""
    hidden: Annotated[list[Count], Field(min_length=1)] = [32, 64, 128, 256, 512]
    """Possible sizes of a hidden layer, in units."""
    dropout: Annotated[list[Rate], Field(min_length=1)] = [0, 0.1, 0.2, 0.3, 0.4, 0.5]
    """Possible dropout rates after a hidden layer; 0 means no dropout there."""
    input_dropout: Annotated[list[Rate], Field(min_length=1)] = [0, 0.1, 0.2]
    """Possible dropout rates after the input."""
    activation: Annotated[Activation | list[Activation], BeforeValidator(_one_of(Activation))] = "relu"
    """Activation of every hidden layer; a list such as `[relu, gelu]` is searched."""
    normalization: Annotated[Normalization | list[Normalization], BeforeValidator(_one_of(Normalization))] = "none"
    """Normalization of every hidden layer, before its activation: `batch` by the mean and variance of each unit over the
    batch, `layer` by those of each image over the units; a list such as `[none, batch, layer]` is searched."""
    networks: Annotated[list[FixedNetwork], Field(min_length=1)] | None = None
    """Fixed networks to train instead of the values above."""

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        fewest, most = self.depth
        if fewest > most:
            raise ValueError(f"depth is [{fewest}, {most}]: an empty range; expected [fewest, most]")
        for key in ("hidden", "dropout", "input_dropout"):
            values = getattr(self, key)
            if len(set(values)) < len(values):
                raise ValueError(f"{key} is {values}: contains a duplicate value")
        for key, names in (("activation", self.activations), ("normalization", self.normalizations)):
            if len(set(names)) < len(names):
                raise ValueError(f"{key} is {names}: contains a duplicate value")
        return self

    @property
    def activations(self) -> list[Activation]:
        """The possible activations; all hidden layers of a network have the same."""
        return self.activation if isinstance(self.activation, list) else [self.activation]

    @property
    def normalizations(self) -> list[Normalization]:
        """The possible normalizations; all hidden layers of a network have the same."""
        return self.normalization if isinstance(self.normalization, list) else [self.normalization]

    @property
    def searched(self) -> dict[str, Sequence[str]]:
        """What all hidden layers of a network share and that is searched: the possible values by key. What a new one needs:
        CONTRIBUTING.md, "A searched hyperparameter".
        """
        shared: dict[str, Sequence[str]] = {"activation": self.activations, "normalization": self.normalizations}
        return {key: values for key, values in shared.items() if len(values) > 1 and self.networks is None}
