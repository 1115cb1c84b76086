"""How quickly networks are proposed, and how good they are. Run: `python -m tests.benchmarks.proposals`.

Three tables: milliseconds per proposal, ours and Keras Tuner's own; milliseconds and memory of a long random search;
and the best score so far at equal trials. The last one asks about the space of experiments/fashion_mnist, layers of up to
512, with trials_fashion_mnist.csv beside this file as the objective: real trials, one per row, columns depth, hidden_1…,
dropout_0…, val_loss (empty where a network has no such layer). Networks outside the table are answered by a random forest
fitted to it. Without the file the objective is an invented formula, and is named synthetic. The file holds the trials of the
hundred-trial search in experiments/FINDINGS.md, which drew most of them near its best: the forest knows little of the rest.
"""

import argparse
import csv
import resource
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.ensemble import RandomForestRegressor
from threadpoolctl import threadpool_limits

from pipeline import experiment
from pipeline.models.dense import DenseSpec, dense
from pipeline.search.proposals.proposals import Proposal, Proposals

TABLE = Path(__file__).with_name("trials_fashion_mnist.csv")
POINTS = (10, 25, 50, 100)
FEW = 8
"""Initial points of the stock oracle in its second row: as many as ours has."""
KINDS = ("bayesian", "random", "bayesian_stock", "bayesian_stock, 8 first")
HIDDEN = [32, 64, 128, 256, 512]
"""The sizes that the table's search had to choose from."""
Objective = Callable[[DenseSpec], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--trials", type=int, default=50, help="of each search whose best scores are compared")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--only", choices=["speed", "growth", "quality"])
    given = parser.parse_args()
    objective = table_objective(given.table) if given.table.exists() else synthetic_objective()
    if given.only in (None, "speed"):
        speed(objective)
    if given.only in (None, "growth"):
        growth()
    if given.only in (None, "quality"):
        quality(objective, given.trials, given.repeats)


def asked(proposals: Proposals) -> Proposal:
    proposal = proposals.ask()
    assert isinstance(proposal, Proposal), "the space is larger than any search here"
    return proposal


def started(kind: str, *, seed: int = 1) -> Proposals:
    tuner, _, few = kind.partition(", ")
    own = {"space.hidden": str(HIDDEN), "search.tuner": tuner, "search.seed": str(seed)}
    proposals = Proposals(experiment.load("fashion_mnist", own))
    if few:
        proposals._oracle.num_initial_points = FEW
    return proposals


def speed(objective: Objective) -> None:
    """What a proposal costs as results come in. One thread's own time, which other programs do not disturb."""
    print("\nms of one core per proposal at n trials (median of 5, the n at random)")
    print(f"{'':24}" + "".join(f"{n:>9}" for n in POINTS))
    for kind in ("bayesian", "bayesian_stock"):
        proposals, taken = started(kind), defaultdict(list)
        for number in range(max(POINTS) + 5):
            point = max((n for n in POINTS if n <= number < n + 5), default=None)
            proposals._oracle.num_initial_points = 10_000 if point is None else 1
            begin = time.process_time()
            proposal = asked(proposals)
            taken[point].append(1e3 * (time.process_time() - begin))
            proposals.tell(proposal.trial_id, objective(dense(proposal.recipe.spec)))
        print(f"{kind:24}" + "".join(f"{np.median(taken[n]):9.1f}" for n in POINTS), flush=True)


def growth() -> None:
    """What one ask and one tell cost as a search grows."""
    print(
        "\nrandom search: ms of one core per ask and per tell (mean of the last 100), peak memory since the first trial (MB)"
    )
    print(f"{'trials':>8}{'ask':>8}{'tell':>8}{'memory':>8}")
    proposals, asks, tells = started("random"), [], []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(1, 10_001):
        begin = time.process_time()
        proposal = asked(proposals)
        middle = time.process_time()
        proposals.tell(proposal.trial_id, number / 10_000)
        asks.append(middle - begin)
        tells.append(time.process_time() - middle)
        if number in {100, 1_000, 10_000}:
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            print(f"{number:8}{1e3 * np.mean(asks[-100:]):8.2f}{1e3 * np.mean(tells[-100:]):8.2f}{grown:8.1f}")


