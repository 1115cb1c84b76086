"""The chosen network against its rival on the same test images, and seed by seed."""

import math

import pandas as pd

from pipeline.evaluation.finalists import BASELINE, in_sentence
from pipeline.evaluation.refits import RefitGroup
from pipeline.evaluation.report.page import Section, Table
from pipeline.evaluation.result import Analysis, EvaluationResult, mean_points
from pipeline.formatting import percent
from pipeline.statistics import paired_comparison
from pipeline.statistics.seed_summary import Summary, summarise
from pipeline.tracking.names import COMPARISON_CSV

METHOD = (
    "Intervals and tests of the table cover chance from the test images, not from the seeds: bootstrap intervals of "
    "accuracy and loss, adjusted Wald intervals of recalls (not corrected for the number of classes), exact McNemar tests, "
    "Holm's correction over classes. For the difference over seeds, each refit is compared with that of the other network "
    "with the same seed, on the same test images."
)

ONE_REFIT = "The table compares one refit of each network, the one with the median validation loss."
ONE_SEED = "One seed cannot show how results vary between seeds."


def analyse(result: EvaluationResult) -> Analysis | None:
    """The paired comparison; None if there is only one network."""
    rival, chosen = result.rival, result.chosen
    if rival is None:
        return None
    labels, names, role = result.split.test.labels, result.split.class_names, result.label(rival)
    comparison = paired_comparison.compare(
        labels, chosen.median_refit.test, rival.median_refit.test, seed=result.experiment.search.seed
    )
    sentence = paired_comparison.sentence(comparison, "the chosen network", in_sentence(rival.finalist.role), names)
    table = paired_comparison.table(comparison, names)
    numbers = dict.fromkeys(("difference", "95 % interval"), str) | dict.fromkeys(("p", "p (Holm)"), "{:.2g}".format)
    by_seed = _seed_by_seed(result, rival)
    section = Section(
        f"Chosen against {role}",
        f"{f'{ONE_REFIT} ' if by_seed else ''}{sentence}\n\n{by_seed or ONE_SEED}",
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
    return f"Over {len(pairs)} seeds, {difference(accuracy, gap, in_sentence(rival.finalist.role))}"


def difference(accuracy: Summary, gap: Summary, rival: str) -> str:
    """Mean differences of test accuracy and honest gap, chosen minus rival, in words."""
    clear = [_excludes_0(accuracy), _excludes_0(gap)]
    if clear[0]:
        more = "more" if accuracy.mean > 0 else "less"
        text = f"the chosen network is {more} accurate than {rival} on test, by {_size(accuracy)}"
    else:
        amount = f"{mean_points(accuracy)} points"
        text = f"the chosen network and {rival} do not differ significantly in test accuracy ({amount})"
    if clear[1]:
        text += f"; the chosen network's honest gap is {'larger' if gap.mean > 0 else 'smaller'}, by {_size(gap)}"
    else:
        text += f"; their honest gaps do not differ significantly ({mean_points(gap)} points)"
    signs = "" if all(clear) else "A plus sign means that the chosen network's value is higher. "
    return f"{text}. {signs}± is half of the 95 % interval; differences are computed before rounding."


def _excludes_0(summary: Summary) -> bool:
    return summary.low > 0 or summary.high < 0


def _size(summary: Summary) -> str:
    """An amount without its sign, such as `7.22 ± 7.06 points`."""
    half = (summary.high - summary.low) / 2
    return f"{percent(abs(summary.mean))} ± {percent(half)} points"


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
