"""Finds out what a user's function asks for, by calling it with many values.

A hyperparameter that appears for some values of another one only is a conditional one, whether the function says so with
`conditional_scope` or by an `if` or a loop of Python's.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras_tuner
import numpy as np

from pipeline.errors import InputError
from pipeline.experiment import ModelCode
from pipeline.models.user import network
from pipeline.models.user.network import Built
from pipeline.models.user.spec import Value

Values = dict[str, Value]
MOST_BUILDS = 150
"""Calls of the function, at most. What appears after that has its default in every trial."""
RANDOM_BUILDS = 10
"""Calls with random values after the systematic ones, for what needs two values at a time."""
FEW = 8
"""A hyperparameter of up to so many values is tried with each; another one with its ends, and with each of up to
`MOST_VALUES` if the ends ask for different things.
"""
MOST_VALUES = 64


@dataclass(frozen=True)
class Condition:
    """A hyperparameter is asked for only where another one has one of these values."""

    parent: str
    values: tuple[Value, ...]


@dataclass(frozen=True, eq=False)
class Hyperparameter:
    """One that the function asks for."""

    kind: Any
    """Keras Tuner's `Choice`, `Int`, `Float`, `Boolean` or `Fixed`."""
    conditions: tuple[Condition, ...]

    @property
    def name(self) -> str:
        return str(self.kind.name)


@dataclass(frozen=True, eq=False)
class Exploration:
    """What was found out."""

    hyperparameters: tuple[Hyperparameter, ...]
    """Each after those that its conditions name."""
    parameter_count: int
    """Trainable parameters of the largest network seen."""
    activation_count: int
    """Numbers that the layers of the largest network seen give for one image."""
    compiled: bool
    """Whether a network seen comes compiled."""
    notes: tuple[str, ...]
    """Remarks for the user, a line each."""


@dataclass(eq=False)
class _Seen:
    """A hyperparameter while the function is explored."""

    kind: Any
    base: Values
    """The values of the call in which it was first asked for."""
    asked: set[frozenset[str]] = field(default_factory=set)
    """The sets of names that were asked for in calls that tried its values."""


def explore(code: ModelCode, *, image_shape: tuple[int, ...], classes: int) -> Exploration:
    """Calls the user's function with its defaults, then with other values of each hyperparameter in turn.

    Raises:
        InputError: What it does with its defaults cannot be used; it asks for nothing, or by names that cannot be recorded;
            it is not a function of its hyperparameters; one line.
    """

    def build(values: Mapping[str, Value], seed: int = 1) -> Built:
        return network.build(code, tuple(values.items()), image_shape=image_shape, classes=classes, seed=seed)

    first = build({})
    network.refuse_unsaved(code, first.model)
    if not first.hp.space:
        raise InputError(
            f"model is {code.name}: it asks for no hyperparameters; expected some, such as hp.Float('dropout', 0, 0.5), "
            "or hp.Choice of one value"
        )
    _refuse_random(code, first, build)
    return _Explorer(first, build).explored(code)


def _refuse_random(code: ModelCode, first: Built, build: Callable[..., Built]) -> None:
    """Refuses a function whose network, or initial weights, depend on more than hyperparameters and seed."""
    facts = _facts(first), [each.tobytes() for each in first.model.get_weights()]
    other = build({}, seed=2)
    if _facts(other)[0] != facts[0][0]:
        raise InputError(
            f"model is {code.name}: two calls with the same values asked for different hyperparameters; expected that they "
            "depend on hp alone"
        )
    if _facts(other)[1] != facts[0][1]:
        raise InputError(
            f"model is {code.name}: two calls with the same values gave different networks; expected one that depends on hp "
            "alone: ask hp for what is drawn at random"
        )
    if [each.tobytes() for each in build({}).model.get_weights()] != facts[1]:
        raise InputError(
            f"model is {code.name}: two calls with the same values and seed gave different initial weights; draw them with "
            "Keras' initializers, which are seeded for every trial"
        )


def _facts(built: Built) -> tuple[str, str]:
    """What was asked for, and what was made of it, as text to compare."""
    asked = json.dumps([[each.__class__.__name__, each.get_config()] for each in built.hp.space], default=str)
    shapes = [(each.path, tuple(each.shape)) for each in built.model.variables]
    try:
        config = json.dumps(built.model.get_config(), sort_keys=True, default=str)
    except (NotImplementedError, TypeError):  # a subclass of Model without one
        config = ""
    return asked, f"{shapes}{config}"


