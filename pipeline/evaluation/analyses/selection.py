"""Why this network was chosen, and how optimistic its validation score was when the search selected it."""

import pandas as pd

from pipeline.evaluation.finalists import in_sentence
from pipeline.evaluation.report.page import Section, Table
from pipeline.evaluation.result import Analysis, EvaluationResult, mean_points
from pipeline.formatting import listed, percent, points
from pipeline.statistics.seed_summary import over_seeds, summarise
from pipeline.statistics.selection_bias import selection_bias
from pipeline.tracking.names import REFITS_CSV, SEEDS_CSV

METHOD = (
    "The choice uses validation scores only. Selection bias is the validation accuracy in the search minus the mean "
    "validation accuracy with fresh seeds: the best of many trials is partly best by luck with its seed. The "
    "difference to test also includes luck with the validation images, and any difference in difficulty between the "
    "validation and the test images. ± is half of the 95 % interval over seeds. A negative selection bias means that the "
    "search's score was not optimistic."
)
RACE = (
    "Seeds per network: after each round of seeds, the results of the further seeds are simulated many times from the "
    "spread over seeds, and each simulation chooses a network by the same rule. Networks that are chosen in fewer than 5 % "
    "of the simulations get no more seeds; their intervals are wider."
)


def analyse(result: EvaluationResult) -> Analysis:
    """The reason of the choice, the selection bias, and the tables of refits and seeds."""
    chosen = result.chosen
    refits = pd.DataFrame(
        [{"network": result.role(group), "architecture": group.architecture, "seed": refit.seed, **refit.metrics,
          "run_id": refit.run.id}
         for group in result.groups for refit in group.refits]
    )  # fmt: skip
    text, method, metrics = f"{result.choice.reason}{_better_on_test(result)}", "", {}
    if chosen.finalist.at_selection is not None:
        method, means = METHOD, chosen.summaries
        bias = selection_bias(
            chosen.finalist.at_selection,
            [each["val_accuracy"] for each in chosen.metrics],
            [each["test_accuracy"] for each in chosen.metrics],
        )
        metrics = {"selection_bias": bias.validation.mean, "selection_bias_test": bias.test.mean}
        text += (
            f"\n\nIn the search, with one seed, the chosen network had a validation accuracy of "
            f"{percent(chosen.finalist.at_selection)} %. With "
            f"{fresh(len(chosen.refits))} its mean accuracy is {percent(means['val_accuracy'].mean)} % on the same "
            f"validation images (selection bias: {mean_points(bias.validation)} points) and "
            f"{percent(means['test_accuracy'].mean)} % on test (validation accuracy in the search minus this: "
            f"{mean_points(bias.test)} points).{_validation_to_test(result)}"
        )
    artifacts = {REFITS_CSV: refits.to_csv(index=False), SEEDS_CSV: _seed_table(result).to_csv(index=False)}
    tables = [_seeds_of_the_race(result)] if result.seed_notes else []
    method = "\n\n".join(part for part in (method, RACE if tables else "") if part)
    return Analysis(artifacts, metrics, Section("Why this network", text, tables, method=method))


def fresh(seeds: int) -> str:
    """How many fresh seeds, in words."""
    return f"all {seeds} fresh seeds" if seeds > 1 else "a fresh seed"


def _seeds_of_the_race(result: EvaluationResult) -> Table:
    """Who got how many seeds, and why."""
    rows = [
        {
            "network": result.label(group),
            "architecture": group.architecture,
            "seeds": len(group.refits),
            "why": result.seed_notes.get(group.finalist.role, ""),
        }
        for group in result.groups
    ]
    return Table("Seeds per network", pd.DataFrame(rows), highlight=0)


def _better_on_test(result: EvaluationResult) -> str:
    """Names networks that are at least as good on test in accuracy and gap; the choice may not use this."""
    accuracy, gap = (result.chosen.summaries[name].mean for name in ("test_accuracy", "accuracy_gap"))
    better = []
    for group in result.groups[1:]:
        other = tuple(group.summaries[name].mean for name in ("test_accuracy", "accuracy_gap"))
        if other[0] >= accuracy and other[1] <= gap and other != (accuracy, gap):
            never = "reference, never chosen; " if group.finalist.reference else ""
            better.append(
                f"{in_sentence(group.finalist.role)} ({never}{percent(other[0])} %, gap {points(other[1])} points)"
            )
    if not better:
        return ""
    return (
        f" On test, {listed(better)} {'is' if len(better) == 1 else 'are'} at least as good as the chosen network "
        f"({percent(accuracy)} %, gap {points(gap)} points) in both. The choice ignores test scores; "
        "otherwise they would be biased."
    )


def _validation_to_test(result: EvaluationResult) -> str:
    """Validation minus test accuracy of networks that were not selected: what is not selection bias."""
    drops = []
    for group in result.groups:
        if group.finalist.reference:
            drop = summarise(each["val_accuracy"] - each["test_accuracy"] for each in group.metrics)
            drops.append(f"{mean_points(drop)} points for {in_sentence(group.finalist.role)}")
    if not drops:
        return ""
    return (
        f" For comparison: the reference networks were not selected by any score, and their validation accuracy minus test "
        f"accuracy is {listed(drops)}."
    )


def _seed_table(result: EvaluationResult) -> pd.DataFrame:
    """`seeds.csv`: mean, standard deviation and interval of every metric of every network."""
    table = over_seeds({result.role(group): group.metrics for group in result.groups})
    architectures = {result.role(group): group.architecture for group in result.groups}
    table.insert(1, "architecture", table["network"].map(architectures))
    return table
