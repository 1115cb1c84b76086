"""What is kept for the next process is read whole, or known to be damaged."""

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.errors import DAMAGED
from pipeline.evaluation.kept_refits import KeptRefit
from pipeline.search.recording.outbox import TrialRecord

REFIT = KeptRefit(1, {"a": 1.0}, np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32), (), {"c.png": b"abc"})
RECORD = TrialRecord(0, "00 8", {"a": "b"}, {}, {"val_loss": 0.5}, [("loss", 0.5, 0)], {"c.png": b"abc"}, None, None)


@pytest.mark.parametrize(
    ("whole", "read"), [(REFIT.to_bytes(), KeptRefit.from_bytes), (RECORD.to_bytes(), TrialRecord.from_bytes)]
)
def test_every_changed_bit_and_every_lost_end_is_read_or_known_as_damage(
    whole: bytes, read: Callable[[bytes], object]
) -> None:
    damaged = [whole[:end] for end in range(len(whole))]
    for place in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            damaged.append(bytes(changed))
    known = 0
    for each in damaged:
        try:
            read(each)
        except DAMAGED:
            known += 1
    assert known > len(damaged) / 2
    read(whole)
