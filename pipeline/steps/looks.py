"""What an evaluation looks at, over all networks. Enters: what was trained. Leaves: `Look`s, each a part of run and report.

A look is a function from `Evaluated` to a `Look`, or None where there is nothing to see. This file holds those over many
networks; `closeup.py` those of the winner alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from pipeline.data.split import Split
from pipeline.experiment import Experiment
from pipeline.figures import effects as effects_figure
from pipeline.figures import gaps as gaps_figure
from pipeline.figures import pareto as pareto_figure
from pipeline.figures import placement as placement_figure
from pipeline.figures.style import png
from pipeline.findings import bias, effects, effects_told, paired, placement, placement_told
from pipeline.findings.pareto import front, hypervolume
from pipeline.findings.selection import Choice
from pipeline.findings.table import Row, gaps_table
from pipeline.report.page import Picture, Section, Table
from pipeline.steps import trials
from pipeline.steps.finalists import BASELINE, NOTEBOOK
from pipeline.steps.refits import Group
from pipeline.steps.trials import Trial
from pipeline.steps.wording import interval, percent, points

MOST_IN_PICTURE = 10
"""Networks in the picture of the gaps; the table has them all."""


@dataclass(frozen=True, eq=False)
class Look:
    """One part of what was found."""

    artifacts: Mapping[str, bytes | str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    section: Section | None = None


@dataclass(frozen=True, eq=False)
class Evaluated:
    """All that was trained, and who was chosen."""

    experiment: Experiment
    split: Split
    trials: Sequence[Trial]
    """Those of the search that finished."""
    groups: Sequence[Group]
    """The chosen one first, then the other finalists, then the references."""
    choice: Choice
    """Among the finalists, by means over seeds."""

    @property
    def chosen(self) -> Group:
        return self.groups[0]

    def role(self, group: Group) -> str:
        """For tables and pictures."""
        return "chosen" if group is self.chosen else group.finalist.role

    def of_role(self, role: str) -> Group | None:
        """A group that is not the chosen one."""
        return next((group for group in self.groups[1:] if group.finalist.role == role), None)


def rows(evaluated: Evaluated) -> list[Row]:
    """The networks as rows of the gaps' table."""
    return [
        Row(evaluated.role(group), group.architecture, any(group.finalist.spec.dropout), group.metrics)
        for group in evaluated.groups
    ]


def gaps(evaluated: Evaluated) -> Look:
    """The notebook's table by both measures."""
    table = gaps_table(rows(evaluated))
    picture = png(gaps_figure.gaps(gaps_table(rows(evaluated)[:MOST_IN_PICTURE])))
    seeds = len(evaluated.chosen.refits)
    text = (
        "Honest: train and test scored by the same weights, dropout off. Fit: the notebook's measure, which takes for train "
        "what training itself last reported, dropout on and averaged while the weights moved; it flatters dropout. "
        f"{'Means over ' + str(seeds) + ' seeds with 95 % intervals.' if seeds > 1 else 'One seed: no interval.'}"
    )
    shown = [
        Table(f"{measure.capitalize()} measure", _shown(table[table["measure"] == measure]), highlight=0)
        for measure in ("honest", "fit")
    ]
    alt = f"Train and test accuracy and loss of {min(len(evaluated.groups), MOST_IN_PICTURE)} networks, with the gaps."
    section = Section("Gaps between train and test", text, shown, [Picture(picture, alt, "Gaps by both measures")])
    return Look({"gaps.csv": table.to_csv(index=False), "gaps.png": picture}, section=section)


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """As people read it: percent and points, intervals in brackets."""
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


def published(evaluated: Evaluated) -> Look | None:
    """Figures from elsewhere beside ours, for fixed networks that carry some."""
    lines = []
    for fixed in evaluated.experiment.space.networks or ():
        group = next((each for each in evaluated.groups if each.finalist.spec == fixed.spec()), None)
        if fixed.published is None or group is None:
            continue
        theirs, ours = fixed.published, gaps_table([Row("", "", dropout=False, seeds=group.metrics)])
        fit = ours[ours["measure"] == "fit"].iloc[0]
        for name, write in (
            ("train_accuracy", percent),
            ("test_accuracy", percent),
            ("train_loss", "{:.4f}".format),
            ("test_loss", "{:.4f}".format),
        ):
            lines.append(
                {
                    "network": group.architecture,
                    "figure": name.replace("_", " ") + (", %" if "accuracy" in name else ""),
                    "published": write(getattr(theirs, name)),
                    "here": interval(fit[name], fit[f"{name}_low"], fit[f"{name}_high"], write=write),
                    "source": theirs.source,
                }
            )
    if not lines:
        return None
    table = pd.DataFrame(lines)
    text = "By the notebook's measure: train as training last reported it, dropout on."
    section = Section("Published figures beside ours", text, [Table("Published and measured here", table)])
    return Look({"published.csv": table.to_csv(index=False)}, section=section)


def selection(evaluated: Evaluated) -> Look:
    """Why this network, and how much its selection flattered it."""
    chosen = evaluated.chosen
    seeds = pd.DataFrame(
        [{"role": evaluated.role(each), "architecture": each.architecture, "seed": refit.seed, **refit.metrics}
         for each in evaluated.groups for refit in each.refits]
    )  # fmt: skip
    text, metrics = evaluated.choice.reason, {}
    if chosen.finalist.at_selection is not None:
        found = bias.selection_bias(
            chosen.finalist.at_selection,
            [each["val_accuracy"] for each in chosen.metrics],
            [each["test_accuracy"] for each in chosen.metrics],
        )
        metrics = {"selection_bias": found.validation.mean, "selection_bias_test": found.test.mean}
        told = [interval(each.mean, each.low, each.high, write=points) for each in (found.validation, found.test)]
        text += (
            f"\n\nIn the search its validation accuracy was {percent(chosen.finalist.at_selection)} %: {told[0]} points "
            f"more than with fresh seeds on the same images, and {told[1]} points more than on test. That much, the "
            "selection flattered it (negative: it did not)."
        )
    return Look({"refits.csv": seeds.to_csv(index=False)}, metrics, Section("Why this network", text))


