"""A recipe: what is trained, and how."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.experiment import ModelCode, Training, TrainingOverrides
from pipeline.models.dense import DenseSpec
from pipeline.models.spec import ModelSpec
from pipeline.models.user.spec import UserSpec
from pipeline.tracking.names import NETWORK_TAG, RECIPE_TAG


@dataclass(frozen=True)
class Recipe:
    """A network and the training settings of its own. Proposal, job, trial, finalist and version carry the same recipe.

    Settings that the recipe leaves open come from the experiment when it is trained, so a changed experiment is tried
    on an old recipe too.
    """

    spec: ModelSpec
    own: TrainingOverrides = field(default_factory=TrainingOverrides)
    """Training settings of this network that differ from the experiment; empty for most."""
    searched: tuple[tuple[str, str | float], ...] = ()
    """What was searched besides the layers of a dense network, such as its activation and its learning rate, by name: a part
    of the name, and of the params.
    """

    def settings(self, training: Training) -> Training:
        """The experiment's training settings, overridden by the recipe's own."""
        return training.merged(self.own)

    def architecture(self, inputs: int, classes: int) -> str:
        """The network with what was searched, such as `784-128(0.2)-10, activation gelu, learning_rate 0.001`; its layers
        alone where nothing else was searched.
        """
        searched = (
            f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in self.searched
        )
        layers = self.spec.architecture(inputs, classes)
        named = layers.split(", ")  # of a dense network, its normalization too
        return ", ".join((layers, *(each for each in searched if each not in named)))

    def name(self, inputs: int, classes: int) -> str:
        """The architecture with the training settings of its own, such as `784-128(0.2)-10, patience 3`."""
        named = {*dict(self.searched), *self.spec.params()}  # a user's own model names its hyperparameters itself
        own = self.own.model_dump(exclude_none=True).items()
        return ", ".join(
            (self.architecture(inputs, classes), *(f"{key} {_plain(value)}" for key, value in own if key not in named))
        )

    def params(self, settings: Training, *, seed: int, inputs: int, classes: int) -> dict[str, str | int | float]:
        """Params of a run of this recipe, by their names in the tracking store.

        Args:
            settings: The resolved training settings.
            seed: Of the weights, the order of images and dropout.
            inputs: Pixels per image.
            classes: Number of classes.
        """
        spec = self.spec
        trained = {key: str(value) if value is None else value for key, value in settings.model_dump().items()}
        return {
            **{key: value for key, value in trained.items() if key not in spec.own_settings},
            **spec.params(),
            **dict(self.searched),
            "parameters": spec.parameters(inputs, classes),
            "seed": seed,
            "architecture": self.architecture(inputs, classes),
        }

    def to_json(self) -> str:
        """The recipe as JSON; `from_json` gives an equal one."""
        content = {"spec": self.spec.to_dict(), "training": self.own.model_dump(exclude_none=True)}
        return json.dumps(content | ({"searched": dict(self.searched)} if self.searched else {}))

    @classmethod
    def from_json(cls, text: str, code: ModelCode | None = None) -> "Recipe":
        """The recipe that `to_json` wrote. `code` is that of a user's own model, which the JSON only names.

        Raises:
            InputError: If the recipe is of another model's code.
        """
        content: Mapping[str, Any] = json.loads(text)
        searched = tuple(content.get("searched", {}).items())
        return cls(_spec(content["spec"], code), TrainingOverrides(**content["training"]), searched)

    def tags(self) -> dict[str, str]:
        """The tags of a run or a version from which `from_tags` makes the recipe again."""
        return {NETWORK_TAG: json.dumps(self.spec.to_dict()), RECIPE_TAG: self.to_json()}

    @classmethod
    def from_tags(cls, tags: Mapping[str, str], code: ModelCode | None = None) -> "Recipe":
        """The recipe of a run or a version; one with `narrowgap.network` alone has no training settings of its own.
        `code` and errors are those of `from_json`.
        """
        if RECIPE_TAG in tags:
            return cls.from_json(tags[RECIPE_TAG], code)
        return cls(_spec(json.loads(tags[NETWORK_TAG]), code))


def of_code(tags: Mapping[str, str], code: ModelCode | None) -> bool:
    """Whether the recipe of a run or a version is one of this code; of a dense network for None."""
    model = json.loads(tags.get(NETWORK_TAG, "{}")).get("model")
    return bool(model == (code.identity() if code is not None else None))


def _spec(content: Mapping[str, Any], code: ModelCode | None) -> ModelSpec:
    return UserSpec.from_dict(content, code) if "model" in content else DenseSpec.from_dict(content)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
