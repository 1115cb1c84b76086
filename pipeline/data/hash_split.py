"""Held-out images chosen by the hash of each image, so that the data may grow.

A random split reshuffles all images when one is added: yesterday's champion was then trained on images that are test
images today. Here an image is held out if the hash of its bytes, as a number from 0 to 1, is below the share. It stays
in its part when others are added or reordered, and so do its exact duplicates.

The drawback: shares are approximate. Of n different images n * share are held out, with a standard deviation of sqrt(n
* share * (1 - share)) (180 ± 13 of 1,800 at a tenth), in each class alike. Taking the n * share smallest hashes of a
class would be exact, but that bound moves with n, and images would change from train to test. A class without any image
below the share holds out the one with the smallest hash. As such a class grows, that image returns to train or is
replaced by a new one; no old image moves to test.

To remove or relabel images moves no other one either while every class has an image below the share. If the last one of
a class goes, the image with the next smallest hash moves from train to test: a class of about 1 / share images or fewer
is in doubt.
"""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Images, Labels


def held_out(images: Iterable[Images], labels: Labels, *, share: float, seed: int, part: str) -> NDArray[np.bool_]:
    """Returns (n,): whether each image is held out for `part`, at least one of every class.

    The name of the part is hashed too, so the parts are drawn independently.
    """
    fractions = hash_fractions(images, seed=seed, part=part)
    held = fractions < share
    lacking = np.setdiff1d(labels, labels[held])
    smallest = [fractions[labels == label].min() for label in lacking]
    return held | np.isin(fractions, smallest)


def hash_fractions(images: Iterable[Images], *, seed: int, part: str) -> NDArray[np.float64]:
    """(n,), 0 to 1: the first 8 bytes of SHA-256 over seed, part and the image's bytes, by 2^64."""
    start = hashlib.sha256(f"{seed} {part} ".encode())
    digests = bytearray()
    for image in images:
        each = start.copy()
        each.update(image.tobytes())
        digests += each.digest()[:8]
    return np.frombuffer(bytes(digests), ">u8") / 2.0**64
