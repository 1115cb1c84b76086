"""What is checked of a search before it is evaluated."""

from dataclasses import replace

import pytest

from pipeline.errors import InputError
from pipeline.evaluation.find_search import search_for
from pipeline.session import Session
from pipeline.tracking.store import Run

pytestmark = pytest.mark.tensorflow


@pytest.fixture(autouse=True)
def beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are of the MLflow experiment whose artifacts are in the session's folder."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "smoke")


@pytest.fixture
def alone(session: Session) -> Session:
    """The session with an experiment of another name, whose runs no other test sees."""
    return replace(session, experiment=session.experiment.model_copy(update={"name": "alone"}))


def finished(session: Session) -> tuple[Run, Run]:
    """A finished search, and its only trial."""
    search = session.store.root(step="search", experiment="alone", tags=session.prepared.tags)
    search.write("experiment.yaml", session.experiment.to_yaml())
    trial = session.store.child(search, step="trial", name="0", tags={})
    search.log(tags={"narrowgap.chosen_run_id": trial.id})
    for run in (trial, search):
        run.finish("FINISHED")
    return search, trial


def test_a_search_with_its_trials_is_found(alone: Session) -> None:
    search, _ = finished(alone)
    assert search_for(alone, search.id).id == search.id


def test_a_search_whose_trials_were_deleted_is_refused_with_the_cure(alone: Session) -> None:
    search, trial = finished(alone)
    alone.store.client.delete_run(trial.id)
    with pytest.raises(InputError) as refused:
        search_for(alone, search.id)
    assert f"search {search.id} has no finished trials any more: their runs were deleted; restore them" in str(
        refused.value
    )
    alone.store.client.restore_run(trial.id)
    assert search_for(alone, search.id).id == search.id


def test_a_search_that_lost_its_experiment_is_refused(alone: Session) -> None:
    search = alone.store.root(step="search", experiment="alone", tags=alone.prepared.tags)
    alone.store.child(search, step="trial", name="0", tags={}).finish("FINISHED")
    search.log(tags={"narrowgap.chosen_run_id": "any"})
    with pytest.raises(InputError, match=f"run {search.id} has no artifact experiment.yaml"):
        search_for(alone, search.id)
