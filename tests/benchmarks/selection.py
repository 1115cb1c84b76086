"""Whether the error that a choice uses is the right size: `python -m tests.benchmarks.selection [--quick]`.

Simulated networks whose true accuracies are known: a network with a seed gets an image right if a sum of normal numbers is
above 0: the network's merit, the image's difficulty (shared by networks), what is hard for this network alone, what this
seed does to all images, and what it does to one. The figures are near those of refits on Fashion-MNIST: 90 % right, two
networks differ on 5 % of images, two seeds of one network on 4 %, accuracies over seeds scatter by .11 points on 10,000
images (.31 points where "loose"). The truth is over all images and all seeds.

For each number of images and seeds, three errors of the difference of two networks: `two-way` (what `one_standard_error`
uses after refits), `seeds` (the spread of the better network's seeds, used before), `binomial` (that of one accuracy, which
the search uses). Each with its mean size over the real spread of the difference (1 is right), the share of 95 % intervals
that hold the truth, and how often a network that is exactly as good is within one error of the best (68 % if it is right).

Then what racing does: three to eight finalists and a baseline on 10,000 images each of validation and test, trained with all
seeds or raced. Of the chosen network: how often the intervals over seeds hold its honest gap on test, its gap on validation,
and its difference to the baseline in test accuracy (the truth: these images, all seeds); how often the two-way interval of
the difference in the reason holds the truth over all images; its mean true gap and accuracy. Stopping looks at
validation, so it can move intervals on validation first.
"""

import argparse
import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from pipeline.statistics.seed_summary import summarise
from pipeline.statistics.selection import Candidate, choose
from pipeline.statistics.selection.difference import Difference, Outcomes, difference
from pipeline.statistics.selection.race import rounds, standings
from pipeline.statistics.selection.rules import most_accurate

IMAGE, NETWORK, SEED_IMAGE = 1.0, 0.16, 0.2
"""Standard deviations: difficulty of images, of images for one network, and of images for one network with one seed."""
SEED = {"even": 0.004, "loose": 0.016}
"""Standard deviations of what a seed does to all images, by kind of network."""
ACCURACY, BETTER = 0.900, 0.903
TRAIN_SD = 0.001
"""Standard deviation of the train accuracy over seeds."""
FINALISTS = {
    "as the default run": ((0.9060, 0.0260), (0.9040, 0.0190), (0.9050, 0.0220)),
    "all alike": ((0.9050, 0.0220),) * 3,
    "alike in gap": ((0.9060, 0.0220), (0.9050, 0.0220), (0.9040, 0.0220)),
    "eight in a row": tuple((0.9060 - 0.0005 * place, 0.0270 - 0.0010 * place) for place in range(8)),
}
"""True accuracy and gap on validation, by kind of race."""
BASELINE = (0.8930, 0.0340)
REFERENCES = 2
"""The baseline, which gets all seeds, and one that gets those of the first round."""


@dataclass(frozen=True)
class Drawn:
    """One simulated network."""

    right: NDArray[np.bool_]
    """Images it gets right, (seeds, images)."""
    expected: NDArray[np.float64]
    """The share of all seeds that get an image right, (images,)."""

    @property
    def outcomes(self) -> Outcomes:
        return dict(enumerate(self.right))


@dataclass(frozen=True)
class Simulated:
    """Networks of given true accuracies, all of one kind."""

    accuracies: tuple[float, ...]
    seed_sd: float

    @property
    def _total(self) -> float:
        return math.sqrt(IMAGE**2 + NETWORK**2 + SEED_IMAGE**2 + self.seed_sd**2)

    def draw(self, generator: np.random.Generator, seeds: int, images: int) -> list[Drawn]:
        """What each network does on the same images."""
        shared = IMAGE * generator.standard_normal(images, np.float32)
        drawn: list[Drawn] = []
        for accuracy in self.accuracies:
            hard = norm.ppf(accuracy) * self._total + shared + NETWORK * generator.standard_normal(images, np.float32)
            own = self.seed_sd * generator.standard_normal((seeds, 1), np.float32)
            noise = SEED_IMAGE * generator.standard_normal((seeds, images), np.float32)
            expected = norm.cdf(hard / math.hypot(self.seed_sd, SEED_IMAGE))
            drawn.append(Drawn(hard + own + noise > 0, expected))
        return drawn


