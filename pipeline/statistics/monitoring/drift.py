"""Data drift since the champion was trained.

Three questions, each with a size and a p value: do the classes have other shares, are the images brighter or darker,
and can a classifier tell old images from new ones? With tens of thousands of images the smallest drift has a small p,
so a warning needs both: p, corrected for three questions, below `ALPHA`, and a size that matters. Wrong labels are not
detected.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest, chi2_contingency, ks_2samp
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import train_test_split

from pipeline.data.dataset import Images, Labels
from pipeline.statistics.holm import holm

ALPHA = 0.01
SAMPLE = 2000
"""Images of each side that the classifier sees at most; half of them to learn from."""
FEWEST = 20
"""Minimum images of each side for the classifier."""
TREES = 100
CHUNK = 1000
"""Images whose pixels are counted at a time."""
SIZES = {"class shares": 0.05, "brightness": 0.1, "classifier": 0.6}
"""Smallest sizes that matter: total variation, Kolmogorov-Smirnov distance, accuracy of the classifier (chance: 0.5)."""


@dataclass(frozen=True)
class DriftTest:
    """Test of one question."""

    what: str
    """A key of `SIZES`."""
    size: float
    """NaN if there are too few images."""
    p: float
    """p value of no drift; NaN with the size."""
    p_holm: float
    """Corrected for the number of tests (Holm, 1979)."""

    @property
    def warning(self) -> bool:
        """Whether it is significant and large enough to matter; NaN is neither."""
        return self.p_holm < ALPHA and self.size >= SIZES[self.what]


@dataclass(frozen=True, eq=False)
class DataSummary:
    """One data set in numbers. Pixels are 0 to 1, in units of the largest possible value."""

    images: int
    shares: NDArray[np.float64]
    """(classes,), adds up to 1."""
    mean: float
    sd: float
    """Of all pixels of all images."""
    mean_image: NDArray[np.float64]
    """(h, w)."""


@dataclass(frozen=True, eq=False)
class Drift:
    """The champion's data and the current data."""

    class_names: tuple[str, ...]
    before: DataSummary
    now: DataSummary
    tests: tuple[DriftTest, ...]
    """In the order of `SIZES`."""

    @property
    def warning(self) -> bool:
        return any(each.warning for each in self.tests)


def drift(
    before: tuple[Images, Labels],
    now: tuple[Images, Labels],
    class_names: Sequence[str],
    *,
    pixel_max: int,
    seed: int,
) -> Drift:
    """Compares images (n, h, w) and labels (n,) of the champion's training with the current ones (m, h, w), (m,).

    Total variation is half the sum of the differences of the shares; its p is that of the chi-square test of the
    counts. Brightness is the mean pixel of an image.

    Raises:
        ValueError: Without images, or for images of different sizes.
    """
    sides = [_side(*each, len(class_names), pixel_max) for each in (before, now)]
    if sides[0].mean_image.shape != sides[1].mean_image.shape:
        then, today = ("x".join(map(str, each.mean_image.shape)) for each in sides)
        raise ValueError(f"the champion's images are {then}, the current ones {today}; expected the same size")
    shares = _class_shares(*(np.bincount(labels, minlength=len(class_names)) for _, labels in (before, now)))
    brightness = ks_2samp(*(images.mean(axis=(1, 2)) for images, _ in (before, now)))
    answers = [
        shares,
        (float(brightness.statistic), float(brightness.pvalue)),
        classifier_two_sample_test(before[0], now[0], seed=seed),
    ]
    corrected = map(float, holm([p for _, p in answers]))
    tests = (
        DriftTest(what, size, p, p_holm) for what, (size, p), p_holm in zip(SIZES, answers, corrected, strict=True)
    )
    return Drift(tuple(class_names), sides[0], sides[1], tuple(tests))


