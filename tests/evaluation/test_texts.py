"""The report's texts, whole, against one golden file; UPDATE_GOLDEN=1 rewrites it."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from pipeline.data.split import Part, Split
from pipeline.evaluation.analyses import ANALYSES, selection
from pipeline.evaluation.analyses import gaps as gap_analysis
from pipeline.evaluation.finalists import BASELINE, NOTEBOOK, Finalist
from pipeline.evaluation.plan import Racer, opening
from pipeline.evaluation.race import final_choice, first_plan, next_plan
from pipeline.evaluation.refits import RefitGroup
from pipeline.evaluation.report.build import _answer, _summary
from pipeline.evaluation.report.page import Picture
from pipeline.evaluation.result import Analysis, EvaluationResult
from pipeline.evaluation.screen_table import print_gaps
from pipeline.experiment import load
from pipeline.figures.style import canvas, png
from pipeline.models.dense import notebook_network
from pipeline.models.recipe import Recipe
from pipeline.session import Session
from pipeline.statistics.selection import Choice
from tests.evaluation.samples import SETTINGS, figures, group, relu, run, trial
from tests.fixtures.golden import check

pytestmark = pytest.mark.tensorflow
GOLDEN = Path(__file__).parent / "golden"


def seeds(*accuracies: float, gap: float, drop: float = 0.0) -> list[dict[str, float]]:
    return [figures(accuracy=accuracy, test=accuracy - drop, gap=gap + accuracy / 100) for accuracy in accuracies]


CHOSEN = group(Finalist("finalist 1", Recipe(relu(16, dropout=(0.0, 0.2))), SETTINGS, 0.93),
               seeds(0.90, 0.91, 0.92, gap=0.02, drop=0.01))  # fmt: skip
OTHER = group(Finalist("finalist 2", Recipe(relu(8)), SETTINGS, 0.91), seeds(0.88, 0.89, 0.90, gap=0.04))
PLAIN = group(Finalist(BASELINE, Recipe(notebook_network()), SETTINGS, reference=True),
              seeds(0.89, 0.88, 0.90, gap=0.05, drop=0.02))  # fmt: skip


@pytest.fixture
def result(digits_split: Split) -> EvaluationResult:
    """Three networks of three seeds each, over twelve trials whose gap falls by a point per 0.1 of rate."""
    generator = np.random.default_rng(1)
    searched = [
        trial(number, relu(16, dropout=(0.0, rate)), figures(accuracy=0.9 + generator.normal(0, 0.01), gap=0.05 - rate / 10))
        for number, rate in enumerate(np.tile([0.0, 0.1, 0.2], 4))
    ]  # fmt: skip
    part = Part(digits_split.test.images[:2], np.array([0, 1]))
    split = replace(digits_split, validation=part, test=part)
    return EvaluationResult(load("digits"), split, searched, [CHOSEN, OTHER, PLAIN], Choice(0, "It is the best."))


def test_the_reports_texts_read_as_agreed(result: EvaluationResult) -> None:
    """Rewording changes the golden file alone."""
    parts = [_answer(result)]
    for analyse in ANALYSES:
        if (analysis := analyse(result)) is not None and analysis.section is not None:
            section = analysis.section
            captions = [each.caption for each in section.tables] + [each.caption for each in section.pictures]
            parts += [f"# {section.title}", section.text, *(f"[{each}]" for each in captions), section.method]
    check(GOLDEN / "report.txt", "\n\n".join(part for part in parts if part) + "\n")


LABELS = np.zeros(1000, int)
"""Of the validation images of a race."""


def racer(role: str, *hidden: int, wrong: int, gap: float, start: int = 0) -> RefitGroup:
    """A finalist with three seeds: `wrong` validation images from `start` are wrong with the second seed, and one fewer
    and one more with the others.
    """
    counts = (wrong - 1, wrong, wrong + 1)
    made = group(
        Finalist(role, Recipe(relu(*hidden)), SETTINGS), [figures(accuracy=1 - each / 1000, gap=gap) for each in counts]
    )
    numbers = np.arange(1000)
    right = [(numbers < start) | (numbers >= start + each) for each in counts]
    answers = [np.eye(10, dtype=np.float32)[np.where(each, 0, 1)] for each in right]
    refits = [replace(refit, validation=rows) for refit, rows in zip(made.refits, answers, strict=True)]
    return replace(made, refits=refits)


def test_the_texts_of_a_race_read_as_agreed(result: EvaluationResult) -> None:
    asked = load("digits", {"evaluation.seeds": "5"})
    racers = [
        racer("finalist 1", 64, wrong=100, gap=0.06),
        racer("finalist 2", 32, wrong=101, gap=0.03, start=20),
        racer("finalist 3", 16, wrong=150, gap=0.02),
    ]
    shown = group(Finalist(NOTEBOOK, Recipe(notebook_network()), SETTINGS, reference=True), PLAIN.metrics)
    first = first_plan(asked, [each.finalist for each in (*racers, PLAIN, shown)])
    known = [Racer(each.finalist.role, each.candidate(LABELS), each.metrics) for each in racers]
    plan = next_plan(asked, len(LABELS), known, first)
    chosen, choice = final_choice(asked, LABELS, racers, plan)
    trained_on = replace(chosen, refits=[*chosen.refits, *chosen.refits[:2]])
    groups = [trained_on, *(each for each in racers if each is not chosen), PLAIN, shown]
    raced = replace(result, groups=groups, choice=choice, seed_notes=plan.notes)
    section, gaps = selection.analyse(raced).section, gap_analysis.analyse(raced).section
    assert section is not None
    assert gaps is not None
    seeds_table = section.tables[0].frame.to_csv(index=False)
    parts = [opening(first, 2), choice.reason, seeds_table, section.method, gaps.text]
    check(GOLDEN / "race.txt", "\n\n".join(parts) + "\n")


def summary(result: EvaluationResult, *groups: RefitGroup) -> tuple[str, list[str], int | None]:
    """Caption, networks and highlighted row of the summary's table."""
    picture = Picture(png(canvas(1, 1)[0]), "Nothing.", "Nothing")
    found = _summary(replace(result, groups=groups), [Analysis(summary_picture=picture)])
    assert found is not None
    return found[0].caption, found[0].frame["network"].tolist(), found[0].highlight


