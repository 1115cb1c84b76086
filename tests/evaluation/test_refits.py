"""Finalists trained again: by the real trainer on digits, one of them diverging; and what happens when all goes wrong."""

import io
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from unittest.mock import Mock

import numpy as np
import pytest
from rich.console import Console

from pipeline.errors import InputError, SearchFailedError, StoreError
from pipeline.evaluation import kept_refits
from pipeline.evaluation.finalists import NOTEBOOK
from pipeline.evaluation.kept_refits import EarlierRefits
from pipeline.evaluation.plan import Plans
from pipeline.evaluation.race import first_plan, next_plan
from pipeline.evaluation.refits import RefitGroup, fresh_seeds, refit, refit_by_plan
from pipeline.experiment import load
from pipeline.models.dense import dense
from pipeline.models.recipe import Recipe
from pipeline.search.recording.outbox import Outbox, TrialRecord
from pipeline.search.seeds import seed_of
from pipeline.search.workers.jobs import InProcess, Job, Outcome
from pipeline.session import Session
from pipeline.time_limit import TimeLimit
from pipeline.tracking import deletion
from pipeline.tracking.names import (
    DECISION_TAG,
    EXPERIMENT_TAG,
    KEEPS_REFITS_TAG,
    KEPT_REFIT,
    LEFT_OUT_TAG,
    ROLE_TAG,
    TAKES_TAG,
    TEST_DIGEST_TAG,
)
from pipeline.tracking.store import Run, Status
from pipeline.training.result import TrialResult
from tests.evaluation.refitted import DIVERGING, PLAIN, SMALL, Refitted
from tests.evaluation.samples import figures, group
from tests.figures.samples import trial as made_up

pytestmark = pytest.mark.tensorflow


def test_every_finalist_is_trained_with_the_same_seeds_in_a_nested_run_each(refitted: Refitted) -> None:
    runs = list(refitted.session.store.children(refitted.run))
    assert {run.tags["narrowgap.step"] for run in runs} == {"refit"}
    by_role = {role: [run for run in runs if run.tags[ROLE_TAG] == role] for role in (SMALL.role, PLAIN.role)}
    for each in by_role.values():
        assert sorted(int(run.params["seed"]) for run in each) == sorted(refitted.seeds)
        assert {run.status for run in each} == {"FINISHED"}
    assert {Recipe.from_tags(run.tags) for run in by_role[SMALL.role]} == {SMALL.recipe}
    assert {run.tags[TEST_DIGEST_TAG] for run in runs} == {refitted.session.prepared.tags[TEST_DIGEST_TAG]}
    assert [[each.seed for each in found.refits] for found in refitted.groups] == [refitted.seeds] * 2


def test_a_finalist_that_diverges_is_left_out_and_said_to_be_with_its_runs_failed(refitted: Refitted) -> None:
    assert [found.finalist for found in refitted.groups] == [SMALL, PLAIN]
    name = DIVERGING.recipe.spec.architecture(64, 10)
    assert f"evaluate: {name} is left out: 2 of 2 refits failed" in refitted.said
    failed = [run for run in refitted.session.store.children(refitted.run) if run.status == "FAILED"]
    assert {run.tags[ROLE_TAG] for run in failed} == {DIVERGING.role}
    assert len(failed) == 2
    assert all("training diverged" in run.tags["narrowgap.reason"] for run in failed)


def test_a_refit_holds_what_its_run_holds(refitted: Refitted) -> None:
    for found in refitted.groups:
        for each in found.refits:
            stored = refitted.session.store.get(each.run.id)
            assert stored.metrics.items() >= each.metrics.items()
            assert stored.read("curves.png") == each.pictures["curves.png"]


def test_the_arrays_of_a_refit_are_those_that_were_scored(refitted: Refitted) -> None:
    split = refitted.session.prepared.split
    for each in refitted.groups[0].refits:
        for part, probabilities in (("val", each.validation), ("test", each.test)):
            labels = (split.validation if part == "val" else split.test).labels
            assert np.mean(probabilities.argmax(axis=1) == labels) == pytest.approx(each.metrics[f"{part}_accuracy"])


