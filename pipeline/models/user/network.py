"""The Keras model of a user's function, and the plain model that is saved and served: from raw pixels to probabilities."""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras.src.random import seed_generator
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.experiment import ModelCode
from pipeline.formatting import shortened
from pipeline.models.user.code import function, user_errors
from pipeline.models.user.spec import UserSpec, Value
from pipeline.tracking.names import MOST_PARAM_NAME_LETTERS, is_param, reserved

MOST_LETTERS = 60
"""Of a name in a message."""
PROBES = 8
"""Random images on which the outputs of a new model are looked at."""
DRAWS = 8
"""Random weights with which it is tried whether an output may be negative."""
NEAR = 1e-3
"""How far from 1 probabilities may sum."""
DROPOUT = (keras.layers.Dropout, keras.layers.GaussianDropout, keras.layers.AlphaDropout)
CURE = (
    "decorate it with @keras.saving.register_keras_serializable() in the same file, and give it a get_config with its "
    "arguments"
)


class NameRefusedError(InputError):
    """A hyperparameter has a name that cannot be recorded, whatever its value is."""


@dataclass(frozen=True, eq=False)
class Built:
    """What a user's function made."""

    model: keras.Model
    """As the function returned it, built."""
    asked: tuple[tuple[str, Value], ...]
    """The hyperparameters that it asked for and had, in the order of asking."""
    hp: keras_tuner.HyperParameters
    """With all that it asked for, in conditional scopes that are not active too."""
    image_shape: tuple[int, ...]
    """Of the data: (h, w) or (h, w, channels)."""
    logits: bool
    """Whether its outputs are logits, not probabilities."""

    @property
    def compiled(self) -> bool:
        """Whether it came compiled."""
        return bool(self.model.compiled)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one image, as the model takes it."""
        return fitting_shape(self.model, self.image_shape)

    @property
    def has_dropout(self) -> bool:
        """Whether any layer of dropout has a rate above 0."""
        return any(isinstance(each, DROPOUT) and each.rate > 0 for each in layers(self.model))

    @property
    def parameter_count(self) -> int:
        """Number of trainable parameters."""
        return sum(int(np.prod(each.shape)) for each in self.model.trainable_variables)

    @property
    def activation_count(self) -> int:
        """Numbers that all layers together give for one image."""
        return sum(_size(each) for each in layers(self.model) if not isinstance(each, keras.Model))

    def spec(self, code: ModelCode) -> UserSpec:
        """What is known of it without Keras."""
        return UserSpec(code, self.asked, self.parameter_count, self.has_dropout, self.compiled)

    def served(self, pixel_max: int) -> keras.Model:
        """The same with raw pixels, 0 to `pixel_max`, as input and probabilities as output; it shares the weights."""
        pixels = keras.layers.Input(self.image_shape, name="pixels")
        rows = keras.layers.Rescaling(1 / pixel_max, name="rescaling")(pixels)
        if self.input_shape != self.image_shape:
            rows = keras.layers.Reshape(self.input_shape, name="reshape")(rows)
        answers = self.model(rows)
        if self.logits:
            answers = keras.layers.Softmax(name="probabilities")(answers)
        return keras.Model(pixels, answers, name="narrowgap")


def build(
    code: ModelCode, values: Sequence[tuple[str, Value]], *, image_shape: tuple[int, ...], classes: int, seed: int
) -> Built:
    """Calls the user's function with these hyperparameters, with Keras' random numbers seeded, and checks what it returns.

    Raises:
        InputError: It raises, returns no Keras model, or one with other inputs or outputs; one line.
    """
    made = function(code)
    keras.backend.clear_session()
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    with _seeded(seed), user_errors(code):
        model = made(hp, image_shape, classes)
        if not isinstance(model, keras.Model):
            raise InputError(f"model is {code.name}: it returns {_kind(model)}; expected a Keras model")
        if not (model.built and model.inputs):
            model = _built(model, lambda: made(hp, image_shape, classes), image_shape)
    refuse_names(code, [str(each.name) for each in hp.space])
    asked = {each.name: hp.values[each.name] for each in hp.space if hp.is_active(each)}
    logits = _logits(code, model, image_shape, classes)
    return Built(model, tuple(asked.items()), hp, image_shape, logits)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seeds all random numbers that Keras and NumPy draw. Keras draws the seeds of layers from Python's own generator, which
    other threads of a worker use too: here it has one to itself.
    """
    keras.utils.set_random_seed(seed % 2**32)
    shared = seed_generator.python_random
    seed_generator.python_random = random.Random(seed)  # noqa: S311 - no secret
    try:
        keras.random.uniform(())  # makes the generator of everything that has no seed of its own
        yield
    finally:
        seed_generator.python_random = shared