def pareto(evaluated: Evaluated) -> Look:
    """Test accuracy against the honest gap, over all trials and the means of the refits."""
    lines = [
        {"kind": "trial", "architecture": trial.name, "test_accuracy": trial.run.metrics["test_accuracy"],
         "accuracy_gap": trial.run.metrics["accuracy_gap"]}
        for trial in evaluated.trials
    ] + [
        {"kind": evaluated.role(group), "architecture": group.architecture,
         "test_accuracy": group.summaries["test_accuracy"].mean, "accuracy_gap": group.summaries["accuracy_gap"].mean}
        for group in evaluated.groups
    ]  # fmt: skip
    table = pd.DataFrame(lines)
    accuracy, gap = table["test_accuracy"].to_numpy(float), table["accuracy_gap"].to_numpy(float)
    best = front(accuracy, gap)
    table["on_front"] = table.index.isin(best)
    dots = [pareto_figure.Point(*pair) for pair in zip(gap, accuracy, strict=True)]
    marks = [
        pareto_figure.Mark(dots[len(evaluated.trials) + place], f"{evaluated.role(group)}: {group.architecture}")
        for place, group in enumerate(evaluated.groups)
        if evaluated.role(group) in {"chosen", BASELINE, NOTEBOOK}
    ]
    picture = png(pareto_figure.pareto(dots, list(best), marks))
    alt = f"{len(dots)} networks by honest gap and test accuracy; {len(best)} of them are not beaten on both."
    section = Section(
        "Accuracy against gap",
        "All trials of the search, one seed each, and the means of what was trained again. The best of many single trials "
        "owe their place to luck too.",
        pictures=[Picture(picture, alt, "The front of accuracy and gap")],
    )
    artifacts: dict[str, bytes | str] = {"pareto.csv": table.to_csv(index=False), "pareto.png": picture}
    return Look(artifacts, {"hypervolume": hypervolume(accuracy, gap)}, section)


def placement_effects(evaluated: Evaluated) -> Look | None:
    """What dropout at each position and each size do, over a search's trials; not for a list of fixed networks."""
    if evaluated.experiment.space.networks:
        return None
    found = effects.effects(trials.table(evaluated.trials))
    picture, table = png(effects_figure.effects(found)), effects.table(found)
    text = f"{effects_told.sentence(found)}\n\n{effects_told.model(found)}"
    alt = f"Effects with 95 % intervals on accuracy and gap. {effects_told.sentence(found)}"
    section = Section("Where dropout should go", text, pictures=[Picture(picture, alt, "Effects over all trials")])
    return Look({"effects.csv": table.to_csv(index=False), "effects.png": picture}, section=section)


def designed_placement(evaluated: Evaluated) -> Look | None:
    """One network with its one dropout layer moved about, for an experiment that asks so."""
    if not evaluated.experiment.space.networks:
        return None
    refits = [
        {"depth": len(spec.hidden), "seed": refit.seed, **refit.metrics,
         **{f"hidden_{layer}": units for layer, units in enumerate(spec.hidden, start=1)},
         **{f"dropout_{place}": rate for place, rate in enumerate(spec.dropout)}}
        for group in evaluated.groups for spec in [group.finalist.spec] for refit in group.refits
    ]  # fmt: skip
    found = placement.placement(pd.DataFrame(refits))
    if not found.cells:
        return None
    picture, text = png(placement_figure.placement(found)), placement_told.sentence(found)
    section = Section("One dropout layer, moved", text, pictures=[Picture(picture, text, "Difference to no dropout")])
    artifacts: dict[str, bytes | str] = {"placement.csv": placement.table(found).to_csv(index=False)}
    return Look(artifacts | {"placement.png": picture}, section=section)


def significance(evaluated: Evaluated) -> Look | None:
    """The chosen network against the baseline, on the same test images."""
    baseline = evaluated.of_role(BASELINE)
    if baseline is None:
        return None
    labels, names = evaluated.split.test.labels, evaluated.split.class_names
    found = paired.compare(
        labels, evaluated.chosen.typical.test, baseline.typical.test, seed=evaluated.experiment.search.seed
    )
    text = paired.sentence(
        found, f"the chosen {evaluated.chosen.architecture}", f"the baseline {baseline.architecture}"
    )
    table = paired.table(found, names)
    formats = dict.fromkeys(("difference", "low", "high"), "{:+.4f}".format) | dict.fromkeys(
        ("p", "p_holm"), "{:.3g}".format
    )
    section = Section(
        "Chosen against baseline",
        f"{text}\n\nOf each, the seed with the median validation loss. That other seeds would differ too, this does not "
        "see: the intervals over seeds do.",
        [Table("Differences on the same test images: chosen less baseline", table, formats)],
    )
    metrics = {"baseline_accuracy_difference": found.accuracy.estimate, "baseline_mcnemar_p": found.test.p}
    return Look({"comparison.csv": table.to_csv(index=False)}, metrics, section)
