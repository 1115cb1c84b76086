"""The networks that were trained again, side by side. Enters: what was trained. Leaves: `Analysis`s, as in `looks.py`."""

from collections.abc import Callable, Mapping

import pandas as pd

from pipeline.evaluation.analyses.base import Analysis, EvaluationResult
from pipeline.evaluation.finalists import BASELINE
from pipeline.evaluation.refits import RefitGroup
from pipeline.evaluation.report.page import Picture, Section, Table
from pipeline.figures.comparisons import gaps as gaps_figure
from pipeline.figures.style import png
from pipeline.formatting import interval, listed, percent, points
from pipeline.statistics import paired_comparison, selection_bias
from pipeline.statistics.gap_table import FIGURES
from pipeline.statistics.seed_summary import over_seeds, summarise

UNITS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "train_accuracy": (", %", percent),
    "test_accuracy": (", %", percent),
    "accuracy_gap": (", points", points),
    "train_loss": ("", "{:.4f}".format),
    "test_loss": ("", "{:.4f}".format),
    "loss_gap": ("", "{:+.4f}".format),
}
"""How people read a figure."""
MOST_IN_PICTURE = 10
"""Networks in the picture of the gaps; the table has them all."""


def gaps(evaluated: EvaluationResult) -> Analysis:
    """The notebook's table by both measures."""
    table = evaluated.gap_table
    picture = png(gaps_figure.gaps(evaluated.first_gaps(MOST_IN_PICTURE)))
    seeds = len(evaluated.chosen.refits)
    text = (
        "Honest: train and test scored by the same weights, dropout off. Fit: the notebook's measure, which takes for train "
        "what training itself last reported, dropout on and averaged while the weights moved; it flatters dropout. "
        f"{f'Means over {seeds} seeds, ± half of the 95 % interval.' if seeds > 1 else 'One seed: no interval.'}\n\n"
        "Networks are written from input to output: the size of each layer, in brackets the rate of the dropout after it."
    )
    shown = []
    for measure in ("honest", "fit"):
        lines = _shown(table[table["measure"] == measure])
        formats = dict.fromkeys(lines.columns[2:], str)  # to the right, as numbers
        shown.append(Table(f"{measure.capitalize()} measure", lines, formats, highlight=0))
    alt = f"Train and test accuracy and loss of {min(len(evaluated.groups), MOST_IN_PICTURE)} networks, with the gaps."
    section = Section("Gaps between train and test", text, shown, [Picture(picture, alt, "Gaps by both measures")])
    return Analysis({"gaps.csv": table.to_csv(index=False), "gaps.png": picture}, section=section)


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """As people read it: percent and points."""
    lines = []
    for row in table.to_dict("records"):
        bounds = {
            name: (row[f"{name}_low"], row[f"{name}_high"]) for name in ("test_accuracy", "accuracy_gap", "loss_gap")
        }
        lines.append(
            {
                "network": row["network"],
                "architecture": row["architecture"],
                "train accuracy, %": percent(row["train_accuracy"]),
                "test accuracy, %": interval(row["test_accuracy"], *bounds["test_accuracy"], write=percent),
                "gap, points": interval(row["accuracy_gap"], *bounds["accuracy_gap"], write=points),
                "train loss": f"{row['train_loss']:.4f}",
                "test loss": f"{row['test_loss']:.4f}",
                "loss gap": interval(row["loss_gap"], *bounds["loss_gap"], write="{:+.4f}".format),
            }
        )
    return pd.DataFrame(lines)


