"""All trials, and what was trained again among them. Enters: what was trained. Leaves: `Analysis`s, as in `looks.py`."""

import math

import pandas as pd

from pipeline.evaluation.analyses import effects_text, placement_text
from pipeline.evaluation.analyses.base import Analysis, EvaluationResult
from pipeline.evaluation.finalists import BASELINE, NOTEBOOK
from pipeline.evaluation.report.page import Picture, Section, Table
from pipeline.figures.comparisons import effects as effects_figure
from pipeline.figures.comparisons import pareto as pareto_figure
from pipeline.figures.comparisons import placement as placement_figure
from pipeline.figures.style import png
from pipeline.search import trials
from pipeline.statistics.effects import model, placement
from pipeline.statistics.pareto import front, hypervolume

AGAINST = {"dropout": "0.1 of rate", "hidden": "doubling", "depth": "fewest layers"}
"""What an effect is for, by its kind: `effects.STEPS` in a narrow column."""


def pareto(evaluated: EvaluationResult) -> Analysis:
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
        if group is evaluated.chosen or group.finalist.role in {BASELINE, NOTEBOOK}
    ]
    picture = png(pareto_figure.pareto(dots, list(best), marks))
    alt = f"{len(dots)} networks by honest gap and test accuracy; {len(best)} of them are not beaten on both."
    section = Section(
        "Accuracy against gap",
        "All trials of the search, one seed each, and the means of what was trained again. The best of many single trials "
        f"owe their place to luck too.{_stopped(evaluated, 'are shown too')}",
        pictures=[Picture(picture, alt, "The front of accuracy and gap")],
    )
    artifacts: dict[str, bytes | str] = {"pareto.csv": table.to_csv(index=False), "pareto.png": picture}
    return Analysis(artifacts, {"hypervolume": hypervolume(accuracy, gap)}, section)


def placement_effects(evaluated: EvaluationResult) -> Analysis | None:
    """What dropout at each position and each size do, over a search's trials; not for a list of fixed networks."""
    if evaluated.experiment.space.networks:
        return None
    found = model.effects(trials.table(trials.fully_trained(evaluated.trials)))
    text = f"{effects_text.sentence(found)}\n\n{effects_text.model(found)}{_stopped(evaluated, 'are left out')}"
    artifacts: dict[str, bytes | str] = {"effects.csv": model.table(found).to_csv(index=False)}
    pictures, tables = [], []
    if any(math.isfinite(effect.estimate) for fit in found.fits for effect in fit.effects):
        artifacts["effects.png"] = picture = png(effects_figure.effects(found))
        alt = f"Effects with 95 % intervals on accuracy and gap. {effects_text.sentence(found)}"
        pictures.append(Picture(picture, alt, "Effects over all trials"))
        shown = _verdicts(found)
        caption = (
            "What the effects come to, with 95 % intervals; importance: points by which a forest's error on held-out "
            "networks grows when it does not know the figure, for depths all of them (about 0 or less: no use to it)"
        )
        formats = {name: "{:+.2f}".format if "importance" in name else str for name in shown.columns[2:]}
        tables.append(Table(caption, shown, formats))
    return Analysis(artifacts, section=Section("Where dropout should go", text, tables, pictures))


def _stopped(evaluated: EvaluationResult, what: str) -> str:
    """What becomes of the trials that Hyperband stopped early; nothing without any."""
    count = len(evaluated.trials) - len(trials.fully_trained(evaluated.trials))
    return (
        f" Trials that Hyperband stopped on a lower rung {what} ({count}): fewer epochs are another gap."
        if count
        else ""
    )


def _verdicts(found: model.Effects) -> pd.DataFrame:
    """As people read it: of the positions and sizes, and the depth as a whole for the forest."""
    lines = []
    for place, effect in enumerate(found.fit("test_accuracy").effects):
        line: dict[str, str | float] = {"effect": effect.label, "per, or against": AGAINST[effect.kind]}
        for outcome, title in (("test_accuracy", "accuracy"), ("accuracy_gap", "gap")):
            each = found.fit(outcome).effects[place]
            told = each.why or f"{each.estimate:+.2f} ({each.low:+.2f} to {each.high:+.2f})"
            line |= {f"{title}, points": f"{each.verdict}: {told}", f"importance for {title}": each.importance}
        lines.append(line)
    return pd.DataFrame(lines)


def designed_placement(evaluated: EvaluationResult) -> Analysis | None:
    """One network with its one dropout layer moved about, all else equal, for an experiment that asks so."""
    recipes = {group.finalist.settings.model_dump_json() for group in evaluated.groups}
    if not evaluated.experiment.space.networks or len(recipes) > 1:
        return None  # the notebook's two networks also differ in early stopping
    refits = [
        {"seed": refit.seed, **refit.metrics, **group.finalist.recipe.spec.coordinates()}
        for group in evaluated.groups for refit in group.refits
    ]  # fmt: skip
    found = placement.placement(pd.DataFrame(refits))
    if not found.cells:
        return None
    picture, text = png(placement_figure.placement(found)), placement_text.sentence(found)
    section = Section("One dropout layer, moved", text, pictures=[Picture(picture, text, "Difference to no dropout")])
    artifacts: dict[str, bytes | str] = {"placement.csv": placement.table(found).to_csv(index=False)}
    return Analysis(artifacts | {"placement.png": picture}, section=section)
