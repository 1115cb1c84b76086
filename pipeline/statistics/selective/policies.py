"""Policies for uncertain predictions: from probabilities to `Answers` (the notebook's sixth exercise).

The file is logged with the served model, so it imports NumPy alone. The answer for a row does not depend on other rows.

How each policy answers a tie of all ten classes (.1 each):

| policy | label | accepted | candidates |
|---|---|---|---|
| argmax | 0, the first of equals | yes: argmax hides that it knows nothing | 0 |
| min_confidence | 0 | only where `min_confidence` is .1 or less | 0 |
| min_margin | 0 | only where `min_margin` is 0 | 0 |
| coin_flip | one of the ten, drawn by `seed` | yes | all ten |
| candidates | 0 | no: ten are left | all ten |
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Policy = Literal["argmax", "min_confidence", "min_margin", "coin_flip", "candidates"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
NEAR = 0.01
"""For `coin_flip`, classes within one point of the highest probability are tied."""
SUM_ERROR = 1e-3
"""Largest accepted difference of a row's sum from 1: more than float32 rounding, less than for scores that are no
probabilities."""
ROUNDED = 1e4
"""A coin is tossed from probabilities in ten-thousandths: a batch's size moves the last bits of float32, not these."""


@dataclass(frozen=True, eq=False)
class Answers:
    """One answer per row."""

    label: NDArray[np.int64]
    """(n,): the most probable class, the first of equals; with `coin_flip` the one that was drawn."""
    confidence: NDArray[np.float64]
    """(n,): probability of `label`, 0 to 1."""
    margin: NDArray[np.float64]
    """(n,): the highest probability less the second highest, 0 to 1; 0 in a tie."""
    accepted: NDArray[np.bool_]
    """(n,): whether `label` may be taken as the answer. If not, a person is to look."""
    candidates: NDArray[np.bool_]
    """(n, classes): the classes left; never none. With `candidates` the conformal set, with `coin_flip` those that
    are tied, else `label` alone."""


def answer(
    probabilities: NDArray[np.floating[Any]],
    policy: Policy,
    *,
    min_confidence: float = 0.0,
    min_margin: float = 0.0,
    near: float = NEAR,
    seed: int = 1,
    quantile: float | None = None,
) -> Answers:
    """Answers rows (n, classes) of probabilities that sum to 1; each policy reads its own options only.

    - `argmax` accepts every row.
    - `min_confidence` and `min_margin` accept the rows that reach the threshold, equality included.
    - `coin_flip` draws one of the classes within `near` of the highest probability, each as likely as the others, and
      accepts every row. Drawn from the row's probabilities and `seed`: rows of equal probabilities get equal answers.
    - `candidates` keeps the classes of which 1 - probability is at most `quantile` (`conformal.calibrate` finds it) and
      accepts the rows where exactly one is kept. Where none is, the most probable class (all that tie for it) is the
      set, which can only raise the coverage, and the row is not accepted.

    Raises ValueError for an unknown policy, an option out of 0 to 1, or rows that are no probabilities.
    """
    shares = verified(probabilities)
    highest = np.partition(shares, -2, axis=1)[:, -2:]
    top, margin = highest[:, 1], highest[:, 1] - highest[:, 0]
    label = shares.argmax(axis=1).astype(np.int64)
    accepted, alone = np.ones(len(shares), np.bool_), np.arange(shares.shape[1]) == label[:, None]
    if policy == "argmax":
        return Answers(label, top, margin, accepted, alone)
    if policy == "min_confidence":
        return Answers(label, top, margin, top >= _option("min_confidence", min_confidence), alone)
    if policy == "min_margin":
        return Answers(label, top, margin, margin >= _option("min_margin", min_margin), alone)
    if policy == "coin_flip":
        tied = shares >= (top - _option("near", near))[:, None]
        drawn = _drawn(shares, tied, label, seed)
        return Answers(drawn, shares[np.arange(len(shares)), drawn], margin, accepted, tied)
    if policy == "candidates":
        kept = conformal_set(shares, quantile)
        count = kept.sum(axis=1)
        return Answers(label, top, margin, count == 1, np.where(count[:, None] == 0, shares == top[:, None], kept))
    raise ValueError(f"unknown policy {policy!r}; expected one of {', '.join(POLICIES)}")


def conformal_set(probabilities: NDArray[np.floating[Any]], quantile: float | None) -> NDArray[np.bool_]:
    """Which classes are kept, bool (n, classes): where 1 - probability is at most `quantile`; a row may keep none."""
    if quantile is None:
        raise ValueError("candidates needs a quantile; expected the one that conformal.calibrate finds on validation")
    return np.asarray(1.0 - probabilities.astype(np.float64) <= _option("quantile", quantile), np.bool_)


def verified(probabilities: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The same as float64. Raises ValueError unless they are (n, classes), two classes or more, 0 or more, sums of 1."""
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise ValueError(f"probabilities have shape {probabilities.shape}; expected (n, classes), two classes or more")
    shares = probabilities.astype(np.float64)
    with np.errstate(invalid="ignore"):
        sums = shares.sum(axis=1)
        wrong = np.flatnonzero((shares < 0).any(axis=1) | ~(np.abs(sums - 1) <= SUM_ERROR))
    if len(wrong):
        raise ValueError(f"row {wrong[0]} is {shares[wrong[0]]}; expected probabilities of 0 or more that sum to 1")
    return shares


def _drawn(
    shares: NDArray[np.float64], tied: NDArray[np.bool_], label: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """`label`, and where several are tied one of them: by a hash of the row and the seed, so by nothing else."""
    drawn = label.copy()
    rounded = np.rint(shares * ROUNDED).astype("<i8")
    for row in np.flatnonzero(tied.sum(axis=1) > 1):
        classes = np.flatnonzero(tied[row])
        digest = hashlib.blake2b(f"{seed} ".encode() + rounded[row].tobytes(), digest_size=8).digest()
        drawn[row] = classes[int.from_bytes(digest, "little") % len(classes)]
    return drawn


def _option(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}; expected 0 to 1")
    return value