def classifier_two_sample_test(before: Images, now: Images, *, seed: int) -> tuple[float, float]:
    """Share of unseen images that a forest assigns to the right side, and its one-sided binomial p against one half.

    Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests (2017). Often the current data are the champion's with
    some more; an image on both sides would be learnt on one and met again on the other. The first sample is therefore
    at most half of the champion's images, and the second is drawn from the images that are not in it. NaN for too few
    images.
    """
    generator = np.random.default_rng(seed)
    first = before[generator.permutation(len(before))[: min(SAMPLE, len(before) // 2)]]
    seen = {image.tobytes() for image in first}
    rest = generator.permutation(len(now))[: 2 * SAMPLE]
    second = now[[row for row in rest if now[row].tobytes() not in seen]]
    count = min(len(first), len(second), SAMPLE)
    if count < FEWEST:
        return float("nan"), float("nan")
    flat = np.concatenate((first[:count], second[:count])).reshape(2 * count, -1)
    side = np.repeat([0, 1], count)
    learn, test, side_learn, side_test = train_test_split(flat, side, test_size=0.5, stratify=side, random_state=seed)
    forest = ExtraTreesClassifier(TREES, min_samples_leaf=2, random_state=seed).fit(learn, side_learn)
    right = int(np.sum(forest.predict(test) == side_test))
    return right / len(test), float(binomtest(right, len(test), 0.5, alternative="greater").pvalue)


def drift_table(found: Drift) -> pd.DataFrame:
    """One row per question (what, before, now, size, p, warning), then one per class."""
    lines: list[dict[str, object]] = [
        {"what": each.what, "size": each.size, "p": each.p_holm, "warning": each.warning} for each in found.tests
    ]
    before, now = found.before, found.now
    lines += [
        {"what": what, "before": then, "now": today}
        for what, then, today in (
            ("images", before.images, now.images),
            ("mean pixel", before.mean, now.mean),
            ("sd of pixels", before.sd, now.sd),
        )
    ]
    lines += [
        {"what": f"share of {name}", "before": then, "now": today}
        for name, then, today in zip(found.class_names, before.shares, now.shares, strict=True)
    ]
    return pd.DataFrame(lines, columns=["what", "before", "now", "size", "p", "warning"])


def drift_sentence(found: Drift) -> str:
    """What has drifted, or that nothing has, with the numbers."""
    shares, brightness, classifier = found.tests
    texts = {
        "class shares": f"class shares differ by {100 * shares.size:.1f} % of the images",
        "brightness": f"brightness differs (Kolmogorov-Smirnov distance {brightness.size:.2f})",
        "classifier": f"a classifier assigns {100 * classifier.size:.1f} % of images to the right data set (chance: 50 %)",
    }
    drifted = [texts[each.what] for each in found.tests if each.warning]
    if drifted:
        return f"Data drift since the champion was trained: {'; '.join(drifted)}."
    return "No data drift since the champion was trained (class shares, brightness, classifier)."


def _side(images: Images, labels: Labels, classes: int, pixel_max: int) -> DataSummary:
    if not len(images) or len(images) != len(labels):
        raise ValueError(f"{len(images)} images and {len(labels)} labels; expected as many of both, at least one")
    shares = np.bincount(labels, minlength=classes) / len(labels)
    # By value and a few at a time: a float copy of all images would take gigabytes.
    parts = (images[start : start + CHUNK].reshape(-1) for start in range(0, len(images), CHUNK))
    counts = sum((np.bincount(part, minlength=256) for part in parts), np.zeros(256, np.int64))
    values = np.arange(len(counts)) / pixel_max
    mean = float(counts @ values / counts.sum())
    sd = float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))
    return DataSummary(len(images), shares, mean, sd, images.mean(axis=0) / pixel_max)


def _class_shares(before: NDArray[np.int64], now: NDArray[np.int64]) -> tuple[float, float]:
    distance = float(np.abs(before / before.sum() - now / now.sum()).sum() / 2)
    counts = np.stack((before, now))
    counts = counts[:, counts.sum(axis=0) > 0]
    return distance, float(chi2_contingency(counts).pvalue) if counts.shape[1] > 1 else 1.0
