"""Whether intervals and tests hold what they promise: `python -m tests.benchmarks.statistics [--quick]`.

Simulated seeds, and simulated pairs of models, whose true differences are known. Prints a table: how often an interval of
95 % holds the truth, how often a test at 5 % sees a difference that is not there, and how often the larger number wins
although the models are equal. The last column is the Monte-Carlo error of the share found (one standard error).

A pair answers the same rows of ten classes; part of each row's difficulty is shared, part is the model's own, as with two
networks that learned from the same images: each is right on 89 % of rows, a better one on 90 %, just one of them on 5 %.
"""

import argparse
import gc
import math
import time
from collections.abc import Callable

import numpy as np

from pipeline.data.dataset import Labels
from pipeline.statistics.paired_comparison import Comparison, compare
from pipeline.statistics.seed_summary import summarise
from pipeline.training.result import Probabilities

CLASSES = 10
SIGNAL, BETTER = 4.8, 4.95
"""How far a label's score stands out, of one model and of a better one."""
SHARED, OWN = 1.1, 0.3
"""Noise that both models meet, and that each has by itself."""
Pair = tuple[Labels, Probabilities, Probabilities]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="a tenth of the simulations")
    options.add_argument(
        "--rows", type=int, nargs="+", default=[360, 1000, 5000], help="images that both models answer"
    )
    options.add_argument("--times", type=int, default=500, help="simulated pairs of each kind at 1,000 rows or fewer")
    options.add_argument("--resamples", type=int, default=1000)
    given = options.parse_args()
    times = given.times // 10 if given.quick else given.times
    gc.freeze()  # multipletests collects garbage at each call: .1 s with all libraries in reach
    begun = time.monotonic()
    print("| what | images or seeds | times | promised | found | ± |\n|---|---|---|---|---|---|")
    for kind, draw in SEEDS.items():
        for n in (3, 5, 10):
            t_interval(kind, draw, n, 8 * times)
    generator = np.random.default_rng(1)
    true_accuracy, true_loss = truth(generator)
    for rows in given.rows:
        fewer = max(20, times * 1000 // max(rows, 1000))
        false_alarms(compared(generator, rows, fewer, SIGNAL, given.resamples), "equal models")
        found = compared(generator, rows, fewer, BETTER, given.resamples)
        line(f"McNemar's test sees {100 * true_accuracy:.1f} points", rows, "", [each.test.p < 0.05 for each in found])
        coverage(found, true_accuracy, true_loss)
        bootstrap_of_recall(generator, rows // CLASSES, fewer, true_accuracy, given.resamples)
    print(f"\n{time.monotonic() - begun:.0f} s, {given.resamples} resamples")


SEEDS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda generator, n: generator.normal(0, 1, n),
    "skewed (log-normal, sigma .5)": lambda generator, n: np.exp(generator.normal(0, 0.5, n)) - math.exp(0.125),
}
"""Scores over seeds, with mean 0."""


def t_interval(kind: str, draw: Callable[[np.random.Generator, int], np.ndarray], n: int, times: int) -> None:
    generator = np.random.default_rng(n)
    summaries = [summarise(draw(generator, n)) for _ in range(times)]
    line(f"t-interval of the mean, {kind} seeds", n, "95 %", [each.low <= 0 <= each.high for each in summaries])


def pair_of(generator: np.random.Generator, rows: int, signal: float) -> Pair:
    """The first model has the signal given, the second always the plain one."""
    labels = generator.integers(0, CLASSES, rows)
    shared = SHARED * generator.gumbel(size=(rows, CLASSES))
    models = []
    for own in (signal, SIGNAL):
        scores = own * np.eye(CLASSES)[labels] + shared + OWN * generator.gumbel(size=(rows, CLASSES))
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        models.append((shares / shares.sum(axis=1, keepdims=True)).astype(np.float32))
    return labels, models[0], models[1]


def compared(generator: np.random.Generator, rows: int, times: int, signal: float, resamples: int) -> list[Comparison]:
    return [compare(*pair_of(generator, rows, signal), seed=1, resamples=resamples) for _ in range(times)]


def truth(generator: np.random.Generator) -> tuple[float, float]:
    """Accuracy and loss difference of the better and the plain model, on a million rows; every class's recall differs so."""
    found = compared(generator, 50_000, 20, BETTER, 2)
    return float(np.mean([each.accuracy.estimate for each in found])), float(
        np.mean([each.loss.estimate for each in found])
    )


def coverage(found: list[Comparison], accuracy: float, loss: float) -> None:
    """Of models that are not equal."""
    rows = found[0].rows
    held = [each.accuracy.low <= accuracy <= each.accuracy.high for each in found]
    line("bootstrap of the accuracy difference", rows, "95 %", held)
    line("bootstrap of the loss difference", rows, "95 %", [each.loss.low <= loss <= each.loss.high for each in found])
    recalls = [[own.recall.low <= accuracy <= own.recall.high for own in each.classes] for each in found]
    line("adjusted Wald of a recall difference", rows // CLASSES, "95 %", [float(np.mean(each)) for each in recalls])


def bootstrap_of_recall(generator: np.random.Generator, rows: int, times: int, accuracy: float, resamples: int) -> None:
    """Why recalls have another interval: a bootstrap of as few rows as a class has."""
    found = [each.accuracy for each in compared(generator, rows, times, BETTER, resamples)]
    line("bootstrap of so few rows", rows, "(95 %)", [each.low <= accuracy <= each.high for each in found])


def false_alarms(found: list[Comparison], kind: str) -> None:
    """Differences that are seen where none are."""
    rows = found[0].rows
    alarms = {
        "the larger accuracy wins": ("", [each.accuracy.estimate > 0 for each in found]),
        "the smaller loss wins": ("", [each.loss.estimate < 0 for each in found]),
        "lower bound of accuracy above 0": ("2.5 %", [each.accuracy.low > 0 for each in found]),
        "McNemar's test of accuracy": ("≤ 5 %", [each.test.p < 0.05 for each in found]),
        "any class, uncorrected": ("", [any(own.test.p < 0.05 for own in each.classes) for each in found]),
        "any class, Holm": ("≤ 5 %", [any(own.p_holm < 0.05 for own in each.classes) for each in found]),
    }
    for what, (promised, seen) in alarms.items():
        line(f"{kind}: {what}", rows, promised, seen)


def line(what: str, size: int, promised: str, seen: list[bool] | list[float]) -> None:
    share = float(np.mean(seen))
    error = float(np.std(seen)) / math.sqrt(len(seen))
    print(f"| {what} | {size:,} | {len(seen):,} | {promised} | {100 * share:.1f} % | {100 * error:.1f} |", flush=True)


if __name__ == "__main__":
    main()
