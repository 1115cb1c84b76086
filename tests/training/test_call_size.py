"""How many images a call takes."""

import pytest

from pipeline.training.call_size import MOST_SCORING_ROWS, MOST_TRAINING_ROWS, rows_per_call


@pytest.mark.parametrize(
    ("side", "training", "scoring"),
    [
        (8, 8_192, 1_000),
        (28, 8_192, 1_000),  # 3,136 bytes each: 64 MiB would hold 21,399
        (45, 8_192, 1_000),  # 8,100 bytes: 8,285
        (46, 7_928, 1_000),  # 8,464 bytes: 67,108,864 / 8,464 = 7,928.7
        (128, 1_024, 1_000),  # 65,536 bytes
        (256, 256, 256),
        (5_000, 1, 1),  # 100 MB: a call has at least one image
    ],
)
def test_a_call_takes_at_most_64_mib_of_float32_pixels_and_small_images_as_many_as_ever(side, training, scoring):
    rows = [rows_per_call(most, side * side) for most in (MOST_TRAINING_ROWS, MOST_SCORING_ROWS)]
    assert rows == [training, scoring]
