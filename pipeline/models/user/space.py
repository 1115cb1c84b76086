"""The search space of a user's function: what it asks for, as choices between values."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras_tuner
import numpy as np
from pydantic import ValidationError

from pipeline.errors import InputError
from pipeline.experiment import ModelCode, Training, TrainingOverrides
from pipeline.models.cheap_hyperparameters import HyperParameters
from pipeline.models.recipe import Recipe
from pipeline.models.user import network
from pipeline.models.user.discovery import Exploration, Hyperparameter, explore
from pipeline.models.user.spec import UserSpec, Value
from pipeline.tracking.names import TUNER_PREFIX

POINTS, GRID_POINTS = 1_000, 10
"""Values of a range without steps, evenly spaced on its scale: for oracles that draw, and for a grid, as in Keras Tuner."""
DIGITS = 4
"""Significant digits of such a value."""
REMEMBERED = 512
"""Recipes whose network is not built again to count its parameters."""


@dataclass(frozen=True, eq=False)
class UserSpace:
    """The space of a user's function on certain images."""

    code: ModelCode
    image_shape: tuple[int, ...]
    classes: int
    points: int
    """Values of a range without steps."""
    explored: Exploration

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the user, a line each."""
        return self.explored.notes

    def charts(self) -> Sequence[Sequence[str]]:
        """Names of the hyperparameters that every network has, and of all."""
        found = self.explored.hyperparameters
        always = [each.name for each in found if not each.conditions]
        names = [each.name for each in found]
        return [always, names] if 0 < len(always) < len(names) else [names]

    def largest(self, inputs: int, classes: int) -> int:  # noqa: ARG002 - as seen on these images
        """Parameters of its largest network, as far as is known."""
        return self.explored.parameter_count

    @property
    def activation_count(self) -> int:
        """Numbers that the layers of its largest network give for one image, as far as is known."""
        return self.explored.activation_count

    def hyperparameters(self) -> keras_tuner.HyperParameters:
        """The space as Keras Tuner sees it."""
        hp = HyperParameters()
        for each in self.explored.hyperparameters:
            _declare(hp, each, self.points)
        return hp

    def size(self) -> int:
        """Number of different combinations."""
        values = {each.name: values_of(each.kind, self.points) for each in self.explored.hyperparameters}
        return _count(self.explored.hyperparameters, values)

    def recipe(self, values: Mapping[str, Any]) -> Recipe:
        """The recipe that proposed values stand for. The function is called: its network is counted, and what it does not
        ask for is left out. Where it raises, the trial will fail with the same message.

        Raises:
            InputError: A hyperparameter is called as a training setting, and has a value that this may not have.
        """
        own = tuple((name, value) for name, value in values.items() if not name.startswith(TUNER_PREFIX))
        spec = _spec(self.code, own, self.image_shape, self.classes)
        settings = {name: value for name, value in spec.values if name in TrainingOverrides.model_fields}
        try:
            return Recipe(spec, TrainingOverrides(**settings))
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(
                f"model is {self.code.name}: the hyperparameter {first['loc'][0]} is called as a key of training, and "
                f"{first['input']!r} is no value of it ({first['msg']}); correct its values, or call it otherwise"
            ) from error


@functools.lru_cache(maxsize=8)
def user_space(code: ModelCode, image_shape: tuple[int, ...], classes: int, *, grid: bool) -> UserSpace:
    """Explores the function of a model, once per process.

    Raises:
        InputError: As `explore`.
    """
    explored = explore(code, image_shape=image_shape, classes=classes)
    return UserSpace(code, image_shape, classes, GRID_POINTS if grid else POINTS, explored)


@functools.lru_cache(maxsize=REMEMBERED)
def _spec(
    code: ModelCode, values: tuple[tuple[str, Value], ...], image_shape: tuple[int, ...], classes: int
) -> UserSpec:
    try:
        built = network.build(code, values, image_shape=image_shape, classes=classes, seed=1)
    except InputError:
        return UserSpec(code, values, parameter_count=0, has_dropout=False, compiled=False)
    return built.spec(code)


def refuse_unused(space: UserSpace, training: Training) -> None:
    """Refuses settings of the experiment that a model with an optimizer and a loss of its own would not get.

    Raises:
        InputError: With the setting and the cure.
    """
    asked = {each.name for each in space.explored.hyperparameters}
    for key in ("weight_decay", "label_smoothing"):
        value = getattr(training, key)
        if space.explored.compiled and value and key not in asked:
            raise InputError(
                f"training.{key} is {value:g}, and model is {space.code.name}: it comes compiled, with an optimizer and a "
                "loss of its own; expected 0: give it to them in compile(), or return the model without compile()"
            )


def values_of(kind: Any, points: int) -> list[Value]:
    """The values of a hyperparameter from which an oracle chooses, in order; at most `points` of a range."""
    if not hasattr(kind, "sampling"):
        return list(kind.values)
    whole = isinstance(kind, keras_tuner.engine.hyperparameters.Int)
    if kind.step is not None and kind._get_n_values() <= max(points, POINTS):  # noqa: SLF001 - no public count
        return [int(each) if whole else _rounded(each, 10) for each in kind.values]
    shares = np.linspace(0, 1, points)
    spread = [float(kind._sample_numerical_value(float(share))) for share in shares]  # noqa: SLF001 - as above
    values = {round(each) if whole else _rounded(each, DIGITS) for each in spread}
    return sorted(value for value in values if kind.min_value <= value <= kind.max_value)


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _declare(hp: keras_tuner.HyperParameters, each: Hyperparameter, points: int) -> None:
    """Adds a hyperparameter below its conditions."""
    with _scopes(hp, each):
        kind = each.kind
        if isinstance(kind, keras_tuner.engine.hyperparameters.Boolean):
            hp.Boolean(each.name, default=kind.default)
        elif isinstance(kind, keras_tuner.engine.hyperparameters.Fixed):
            hp.Fixed(each.name, kind.value)
        else:
            values = values_of(kind, points)
            default = kind.default if kind.default in values else _nearest(kind.default, values)
            hp.Choice(each.name, values, ordered=getattr(kind, "ordered", None), default=default)


class _scopes:  # noqa: N801 - used as a function
    """All conditions of a hyperparameter, one in another."""

    def __init__(self, hp: keras_tuner.HyperParameters, each: Hyperparameter) -> None:
        self._contexts = [hp.conditional_scope(of.parent, list(of.values)) for of in each.conditions]

    def __enter__(self) -> None:
        for each in self._contexts:
            each.__enter__()

    def __exit__(self, *given: object) -> None:
        for each in reversed(self._contexts):
            each.__exit__(*given)


def _nearest(value: Any, values: Sequence[Value]) -> Value:
    if isinstance(value, str):
        return values[0]
    return min(values, key=lambda each: abs(float(each) - float(value)))


def _count(found: Sequence[Hyperparameter], values: Mapping[str, Sequence[Value]]) -> int:
    """Combinations of hyperparameters, each after its parents. Those that nothing depends on are counted together."""
    parents = {of.parent for each in found for of in each.conditions}

    def count(place: int, known: dict[str, Value]) -> int:
        if place == len(found):
            return 1
        each = found[place]
        if not all(known.get(of.parent) in of.values for of in each.conditions):
            return count(place + 1, known)
        if each.name not in parents:
            return len(values[each.name]) * count(place + 1, known)
        # Values that the same things depend on count alike.
        total = 0
        alike: dict[frozenset[int], list[Value]] = {}
        for value in values[each.name]:
            open_to = frozenset(
                number for number, other in enumerate(found) for of in other.conditions
                if of.parent == each.name and value in of.values
            )  # fmt: skip
            alike.setdefault(open_to, []).append(value)
        for group in alike.values():
            total += len(group) * count(place + 1, {**known, each.name: group[0]})
        return total

    return count(0, {})
