"""Data drift since the champion was trained.

Three questions, each with a size and a p value: do the classes have other shares, are the images brighter or darker,
and can a classifier tell old images from new ones by their figures? With tens of thousands of images the smallest drift
has a small p, so a warning needs both: p, corrected for three questions, below `ALPHA`, and a size that matters. Wrong
labels are not detected.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest, chi2_contingency, ks_2samp
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import train_test_split

from pipeline.statistics.holm import holm
from pipeline.statistics.monitoring.image_features import ImageFeatures

ALPHA = 0.01
SAMPLE = 2000
"""Images of each side that the classifier sees at most; half of them to learn from."""
FEWEST = 20
"""Minimum images of each side for the classifier."""
TREES = 100
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
    """(h, w), or (h, w, 3)."""


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


def drift(before: ImageFeatures, now: ImageFeatures, class_names: Sequence[str], *, seed: int) -> Drift:
    """Compares the images of the champion's training with the current ones.

    Total variation is half the sum of the differences of the shares; its p is that of the chi-square test of the
    counts. Brightness is the mean pixel of an image.

    Raises:
        ValueError: For images of different sizes.
    """
    if before.mean_image.shape != now.mean_image.shape:
        then, today = ("x".join(map(str, each.mean_image.shape)) for each in (before, now))
        raise ValueError(f"the champion's images are {then}, the current ones {today}; expected the same size")
    brightness = ks_2samp(before.brightness, now.brightness)
    answers = [
        _class_shares(before.counts, now.counts),
        (float(brightness.statistic), float(brightness.pvalue)),
        classifier_two_sample_test(before, now, seed=seed),
    ]
    corrected = map(float, holm([p for _, p in answers]))
    tests = (
        DriftTest(what, size, p, p_holm) for what, (size, p), p_holm in zip(SIZES, answers, corrected, strict=True)
    )
    return Drift(tuple(class_names), _summary(before), _summary(now), tuple(tests))


def classifier_two_sample_test(before: ImageFeatures, now: ImageFeatures, *, seed: int) -> tuple[float, float]:
    """Share of unseen images that a forest assigns to the right side, and its one-sided binomial p against one half.

    Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests (2017). Often the current data are the champion's with
    some more; an image on both sides would be learnt on one and met again on the other. The first sample is therefore
    at most half of the champion's images, and the second is drawn from the images that are not in it. NaN for too few
    images.
    """
    generator = np.random.default_rng(seed)
    first = generator.permutation(len(before))[: min(SAMPLE, len(before) // 2)]
    seen = set(before.digests[first].tolist())
    rest = generator.permutation(len(now))[: 2 * SAMPLE]
    second = [row for row in rest if now.digests[row].tolist() not in seen]
    count = min(len(first), len(second), SAMPLE)
    if count < FEWEST:
        return float("nan"), float("nan")
    figures = np.concatenate((before.figures[first[:count]], now.figures[second[:count]]))
    side = np.repeat([0, 1], count)
    learn, test, side_learn, side_test = train_test_split(
        figures, side, test_size=0.5, stratify=side, random_state=seed
    )
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


def _summary(side: ImageFeatures) -> DataSummary:
    shares = side.counts / side.counts.sum()
    return DataSummary(len(side), shares, float(side.mean_image.mean()), side.sd, side.mean_image)


def _class_shares(before: NDArray[np.int64], now: NDArray[np.int64]) -> tuple[float, float]:
    distance = float(np.abs(before / before.sum() - now / now.sum()).sum() / 2)
    counts = np.stack((before, now))
    counts = counts[:, counts.sum(axis=0) > 0]
    return distance, float(chi2_contingency(counts).pvalue) if counts.shape[1] > 1 else 1.0
