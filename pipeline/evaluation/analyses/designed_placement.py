"""One dropout layer moved through all positions of one network, all else equal: a designed check of the effects."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean

import pandas as pd
from scipy import stats

from pipeline.evaluation.refits import RefitGroup
from pipeline.evaluation.report.page import Picture, Section
from pipeline.evaluation.result import Analysis, EvaluationResult
from pipeline.figures.comparisons import placement as placement_figure
from pipeline.figures.style import png
from pipeline.formatting import listed, position
from pipeline.statistics.effects import placement
from pipeline.statistics.effects.placement import Placement, Slope
from pipeline.statistics.holm import holm
from pipeline.statistics.seed_summary import Summary
from pipeline.tracking.names import PLACEMENT_CSV, PLACEMENT_PNG

LEVEL = 0.05
METHOD = (
    "Differences to the same network without dropout, paired by seed, with 95 % Student intervals over seeds. Positions are "
    "compared by Holm-corrected paired t tests."
)


def analyse(result: EvaluationResult) -> Analysis | None:
    """Compares the positions in the network that most refits differ from in one dropout layer alone; None without one, or
    unless all refits share their training settings.
    """
    settings = {group.finalist.settings.model_dump_json() for group in result.groups}
    if not result.experiment.space.networks or len(settings) > 1:
        return None  # the notebook's two networks also differ in early stopping
    refits = [
        {"seed": refit.seed, **refit.metrics, **group.finalist.recipe.spec.coordinates()}
        for group in _one_network(result.groups) for refit in group.refits
    ]  # fmt: skip
    if not refits:
        return None
    found = placement.placement(pd.DataFrame(refits))
    if not found.cells:
        return None
    picture, text = png(placement_figure.placement(found)), sentence(found)
    pictures = [Picture(picture, text, "Difference to no dropout")]
    section = Section("One dropout layer, moved", text, pictures=pictures, method=METHOD)
    artifacts: dict[str, bytes | str] = {PLACEMENT_CSV: placement.table(found).to_csv(index=False)}
    return Analysis(artifacts | {PLACEMENT_PNG: picture}, section=section, answer=text)


def _one_network(groups: Sequence[RefitGroup]) -> list[RefitGroup]:
    """Those of the network that occurs without dropout and, most often, with one dropout layer. What else differs, such as
    activations or normalization, is another network.
    """
    found: defaultdict[str, list[RefitGroup]] = defaultdict(list)
    for group in groups:
        network = group.finalist.recipe.spec.to_dict()
        found[json.dumps({**network, "dropout": None}, sort_keys=True)].append(group)
    layers = {key: [_dropout_layers(group) for group in alike] for key, alike in found.items()}
    moved = [key for key, counts in layers.items() if 0 in counts and 1 in counts]
    return found[max(moved, key=lambda key: layers[key].count(1))] if moved else []


def _dropout_layers(group: RefitGroup) -> int:
    return sum(rate > 0 for rate in group.finalist.recipe.spec.to_dict()["dropout"])


def sentence(found: Placement) -> str:
    """Where one dropout layer narrows the gap most, at what cost, and the largest reduction without a loss of accuracy."""
    if not found.cells:
        return "No network was trained both without dropout and with exactly one dropout layer: nothing to compare."
    slopes = [each for each in found.slopes if each.outcome == "accuracy_gap"]
    best = min(slopes, key=lambda each: each.difference.mean)
    where, network = position(best.position), "-".join(map(str, found.hidden))
    if found.seeds < 2:
        return (
            f"In {network}, one dropout layer moves the gap most {where}: {best.difference.mean:+z.2f} points per 0.1 of "
            "rate. One seed gives no interval, so this may be luck."
        )
    start = f"In {network}, over {found.seeds} seeds,"
    if not (_significant([each.per_seed for each in slopes])[slopes.index(best)] and best.difference.mean < 0):
        return f"{start} one dropout layer has no significant effect on the gap at any position.{_between(slopes)}"
    cost = next(each for each in found.slopes if (each.outcome, each.position) == ("test_accuracy", best.position))
    parts = [
        f"{start} one dropout layer narrows the gap most {where}: {_points(best.difference)} of gap per 0.1 of rate,",
        f"with {_points(cost.difference)} of test accuracy.",
    ]
    others = [each for each in slopes if each is not best]
    apart = _significant([_minus(best.per_seed, each.per_seed) for each in others])
    alike = [position(each.position) for each, is_apart in zip(others, apart, strict=True) if not is_apart]
    parts += [f"The difference to a layer {listed(alike)} is not significant."] if alike else []
    return " ".join([*parts, _free(found)])


def _between(slopes: Sequence[Slope]) -> str:
    """Which positions differ from each other. In a comparison of two positions the network without dropout, whose spread all
    of them share, cancels (exactly if both were tried at the same rates). Corrected for the number of pairs.
    """
    pairs = list(combinations(sorted(slopes, key=lambda each: each.difference.mean), 2))
    differences = [_minus(one.per_seed, other.per_seed) for one, other in pairs]
    less: dict[str, list[str]] = {}
    for (one, other), each, is_apart in zip(pairs, differences, _significant(differences), strict=True):
        if is_apart:
            by = f"{position(other.position)} (by {-fmean(each.values()):.2f})"
            less.setdefault(position(one.position), []).append(by)
    if not less:
        return ""
    parts = [f"{where} than {listed(others)}" for where, others in less.items()]
    return (
        " Positions differ significantly from each other: per 0.1 of rate, the gap is smaller "
        f"with a layer {'; smaller '.join(parts)} points."
    )


def _free(found: Placement) -> str:
    """The lowest gap among positions and rates without a significant loss of test accuracy."""
    accuracy = {(each.position, each.rate): each.difference for each in found.cells if each.outcome == "test_accuracy"}
    narrowing = [each for each in found.cells if each.outcome == "accuracy_gap" and each.difference.high < 0]
    free = [each for each in narrowing if not accuracy[each.position, each.rate].high < 0]
    if not free:
        return "No position and rate reduces the gap without a loss of test accuracy."
    best = min(free, key=lambda each: each.difference.mean)
    cost = accuracy[best.position, best.rate]
    return (
        f"Without a significant loss of test accuracy, the gap falls most {position(best.position)} at a rate "
        f"of {best.rate:g}: {_points(best.difference)} of gap, with {_points(cost)} of test accuracy; the best of "
        f"{len(accuracy)} settings, intervals not corrected."
    )


def _points(of: Summary) -> str:
    return f"{of.mean:+z.2f} points ({of.low:+z.2f} to {of.high:+z.2f})"


def _minus(one: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    """Seed by seed."""
    return {seed: one[seed] - other[seed] for seed in one if seed in other}


def _significant(differences: Sequence[Mapping[int, float]]) -> list[bool]:
    """Which means over seeds are not 0: Student's t, corrected for their number (Holm)."""
    p = [float(stats.ttest_1samp(list(each.values()), 0).pvalue) if len(each) > 1 else 1.0 for each in differences]
    return [bool(each < LEVEL) for each in holm(p)]