class _Explorer:
    def __init__(self, first: Built, build: Callable[..., Built]) -> None:
        self._build = build
        self._seen: dict[str, _Seen] = {}
        self._calls: list[Values] = []
        """What was asked for, with its values, in every call that did not fail."""
        self._declared: dict[str, list[Any]] = {}
        """By name, every definition with its conditions by `conditional_scope`."""
        self._queue: deque[tuple[Values, str | None]] = deque()
        self._tried: set[str] = {_key({})}
        self._parameter_count = self._activation_count = self._builds = 0
        self._compiled = False
        self._take(first, None)

    def explored(self, code: ModelCode) -> Exploration:
        self._work()
        rng = np.random.default_rng(1)
        for _ in range(RANDOM_BUILDS):
            self._want({name: _drawn(each.kind, rng) for name, each in self._seen.items()}, None)
        self._work()
        found = _ordered([Hyperparameter(each.kind, self._conditions(name)) for name, each in self._seen.items()])
        notes = []
        if self._queue:
            notes.append(
                f"{code.name} was called with {self._builds} combinations of values; a hyperparameter that appears with "
                "others only has its default"
            )
        loose = [
            each.name for each in found if not each.conditions and not all(each.name in call for call in self._calls)
        ]
        if loose:
            notes.append(
                f"{code.name} asks for {', '.join(loose)} not always, and not for certain values of one other "
                "hyperparameter: some trials may be of equal networks; hp.conditional_scope says when it is asked for"
            )
        return Exploration(tuple(found), self._parameter_count, self._activation_count, self._compiled, tuple(notes))

    def _work(self) -> None:
        while self._queue and self._builds < MOST_BUILDS:
            values, of = self._queue.popleft()
            self._builds += 1
            try:
                built = self._build(values)
            except network.NameRefusedError:
                raise
            except InputError:  # a trial of these values fails with that message
                continue
            self._take(built, of)

    def _take(self, built: Built, of: str | None) -> None:
        """Records a call, which tried a value of the hyperparameter `of`."""
        values = dict(built.asked)
        self._calls.append(values)
        self._compiled |= built.compiled
        self._parameter_count, self._activation_count = (
            max(self._parameter_count, built.parameter_count), max(self._activation_count, built.activation_count),
        )  # fmt: skip
        for kind in built.hp.space:
            self._declared.setdefault(kind.name, [])
            if kind.conditions not in [each.conditions for each in self._declared[kind.name]]:
                self._declared[kind.name].append(kind)
                for parent in kind.conditions:  # a scope that is not active here
                    self._want({**values, parent.name: parent.values[0]}, parent.name)
            if kind.name in values and kind.name not in self._seen:
                self._seen[kind.name] = _Seen(kind, values)
                for value in _ends(kind):
                    self._want({**values, kind.name: value}, kind.name)
        if of is not None and of in self._seen:
            tried = self._seen[of]
            tried.asked.add(frozenset(values))
            every = _every(tried.kind)
            if len(tried.asked) == 2 and len(every) <= MOST_VALUES:
                for value in every:
                    self._want({**tried.base, of: value}, of)

    def _want(self, values: Values, of: str | None) -> None:
        if _key(values) not in self._tried:
            self._tried.add(_key(values))
            self._queue.append((values, of))

    def _conditions(self, name: str) -> tuple[Condition, ...]:
        """Those that the function declares, or one that explains all calls, after those of the hyperparameter that it names;
        none if there is none.
        """
        declared = self._declared[name]
        if len(declared) == 1 and declared[0].conditions:
            return tuple(Condition(each.name, tuple(each.values)) for each in declared[0].conditions)
        having = [call for call in self._calls if name in call]
        lacking = [call for call in self._calls if name not in call]
        if not lacking:
            return ()
        for parent in [each for each in reversed(self._seen) if each != name]:
            # One that is merely asked for together with it decides nothing.
            deciding = any(parent in call for call in lacking) and all(parent in call for call in having)
            if not deciding or not _before(parent, name, having):
                continue
            values = {call[parent] for call in having}
            if not any(parent in call and call[parent] in values for call in lacking):
                known = [each for each in _every(self._seen[parent].kind) if each in values]
                return (*self._conditions(parent), Condition(parent, tuple(known or sorted(values))))
        return ()


def _before(parent: str, name: str, calls: Sequence[Values]) -> bool:
    """Whether a hyperparameter is always asked for before another."""
    return all(list(call).index(parent) < list(call).index(name) for call in calls)


def _ordered(found: Sequence[Hyperparameter]) -> list[Hyperparameter]:
    """Each after those that its conditions name; otherwise as they were found."""
    left, names = list(found), {each.name for each in found}
    done: list[Hyperparameter] = []
    while left:
        placed = {each.name for each in done}
        free = next(
            (each for each in left if all(of.parent in placed or of.parent not in names for of in each.conditions)),
            left[0],
        )
        left.remove(free)
        done.append(free)
    return done


def _every(kind: Any) -> list[Value]:
    """All values; of a range without a step, those that Keras Tuner's grid has."""
    values = list(kind.values)
    return sorted(values) if isinstance(kind, keras_tuner.engine.hyperparameters.Float) else values


def _ends(kind: Any) -> list[Value]:
    """The values that are tried first."""
    every = _every(kind)
    if len(every) <= FEW and getattr(kind, "step", 1) is not None:
        return every
    return [kind.min_value, kind.max_value] if hasattr(kind, "min_value") else [every[0], every[-1]]


def _drawn(kind: Any, rng: np.random.Generator) -> Value:
    every = _every(kind)
    return every[int(rng.integers(len(every)))]


def _key(values: Values) -> str:
    return json.dumps(values, sort_keys=True, default=str)