def test_the_weights_of_a_refit_make_the_network_that_was_scored(refitted: Refitted) -> None:
    from pipeline.models.dense_keras import build

    split, found = refitted.session.prepared.split, refitted.groups[0]
    model = build(dense(found.finalist.recipe.spec), image_shape=(8, 8), classes=10, pixel_max=16, seed=1)
    model.set_weights(found.median_refit.weights)
    np.testing.assert_allclose(model.predict(split.test.images, verbose=0), found.median_refit.test, atol=1e-5)


def test_summaries_are_means_and_scatter_over_the_seeds(refitted: Refitted) -> None:
    for found in refitted.groups:
        values = [each.metrics["test_accuracy"] for each in found.refits]
        assert found.summaries["test_accuracy"].mean == pytest.approx(mean(values))
        assert found.summaries["test_accuracy"].sd == pytest.approx(stdev(values))
        assert found.summaries["accuracy_gap"].n == 2


def test_a_refits_seed_is_none_that_a_trial_has_had() -> None:
    experiment = load("smoke", {"evaluation.seeds": "20"})
    seeds = fresh_seeds(experiment)
    assert len(set(seeds)) == 20
    assert {seed_of(experiment.search.seed, number) for number in range(2000)}.isdisjoint(seeds)


def test_more_seeds_begin_with_the_same_ones_and_another_search_has_others() -> None:
    few, many = (fresh_seeds(load("smoke", {"evaluation.seeds": count})) for count in ("2", "5"))
    assert many[:2] == few
    assert set(fresh_seeds(load("smoke", {"search.seed": "2", "evaluation.seeds": "5"}))).isdisjoint(many)


@pytest.mark.parametrize(
    ("losses", "typical"), [([0.3], 0), ([0.3, 0.1], 1), ([0.5, 0.1, 0.3], 2), ([0.4, 0.1, 0.2, 0.3], 2)]
)  # fmt: skip
def test_the_typical_refit_is_of_the_median_validation_loss_and_of_two_the_lower(
    losses: list[float], typical: int
) -> None:
    found = group(SMALL, [figures(accuracy=0.9, loss=loss) for loss in losses])
    assert found.median_refit is found.refits[typical]


def answered(job: Job) -> Outcome:
    """An outcome without training, of one image each in validation and test."""
    rows = np.full((1, 10), 0.1, np.float32)
    result: TrialResult = replace(
        made_up(epochs=1, spec=job.recipe.spec), probabilities={"validation": rows, "test": rows}
    )
    return Outcome(job.number, result, {}, None, 0.0)


def test_a_refit_without_pictures_is_finished_and_kept_with_the_reason_in_its_tag(session: Session) -> None:
    screen = io.StringIO()
    session = replace(session, console=Console(file=screen, width=200))
    run = session.store.root(step="evaluate", experiment="smoke", tags={})
    workers = InProcess(lambda job: replace(answered(job), warning="no pictures: OSError: full"))
    (found,) = refit(session, run, [SMALL], workers, seeds=[5])
    stored = session.store.get(found.refits[0].run.id)
    assert (stored.status, stored.tags["narrowgap.reason"]) == ("FINISHED", "no pictures: OSError: full")
    assert "warning: refit 1, finalist 1: 64-16(0.2)-10: no pictures: OSError: full" in screen.getvalue()


def failing(when: Callable[[Job], bool]) -> InProcess:
    def train(job: Job) -> Outcome:
        return Outcome(job.number, None, {}, f"boom {job.number}", 0.0) if when(job) else answered(job)

    return InProcess(train)


def test_a_finalist_that_fails_with_one_of_its_seeds_is_left_out_and_the_next_stays(session: Session) -> None:
    run = session.store.root(step="evaluate", experiment="smoke", tags={})
    second = replace(SMALL, role="finalist 2")
    groups = refit(session, run, [SMALL, second], failing(lambda job: job.number == 1), seeds=[5, 6, 7])
    assert [each.finalist.role for each in groups] == ["finalist 2"]