def refuse_names(code: ModelCode, names: Sequence[str]) -> None:
    """Refuses hyperparameters that cannot be recorded by their names.

    Raises:
        NameRefusedError: With the name and another one.
    """
    for name in names:
        called = f"model is {code.name}: a hyperparameter is called {shortened(name, MOST_LETTERS)!r}"
        what = reserved(name)
        if what is not None:
            raise NameRefusedError(
                f"{called}, as is {what}, which would overwrite it; call it otherwise, such as {f'my_{_plain(name)}'!r}"
            )
        if len(name) > MOST_PARAM_NAME_LETTERS:
            raise NameRefusedError(
                f"{called}, of {len(name)} letters; expected {MOST_PARAM_NAME_LETTERS} at most: call it shorter"
            )
        if not is_param(name):
            raise NameRefusedError(
                f"{called}; expected letters, digits, blanks and _ - . : as MLflow has them in the names of params (and / "
                f"between two of them): call it otherwise, such as {_plain(name)!r}"
            )


def _plain(name: str) -> str:
    """A name that may be recorded, like the given one."""
    plain = re.sub(r"[^\w.\- :]+", "_", name).strip("._ ")
    return plain or "hyperparameter"


def refuse_unsaved(code: ModelCode, model: keras.Model) -> None:
    """Refuses a model that could not be loaded where it is served: custom layers that are not registered, Lambda layers.

    Raises:
        InputError: With the layer and the cure.
    """
    for layer in layers(model):
        kind = type(layer)
        if isinstance(layer, keras.layers.Lambda):
            raise InputError(
                f"model is {code.name}: the layer {layer.name} is a Lambda, whose code is not saved; expected a "
                "subclass of keras.layers.Layer, with @keras.saving.register_keras_serializable() in the same file"
            )
        if not kind.__module__.startswith("keras.") and (
            keras.saving.get_registered_object(keras.saving.get_registered_name(kind)) is not kind
        ):
            raise InputError(
                f"model is {code.name}: the layer {layer.name} is a {kind.__name__}, which cannot be loaded where the model "
                f"is served; {CURE}"
            )
    try:
        keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model), safe_mode=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"model is {code.name}: the model cannot be loaded where it is served ({type(error).__name__}: {reason}); "
            f"of custom functions and classes: {CURE}"
        ) from error


def layers(model: keras.Model) -> list[keras.layers.Layer]:
    """All layers, those of models within the model too, each once."""
    return list(model._flatten_layers())  # noqa: SLF001 - Keras has no public name for it


