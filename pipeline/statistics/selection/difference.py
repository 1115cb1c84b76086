"""The difference in accuracy of two networks over the same images and seeds, with the error that both cause."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

Outcomes = Mapping[int, NDArray[np.bool_]]
"""By seed, which images (n,) the network got right."""


@dataclass(frozen=True)
class Difference:
    """Accuracy of a first minus that of a second network, as shares."""

    mean: float
    error: float
    """Standard error for other seeds and other images of the same kind. With one seed: for other images alone."""
    degrees: float
    """Degrees of freedom of the error, for Student's t; infinite where the error is 0."""
    seeds: int
    """Seeds that both networks were trained with; others are left out."""
    images: int
    by_images: float = 0.0
    """The part of the error's square that more seeds do not reduce."""

    def error_with(self, seeds: int) -> float:
        """Expected standard error with another number of seeds."""
        return math.sqrt(self.by_images + (self.error**2 - self.by_images) * self.seeds / seeds)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Mean ± t(degrees) errors."""
        reach = float(t.ppf((1 + level) / 2, self.degrees)) * self.error if self.error else 0.0
        return self.mean - reach, self.mean + reach


def difference(first: Outcomes, second: Outcomes) -> Difference:
    """The paired difference of two networks over their common seeds and all images.

    Difference d of seed s and image i is -1, 0 or 1. Seeds and images are crossed random effects, d = m + a_s + b_i +
    e_si, so the variance of the mean over S seeds and N images is var(a)/S + var(b)/N + var(e)/(S N), estimated from the
    mean squares of the two-way analysis of variance (Searle, Casella and McCulloch, Variance Components, 1992, section
    4.3; negative components count as 0). Owen (The pigeonhole bootstrap, Annals of Applied Statistics 1, 2007) gives
    the same variance and a bootstrap that estimates it from above: it counts var(e) three times. Degrees of freedom are
    Satterthwaite's (Biometrics Bulletin 2, 1946). That both seeds and images move a comparison: Bouthillier et al.,
    Accounting for Variance in Machine Learning Benchmarks, MLSys 2021. `python -m tests.benchmarks.selection` measures
    the coverage.

    Raises:
        ValueError: Without common seeds or images, or if the numbers of images differ.
    """
    seeds = [seed for seed in first if seed in second]
    lengths = {len(outcomes[seed]) for outcomes in (first, second) for seed in seeds}
    if not seeds or len(lengths) != 1 or not max(lengths):
        raise ValueError(
            f"seeds {list(first)} and {list(second)}, {sorted(lengths)} images; expected a common seed, the same images"
        )
    apart = np.array([first[seed].astype(float) - second[seed] for seed in seeds])
    variance, degrees, by_images = _variance(apart)
    return Difference(float(apart.mean()), math.sqrt(variance), degrees, len(seeds), apart.shape[1], by_images)


def _variance(apart: NDArray[np.float64]) -> tuple[float, float, float]:
    """Variance of the mean over seeds and images (s, n), its degrees of freedom, and the part that is due to images."""
    seeds, images = apart.shape
    mean = apart.mean()
    by_seed, by_image = apart.mean(axis=1) - mean, apart.mean(axis=0) - mean
    rest = apart - mean - by_seed[:, None] - by_image
    total = seeds * images
    squares = (images * np.sum(by_seed**2), seeds * np.sum(by_image**2), np.sum(rest**2))
    freedom = (seeds - 1, images - 1, (seeds - 1) * (images - 1))
    # Each the share of one mean square in the variance; 0 where one seed or one image leaves nothing to compare.
    seed, image, noise = (
        float(square) / each / total if each else 0.0 for square, each in zip(squares, freedom, strict=True)
    )
    parts = [(max(seed, noise), seeds - 1), (max(image, noise), images - 1), (-noise, freedom[2])]
    variance = sum(part for part, _ in parts)
    if variance <= 0:
        return 0.0, math.inf, 0.0
    spread = sum(part**2 / each for part, each in parts if each)
    return variance, variance**2 / spread, max(image, noise) - noise
