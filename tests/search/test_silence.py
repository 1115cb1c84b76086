"""A worker that hangs without a limit is noticed on the screen."""

import pytest

from pipeline.search.workers.silence import Silence


class Simulated:
    """Said lines, and a clock that is set by hand."""

    def __init__(self):
        self.now = 0.0
        self.lines: list[str] = []
        self.silence = Silence(self.lines.append, lambda: self.now)

    def at(self, seconds: float, jobs: int = 2) -> int:
        self.now = seconds
        self.silence.look(jobs)
        return len(self.lines)


def test_nothing_is_said_before_ten_minutes_then_once_and_again_after_twice_the_time():
    seen = Simulated()
    assert [seen.at(seconds) for seconds in (0, 599, 600, 601, 1199, 1200, 2399, 2400)] == [0, 0, 1, 1, 1, 2, 2, 3]
    assert "(10 min 0 s) of 2 jobs that train; a worker may hang: search.trial_minutes limits" in seen.lines[0]


@pytest.mark.parametrize(("longest", "said_at"), [(30, 600), (300, 1500), (3600, 18000)])
def test_five_times_the_longest_training_is_waited_for(longest, said_at):
    seen = Simulated()
    seen.silence.came(longest)
    seen.silence.came(1)
    assert [seen.at(said_at - 1), seen.at(said_at)] == [0, 1]
    assert "the longest training took" in seen.lines[0]


def test_an_outcome_or_no_open_job_begins_the_time_anew():
    seen = Simulated()
    seen.now = 590
    seen.silence.came(1)
    seen.now = 1100
    seen.silence.idle()
    assert [seen.at(1699), seen.at(1700)] == [0, 1]
