"""What the page of an evaluation says first and last: the answer, and how to get it again."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from pipeline.data.split import Split
from pipeline.evaluation.finalists import BASELINE, Finalist
from pipeline.evaluation.refits import RefitGroup
from pipeline.evaluation.report.build import _answer, _commands, build_report
from pipeline.evaluation.report.page import Section
from pipeline.evaluation.result import Analysis, EvaluationResult
from pipeline.experiment import Experiment, load
from pipeline.formatting import interval, percent, points
from pipeline.models.dense import notebook_network
from pipeline.models.recipe import Recipe
from pipeline.session import Session
from pipeline.statistics.selection import Choice
from tests.evaluation.samples import SETTINGS, figures, group, relu, run

pytestmark = pytest.mark.tensorflow

CHOSEN = group(
    Finalist("finalist 1", Recipe(relu(512, dropout=(0.1, 0.3))), SETTINGS, 0.9), [figures(accuracy=0.8946, gap=0.0341)]
)
PLAIN = group(
    Finalist(BASELINE, Recipe(notebook_network()), SETTINGS, reference=True), [figures(accuracy=0.8852, gap=0.0442)]
)
LATER = group(Finalist("network 2", Recipe(relu(8, dropout=(0.5, 0.0))), SETTINGS), [figures(accuracy=0.5, gap=0.0)])


def evaluated(split: Split, *groups: RefitGroup) -> EvaluationResult:
    return EvaluationResult(load("smoke"), split, [], groups, Choice(0, "why"))


def test_the_answer_tells_accuracy_and_gap_of_the_chosen_network_and_of_the_baseline(digits_split: Split) -> None:
    assert _answer(evaluated(digits_split, CHOSEN, PLAIN)) == (
        "Chosen: 64(0.1)-512(0.3)-10 (finalist 1) reaches 89.46 % test accuracy with an honest gap of +3.41 points; "
        "64-128-64-32-10 (baseline, without dropout) reaches 88.52 % test accuracy with an honest gap of +4.42 points."
    )


@pytest.mark.parametrize(
    ("accuracy", "gap", "told"),
    [
        (0.8905, 0.0241, True),  # 1.00 points narrower, 0.41 points less accurate
        (0.8851, 0.0241, False),  # less accurate than the baseline: it answers nothing
        (0.8905, 0.0341, False),  # not narrower
    ],
)
def test_a_finalist_that_beats_the_baseline_with_a_smaller_gap_than_the_chosen_network_is_told(
    digits_split: Split, accuracy: float, gap: float, told: bool
) -> None:
    narrower = group(Finalist("finalist 2", Recipe(relu(8)), SETTINGS), [figures(accuracy=accuracy, gap=gap)])
    answer = _answer(evaluated(digits_split, CHOSEN, narrower, PLAIN))
    sentence = (
        "\n\nOf the finalists that are at least as accurate as the baseline on test, finalist 2, 64-8-10, has the smallest "
        "honest gap. The gap of finalist 2 is 1.00 points smaller than that of the chosen network; its test accuracy is "
        "0.41 points lower. The choice is by validation scores alone."
    )
    assert answer.endswith(sentence) if told else "smallest honest gap" not in answer


def test_equal_accuracies_are_told_as_the_same(digits_split: Split) -> None:
    """0.004 points apart."""
    narrower = group(Finalist("finalist 2", Recipe(relu(8)), SETTINGS), [figures(accuracy=0.89462, gap=0.0241)])
    answer = _answer(evaluated(digits_split, CHOSEN, narrower, PLAIN))
    assert answer.endswith("; its test accuracy is the same. The choice is by validation scores alone.")


def test_a_chosen_baseline_is_told_beside_the_other_network(digits_split: Split) -> None:
    answer = _answer(evaluated(digits_split, PLAIN, LATER))
    assert answer.startswith("Chosen: 64-128-64-32-10 (baseline) reaches 88.52 %")
    assert answer.endswith("64(0.5)-8-10 (network 2) reaches 50.00 % test accuracy with an honest gap of +0.00 points.")


def test_one_network_alone_is_told_alone(digits_split: Split) -> None:
    assert ";" not in _answer(evaluated(digits_split, CHOSEN))


def commands(experiment: Experiment) -> list[str]:
    return [line for _, line in _commands(experiment, run("e" * 32), "5" * 32, "our networks")]


def test_an_experiment_as_it_came_is_run_again_by_its_name() -> None:
    assert commands(load("smoke")) == [
        ". .venv/bin/activate",
        "mlflow run . --env-manager local --experiment-name 'our networks' -P experiment=smoke",
        (
            "mlflow run . -e evaluate --env-manager local --experiment-name 'our networks' -P experiment=smoke "
            f"-P search_run_id={'5' * 32}"
        ),
        "make ui",
    ]


@pytest.mark.parametrize(
    "changed", [load("smoke", {"search.trials": "7"}), load("smoke").model_copy(update={"name": "mine"})]
)  # fmt: skip
def test_one_with_overrides_or_of_the_users_own_is_run_again_by_the_file_that_the_run_kept(changed: Experiment) -> None:
    _, fetch, whole, evaluation, _ = commands(changed)
    assert fetch == f"mlflow artifacts download --run-id {'e' * 32} --artifact-path experiment.yaml --dst-path again"
    assert (
        whole == "mlflow run . --env-manager local --experiment-name 'our networks' -P experiment=again/experiment.yaml"
    )
    assert "-P experiment=again/experiment.yaml" in evaluation


def test_the_page_holds_question_answer_sections_and_where_the_figures_come_from(session: Session) -> None:
    made = run("e" * 32, metrics={"test_uses": 41}, tags={"narrowgap.search_run_id": "5" * 32})
    quiet = replace(session, console=Console(file=io.StringIO()))
    split = session.prepared.split
    page = build_report(
        quiet,
        made,
        evaluated(split, CHOSEN, PLAIN),
        [Analysis(section=Section("One thing")), Analysis(section=Section("Another"))],
    )
    for text in (
        "Does everything work from data to chosen network?", "reaches 89.46 %", "One thing", "Another", "e" * 32, "5" * 32,
        "1,455 train, 162 validation, 180 test", ">41<", session.prepared.dataset.digest,
    ):  # fmt: skip
        assert text in page, text


def test_figures_are_written_as_people_read_them() -> None:
    assert (percent(0.8946), points(0.0341), points(-0.0341)) == ("89.46", "+3.41", "-3.41")
    assert interval(0.0341, 0.0320, 0.0362, write=points) == "+3.41 ± 0.21"
    assert interval(-0.01, -0.03, 0.01, write=points) == "-1.00 ± 2.00"
    assert interval(0.9, float("nan"), float("nan"), write=percent) == "90.00"