def fitting_shape(model: keras.Model, image_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in which a model takes an image: that of the image, with one channel more, or flat.

    Raises:
        InputError: If it is none of them.
    """
    asked = _declared(model)
    shapes = _shapes(image_shape)
    for shape in shapes:
        if asked is None or (
            len(asked) == len(shape)
            and all(one is None or one == other for one, other in zip(asked, shape, strict=True))
        ):
            return shape
    raise InputError(f"the model takes inputs {asked}; expected images {' or '.join(map(str, shapes))}")


def _shapes(image_shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The shapes that an image may be given in."""
    one_channel = [(*image_shape, 1)] if len(image_shape) == 2 else []
    return [image_shape, *one_channel, (int(np.prod(image_shape)),)]


def _declared(model: keras.Model) -> tuple[int | None, ...] | None:
    """The shape of the input that the model has, without the batch; None for a model that does not say."""
    try:
        shape = model.input_shape
    except AttributeError:
        shape = getattr(model, "narrowgap_input_shape", None)
        return tuple(shape) if shape is not None else None
    if isinstance(shape, list) or not shape or not isinstance(shape, tuple):
        raise InputError("the model has several inputs; expected one: images")
    return shape[1:]


def _built(model: keras.Model, again: Callable[[], keras.Model], image_shape: tuple[int, ...]) -> keras.Model:
    """Builds a model that has no input layer by calling it with images, or with images that have one channel; a model that
    has failed is made again.
    """
    *others, last = _shapes(image_shape)
    for shape in others:
        try:
            model(np.zeros((1, *shape), np.float32))
        except Exception:  # noqa: BLE001 - whatever the layers raise; the last shape's error is the user's
            model = again()
        else:
            model.narrowgap_input_shape = shape
            return model
    model(np.zeros((1, *last), np.float32))
    model.narrowgap_input_shape = last
    return model


def _logits(code: ModelCode, model: keras.Model, image_shape: tuple[int, ...], classes: int) -> bool:
    """Whether a new model gives logits; checks the shape of its outputs."""
    try:
        shape = fitting_shape(model, image_shape)
    except InputError as error:
        raise InputError(f"model is {code.name}: {error}") from error
    images = np.random.default_rng(0).random((PROBES, *shape), np.float32)
    with user_errors(code):
        answers = np.asarray(model(images, training=False))
    if answers.shape != (PROBES, classes):
        raise InputError(
            f"model is {code.name}: its outputs have the shape {answers.shape[1:]} per image; expected ({classes},), one "
            "per class"
        )
    if answers.min() >= 0 and np.allclose(answers.sum(axis=1), 1, atol=NEAR):
        return False
    if answers.min() >= 0 and not _ends_linearly(model) and not _may_be_negative(code, model, images):
        raise InputError(
            f"model is {code.name}: its outputs are not negative and do not sum to 1 (the first to {answers[0].sum():.3g}); "
            "expected probabilities (softmax in the last layer) or logits (a last layer without activation)"
        )
    return True


def _ends_linearly(model: keras.Model) -> bool:
    """Whether the last layer is known to have no activation."""
    last: Any = model
    while isinstance(last, keras.Model):
        try:
            last = last.layers[-1] if isinstance(last, keras.Sequential) else _maker(last.outputs[0])
        except (AttributeError, IndexError, TypeError):  # a subclass of Model
            return False
    return getattr(last, "activation", None) is keras.activations.linear


def _maker(output: Any) -> Any:
    """The layer, model or operation that makes a symbolic output."""
    return output._keras_history.operation  # noqa: SLF001 - Keras has no public name for it


def _may_be_negative(code: ModelCode, model: keras.Model, images: NDArray[np.float32]) -> bool:
    """Whether any output is negative with other weights than the first ones, such as zeros; these are restored."""
    kept = [np.asarray(each) for each in model.trainable_variables]
    rng = np.random.default_rng(0)
    try:
        with user_errors(code):
            for _ in range(DRAWS):
                for each in model.trainable_variables:
                    each.assign(rng.normal(size=each.shape))
                if np.asarray(model(images, training=False)).min() < 0:
                    return True
    finally:
        for each, value in zip(model.trainable_variables, kept, strict=True):
            each.assign(value)
    return False


def _size(layer: keras.layers.Layer) -> int:
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):
        return 0
    return int(np.prod([each or 1 for each in shape[1:]]))


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
