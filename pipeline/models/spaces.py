"""The search space of an experiment, whatever its kind of model. Keras Tuner is imported when a space is asked for its
hyperparameters, not before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.data.split import Split
from pipeline.experiment import Experiment, Space, Training
from pipeline.models.dense import DenseSpec
from pipeline.models.recipe import Recipe

if TYPE_CHECKING:
    import keras_tuner


class SearchSpace(Protocol):
    """What an experiment searches over."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks about it for the user, a line each."""

    def hyperparameters(self) -> "keras_tuner.HyperParameters":
        """The space as Keras Tuner sees it: choices, each after those that its conditions name."""

    def recipe(self, values: Mapping[str, Any]) -> Recipe:
        """The recipe that proposed values stand for."""

    def size(self) -> int:
        """Number of different networks."""

    def charts(self) -> Sequence[Sequence[str]]:
        """One list of hyperparameters per chart; the last has all. Empty for dense networks: layers name their charts."""

    def largest(self, inputs: int, classes: int) -> int:
        """Parameters of the largest network."""

    @property
    def activation_count(self) -> int:
        """Size of all layer outputs of the largest network for one image; 0 if memory need not count them."""


@dataclass(frozen=True)
class DenseSpace:
    """Dense networks: values to choose from, or a list of fixed networks; and training settings that are searched."""

    space: Space
    training: Training
    notes = ()
    activation_count = 0

    def hyperparameters(self) -> "keras_tuner.HyperParameters":
        from pipeline.models import dense_space  # noqa: PLC0415 - Keras Tuner

        return dense_space.hyperparameters(self.space, self.training)

    def recipe(self, values: Mapping[str, Any]) -> Recipe:
        from pipeline.models import dense_space  # noqa: PLC0415 - Keras Tuner

        return dense_space.recipe(self.space, values, self.training)

    def charts(self) -> Sequence[Sequence[str]]:
        return ()

    def size(self) -> int:
        from pipeline.models import dense_space  # noqa: PLC0415 - Keras Tuner

        return dense_space.size(self.space, self.training)

    def largest(self, inputs: int, classes: int) -> int:
        if self.space.networks is not None:
            return max(DenseSpec.of(each).parameters(inputs, classes) for each in self.space.networks)
        depth, widest = self.space.depth[1], max(self.space.hidden)
        return max(
            DenseSpec((widest,) * depth, (0.0,) * (depth + 1), ("relu",) * depth, each).parameters(inputs, classes)
            for each in self.space.normalizations
        )


def space_of(experiment: Experiment, split: Split) -> SearchSpace:
    """The space of an experiment on its data. That of a user's own model is explored by building networks, once per process;
    TensorFlow must have been started then.

    Raises:
        InputError: The user's function cannot be used, or has no use for settings of the experiment.
    """
    if experiment.model is None:
        return DenseSpace(experiment.space, experiment.training)
    from pipeline.models.user.space import refuse_unused, user_space  # noqa: PLC0415 - Keras, only for a user's own model

    shape = tuple(split.train.images.shape[1:])
    space = user_space(experiment.model, shape, split.classes, grid=experiment.search.tuner == "grid")
    refuse_unused(space, experiment.training)
    return space