def published(evaluated: EvaluationResult) -> Analysis | None:
    """Figures from elsewhere beside ours, for networks that carry some."""
    table = evaluated.gap_table.set_index(["measure", "network"])
    lines = []
    for group in evaluated.groups:
        theirs, role = group.finalist.published, evaluated.role(group)
        if theirs is None:
            continue
        gaps = {
            "accuracy_gap": theirs.train_accuracy - theirs.test_accuracy,
            "loss_gap": theirs.test_loss - theirs.train_loss,
        }
        for name in FIGURES:
            ours = {
                f"{measure}{end}": table.loc[(measure, role), f"{name}{end}"]
                for measure in ("fit", "honest")
                for end in ("", "_low", "_high")
            }
            line = {"network": role, "architecture": group.architecture, "figure": name}
            lines.append(line | {"published": (theirs.model_dump() | gaps)[name]} | ours | {"source": theirs.source})
    if not lines:
        return None
    found = pd.DataFrame(lines)
    shown = _beside(found)
    text = (
        "Published by the notebook's measure, train as training last reported it with dropout on; ours by the same "
        "measure, and with dropout off."
    )
    formats = dict.fromkeys(shown.columns[2:5], str)
    section = Section("Published figures beside ours", text, [Table("Published, and measured here", shown, formats)])
    told = f"Published figures beside ours, means over seeds:\n{shown.to_string(index=False)}"
    return Analysis({"published.csv": found.to_csv(index=False)}, section=section, told=told)


def _beside(found: pd.DataFrame) -> pd.DataFrame:
    """As people read it."""
    lines = []
    for row in found.to_dict("records"):
        unit, write = UNITS[row["figure"]]
        ours = {
            measure: interval(row[measure], row[f"{measure}_low"], row[f"{measure}_high"], write=write)
            for measure in ("fit", "honest")
        }
        lines.append(
            {
                "architecture": row["architecture"],
                "figure": row["figure"].replace("_", " ") + unit,
                "published": write(row["published"]),
                "here, as published": ours["fit"],
                "here, dropout off": ours["honest"],
                "source": row["source"],
            }
        )
    return pd.DataFrame(lines)


def selection(evaluated: EvaluationResult) -> Analysis:
    """Why this network, and how much its selection flattered it."""
    chosen = evaluated.chosen
    seeds = pd.DataFrame(
        [{"network": evaluated.role(each), "architecture": each.architecture, "seed": refit.seed, **refit.metrics,
          "run_id": refit.run.id}
         for each in evaluated.groups for refit in each.refits]
    )  # fmt: skip
    text, metrics = f"{evaluated.choice.reason}{_better_on_test(evaluated)}", {}
    if chosen.finalist.at_selection is not None:
        found = selection_bias.selection_bias(
            chosen.finalist.at_selection,
            [each["val_accuracy"] for each in chosen.metrics],
            [each["test_accuracy"] for each in chosen.metrics],
        )
        metrics = {"selection_bias": found.validation.mean, "selection_bias_test": found.test.mean}
        told = [interval(each.mean, each.low, each.high, write=points) for each in (found.validation, found.test)]
        text += (
            f"\n\nThe search found it with one seed, at a validation accuracy of {percent(chosen.finalist.at_selection)} %: "
            f"by {told[0]} points more than with fresh seeds on the same images, which is what being selected flattered it "
            f"by (below 0: it did not), and by {told[1]} points more than with the same fresh seeds on test. "
            f"{_other_images(evaluated)}"
        )
    artifacts = {"refits.csv": seeds.to_csv(index=False), "seeds.csv": _over_seeds(evaluated).to_csv(index=False)}
    return Analysis(artifacts, metrics, Section("Why this network", text))


def _better_on_test(evaluated: EvaluationResult) -> str:
    """Said where another finalist turned out better on both by the means on test, which no choice may look at."""
    accuracy, gap = (evaluated.chosen.summaries[name].mean for name in ("test_accuracy", "accuracy_gap"))
    better = []
    for group in evaluated.groups[1:]:
        theirs = tuple(group.summaries[name].mean for name in ("test_accuracy", "accuracy_gap"))
        if not group.finalist.reference and theirs[0] >= accuracy and theirs[1] <= gap and theirs != (accuracy, gap):
            better.append(f"{evaluated.role(group)} ({percent(theirs[0])} % with a gap of {points(theirs[1])} points)")
    if not better:
        return ""
    return (
        f" On test, {listed(better)} turned out at least as good in both as the chosen one ({percent(accuracy)} % with "
        f"{points(gap)}). The choice knows nothing of that: a test set that helps to choose tests no more."
    )


