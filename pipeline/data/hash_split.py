"""Which images are held out, decided image by image, so that data may grow. Enters: images and labels. Leaves: rows.

A random split reshuffles everything when one image is added, and yesterday's champion has then trained on what is test
today. Here an image is held out when the hash of its bytes, as a number from 0 to 1, is below the share: whatever is
added, removed, put in another order or labelled anew, it stays where it is, and so do exact duplicates of it.

The price is that a share is met by chance: of n different images n * share are held out, give or take
sqrt(n * share * (1 - share)) (180 +- 13 of 1,800 at a tenth), and so within each class. Taking the n * share smallest
hashes of a class would meet it exactly, but then its bound moves with n, and images cross over from train to test. Only
a class that has none below the share gives its smallest one. As such a class grows, that one goes back to train, or makes
way for a new one: no image that was there crosses over to test.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Images, Labels


def held_out(images: Images, labels: Labels, *, share: float, seed: int, part: str) -> NDArray[np.bool_]:
    """(n,): whether each image is held out for `part`, at least one of every class that is there.

    The name of the part goes into the hash: what is held out for one is drawn independently of another.
    """
    places = draws(images, seed=seed, part=part)
    held = places < share
    lacking = np.setdiff1d(labels, labels[held])
    smallest = [places[labels == label].min() for label in lacking]
    return held | np.isin(places, smallest)


def draws(images: Images, *, seed: int, part: str) -> NDArray[np.float64]:
    """(n,), 0 to 1: the first 8 bytes of SHA-256 over seed, part and the image's bytes, by 2^64."""
    start = hashlib.sha256(f"{seed} {part} ".encode())
    digests = bytearray()
    for image in images:
        each = start.copy()
        each.update(image.tobytes())
        digests += each.digest()[:8]
    return np.frombuffer(bytes(digests), ">u8") / 2.0**64
