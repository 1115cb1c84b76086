"""Seeds of trials and refits."""

import numpy as np


def seed_of(*numbers: int) -> int:
    """A seed that differs from those of other numbers; at least 1, since some libraries take 0 for no seed."""
    return 1 + int(np.random.SeedSequence(numbers).generate_state(1)[0] % (2**31 - 2))
