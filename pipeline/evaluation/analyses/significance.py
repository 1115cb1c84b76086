"""The chosen network against its rival on the same test images, and seed by seed."""

import math

import pandas as pd

from pipeline.evaluation.analyses.base import Analysis, EvaluationResult, mean_points
from pipeline.evaluation.finalists import BASELINE
from pipeline.evaluation.refits import RefitGroup
from pipeline.evaluation.report.page import Section, Table
from pipeline.statistics import paired_comparison
from pipeline.statistics.seed_summary import summarise
from pipeline.tracking.names import COMPARISON_CSV

METHOD = (
    "Each network is represented by its refit with the median validation loss. Intervals and tests describe other test "
    "images of the same kind, not other seeds: bootstrap intervals of accuracy and loss, adjusted Wald intervals of "
    "recalls, exact McNemar tests, Holm's correction over classes. The seed-by-seed difference pairs refits that share a "
    "seed, all on the same test images."
)

ONE_SEED = "One seed cannot show how results vary between seeds."


def analyse(result: EvaluationResult) -> Analysis | None:
    """The paired comparison; None if there is only one network."""
    rival, chosen = result.rival, result.chosen
    if rival is None:
        return None
    labels, names, role = result.split.test.labels, result.split.class_names, result.role(rival)
    comparison = paired_comparison.compare(
        labels, chosen.median_refit.test, rival.median_refit.test, seed=result.experiment.search.seed
    )
    sentence = paired_comparison.sentence(comparison, "the chosen network", role)
    table = paired_comparison.table(comparison, names)
    numbers = dict.fromkeys(("difference", "95 % interval"), str) | dict.fromkeys(("p", "p (Holm)"), "{:.2g}".format)
    by_seed = _seed_by_seed(result, rival)
    section = Section(
        f"Chosen against {role}",
        f"{sentence}\n\n{by_seed or ONE_SEED}",
        [Table(f"Chosen minus {role}, on the same test images", _formatted(table, role), numbers)],
        method=METHOD,
    )
    metrics = {"baseline_accuracy_difference": comparison.accuracy.estimate, "baseline_mcnemar_p": comparison.test.p}
    table = table.assign(first=chosen.architecture, second=rival.architecture)
    artifacts = {COMPARISON_CSV: table.to_csv(index=False)}
    return Analysis(artifacts, metrics if role == BASELINE else {}, section, answer=by_seed)


def _seed_by_seed(result: EvaluationResult, rival: RefitGroup) -> str:
    """The mean difference between refits that share a seed; empty for fewer than two."""
    theirs_by_seed = {refit.seed: refit.metrics for refit in rival.refits}
    pairs = [(ours.metrics, theirs_by_seed[ours.seed]) for ours in result.chosen.refits if ours.seed in theirs_by_seed]
    if len(pairs) < 2:
        return ""
    accuracy, gap = (
        summarise(ours[name] - theirs[name] for ours, theirs in pairs) for name in ("test_accuracy", "accuracy_gap")
    )
    return (
        f"Chosen minus {result.role(rival)} over {len(pairs)} seeds: {mean_points(accuracy)} points of test accuracy, "
        f"{mean_points(gap)} points of honest gap (± half of the 95 % interval)."
    )


def _formatted(table: pd.DataFrame, role: str) -> pd.DataFrame:
    """The rows as text: shares in points, losses in nats."""
    rows = []
    for row in table.to_dict("records"):
        scale, digits = (1, 4) if row["measure"] == "loss" else (100, 2)
        difference, low, high = (
            None if math.isnan(row[name]) else f"{scale * row[name]:+.{digits}f}"
            for name in ("difference", "low", "high")
        )
        rows.append(
            {
                "measure": f"{row['measure']}, {'nats' if row['measure'] == 'loss' else 'points'}",
                "class": row["class"],
                "images": row["rows"],
                "difference": difference,
                "95 % interval": None if low is None or high is None else f"{low} to {high}",
                "only chosen right": row["only_first"],
                f"only {role} right": row["only_second"],
                "p": row["p"],
                "p (Holm)": row["p_holm"],
            }
        )
    return pd.DataFrame(rows)