def test_when_no_finalist_is_left_the_evaluation_fails_though_references_were_trained(session: Session) -> None:
    run = session.store.root(step="evaluate", experiment="smoke", tags={})
    workers = failing(lambda job: job.number in {1, 2})
    with pytest.raises(
        SearchFailedError, match="no finalist could be trained again, the last failed with: boom 2"
    ):  # fmt: skip
        refit(session, run, [SMALL, replace(SMALL, role="finalist 2"), PLAIN], workers, seeds=[5, 6])
    statuses = [each.status for each in session.store.children(run)]
    assert sorted(statuses) == ["FAILED", "FAILED", *["FINISHED"] * 4]


def test_an_evaluation_that_is_interrupted_ends_its_open_runs_as_killed(session: Session) -> None:
    run = session.store.root(step="evaluate", experiment="smoke", tags={})

    def interrupted(job: Job) -> Outcome:
        if job.number == 1:
            raise KeyboardInterrupt
        return answered(job)

    with pytest.raises(KeyboardInterrupt):
        refit(session, run, [SMALL], InProcess(interrupted), seeds=[5, 6, 7, 8])
    children = list(session.store.children(run))
    assert sorted(each.status for each in children) == ["FINISHED", "KILLED", "KILLED"]
    killed = next(each for each in children if each.status == "KILLED")
    assert killed.tags["narrowgap.reason"] == "the evaluation was stopped before this refit was recorded"


def test_an_evaluation_that_was_stopped_trains_no_refit_again(session: Session) -> None:
    def evaluation(stop_at: int | None) -> tuple[list[RefitGroup], list[int], Run]:
        trained: list[int] = []

        def train(job: Job) -> Outcome:
            if job.number == stop_at:
                raise KeyboardInterrupt
            trained.append(job.seed)
            return answered(job)

        with session.child(run_above, step="evaluate", name="evaluate") as run:
            return refit(session, run, [SMALL], InProcess(train), seeds=[15, 16, 17]), trained, run

    run_above = session.store.root(step="main", experiment="smoke", tags={})
    with pytest.raises(KeyboardInterrupt):
        evaluation(stop_at=2)
    (group,), trained, run = evaluation(stop_at=None)
    assert trained == [17]
    assert [each.seed for each in group.refits] == [15, 16, 17]
    assert {each.run.id for each in group.refits} == {each.id for each in session.store.children(run)}
    fresh = answered(Job(0, SMALL.recipe, SMALL.settings, 15, 1)).result
    assert fresh is not None
    taken = group.refits[0]
    np.testing.assert_array_equal(taken.test, fresh.probabilities["test"])
    assert [each.tobytes() for each in taken.weights] == [each.tobytes() for each in fresh.weights]
    assert taken.metrics == group.refits[2].metrics


def test_with_a_time_limit_the_networks_of_a_stopped_evaluation_are_not_dropped(session: Session) -> None:
    """Two seeds each; the time is over. The refits of the first two of three finalists are on hand."""
    contestants = [SMALL, DIVERGING, replace(PLAIN, role="finalist 3", reference=False)]
    screen = io.StringIO()
    over = TimeLimit(0.001, 0.0, lambda: 60.0)
    timed = replace(session, limit=over, console=Console(file=screen, width=300))
    above = session.store.root(step="main", experiment="smoke", tags={})

    def until_the_fifth(job: Job) -> Outcome:
        if job.number == 4:
            raise KeyboardInterrupt
        return answered(job)

    with pytest.raises(KeyboardInterrupt), session.child(above, step="evaluate", name="evaluate") as run:
        refit(session, run, contestants, InProcess(until_the_fifth), seeds=[45, 46])
    with session.child(above, step="evaluate", name="evaluate") as run:
        groups = refit(timed, run, contestants, failing(lambda _job: True), seeds=[45, 46])
    assert [each.finalist.role for each in groups] == ["finalist 1", "finalist 2"]
    assert run.tags[LEFT_OUT_TAG].startswith("finalist 3 was not trained, since")


