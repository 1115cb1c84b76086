"""The networks of a space as rows of integers, thousands at a time.

A row (int16, (choices,)) has a column per choice of Keras Tuner's `HyperParameters` with the position of its value, or
`INACTIVE` where the network lacks that layer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int16]
"""int16, (n, choices): positions of values, from 0; `INACTIVE` for a choice that the network lacks."""
INACTIVE = -1
NEIGHBOURS = 32
"""Values of a long range that a network is varied to; of a shorter one it is all."""


class GridEncoding:
    """All valid combinations of choices."""

    def __init__(self, choices: Sequence[Any]) -> None:
        """Takes Keras Tuner's `Choice`s, each after those that its conditions name."""
        self._names = [choice.name for choice in choices]
        self._values = [list(choice.values) for choice in choices]
        self._counts = np.array([len(values) for values in self._values])
        self._conditions = [
            [(self._names.index(parent.name), self._positions(parent)) for parent in choice.conditions]
            for choice in choices
        ]
        self._codes = [
            _codes(values) if getattr(choice, "ordered", True) or len(values) < 3 else _apart(len(values))
            for choice, values in zip(choices, self._values, strict=True)
        ]

    def everything(self, *, limit: int) -> Rows | None:
        """Every network once, or None if there are more than `limit`."""
        rows = np.empty((1, 0), np.int16)
        for column, count in enumerate(self._counts):
            active = self._active(rows, column)
            if int(active.sum()) * int(count) + int((~active).sum()) > limit:
                return None
            grown = np.repeat(rows[active], count, axis=0)
            positions = np.tile(np.arange(count, dtype=np.int16), int(active.sum()))
            rest = rows[~active]
            rows = np.concatenate(
                (
                    np.column_stack((grown, positions)),
                    np.column_stack((rest, np.full(len(rest), INACTIVE, np.int16))),
                )
            )
        return rows

    def sample(self, count: int, rng: np.random.Generator) -> Rows:
        """Draws `count` networks as Keras Tuner does, each choice uniformly, with repetitions."""
        return self._trimmed(self._filled(count, rng))

    def neighbours(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """Networks that differ from one of `rows` in one choice; the values of layers that a deeper network adds are
        drawn.
        """
        changed = []
        for column, count in enumerate(self._counts):
            having = rows[rows[:, column] != INACTIVE]
            each = np.repeat(having, min(count, NEIGHBOURS), axis=0)
            each[:, column] = np.concatenate(
                [np.empty(0, np.int16), *(_near(row[column], count, rng) for row in having)]
            )
            changed.append(each)
        mutants = np.concatenate(changed)
        return self._trimmed(np.where(mutants == INACTIVE, self._filled(len(mutants), rng), mutants))

    def encoded(self, rows: Rows) -> NDArray[np.float64]:
        """Rows as points (n, …) in [0, 1]: evenly spaced ranks of the values; inactive choices have rank 0. A choice
        of texts, which have no order, has a column per value.
        """
        columns = [codes[rows[:, column]] for column, codes in enumerate(self._codes)]
        return np.column_stack(columns)

    def values(self, row: NDArray[np.int16]) -> dict[str, Any]:
        """One network as Keras Tuner names it: the values of its active choices."""
        return {
            name: values[position]
            for name, values, position in zip(self._names, self._values, row, strict=True)
            if position != INACTIVE
        }

    def rows(self, given: Sequence[Mapping[str, Any]]) -> Rows:
        """The inverse of `values`, of several networks: positions, `INACTIVE` for missing choices."""
        positions = [
            [
                known.index(values[name]) if values.get(name) in known else INACTIVE
                for name, known in zip(self._names, self._values, strict=True)
            ]
            for values in given
        ]
        return self._trimmed(np.array(positions, np.int16).reshape(len(given), len(self._names)))

    def _positions(self, parent: Any) -> list[int]:
        known = self._values[self._names.index(parent.name)]
        return [known.index(value) for value in parent.values if value in known]

    def _active(self, rows: Rows, column: int) -> NDArray[np.bool_]:
        """(n,): whether the column's conditions hold, given the columns before it."""
        active = np.ones(len(rows), bool)
        for parent, positions in self._conditions[column]:
            active &= np.isin(rows[:, parent], positions)
        return active

    def _filled(self, count: int, rng: np.random.Generator) -> Rows:
        filled: Rows = (rng.random((count, len(self._counts))) * self._counts).astype(np.int16)
        return filled

    def _trimmed(self, rows: Rows) -> Rows:
        """The rows with inactive choices set to `INACTIVE`."""
        for column in range(len(self._counts)):
            rows[~self._active(rows, column), column] = INACTIVE
        return rows


def _codes(values: list[Any]) -> NDArray[np.float64]:
    """Encodings of the positions."""
    ranks = np.argsort(np.argsort(np.array(values)))
    return np.append((ranks + 0.5) / len(values), 0.5 / len(values))  # the last is at position -1


def _apart(count: int) -> NDArray[np.float64]:
    """Encodings of the positions of values without an order: two different ones are at a distance of 1."""
    codes: NDArray[np.float64] = np.vstack((np.eye(count), np.zeros(count))) / np.sqrt(2)
    return codes  # the last is at position -1


def _near(position: int, count: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """Positions to vary one to: all, or of a long range half of them near it and half anywhere."""
    if count <= NEIGHBOURS:
        return np.arange(count, dtype=np.int16)
    half = NEIGHBOURS // 2
    near = np.clip(np.rint(position + rng.normal(0, count / NEIGHBOURS, half)), 0, count - 1)
    return np.concatenate((near, rng.integers(0, count, NEIGHBOURS - half))).astype(np.int16)