def quality(objective: Objective, trials: int, repeats: int) -> None:
    """The best score so far, the mean over searches with different seeds."""
    shown = [n for n in (12, 24, 36, 50, 75, 100) if n <= trials]
    print(f"\nbest val_loss after n trials, mean of {repeats} searches with its 95% interval")
    print(f"{'':24}" + "".join(f"{n:>18}" for n in shown))
    best = {}
    for kind in KINDS:
        best[kind] = np.array([best_so_far(kind, objective, trials, seed) for seed in range(1, repeats + 1)])
        print(f"{kind:24}" + "".join(f"{interval(best[kind][:, n - 1]):>18}" for n in shown), flush=True)
    for kind in KINDS[1:]:
        paired = best["bayesian"] - best[kind]
        print(f"{'bayesian - ' + kind:34}" + "".join(f"{interval(paired[:, n - 1]):>18}" for n in shown))


def best_so_far(kind: str, objective: Objective, trials: int, seed: int) -> list[float]:
    proposals, scores = started(kind, seed=seed), []
    for _ in range(trials):
        proposal = asked(proposals)
        scores.append(objective(dense(proposal.recipe.spec)))
        proposals.tell(proposal.trial_id, scores[-1])
    return list(np.minimum.accumulate(scores))


def interval(values: np.ndarray) -> str:
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return f"{values.mean():.4f} ± {half:.4f}"


def table_objective(path: Path) -> Objective:
    """The table's own score for networks in it, the mean of them where there are several; a forest for all others."""
    recorded = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            depth = int(float(row["depth"]))
            hidden = tuple(int(float(row[f"hidden_{layer}"])) for layer in range(1, depth + 1))
            rates = tuple(float(row[f"dropout_{layer}"]) for layer in range(depth + 1))
            recorded[DenseSpec(hidden, rates, ("relu",) * depth)].append(float(row["val_loss"]))
    known = {spec: float(np.mean(losses)) for spec, losses in recorded.items()}
    forest = RandomForestRegressor(200, max_features=0.5, oob_score=True, random_state=1)
    forest.fit([features(spec) for spec in known], list(known.values()))
    print(
        f"objective: {path.name}, {len(known)} networks, val_loss {min(known.values()):.4f} to "
        f"{max(known.values()):.4f}; others by a random forest, out-of-bag R² {forest.oob_score_:.2f}"
    )

    def answer(spec: DenseSpec) -> float:
        if spec not in known:
            known[spec] = float(forest.predict([features(spec)])[0])
        return known[spec]

    return answer


def features(spec: DenseSpec, deepest: int = 4) -> list[float]:
    lacking = [0.0] * (deepest - len(spec.hidden))
    return [
        len(spec.hidden),
        *np.log2(spec.hidden),
        *lacking,
        *spec.dropout,
        *lacking,
        min(np.log2(spec.hidden)),
        sum(spec.dropout),
    ]


def synthetic_objective() -> Objective:
    """A formula with what is known of such networks: sizes pay and saturate, the rates that suit them grow with them,
    narrow layers suffer from dropout.
    """
    print(f"objective: synthetic (a formula, no trained networks; {TABLE.name} is not there)")

    def answer(spec: DenseSpec) -> float:
        sizes, rates = np.log2(spec.hidden) - 5, np.array(spec.dropout[1:])
        capacity = sizes.sum() / 4
        suffering = np.maximum(0, rates - (sizes + 2) / 10)
        return float(
            0.36
            - 0.02 * min(capacity, 1.5)
            + 0.02 * (rates.sum() - 0.45 * capacity) ** 2
            + 0.2 * (spec.dropout[0] - 0.1) ** 2
            + 0.01 * abs(len(spec.hidden) - 2)
            + 0.5 * (suffering**2).sum()
        )

    return answer


if __name__ == "__main__":
    with threadpool_limits(1):  # one core, as a driver beside its workers has
        main()