def test_only_refits_that_a_new_start_may_use_again_are_kept(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "smoke")

    def keeps(step: str, status: Status | None, experiment: str = "kept", tags: Mapping[str, str] | None = None) -> Run:
        run = session.store.root(step=step, experiment=experiment, tags={KEEPS_REFITS_TAG: "yes", **(tags or {})})
        child = session.store.child(run, step="refit", name="refit", tags={})
        child.write(KEPT_REFIT, b"arrays")
        if status is not None:
            run.finish(status)
        time.sleep(0.002)  # runs are ordered by milliseconds
        return child

    stopped: list[Status] = ["KILLED", "FAILED", "KILLED", "KILLED"]
    oldest, *latest = [keeps("evaluate", status) for status in stopped]
    stay = [*latest, keeps("retrain", "KILLED"), keeps("retrain", None), keeps("evaluate", "FINISHED", "another")]
    go = [oldest, keeps("evaluate", "FINISHED"), keeps("retrain", "KILLED", tags={DECISION_TAG: "promoted"})]
    root = session.store.root(step="main", experiment="kept", tags={})
    with monkeypatch.context() as refusing:  # a store that refuses is asked once, and the next command tries again
        simulated = Mock(return_value=False)
        refusing.setattr(deletion, "drop_artifact", simulated)
        kept_refits.drop(session.store, root)
        simulated.assert_called_once()
    kept_refits.drop(session.store, root)
    assert [each.read(KEPT_REFIT) for each in stay] == [b"arrays"] * 6
    for each in go:
        with pytest.raises(InputError, match=r"has no artifact refit\.npz"):
            each.read(KEPT_REFIT)
        assert each.parent_id is not None
        assert KEEPS_REFITS_TAG not in session.store.get(each.parent_id).tags


def test_refits_of_other_settings_are_not_taken_over(session: Session) -> None:
    above = session.store.root(step="main", experiment="smoke", tags={})
    trained: list[float] = []

    def train(job: Job) -> Outcome:
        if job.number == 1:
            raise KeyboardInterrupt
        trained.append(job.settings.learning_rate)
        return answered(job)

    for rate in (0.01, 0.02):
        settings = SMALL.settings.model_copy(update={"learning_rate": rate})
        with pytest.raises(KeyboardInterrupt), session.child(above, step="evaluate", name="evaluate") as run:
            refit(session, run, [replace(SMALL, settings=settings)], InProcess(train), seeds=[25, 26])
    assert trained == [0.01, 0.02]


@pytest.mark.parametrize(
    ("normalization", "kept", "taken"), [("none", 1, True), ("none", 0.9, False), ("batch", 1, False)]
)
def test_refits_of_earlier_versions_are_taken_over_where_what_they_did_not_record_is_what_they_did(
    session: Session, normalization: str, kept: float, taken: bool
) -> None:
    """Earlier versions recorded neither normalization nor weight decay, and trained without them. A damaged refit is trained
    again.
    """
    finalist = replace(SMALL, recipe=Recipe(replace(dense(SMALL.recipe.spec), normalization=normalization)))
    above = session.store.root(step="main", experiment="smoke", tags={})
    params = finalist.recipe.params(finalist.settings, seed=55, inputs=64, classes=10)
    assert (params["normalization"], params["weight_decay"]) == (normalization, 0)
    new = {"normalization", "class_weight", "weight_decay", "label_smoothing"}
    tags = {EXPERIMENT_TAG: session.experiment.name}
    stopped = session.store.child(above, step="evaluate", name="evaluate", tags={**tags, KEEPS_REFITS_TAG: "yes"})
    old = session.store.child(
        stopped,
        step="refit",
        name="refit",
        tags={**tags, **session.prepared.tags, **finalist.recipe.tags()},
        params={name: value for name, value in params.items() if name not in new},
    )
    result = answered(Job(0, finalist.recipe, finalist.settings, 55, 1)).result
    assert result is not None
    whole = kept_refits.KeptRefit.of(result, 55, {}).to_bytes()
    old.write(KEPT_REFIT, whole[: int(kept * len(whole))])
    old.log(metrics={"seconds": 1.0})
    old.finish("FINISHED")
    stopped.finish("KILLED")
    trained: list[int] = []

    def train(job: Job) -> Outcome:
        trained.append(job.seed)
        return answered(job)

    with session.child(above, step="evaluate", name="evaluate") as run:
        refit(session, run, [finalist], InProcess(train), seeds=[55])
    assert trained == ([] if taken else [55])


