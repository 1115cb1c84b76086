"""What the pipeline asks of a model: a protocol that every kind of model satisfies.

`DenseSpec` is the first kind. Most of search, evaluation, retraining and serving knows a model by this protocol and its
`Recipe`. These places still know the dense network and call `dense(spec)`: the search space, reading a recipe, the
trainer, the Keras model and the table of layers.
"""

from typing import Any, Protocol, Self


class ModelSpec(Protocol):
    """What a trial trains: a frozen, hashable record of hyperparameters."""

    def architecture(self, inputs: int, classes: int) -> str:
        """The model in one line, such as `784-256(0.2)-128-10`."""

    @property
    def has_dropout(self) -> bool:
        """Whether the model has any dropout layer."""

    def params(self) -> dict[str, str | int | float]:
        """Params of a run, by their names in the tracking store."""

    def coordinates(self) -> dict[str, int | float]:
        """The numeric ones of `params`: axes of pictures and columns of tables."""

    def parameters(self, inputs: int, classes: int) -> int:
        """Number of trainable parameters."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""

    @classmethod
    def from_dict(cls, content: Any) -> Self:
        """The model that `to_dict` wrote."""