@dataclass(frozen=True)
class Error:
    """One way to estimate the error of a difference: its sizes and half-intervals, one per simulation."""

    sizes: NDArray[np.float64]
    reaches: NDArray[np.float64]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="a tenth of the simulations")
    options.add_argument("--times", type=int, default=2000, help="simulations of each kind")
    options.add_argument("--part", choices=("errors", "race"), help="one table only")
    given = options.parse_args()
    times = given.times // 10 if given.quick else given.times
    begun = time.monotonic()
    print(
        "| networks | images | seeds | error | size / real | 95 % intervals hold the truth | equals within one error |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind, seed_sd in SEED.items() if given.part != "race" else ():
        for images in (1000, 10_000):
            for seeds in (1, 3, 5, 10):
                errors_of_a_difference(kind, seed_sd, images, seeds, times)
    print(
        "\n| finalists | seeds | raced | refits | test gap held | val gap held | difference to baseline held "
        "| difference in the reason held | true gap, points | true accuracy | same choice |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for kind, finalists in FINALISTS.items() if given.part != "errors" else ():
        for seeds in (5, 10):
            racing(kind, finalists, seeds, times // 2)
    print(f"\n{times} simulations each, {times // 2} of a race, {time.monotonic() - begun:.0f} s")


def errors_of_a_difference(kind: str, seed_sd: float, images: int, seeds: int, times: int) -> None:
    """Prints a row per error."""
    unequal = estimates(Simulated((BETTER, ACCURACY), seed_sd), images, seeds, times)
    equal = estimates(Simulated((ACCURACY, ACCURACY), seed_sd), images, seeds, times)
    apart, errors = unequal
    real = apart.std(ddof=1)
    for name, error in errors.items():
        if np.isnan(error.sizes).all():
            continue
        held = np.abs(apart - (BETTER - ACCURACY)) <= error.reaches
        within = np.abs(equal[0]) <= equal[1][name].sizes
        size = math.sqrt(float(np.mean(error.sizes**2))) / real
        print(
            f"| {kind} | {images:,} | {seeds} | {name} | {size:.2f} of {100 * real:.2f} points "
            f"| {100 * held.mean():.1f} % | {100 * within.mean():.0f} % |",
            flush=True,
        )


def estimates(networks: Simulated, images: int, seeds: int, times: int) -> tuple[NDArray[np.float64], dict[str, Error]]:
    """Differences found (times,), and the errors by name."""
    generator = np.random.default_rng([images, seeds])
    apart, two_way, by_seed, binomial = [], [], [], []
    for _ in range(times):
        first, second = networks.draw(generator, seeds, images)
        found = difference(first.outcomes, second.outcomes)
        low, high = found.interval()
        apart.append(found.mean)
        two_way.append((found.error, (high - low) / 2))
        best = first if found.mean >= 0 else second
        scores = best.right.mean(axis=1)
        error = float(scores.std(ddof=1)) / math.sqrt(seeds) if seeds > 1 else math.nan
        by_seed.append((error, error * float(t.ppf(0.975, seeds - 1)) if seeds > 1 else math.nan))
        error = math.sqrt(scores.mean() * (1 - scores.mean()) / images)
        binomial.append((error, 1.96 * error))
    errors = {
        name: Error(*np.array(each).T)
        for name, each in {"two-way": two_way, "seeds": by_seed, "binomial": binomial}.items()
    }
    return np.array(apart), errors


@dataclass(frozen=True)
class Trained:
    """A network with all its seeds, of which a race may use the first ones only."""

    place: int
    train: NDArray[np.float64]
    """Train accuracy by seed."""
    expected_train: float
    validation: Drawn
    test: Drawn

    def candidate(self, seeds: int) -> Candidate:
        outcomes = dict(enumerate(self.validation.right[:seeds]))
        return Candidate.of_seeds(str(self.place), self.metrics(seeds), 1000, outcomes)

    def metrics(self, seeds: int) -> list[dict[str, float]]:
        accuracies = self.validation.right[:seeds].mean(axis=1)
        return [
            {"val_loss": 0.3, "val_accuracy": float(accuracy), "val_accuracy_gap": float(train - accuracy)}
            for train, accuracy in zip(self.train, accuracies, strict=False)
        ]

    def gaps(self, part: Drawn) -> tuple[NDArray[np.float64], float]:
        """By seed, and over all seeds."""
        return self.train - part.right.mean(axis=1), self.expected_train - float(part.expected.mean())


@dataclass(frozen=True)
class Ended:
    """A race, or its full counterpart: the chosen network, the difference in the reason, refits in all."""

    chosen: int
    behind: Difference
    apart: float
    """The true difference."""
    refits: int


def racing(kind: str, finalists: tuple[tuple[float, float], ...], seeds: int, times: int) -> None:
    """Prints a row without and one with racing, over the same simulated networks."""
    generator = np.random.default_rng([len(kind), seeds])
    ends: dict[str, list[tuple[Ended, list[Trained]]]] = {"no": [], "yes": []}
    for each in range(times):
        networks = trained(generator, finalists, seeds)
        ends["no"].append((full(networks[:-1], finalists, seeds), networks))
        ends["yes"].append((raced(networks[:-1], finalists, seeds, each), networks))
    same = np.mean([one.chosen == other.chosen for (one, _), (other, _) in zip(*ends.values(), strict=True)])
    for name, those in ends.items():
        held = np.array([intervals(end, networks) for end, networks in those]).mean(axis=0)
        accuracy, gap = np.mean([finalists[end.chosen] for end, _ in those], axis=0)
        shares = " | ".join(f"{100 * share:.1f} %" for share in held)
        print(
            f"| {kind} | {seeds} | {name} | {np.mean([end.refits for end, _ in those]):.1f} | {shares} "
            f"| {100 * gap:.3f} | {100 * accuracy:.3f} % | {100 * same:.0f} % |",
            flush=True,
        )


def trained(generator: np.random.Generator, finalists: tuple[tuple[float, float], ...], seeds: int) -> list[Trained]:
    """The finalists, then the baseline."""
    images, figures = 10_000, (*finalists, BASELINE)
    drawn = Simulated(tuple(accuracy for accuracy, _ in figures), SEED["even"]).draw(generator, seeds, 2 * images)
    return [
        Trained(
            place,
            accuracy + gap + TRAIN_SD * generator.standard_normal(seeds),
            accuracy + gap,
            Drawn(each.right[:, :images], each.expected[:images]),
            Drawn(each.right[:, images:], each.expected[images:]),
        )
        for place, ((accuracy, gap), each) in enumerate(zip(figures, drawn, strict=True))
    ]


def full(networks: list[Trained], finalists: tuple[tuple[float, float], ...], seeds: int) -> Ended:
    return chosen_of(networks, finalists, seeds, seeds * (len(networks) + REFERENCES))


def raced(networks: list[Trained], finalists: tuple[tuple[float, float], ...], seeds: int, seed: int) -> Ended:
    """As `evaluation.race` does it."""
    left, spent = networks, seeds * (REFERENCES - 1) + rounds(seeds)[0]
    known = 0
    for until in rounds(seeds):
        spent += len(left) * (until - known)
        known = until
        if until == seeds:
            break
        candidates = [each.candidate(until) for each in left]
        state = standings(
            candidates, [each.metrics(until) for each in left], "one_standard_error",
            seeds=seeds, validation_size=10_000, tolerance=None, seed=seed,
        )  # fmt: skip
        if state.choice is not None:
            return chosen_of(left, finalists, until, spent + seeds - until)
        left = [each for each, standing in zip(left, state.standings, strict=True) if standing.stays]
    return chosen_of(left, finalists, seeds, spent)


def chosen_of(networks: list[Trained], finalists: tuple[tuple[float, float], ...], seeds: int, refits: int) -> Ended:
    candidates = [each.candidate(seeds) for each in networks]
    index = choose(candidates, "one_standard_error", validation_size=10_000).index
    best = most_accurate(candidates)
    other = index if index != best else (best + 1) % len(networks)
    behind = difference(candidates[best].outcomes, candidates[other].outcomes)
    apart = finalists[networks[best].place][0] - finalists[networks[other].place][0]
    return Ended(networks[index].place, behind, apart, refits)


def intervals(end: Ended, networks: list[Trained]) -> list[bool]:
    """Which of the four intervals hold the truth."""
    chosen, baseline = networks[end.chosen], networks[-1]
    apart = chosen.test.right.mean(axis=1) - baseline.test.right.mean(axis=1)
    expected = float(chosen.test.expected.mean() - baseline.test.expected.mean())
    by_seed = [chosen.gaps(chosen.test), chosen.gaps(chosen.validation), (apart, expected)]
    held = []
    for values, truth in by_seed:
        summary = summarise(values)
        held.append(summary.low <= truth <= summary.high)
    low, high = end.behind.interval()
    return [*held, low <= end.apart <= high]


if __name__ == "__main__":
    main()
