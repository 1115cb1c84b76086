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
    assert line.startswith(
        "trial 1/9  64-10  validation loss 0.5000  validation gap +1.00 points  2 s  (lowest validation loss so far)"
    )
    assert line.endswith(f" left{shown}\n")


@pytest.mark.parametrize(
    ("workers", "total", "left"),
    [
        (1, 3, "about 2 min 0 s"),  # one took a minute, two are left
        (3, 7, "about 2 min 30 s"),  # two others are half done: a minute for two, and five more are left to do
        (3, 2, "about 20 s"),  # one and a half in a minute, and half a one is left
    ],
)
def test_what_is_left_counts_networks_that_are_under_way_as_half_done(
    monkeypatch: pytest.MonkeyPatch, workers: int, total: int, left: str
) -> None:
    screen, now = io.StringIO(), [100.0]
    monkeypatch.setattr("pipeline.search.progress.time.monotonic", lambda: now[0])
    console = Console(file=screen, width=200)
    with ProgressDisplay(console, total=total, objective="val_loss", workers=workers) as display:
        now[0] += 60
        display.ended(TrialUpdate("64-10", 0.5, 0.01, 60.0))
    assert screen.getvalue().endswith(f"  {left} left\n")


@pytest.mark.parametrize(
    ("objective", "scores", "marked"),
    [
        ("val_loss", [0.5, 0.4, 0.45], "64-2-10  validation loss 0.4000  validation gap +1.00 points  2 s  (lowest"),
        (
            "val_accuracy",
            [0.5, 0.9, 0.8],
            "64-2-10  validation accuracy 90.00 %  validation gap +1.00 points  2 s  (highest",
        ),
    ],
)
def test_a_score_has_its_unit_and_the_best_so_far_says_of_what(
    objective: str, scores: list[float], marked: str
) -> None:
    screen = io.StringIO()
    with ProgressDisplay(Console(file=screen, width=200), total=3, objective=objective) as display:
        for number, score in enumerate(scores, start=1):
            display.ended(TrialUpdate(f"64-{number}-10", score, 0.01, 2.0))
    first, second, third = screen.getvalue().splitlines()
    assert " so far)" in first
    assert marked in second
    assert " so far)" not in third
