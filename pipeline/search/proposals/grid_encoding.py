"""The networks of a space as rows of integers, thousands at a time.

Enters: the choices of Keras Tuner's `HyperParameters`, those of a layer bound to the depths that have it. Leaves: rows
(int16, (n, choices)): a column per choice with the position of its value, `INACTIVE` where the network lacks it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int16]
"""int16, (n, choices): positions of values, from 0; `INACTIVE` for a choice that the network lacks."""
INACTIVE = -1


class Lattice:
    """All combinations of choices that are networks."""

    def __init__(self, choices: Sequence[Any]) -> None:
        """`choices`: Keras Tuner's `Choice`s; a choice comes after those that its conditions name."""
        self._names = [choice.name for choice in choices]
        self._values = [list(choice.values) for choice in choices]
        self._counts = np.array([len(values) for values in self._values])
        self._conditions = [
            [(self._names.index(parent.name), self._positions(parent)) for parent in choice.conditions]
            for choice in choices
        ]
        self._codes = [_codes(values) for values in self._values]

    def everything(self, *, limit: int) -> Rows | None:
        """Every network once, or None when there are more than `limit`."""
        rows = np.empty((1, 0), np.int16)
        for column, count in enumerate(self._counts):
            active = self._active(rows, column)
            grown = np.repeat(rows[active], count, axis=0)
            positions = np.tile(np.arange(count, dtype=np.int16), int(active.sum()))
            rest = rows[~active]
            rows = np.concatenate(
                (
                    np.column_stack((grown, positions)),
                    np.column_stack((rest, np.full(len(rest), INACTIVE, np.int16))),
                )
            )
            if len(rows) > limit:
                return None
        return rows

    def sample(self, count: int, rng: np.random.Generator) -> Rows:
        """`count` networks as Keras Tuner draws them, each choice evenly; repetitions occur."""
        return self._trimmed(self._filled(count, rng))

    def neighbours(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """The networks that differ from one of `rows` in one choice; where a deeper network has a choice more, its
        value is drawn.
        """
        changed = []
        for column, count in enumerate(self._counts):
            having = rows[rows[:, column] != INACTIVE]
            each = np.repeat(having, count, axis=0)
            each[:, column] = np.tile(np.arange(count, dtype=np.int16), len(having))
            changed.append(each)
        mutants = np.concatenate(changed)
        return self._trimmed(np.where(mutants == INACTIVE, self._filled(len(mutants), rng), mutants))

    def encoded(self, rows: Rows) -> NDArray[np.float64]:
        """(n, choices), each in [0, 1]: the ranks of the values, evenly spaced; what a network lacks has rank 0."""
        columns = [codes[rows[:, column]] for column, codes in enumerate(self._codes)]
        return np.column_stack(columns)

    def values(self, row: NDArray[np.int16]) -> dict[str, Any]:
        """One network as Keras Tuner names it: the values of what it has."""
        return {
            name: values[position]
            for name, values, position in zip(self._names, self._values, row, strict=True)
            if position != INACTIVE
        }

    def row(self, values: Mapping[str, Any]) -> list[int]:
        """The other way: positions of the values, `INACTIVE` for those that are missing."""
        return [
            known.index(values[name]) if name in values else INACTIVE
            for name, known in zip(self._names, self._values, strict=True)
        ]

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
        """The rows with what the networks lack taken out."""
        for column in range(len(self._counts)):
            rows[~self._active(rows, column), column] = INACTIVE
        return rows


def _codes(values: list[Any]) -> NDArray[np.float64]:
    """What a position is encoded as."""
    ranks = np.argsort(np.argsort(np.array(values)))
    return np.append((ranks + 0.5) / len(values), 0.5 / len(values))  # the last is at position -1
