"""Scores a model with dropout off."""

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.data.dataset import Images, Labels
from pipeline.training.call_size import MOST_SCORING_ROWS, rows_per_call
from pipeline.training.result import Score


def logits(model: keras.Sequential, rows: tf.Tensor) -> tf.Tensor:
    """Outputs before softmax (n, classes) for scaled rows (n, pixels), without dropout."""
    *hidden, output = (layer for layer in model.layers if isinstance(layer, keras.layers.Dense))
    for layer in hidden:
        rows = layer(rows)
    return tf.matmul(rows, output.kernel) + output.bias


def log_probabilities(model: keras.Sequential, images: Images, pixel_max: int) -> NDArray[np.float32]:
    """Log-softmax per image: float32 (n, classes)."""
    flat = images.reshape(len(images), -1)
    rows = rows_per_call(MOST_SCORING_ROWS, flat.shape[1])
    pieces = [
        tf.nn.log_softmax(logits(model, tf.cast(flat[start : start + rows], tf.float32) * (1 / pixel_max))).numpy()
        for start in range(0, len(flat), rows)
    ]
    return np.concatenate(pieces)


def score(logs: NDArray[np.float32], labels: Labels) -> Score:
    """Mean cross-entropy and accuracy of log-probabilities (n, classes); a tie counts for the lower class."""
    of_label = np.take_along_axis(logs, labels[:, None], axis=1)
    return Score(
        loss=-float(np.mean(of_label, dtype=np.float64)), accuracy=float(np.mean(np.argmax(logs, axis=1) == labels))
    )