def _other_images(evaluated: EvaluationResult) -> str:
    """How far a score falls from validation to test where no search selected: so far it is not the selection."""
    falls = []
    for group in evaluated.groups:
        if group.finalist.reference:
            fall = summarise(each["val_accuracy"] - each["test_accuracy"] for each in group.metrics)
            falls.append(f"{evaluated.role(group)} {interval(fall.mean, fall.low, fall.high, write=points)}")
    if not falls:
        return "The fall to test also holds what the two sets of images differ in difficulty."
    return (
        "The fall to test also holds what the two sets of images differ in difficulty: networks that no search selected "
        f"fall from validation to test by {listed(falls)} points."
    )


def _over_seeds(evaluated: EvaluationResult) -> pd.DataFrame:
    """Mean, scatter and interval of every figure of every network."""
    found = over_seeds({evaluated.role(group): group.metrics for group in evaluated.groups})
    names = {evaluated.role(group): group.architecture for group in evaluated.groups}
    found.insert(1, "architecture", found["network"].map(names))
    return found


def significance(evaluated: EvaluationResult) -> Analysis | None:
    """The chosen network against its rival, on the same test images."""
    rival, chosen = evaluated.rival, evaluated.chosen
    if rival is None:
        return None
    labels, names, role = evaluated.split.test.labels, evaluated.split.class_names, evaluated.role(rival)
    found = paired_comparison.compare(
        labels, chosen.median_refit.test, rival.median_refit.test, seed=evaluated.experiment.search.seed
    )
    text = paired_comparison.sentence(found, f"the chosen {chosen.architecture}", f"{role} {rival.architecture}")
    table = paired_comparison.table(found, names)
    shown = _compared(table, role)
    formats = dict.fromkeys(("difference", "95 % interval"), str) | dict.fromkeys(("p", "p (Holm)"), "{:.2g}".format)
    section = Section(
        f"Chosen against {role}",
        f"{text}\n\nOf each, the seed with the median validation loss; these intervals see other images, not other seeds. "
        f"{_seed_by_seed(evaluated, rival)}",
        [Table(f"Chosen less {role}, on the same test images", shown, formats)],
    )
    metrics = {"baseline_accuracy_difference": found.accuracy.estimate, "baseline_mcnemar_p": found.test.p}
    table = table.assign(first=chosen.architecture, second=rival.architecture)
    return Analysis({"comparison.csv": table.to_csv(index=False)}, metrics if role == BASELINE else {}, section)


def _seed_by_seed(evaluated: EvaluationResult, rival: RefitGroup) -> str:
    """What other seeds would change: means of the differences between refits of one seed, all on the same images."""
    pairs = list(zip(evaluated.chosen.metrics, rival.metrics, strict=True))
    if len(pairs) < 2:
        return "Of other seeds, one seed tells nothing."
    accuracy, gap = (
        summarise(ours[name] - theirs[name] for ours, theirs in pairs) for name in ("test_accuracy", "accuracy_gap")
    )
    told = [interval(each.mean, each.low, each.high, write=points) for each in (accuracy, gap)]
    return (
        f"Over {len(pairs)} seeds, chosen less {evaluated.role(rival)} seed by seed, test accuracy differs by {told[0]} "
        f"points and the honest gap by {told[1]} points (± half of the 95 % interval)."
    )


def _compared(table: pd.DataFrame, role: str) -> pd.DataFrame:
    """As people read it: shares in points, losses in nats."""
    lines = []
    for row in table.to_dict("records"):
        scale, digits = (1, 4) if row["measure"] == "loss" else (100, 2)
        ends = {name: f"{scale * row[name]:+.{digits}f}" for name in ("difference", "low", "high")}
        lines.append(
            {
                "measure": f"{row['measure']}, {'nats' if row['measure'] == 'loss' else 'points'}",
                "class": row["class"],
                "images": row["rows"],
                "difference": ends["difference"],
                "95 % interval": f"{ends['low']} to {ends['high']}",
                "only chosen right": row["only_first"],
                f"only {role} right": row["only_second"],
                "p": row["p"],
                "p (Holm)": row["p_holm"],
            }
        )
    return pd.DataFrame(lines)
