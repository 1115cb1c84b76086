"""Retraining runs whose store stays away night after night."""

from pathlib import Path

import pytest

from tests.fixtures import warm
from tests.test_whole import environment

pytestmark = pytest.mark.server
AWAY_FROM_THE_FIRST_TRIAL_ON = """
from pipeline.errors import StoreError
from pipeline.search.recording.outbox import TrialRecord
def away(*_):
    raise StoreError("away")
TrialRecord.fill = away
"""


def test_nights_in_which_the_store_goes_away_leave_the_records_of_one_search(tmp_path: Path) -> None:
    """Each retraining run searches anew, and reads nothing of the night before."""
    env = environment(tmp_path, NARROWGAP_CACHE=f"{tmp_path}/cache")
    words = ("retrain", "--experiment", "smoke", "--search.trials", "1")
    left: list[int] = []
    for _ in range(3):
        night = warm.run(*words, env=env, cwd=tmp_path, code=AWAY_FROM_THE_FIRST_TRIAL_ON + warm.COMMAND_LINE)
        assert night.returncode == 5, night.stderr
        left.append(len(list((tmp_path / "cache" / "outbox").iterdir())))
    assert left == [1, 1, 1]
