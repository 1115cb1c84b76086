"""What a trial of a user's own model trains. Knows nothing of Keras."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import InputError
from pipeline.experiment import ModelCode
from pipeline.formatting import shortened

Value = str | int | float | bool
MOST_LETTERS = 250
"""Of a name that is made from hyperparameters; MLflow cuts params at 6,000 and the UI earlier."""
COMPILED = ("learning_rate", "schedule", "weight_decay", "label_smoothing")
"""Keys of `training` that do not count for a model that comes compiled."""


@dataclass(frozen=True)
class UserSpec:
    """Hyperparameters for a user's function, and what it makes of them."""

    code: ModelCode
    values: tuple[tuple[str, Value], ...]
    """What the function asked for, by name, in the order of asking."""
    parameter_count: int
    """Number of trainable parameters."""
    has_dropout: bool
    """Whether the model has a layer of dropout with a rate above 0."""
    compiled: bool
    """Whether it comes compiled, with an optimizer of its own."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the hyperparameters."""
        return tuple(name for name, _ in self.values)

    @property
    def own_settings(self) -> tuple[str, ...]:
        """Those of the optimizer and the loss, for a model that comes compiled."""
        return COMPILED if self.compiled else ()

    def architecture(self, inputs: int, classes: int) -> str:  # noqa: ARG002 - the same for all images
        """The hyperparameters in one line, such as `filters 32, lr 0.001`."""
        return shortened(", ".join(f"{name} {_text(value)}" for name, value in self.values), MOST_LETTERS)

    def params(self) -> dict[str, str | int | float]:
        """Params of a run: the hyperparameters by their own names."""
        return {name: _text(value) if isinstance(value, bool) else value for name, value in self.values}

    def coordinates(self) -> dict[str, int | float]:
        """The numeric hyperparameters; yes and no as 1 and 0."""
        return {
            name: int(value) if isinstance(value, bool) else value
            for name, value in self.values
            if not isinstance(value, str)
        }

    def parameters(self, inputs: int, classes: int) -> int:  # noqa: ARG002 - counted when the model was built
        """Number of trainable parameters."""
        return self.parameter_count

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` gives an equal model. The code is named by its digest."""
        return {
            "model": self.code.identity(),
            "values": dict(self.values),
            "parameters": self.parameter_count,
            "has_dropout": self.has_dropout,
            "compiled": self.compiled,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], code: ModelCode | None) -> "UserSpec":
        """The model that `to_dict` wrote, of this code.

        Raises:
            InputError: If the code is another one.
        """
        if code is None or content["model"] != code.identity():
            theirs = f"{content['model']['function']} with SHA-256 {content['model']['sha256'][:12]}"
            ours = f"{code.name} with {code.digest[:12]}" if code is not None else "dense networks"
            raise InputError(
                f"this network was made by other code ({theirs}) than the experiment names ({ours}); restore that file, or "
                "search again"
            )
        return cls(
            code,
            tuple(content["values"].items()),
            content["parameters"],
            content["has_dropout"],
            content["compiled"],
        )


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
