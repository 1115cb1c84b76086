"""The section `training`: how every trial trains, and what one network trains differently."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import (
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from pipeline.experiment.sections.base import Count, LearningRate, Rate, Section

SEARCHABLE = ("batch_size", "learning_rate", "patience", "weight_decay", "label_smoothing")
"""Keys of `training` whose value may be a list or a range, which is then searched. Each is a field of `TrainingOverrides`
too: the recipe of a trial has its values there. What else a new one needs: CONTRIBUTING.md, "A searched hyperparameter"."""


@dataclass(frozen=True)
class Choices:
    """A training setting as a list of values."""

    values: tuple[float, ...]

    def plain(self) -> list[float]:
        """As it stands in the experiment's file."""
        return list(self.values)

    def typical(self) -> float:
        """The first value."""
        return self.values[0]

    def largest(self) -> float:
        """The largest value."""
        return max(self.values)

    def asked_by(self, key: str) -> str:
        """How a user's own model asks Keras Tuner for the same."""
        return f"hp.Choice({key!r}, {self.plain()})"


@dataclass(frozen=True)
class Range:
    """A training setting as a range; a range of whole numbers has whole values."""

    low: float
    high: float
    log: bool = False
    """Whether values are spread evenly on a logarithmic scale."""

    def plain(self) -> dict[str, float | bool]:
        """As it stands in the experiment's file."""
        return {"from": self.low, "to": self.high, "log": self.log}

    def typical(self) -> float:
        """The middle on the range's scale."""
        return self.at(0.5)

    def largest(self) -> float:
        """The upper end."""
        return self.high

    def asked_by(self, key: str) -> str:
        """How a user's own model asks Keras Tuner for the same."""
        kind = "Int" if isinstance(self.low, int) else "Float"
        scale = ", sampling='log'" if self.log else ""
        return f"hp.{kind}({key!r}, {self.low}, {self.high}{scale})"

    def at(self, share: float) -> float:
        """The value at a share of the way, 0 to 1, with four significant digits; never outside the range."""
        if self.log:
            value = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + share * (self.high - self.low)
        value = round(value) if isinstance(self.low, int) else float(f"{value:.4g}")
        return min(max(value, self.low), self.high)


class TrainingOverrides(Section):
    """Training settings of one fixed network; a key that is left out is taken from `training`."""

    epochs: Count | None = None
    """As in `training`."""
    batch_size: Count | None = None
    """As in `training`."""
    learning_rate: LearningRate | None = None
    """As in `training`."""
    schedule: Literal["constant", "cosine"] | None = None
    """As in `training`."""
    monitor: Literal["val_loss", "val_accuracy", "loss"] | None = None
    """As in `training`."""
    patience: Count | None = None
    """As in `training`, but cannot be null here."""
    restore_best: bool | None = None
    """As in `training`."""
    class_weight: Literal["none", "balanced"] | None = None
    """As in `training`."""
    weight_decay: Rate | None = None
    """As in `training`."""
    label_smoothing: Rate | None = None
    """As in `training`."""


