"""The plain Keras model of any recipe, from raw pixels to probabilities, and what its file needs to be loaded."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from pipeline.experiment import ModelCode
from pipeline.models import dense_keras
from pipeline.models.dense import dense
from pipeline.models.spec import ModelSpec
from pipeline.models.user.spec import UserSpec


def build(spec: ModelSpec, *, image_shape: tuple[int, ...], classes: int, pixel_max: int, seed: int) -> keras.Model:
    """Builds a model from raw pixels (n, *image_shape), 0 to `pixel_max`, to softmax rows (n, classes); `seed` decides the
    initial weights.
    """
    if isinstance(spec, UserSpec):
        from pipeline.models.user import network  # noqa: PLC0415 - Keras Tuner, only for a user's own model

        built = network.build(spec.code, spec.values, image_shape=image_shape, classes=classes, seed=seed)
        return built.served(pixel_max)
    return dense_keras.build(dense(spec), image_shape=image_shape, classes=classes, pixel_max=pixel_max, seed=seed)


def has_custom_parts(model: keras.Model) -> bool:
    """Whether a model has layers or functions that are not Keras' own: its file is loaded after the code that registers
    them.
    """
    return _is_custom(keras.saving.serialize_keras_object(model))


def _is_custom(part: Any) -> bool:
    if isinstance(part, list | tuple):
        return any(_is_custom(each) for each in part)
    if not isinstance(part, dict):
        return False
    module = part.get("module", "keras")
    own = "registered_name" in part and (module is None or not module.startswith(("keras", "builtins")))
    return own or any(_is_custom(each) for each in part.values())


@contextmanager
def custom_parts(file: Path) -> Iterator[None]:
    """Registers the layers of a user's file with Keras, if there is one; those of before are back afterwards."""
    if not file.exists():
        yield
        return
    from pipeline.models.user import code  # noqa: PLC0415 - Keras Tuner, only for a user's own model

    registered = keras.saving.get_custom_objects()
    before = dict(registered)
    try:
        code.run(ModelCode(file.name, "", file.read_text(encoding="utf-8")))
        yield
    finally:
        registered.clear()
        registered.update(before)