def test_the_summary_has_the_chosen_network_the_baseline_and_then_the_others(result: EvaluationResult) -> None:
    caption, networks, highlight = summary(result, CHOSEN, OTHER, PLAIN)
    assert networks == ["chosen (finalist 1)", "baseline", "finalist 2"]
    assert highlight == 0
    assert "of 3 networks" not in caption


def test_the_baseline_is_in_the_summary_however_many_networks_come_before_it(result: EvaluationResult) -> None:
    many = [
        group(Finalist(f"network {number}", Recipe(relu(number)), SETTINGS), CHOSEN.metrics) for number in range(2, 12)
    ]
    caption, networks, _ = summary(result, CHOSEN, *many, PLAIN)
    assert networks[:3] == ["chosen (finalist 1)", "baseline", "network 2"]
    assert caption.endswith(f"; {len(networks)} of 12 networks")


def test_the_screen_shows_every_network_with_both_gaps_and_where_the_report_is(
    result: EvaluationResult, session: Session
) -> None:
    screen = io.StringIO()
    print_gaps(replace(session, console=Console(file=screen, width=200)), run("e" * 32), result)
    lines = screen.getvalue().splitlines()
    (chosen,) = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "chosen" in line]
    # Test .89, .90, .91: t(.975, 2) * .01 / sqrt(3) = .0248. Gap .02 + accuracy / 100; fit a point less.
    assert chosen == [
        "chosen (finalist 1)",
        "64-16(0.2)-10",
        "90.00 ± 2.48",
        "+2.91 ± 0.02",
        "+1.91",
        "0.3000",
        "+0.1000",
    ]
    assert [role for role in ("finalist 2", "baseline") if any(role in line for line in lines)] == [
        "finalist 2",
        "baseline",
    ]
    assert lines[-1] == f"Report: report.html among the artifacts of run {'e' * 32}"
