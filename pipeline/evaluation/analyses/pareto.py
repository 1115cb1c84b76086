"""Test accuracy against the honest gap: the Pareto front of all trials and refitted networks."""

import pandas as pd

from pipeline.evaluation.finalists import BASELINE, NOTEBOOK
from pipeline.evaluation.report.page import Picture, Section
from pipeline.evaluation.result import Analysis, EvaluationResult
from pipeline.figures.comparisons import pareto as pareto_figure
from pipeline.figures.style import png
from pipeline.search.trials import Trial, fully_trained
from pipeline.statistics.pareto import front, hypervolume
from pipeline.tracking.names import PARETO_CSV, PARETO_PNG

METHOD = (
    "Trials have one seed each; refitted networks are means over seeds. Trials on the front owe part of their place to "
    "luck: trained again, they score lower on average. A point is on the front if no other is at least as good in both test "
    "accuracy and gap, and better in one."
)


def analyse(result: EvaluationResult) -> Analysis:
    """The front, its picture and its hypervolume."""
    trials = fully_trained(result.trials)
    complete = {trial.number for trial in trials}
    stopped = [trial for trial in result.trials if trial.number not in complete]
    pruned = sum(trial.pruned for trial in stopped)
    rows = [
        {"kind": "trial", "architecture": trial.name, "test_accuracy": trial.run.metrics["test_accuracy"],
         "accuracy_gap": trial.run.metrics["accuracy_gap"]}
        for trial in trials
    ] + [
        {"kind": result.role(group), "architecture": group.architecture,
         "test_accuracy": group.summaries["test_accuracy"].mean, "accuracy_gap": group.summaries["accuracy_gap"].mean}
        for group in result.groups
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    accuracy, gap = table["test_accuracy"].to_numpy(float), table["accuracy_gap"].to_numpy(float)
    best = front(accuracy, gap)
    table["on_front"] = table.index.isin(best)
    dots = [pareto_figure.Point(*pair) for pair in zip(gap, accuracy, strict=True)]
    marks = [
        pareto_figure.Mark(dots[len(trials) + index], f"{result.label(group)}: {group.architecture}")
        for index, group in enumerate(result.groups)
        if group is result.chosen or group.finalist.role in {BASELINE, NOTEBOOK}
    ]
    picture = png(pareto_figure.pareto(dots, list(best), marks, [_point(trial) for trial in stopped]))
    alt = (
        f"{len(dots)} dots, trials and refitted networks, by honest gap and test accuracy; {len(best)} of them are on the "
        "Pareto front."
    )
    shown = len(pareto_figure.shown(dots))
    partly = (
        f"; {shown} of {len(dots)} dots are shown, the rest are less accurate than these" if shown < len(dots) else ""
    )
    section = Section(
        "Accuracy against gap",
        f"Of {len(dots)} dots ({_counted(len(trials), 'trial')} and {_counted(len(result.groups), 'refitted network')}), "
        f"{len(best)} {'is' if len(best) == 1 else 'are'} on the Pareto front."
        f"{stopped_early(len(stopped) - pruned)}{left_out(pruned)}",
        pictures=[Picture(picture, alt, f"Pareto front of test accuracy and honest gap{partly}")],
        method=METHOD,
    )
    artifacts: dict[str, bytes | str] = {PARETO_CSV: table.to_csv(index=False), PARETO_PNG: picture}
    return Analysis(artifacts, {"hypervolume": hypervolume(accuracy, gap)}, section)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _point(trial: Trial) -> pareto_figure.Point:
    return pareto_figure.Point(trial.run.metrics["accuracy_gap"], trial.run.metrics["test_accuracy"])


def left_out(pruned: int) -> str:
    """States that pruned trials have no part; empty if there are none."""
    if not pruned:
        return ""
    trials = "1 trial that the search pruned is" if pruned == 1 else f"{pruned} trials that the search pruned are"
    return f" {trials} left out: fewer epochs change the gap."


def stopped_early(count: int) -> str:
    """The same for trials that Hyperband stopped early."""
    if not count:
        return ""
    trials = f"{count} trial{'' if count == 1 else 's'} that Hyperband stopped early {'is' if count == 1 else 'are'}"
    return f" {trials} left out: fewer epochs change the gap."