def test_a_refit_that_could_not_be_recorded_is_recorded_by_the_next_evaluation(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    above = session.store.root(step="main", experiment="smoke", tags={})
    with monkeypatch.context() as patch:

        def away(*_arguments: object) -> None:
            raise StoreError("away")

        patch.setattr(TrialRecord, "fill", away)
        with pytest.raises(StoreError), session.child(above, step="evaluate", name="evaluate") as run:
            refit(session, run, [SMALL], InProcess(answered), seeds=[35])
    with session.child(above, step="evaluate", name="evaluate") as run:
        (group,) = refit(session, run, [SMALL], failing(lambda _job: True), seeds=[35])
    assert [each.run.status for each in group.refits] == ["FINISHED"]


class StoppedEvaluations:
    """Evaluations of one network below runs of their own, in an MLflow experiment of their own."""

    def __init__(self, session: Session, outbox: Path) -> None:
        self.session, self.outbox = session, outbox
        self.trained: list[int] = []
        """Seeds, in order."""

    def __call__(self, seeds: list[int], *, rate: float = 0.01, stop_at: int | None = None) -> Run:
        """The run of an evaluation, which is stopped before it trains a seed."""
        settings = SMALL.settings.model_copy(update={"learning_rate": rate})

        def train(job: Job) -> Outcome:
            if job.seed == stop_at:
                raise KeyboardInterrupt
            self.trained.append(job.seed)
            return answered(job)

        with suppress(KeyboardInterrupt, StoreError), self.child() as run:
            refit(self.session, run, [replace(SMALL, settings=settings)], InProcess(train), seeds=seeds)
        time.sleep(0.002)  # runs are ordered by milliseconds
        return run

    def child(self) -> AbstractContextManager[Run]:
        above = self.session.store.root(step="main", experiment="smoke", tags={})
        return self.session.child(above, step="evaluate", name="evaluate")

    def below(self, run: Run) -> list[tuple[str, str]]:
        """Seed and learning rate of each refit that is FINISHED."""
        refits = [each for each in self.session.store.children(run) if each.status == "FINISHED"]
        return sorted((each.params["seed"], each.params["learning_rate"]) for each in refits)

    @property
    def waiting(self) -> list[Path]:
        """Records that wait for the store."""
        return list(self.outbox.glob("*/*.zip"))


@pytest.fixture
def evaluation(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoppedEvaluations:
    monkeypatch.setenv("NARROWGAP_CACHE", str(tmp_path))
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", tmp_path.name)
    session.store.client.create_experiment(tmp_path.name, artifact_location=f"{tmp_path}/artifacts")
    return StoppedEvaluations(session, tmp_path / "outbox")


def away(*_arguments: object) -> None:
    raise StoreError("away")


def test_what_a_stopped_evaluation_could_not_record_is_recorded_below_it_not_below_the_next_which_asks_for_others(
    evaluation: StoppedEvaluations, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(TrialRecord, "fill", away)
        first = evaluation([61, 62], rate=0.01)
    assert (first.status, evaluation.below(first), len(evaluation.waiting)) == ("FAILED", [], 2)
    second = evaluation([61, 62], rate=0.02)
    assert evaluation.below(second) == [("61", "0.02"), ("62", "0.02")]
    assert evaluation.below(first) == [("61", "0.01"), ("62", "0.01")]
    assert evaluation.waiting == []
    third = evaluation([61, 62, 63], rate=0.01)  # they are still there for one that asks for them
    assert evaluation.below(third) == [("61", "0.01"), ("62", "0.01"), ("63", "0.01")]
    assert evaluation.below(first) == []
    assert evaluation.trained == [61, 62, 61, 62, 63]


@pytest.mark.parametrize("fault", ["the answer is lost", "killed before the record is dropped", "it became the chosen"])
def test_a_refit_that_is_in_the_store_already_is_not_recorded_again_from_the_outbox(
    evaluation: StoppedEvaluations, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    real = Run.finish

    def answer_lost(run: Run, status: Status, reason: str | None = None) -> None:
        if status == "FINISHED":
            real(run, status, reason)
        if run.tags["narrowgap.step"] == "refit":
            raise StoreError("away")

    with monkeypatch.context() as patch:
        if fault == "the answer is lost":
            patch.setattr(Run, "finish", answer_lost)
            first = evaluation([71])
        else:
            patch.setattr(Outbox, "drop", lambda *_arguments: None)
            first = evaluation([71, 72], stop_at=72)
    if fault == "it became the chosen":
        (run,) = [each for each in evaluation.session.store.children(first) if each.status == "FINISHED"]
        run.log(tags={ROLE_TAG: "chosen"})
    assert first.status == ("KILLED" if fault != "the answer is lost" else "RUNNING")
    first.finish("KILLED")
    assert (evaluation.below(first), len(evaluation.waiting)) == ([("71", "0.01")], 1)
    other = evaluation([71], rate=0.02)
    assert (evaluation.below(first), evaluation.below(other)) == ([("71", "0.01")], [("71", "0.02")])
    assert evaluation.waiting == []
    third = evaluation([71])
    assert (evaluation.below(first), evaluation.below(third)) == ([], [("71", "0.01")])


def test_a_refit_that_failed_and_could_not_be_recorded_is_recorded_once_and_is_none_to_use_again(
    evaluation: StoppedEvaluations, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, store = evaluation.session, evaluation.session.store
    with monkeypatch.context() as patch:
        patch.setattr(TrialRecord, "fill", away)
        with pytest.raises(StoreError), evaluation.child() as stopped:
            refit(session, stopped, [SMALL], failing(lambda _job: True), seeds=[81])
    (path,) = evaluation.waiting
    content, record = path.read_bytes(), TrialRecord.from_bytes(path.read_bytes())
    with evaluation.child() as run:
        for _ in range(2):  # the second time as if the first had been killed before it dropped the record
            assert not EarlierRefits(session, run, evaluation.outbox).has(record)
            assert evaluation.waiting == []
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
    failed = [each for each in store.children(stopped) if each.status == "FAILED"]
    assert [each.tags["narrowgap.reason"] for each in failed] == ["boom 0"]
    assert list(store.children(run)) == []


@pytest.mark.parametrize("recorded", [True, False])
def test_what_another_evaluation_is_just_taking_over_is_left_to_it_and_not_waited_for(
    evaluation: StoppedEvaluations, monkeypatch: pytest.MonkeyPatch, recorded: bool
) -> None:
    store = evaluation.session.store
    with monkeypatch.context() as patch:
        if not recorded:
            patch.setattr(TrialRecord, "fill", away)
        first = evaluation([65, 66], stop_at=66)
    refits = [each for each in store.children(first) if each.status == "FINISHED"]
    assert (len(refits), len(evaluation.waiting)) == ((1, 0) if recorded else (0, 1))
    other = store.root(step="evaluate", experiment="smoke", tags={TAKES_TAG: refits[0].id if recorded else first.id})
    second = evaluation([65])
    assert (evaluation.trained, evaluation.below(second)) == ([65, 65], [("65", "0.01")])
    assert (len(evaluation.below(first)), len(evaluation.waiting)) == ((1, 0) if recorded else (0, 1))
    other.finish("KILLED")  # it died before it had taken it
    third = evaluation([65])
    assert (evaluation.trained, evaluation.below(third), evaluation.waiting) == ([65, 65], [("65", "0.01")], [])


def test_commands_that_ended_before_they_trained_do_not_hide_the_refits_of_one_that_did(
    evaluation: StoppedEvaluations,
) -> None:
    """Such as three with a mistake in their options."""
    evaluation([91, 92], stop_at=92)
    for _ in range(kept_refits.MOST_STOPPED):
        with pytest.raises(InputError), evaluation.child():
            raise InputError("wrong")
        time.sleep(0.002)
    evaluation([91, 92])
    assert evaluation.trained == [91, 92]


def test_workers_have_two_jobs_each_in_hand_and_no_more(session: Session) -> None:
    """One worker: its own and the next one, so that no more runs are open than are about to be trained."""
    run = session.store.root(step="evaluate", experiment="smoke", tags={})

    class Counted(InProcess):
        in_hand = most = 0

        def submit(self, job: Job) -> None:
            self.in_hand += 1
            self.most = max(self.most, self.in_hand)
            super().submit(job)

        def finished(self) -> list[Outcome]:
            outcomes = super().finished()
            self.in_hand -= len(outcomes)
            return outcomes

    workers = Counted(answered)
    refit(session, run, [SMALL], workers, seeds=list(range(1, 6)))
    assert (workers.most, workers.in_hand) == (2, 0)


def test_the_screen_counts_refits_and_names_their_role(session: Session) -> None:
    screen = io.StringIO()
    watched = replace(session, console=Console(file=screen, width=200))
    run = session.store.root(step="evaluate", experiment="smoke", tags={})
    refit(watched, run, [SMALL], InProcess(answered), seeds=[5, 6])
    first, second = screen.getvalue().splitlines()
    accuracy = made_up(epochs=1, spec=SMALL.recipe.spec).validation.accuracy
    assert first.startswith(f"refit 1 of 2  finalist 1: 64-16(0.2)-10  validation accuracy {100 * accuracy:.2f} %")
    assert second.startswith("refit 2 of 2  finalist 1: 64-16(0.2)-10")


def test_a_race_trains_as_its_plans_say_and_tells_who_gets_how_many_and_why(session: Session) -> None:
    """All are trained alike, so the first is chosen after three seeds, since ties go to the first."""
    screen = io.StringIO()
    watched = replace(session, console=Console(file=screen, width=300))
    run = session.store.root(step="evaluate", experiment="smoke", tags={})
    experiment = load("digits", {"evaluation.seeds": "5"})
    contestants = [SMALL, replace(SMALL, role="finalist 2"), PLAIN, replace(PLAIN, role=NOTEBOOK)]
    groups, plan = refit_by_plan(
        watched, run, contestants, InProcess(answered), seeds=fresh_seeds(experiment),
        plans=Plans(first_plan(experiment, contestants), partial(next_plan, experiment, 1)),
    )  # fmt: skip
    assert [len(each.refits) for each in groups] == [5, 3, 5, 3]
    assert [refit.seed for refit in groups[1].refits] == fresh_seeds(experiment)[:3]
    assert plan.chosen == SMALL.role
    names = sorted(each.name for each in session.store.children(run))
    assert len(names) == len(set(names)) == 16
    lines = screen.getvalue().splitlines()
    assert lines[0].startswith(
        "evaluate: training 4 networks again, with fresh seeds, the same for all: 3 for finalist 1, finalist 2 and notebook "
        "with dropout, 5 for baseline; finalists that are then still likely to be chosen get up to 5"
    )
    assert lines[1].startswith("refit 1 of at most 18  finalist 1: ")
    decided = lines.index(
        "evaluate: finalist 1 gets 2 more seeds, 5 in all (chosen after 3 seeds; further seeds only narrow its interval)"
    )
    assert lines[decided + 1] == (
        "evaluate: finalist 2 gets no more seeds (unlikely to be chosen: after all seeds the rule would choose it with a "
        "probability of about 0 % (simulated))"
    )
    assert lines[decided - 1].startswith("refit 14 of at most 18")
    assert lines[-1].startswith("refit 16 of 16  finalist 1: ")


def test_a_finalist_that_fails_in_a_race_gets_no_more_seeds_and_is_left_out(session: Session) -> None:
    screen = io.StringIO()
    watched = replace(session, console=Console(file=screen, width=300))
    run = session.store.root(step="evaluate", experiment="smoke", tags={})
    experiment = load("digits", {"evaluation.seeds": "5"})
    contestants = [SMALL, replace(SMALL, role="finalist 2")]
    groups, plan = refit_by_plan(
        watched, run, contestants, failing(lambda job: job.number == 1), seeds=fresh_seeds(experiment),
        plans=Plans(first_plan(experiment, contestants), partial(next_plan, experiment, 1)),
    )  # fmt: skip
    assert [(each.finalist.role, len(each.refits)) for each in groups] == [("finalist 2", 5)]
    assert plan.wanted[SMALL.role] == 3
    assert "64-16(0.2)-10 is left out: 1 of 3 refits failed" in screen.getvalue()


def test_no_refit_is_said_to_be_the_best_so_far_since_it_is_one_seed_of_a_network(refitted: Refitted) -> None:
    lines = [line for line in refitted.said.splitlines() if line.startswith("refit ")]
    assert sum("  baseline: " in line for line in lines) == 2
    assert not any("so far" in line for line in lines)
