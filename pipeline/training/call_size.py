"""How many images one call of a compiled function takes: limited by bytes, so that large images need no more memory than
small ones. Needs no TensorFlow.
"""

CALL_BYTES = 64 * 1024**2
"""Maximum bytes of the images of one call, counted as float32."""
MOST_TRAINING_ROWS = 8_192
"""Images per training call: enough to hide the cost of the call, few enough to bound the memory of the random numbers."""
MOST_SCORING_ROWS = 1_000
"""Images per scoring call; larger calls are slower, since their pixels as float32 leave the processor's cache."""


def rows_per_call(most: int, inputs: int) -> int:
    """Images of `inputs` pixels per call: `most`, or as many as `CALL_BYTES` hold, at least one."""
    return max(1, min(most, CALL_BYTES // (4 * inputs)))
