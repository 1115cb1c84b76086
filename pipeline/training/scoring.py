"""Scores with dropout off."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Images, Labels
from pipeline.training.call_size import MOST_SCORING_ROWS, rows_per_call
from pipeline.training.result import Score

ScoreRows = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Log-softmax rows (n, classes) of images (n, pixels)."""


def log_probabilities(score_rows: ScoreRows, images: Images) -> NDArray[np.float32]:
    """Log-softmax per image: float32 (n, classes), a call at a time."""
    flat = images.reshape(len(images), -1)
    rows = rows_per_call(MOST_SCORING_ROWS, flat.shape[1])
    return np.concatenate([score_rows(flat[start : start + rows]) for start in range(0, len(flat), rows)])


def score(logs: NDArray[np.float32], labels: Labels) -> Score:
    """Mean cross-entropy and accuracy of log-probabilities (n, classes); a tie counts for the lower class."""
    of_label = np.take_along_axis(logs, labels[:, None], axis=1)
    return Score(
        loss=-float(np.mean(of_label, dtype=np.float64)), accuracy=float(np.mean(np.argmax(logs, axis=1) == labels))
    )