class Training(Section):
    """How every trial trains. `batch_size`, `learning_rate`, `patience`, `weight_decay` and `label_smoothing` of dense
    networks may be a list or a range, and are then searched.
    """

    epochs: Count = 20
    """Maximum number of epochs; early stopping can end training sooner."""
    batch_size: Count = 64
    """Images per training step; the last, smaller batch of an epoch is used too. A list such as `[64, 128]` is searched."""
    learning_rate: LearningRate = 0.001
    """Initial learning rate of Adam. A list is searched, and so is a range such as `{from: 1e-4, to: 1e-2, log: true}`."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """Learning rate schedule: `constant`, or `cosine`, which decays to 0 over `epochs`."""
    monitor: Literal["val_loss", "val_accuracy", "loss"] = "val_loss"
    """Metric of early stopping and of the best epoch; `loss` is the training loss, as in the teaching notebook."""
    patience: Count | None = 5
    """Epochs without improvement before training stops; null disables early stopping. A list or a range of numbers is
    searched; a number as large as `epochs` disables early stopping too."""
    restore_best: bool = True
    """Keep the weights of the best epoch; false keeps those of the last epoch."""
    class_weight: Literal["none", "balanced"] = "none"
    """`balanced` multiplies the training loss of an image by images / (classes x images of its class), so that every class
    counts alike; `none` counts every image alike. Scores are never weighted."""

    weight_decay: Rate = 0
    """Decoupled weight decay as in AdamW: every step shrinks the weights by this share times the learning rate, except
    biases, gains and offsets; 0 means none. A list or a range is searched."""
    label_smoothing: Rate = 0
    """Share of every label that the training loss spreads evenly over all classes; 0 means none. Scores are by the labels
    as they are. A list or a range is searched."""

    _searched: dict[str, Choices | Range] = PrivateAttr(default_factory=dict)

    @property
    def searched(self) -> Mapping[str, Choices | Range]:
        """Settings that are searched, by key; empty for the settings of a trial. The fields of these keys have a typical
        value: the first of a list, the middle of a range.
        """
        return self._searched

    @property
    def logarithmic(self) -> frozenset[str]:
        """Keys of the ranges that are searched on a logarithmic scale."""
        return frozenset(key for key, each in self._searched.items() if isinstance(each, Range) and each.log)

    @model_validator(mode="wrap")
    @classmethod
    def _reads_lists_and_ranges(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(given, Mapping):
            return handler(given)
        lists = {key: value for key, value in given.items() if isinstance(value, list | Mapping)}
        for key, value in lists.items():
            if key not in SEARCHABLE:
                raise ValueError(
                    f"{key} is {value}, which cannot be searched; expected one value (a list or a range can be given for "
                    f"{', '.join(SEARCHABLE)})"
                )
        plain = {key: value for key, value in given.items() if key not in lists}

        def checked(key: str, value: Any) -> Any:
            return getattr(handler({**plain, key: value}), key)

        searched = {
            key: Choices(tuple(_choices(key, [checked(key, each) for each in value])))
            if isinstance(value, list)
            else _range(key, value, {end: checked(key, value[end]) for end in ("from", "to") if end in value})
            for key, value in lists.items()
        }
        training = handler({**plain, **{key: each.typical() for key, each in searched.items()}})
        training._searched = searched  # noqa: SLF001 - its own class
        return training

    @model_serializer(mode="wrap")
    def _with_lists_and_ranges(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        return content | {key: each.plain() for key, each in self._searched.items() if key in content}

    def merged(self, overrides: TrainingOverrides) -> "Training":
        """These settings with what `overrides` names put in their place: plain values, nothing is left to search."""
        merged = self.model_copy(update=overrides.model_dump(exclude_none=True))
        merged._searched = {}  # noqa: SLF001 - its own class
        return merged


def _choices(key: str, values: list[Any]) -> list[Any]:
    if not values:
        raise ValueError(f"{key} is []: expected one value or more")
    if None in values:
        raise ValueError(f"{key} is {values}: null cannot be in a list; expected numbers")
    if len(set(values)) < len(values):
        raise ValueError(f"{key} is {values}: contains a duplicate value")
    return values


def _range(key: str, given: Mapping[Any, Any], ends: Mapping[str, Any]) -> Range:
    shown = f"{key} is {dict(given)}"
    if len(ends) < 2 or None in ends.values() or not {*given} <= {"from", "to", "log"}:
        raise ValueError(f"{shown}; expected a range such as {{from: 0.0001, to: 0.01, log: true}}")
    log = given.get("log", False)
    if not isinstance(log, bool):
        raise ValueError(f"{shown}; expected log: true or false")  # noqa: TRY004 - pydantic shows only ValueErrors
    if ends["from"] >= ends["to"]:
        raise ValueError(f"{shown}: an empty range; expected from less than to")
    if log and ends["from"] <= 0:
        raise ValueError(f"{shown}; with log: true, expected from more than 0")
    return Range(ends["from"], ends["to"], log)
