"""Keras Tuner's record of hyperparameters, copied cheaply. What is searched is declared in `dense_space.py`."""

from copy import copy

import keras_tuner


class HyperParameters(keras_tuner.HyperParameters):  # type: ignore[misc]  # untyped base
    """Hyperparameters of a fixed space. Copies have their own values and share the choices, which Keras Tuner would
    copy for every trial (8 kB and 0.4 ms each).
    """

    def copy(self) -> "HyperParameters":
        copied = copy(self)
        copied.values = dict(self.values)
        return copied
