"""The plain Keras model of a dense network, and its file. Anybody can load it and feed it raw pixels, without
Narrowgap.
"""

import itertools
import tempfile
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline.models.dense import EPSILON, MOMENTUM, DenseSpec


def build(
    spec: DenseSpec, *, image_shape: tuple[int, ...], classes: int, pixel_max: int, seed: int
) -> keras.Sequential:
    """Builds a model from raw pixels (n, *image_shape), 0 to `pixel_max`, to softmax rows (n, classes).

    Args:
        spec: The network.
        image_shape: (h, w) in pixels, or (h, w, 3).
        classes: Number of outputs.
        pixel_max: Largest pixel value; the model divides by it.
        seed: Decides the initial weights.
    """
    initializers = _initializers(spec, seed)
    layers: list[keras.layers.Layer] = [
        keras.layers.Input(image_shape, name="pixels"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Rescaling(1 / pixel_max, name="rescaling"),
    ]
    for place, rate in enumerate(spec.dropout):
        if rate:
            layers.append(keras.layers.Dropout(rate, name=f"dropout_{place}"))
        layers += _hidden(spec, place, initializers[place]) if place < len(spec.hidden) else []
    layers.append(
        keras.layers.Dense(classes, activation="softmax", kernel_initializer=initializers[-1], name="classes")
    )
    return keras.Sequential(layers, name="narrowgap")


def _hidden(spec: DenseSpec, place: int, initializer: keras.initializers.Initializer) -> list[keras.layers.Layer]:
    """A hidden layer, with its normalization between product and activation."""
    number, normalization = place + 1, spec.normalization
    dense = keras.layers.Dense(
        spec.hidden[place],
        activation=spec.activations[place] if normalization == "none" else None,
        use_bias=normalization != "batch",
        kernel_initializer=initializer,
        name=f"hidden_{number}",
    )
    if normalization == "none":
        return [dense]
    name = f"normalization_{number}"
    normalized = (
        keras.layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=name)
        if normalization == "batch"
        else keras.layers.LayerNormalization(epsilon=EPSILON, name=name)
    )
    return [dense, normalized, keras.layers.Activation(spec.activations[place], name=f"activation_{number}")]


def initial_weights(spec: DenseSpec, *, inputs: int, classes: int, seed: int) -> tuple[NDArray[np.float32], ...]:
    """The weights of a model that `build` has just built, in the order of `get_weights()`, without building it."""
    sizes = (inputs, *spec.hidden, classes)
    kernels = [
        keras.ops.convert_to_numpy(initializer(shape))
        for initializer, shape in zip(_initializers(spec, seed), itertools.pairwise(sizes), strict=True)
    ]
    hidden = [array for kernel in kernels[:-1] for array in (kernel, *_beside(spec.normalization, kernel.shape[1]))]
    return (*hidden, kernels[-1], *_beside("none", classes))


def _beside(normalization: str, units: int) -> tuple[NDArray[np.float32], ...]:
    """What a layer of so many units has besides its kernel, before training: bias; gain and offset; moving mean and
    variance.
    """
    zeros, ones = np.zeros(units, np.float32), np.ones(units, np.float32)
    return {"none": (zeros,), "layer": (zeros, ones, zeros), "batch": (ones, zeros, zeros, ones)}[normalization]


def _initializers(spec: DenseSpec, seed: int) -> list[keras.initializers.Initializer]:
    """One per kernel, each with a seed of its own."""
    seeds = [int(word) for word in np.random.SeedSequence(seed).generate_state(len(spec.hidden) + 1) >> 1]
    return [keras.initializers.GlorotUniform(seed=each) for each in seeds]


def load(path: Path) -> keras.Model:
    """Loads a model from its `.keras` file."""
    return keras.models.load_model(path, compile=False, safe_mode=True)


def save(model: keras.Model, path: Path) -> None:
    """Writes a `.keras` file under another name, loads it again, and renames it.

    Raises:
        ValueError: If the loaded copy answers differently from the model.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving-") as folder:
        draft = Path(folder) / path.name
        model.save(draft)
        copy = load(draft)
        probe = np.random.default_rng(0).integers(0, 2, (8, *model.input_shape[1:])).astype(np.uint8)
        if not np.array_equal(model.predict(probe, verbose=0), copy.predict(probe, verbose=0)):
            raise ValueError(f"{path.name} does not answer as the model that was saved; nothing was written")
        draft.replace(path)
