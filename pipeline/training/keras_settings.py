"""Imports Keras with the settings that Narrowgap needs, whatever the user's are."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import InputError

BACKEND, FLOATX, IMAGE_DATA_FORMAT = "tensorflow", "float32", "channels_last"


@contextmanager
def own_settings() -> Iterator[None]:
    """Hides the variables KERAS_… of the environment and the file `keras.json` in the user's home from Keras, and from
    TensorFlow, which imports parts of it: they may name another backend, float64, or fewer steps per epoch.
    """
    theirs = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("KERAS_")}
    with tempfile.TemporaryDirectory() as folder:  # Keras writes a `keras.json` where there is none
        os.environ.update(KERAS_BACKEND=BACKEND, KERAS_HOME=folder)
        try:
            yield
        finally:
            del os.environ["KERAS_BACKEND"], os.environ["KERAS_HOME"]
            os.environ.update(theirs)


def import_keras() -> None:
    """Imports Keras on TensorFlow, in float32.

    Raises:
        InputError: Something else in this process has imported Keras on another backend.
    """
    with own_settings():
        import keras  # noqa: PLC0415 - that is what this function is for
    if keras.backend.backend() != BACKEND:
        raise InputError(
            f"Keras runs on {keras.backend.backend()} in this process; expected {BACKEND}: set KERAS_BACKEND={BACKEND} "
            "before Keras is imported"
        )
    keras.config.set_floatx(FLOATX)
    keras.config.set_image_data_format(IMAGE_DATA_FORMAT)
