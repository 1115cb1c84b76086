"""What the screen shows of the time, line by line, without a terminal."""

import io
import math

import pytest
from rich.console import Console

from pipeline.search.progress import ProgressDisplay, TrialUpdate


@pytest.mark.parametrize(
    ("left", "shown"), [(math.inf, ""), (65.0, ", time limit in 1 min 5 s"), (-3.0, ", the time limit is over")]
)
def test_a_line_ends_with_the_time_that_is_left_of_a_limit(left: float, shown: str) -> None:
    screen = io.StringIO()
    with ProgressDisplay(Console(file=screen), total=9, objective="val_loss", limit=lambda: left) as display:
        display.ended(TrialUpdate("64-10", 0.5, 0.01, 2.0))
    line = screen.getvalue()
    assert line.startswith("trial 1/9  64-10  val_loss 0.5000")
    assert line.endswith(f" left{shown}\n")
