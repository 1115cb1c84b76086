"""Which compiled programs a process keeps. Needs no TensorFlow, so the driver can compare programs without it."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

from pipeline.experiment import Training
from pipeline.models.dense import DenseSpec
from pipeline.models.spec import ModelSpec

KEPT = 16
"""Programs that a process keeps at most, the last used ones."""
KEPT_PARAMETERS = 8_000_000
"""Parameters of all kept programs together at most, with Adam's moments 96 MB; the last used program is kept anyway."""


Program = TypeVar("Program")


@dataclass(frozen=True)
class ProgramKey:
    """What a program is compiled for. Rates, learning rate and schedule are its inputs: networks that differ in those
    alone share a program.
    """

    hidden: tuple[int, ...]
    activations: tuple[str, ...]
    normalization: str
    places: tuple[int, ...]
    """Positions with dropout: 0 after the input, i after hidden layer i."""
    batch_size: int
    class_weight: str
    decays: bool
    """Whether there is weight decay; how much is an input."""
    smooths: bool
    """Whether there is label smoothing; how much is an input."""


def program_key(spec: ModelSpec, settings: Training) -> Hashable:
    """Equal for jobs on the same data that can share a program."""
    if not isinstance(spec, DenseSpec):
        return spec, settings
    return dense_key(spec, settings)


def dense_key(spec: DenseSpec, settings: Training) -> ProgramKey:
    """What a dense network with these settings needs compiled."""
    places = tuple(place for place, rate in enumerate(spec.dropout) if rate)
    return ProgramKey(
        hidden=spec.hidden,
        activations=spec.activations,
        normalization=spec.normalization,
        places=places,
        batch_size=settings.batch_size,
        class_weight=settings.class_weight,
        decays=settings.weight_decay > 0,
        smooths=settings.label_smoothing > 0,
    )


class Programs:
    """The programs that this process has compiled and still has, by key."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self.compiled = 0
        """How many were compiled in all. TensorFlow keeps memory of each for ever."""

    def get(self, key: Hashable, parameters: int, make: Callable[[], Program]) -> Program:
        """The program of a key: the kept one, or what `make` returns, which is then kept."""
        if key not in self._kept:
            self._kept[key] = make(), parameters
            self.compiled += 1
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and (len(self._kept) > KEPT or self._parameters() > KEPT_PARAMETERS):
            self._kept.popitem(last=False)
        program: Program = self._kept[key][0]
        return program

    def forget(self) -> None:
        """Drops all programs."""
        self._kept.clear()

    def _parameters(self) -> int:
        return sum(parameters for _, parameters in self._kept.values())


PROGRAMS = Programs()
"""Those of this process."""
