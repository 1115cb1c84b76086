"""The plain Keras model of a dense network, and its file. Anybody can load it and feed it raw pixels, without
Narrowgap.
"""

import itertools
import tempfile
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline.models.dense import DenseSpec


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
        last = place == len(spec.hidden)
        layers.append(
            keras.layers.Dense(
                classes if last else spec.hidden[place],
                activation="softmax" if last else spec.activations[place],
                kernel_initializer=initializers[place],
                name="classes" if last else f"hidden_{place + 1}",
            )
        )
    return keras.Sequential(layers, name="narrowgap")


def initial_weights(spec: DenseSpec, *, inputs: int, classes: int, seed: int) -> tuple[NDArray[np.float32], ...]:
    """The weights of a model that `build` has just built, in the order of `get_weights()`, without building it."""
    sizes = (inputs, *spec.hidden, classes)
    return tuple(
        array
        for initializer, shape in zip(_initializers(spec, seed), itertools.pairwise(sizes), strict=True)
        for array in (keras.ops.convert_to_numpy(initializer(shape)), np.zeros(shape[1], np.float32))
    )


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
