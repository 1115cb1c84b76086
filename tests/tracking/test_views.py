"""The saved views and the note, as tags of the MLflow experiment."""

import base64
import json
import zlib

import pytest

from pipeline.tracking import views
from pipeline.tracking.store import Store
from tests.tracking.samples import DEPTH, QUESTION, search

TRIALS_ASKED_TAG = "mlflow.sharedViewState.narrowgap-trials-digits"
SEARCHES_TAG = "mlflow.sharedViewState.narrowgap-searches-digits"
NOTE_TAG = "mlflow.note.content"


@pytest.fixture
def run(store):
    return store.root(step="search", experiment="digits", tags={})


def tags_of(store, run) -> dict[str, str]:
    return dict(store.client.get_experiment(run.experiment_id).tags)


def state_of(tag: str) -> dict:
    packed = json.loads(tag)["state"].removeprefix("deflate;")
    state: dict = json.loads(zlib.decompress(base64.b64decode(packed)))
    return state


def test_both_views_stand_on_the_experiment_under_their_names(store, run):
    views.ensure(store, run, question=QUESTION, depth=DEPTH)

    tags = tags_of(store, run)
    assert json.loads(tags[TRIALS_ASKED_TAG])["name"] == "Trials"
    assert json.loads(tags[SEARCHES_TAG])["name"] == "Searches"
    assert tags["mlflow.experiment.primaryMetric.name"] == "test_accuracy"


def test_the_filters_of_the_views_find_what_they_are_for(store):
    """MLflow refuses much of SQL: a view with such a filter is a page with an error on it."""
    found = search(store, trials=3)
    search(store, experiment="smoke", trials=1)
    refit = store.child(found, step="refit", name="refit", tags={"narrowgap.experiment": "digits"})
    evaluated = store.child(found, step="evaluate", name="evaluate", tags={"narrowgap.experiment": "digits"})
    views.ensure(store, found, question=QUESTION, depth=DEPTH)

    def seen(tag: str) -> set[str]:
        where = state_of(tags_of(store, found)[tag])["searchFilter"]
        return {run.info.run_id for run in store.client.search_runs([found.experiment_id], where)}

    trials = {run.id for run in store.children(found)} - {refit.id, evaluated.id}
    assert len(trials) == 3
    assert seen(TRIALS_ASKED_TAG) == trials
    assert seen(SEARCHES_TAG) == {found.id, evaluated.id}


def test_every_network_is_in_a_chart_of_parallel_coordinates_with_all_its_layers(store):
    """The UI leaves a run out of such a chart when it lacks one of the params."""
    found = search(store, trials=6)
    views.ensure(store, found, question=QUESTION, depth=DEPTH)

    cards = state_of(tags_of(store, found)[TRIALS_ASKED_TAG])["compareRunCharts"]
    charts = [set(card["selectedParams"]) for card in cards if card["type"] == "PARALLEL"]
    places = ("depth", "hidden_", "dropout_")
    for trial in store.children(found):
        own = {name for name in trial.params if name.startswith(places)}
        shown = [chart for chart in charts if chart <= own]
        assert own - {"depth"} in [chart - {"depth"} for chart in shown], trial.params
    assert {"depth", "dropout_0", "dropout_1", "hidden_1"} in charts


def test_what_is_searched_besides_layers_is_on_every_chart_of_hyperparameters_and_a_column(store, run):
    views.ensure(store, run, question=QUESTION, depth=2, searched=["activation", "learning_rate"])

    state = state_of(tags_of(store, run)[TRIALS_ASKED_TAG])
    charts = [card["selectedParams"] for card in state["compareRunCharts"] if card["type"] == "PARALLEL"]
    assert [chart[-2:] for chart in charts] == [["activation", "learning_rate"]] * 2
    assert state["selectedColumns"][-2:] == ["params.`activation`", "params.`learning_rate`"]


def test_every_card_stands_in_a_section_and_no_two_have_one_id(store, run):
    views.ensure(store, run, question=QUESTION, depth=8)

    for tag in (TRIALS_ASKED_TAG, SEARCHES_TAG):
        state = state_of(tags_of(store, run)[tag])
        sections = [section["uuid"] for section in state["compareRunSections"]]
        cards = [card["uuid"] for card in state["compareRunCharts"]]
        assert {card["metricSectionId"] for card in state["compareRunCharts"]} == set(sections)
        assert len({*cards, *sections}) == len(cards) + len(sections)


def test_a_second_time_nothing_is_written(store, run):
    views.ensure(store, run, question=QUESTION, depth=DEPTH)
    before = tags_of(store, run)

    views.ensure(store, run, question=QUESTION, depth=DEPTH)

    assert tags_of(store, run) == before


def test_a_view_of_ours_follows_the_experiment(store, run):
    views.ensure(store, run, question=QUESTION, depth=1)
    assert "params.`hidden_2`" not in state_of(tags_of(store, run)[TRIALS_ASKED_TAG])["selectedColumns"]

    views.ensure(store, run, question=QUESTION, depth=2)

    assert "params.`hidden_2`" in state_of(tags_of(store, run)[TRIALS_ASKED_TAG])["selectedColumns"]


@pytest.mark.parametrize("tag", [TRIALS_ASKED_TAG, NOTE_TAG])
def test_what_a_user_has_changed_is_kept(store, run, tag):
    views.ensure(store, run, question=QUESTION, depth=1)
    store.client.set_experiment_tag(run.experiment_id, tag, "mine")

    views.ensure(store, run, question="Another?", depth=2)

    assert tags_of(store, run)[tag] == "mine"


def test_a_note_that_was_there_before_is_kept(store, run):
    store.client.set_experiment_tag(run.experiment_id, NOTE_TAG, "mine")

    views.ensure(store, run, question=QUESTION, depth=1)

    assert tags_of(store, run)[NOTE_TAG] == "mine"


def test_a_view_that_was_deleted_comes_back_because_links_open_it(store, run):
    views.ensure(store, run, question=QUESTION, depth=1)
    store.client.delete_experiment_tag(run.experiment_id, TRIALS_ASKED_TAG)

    views.ensure(store, run, question=QUESTION, depth=1)

    assert TRIALS_ASKED_TAG in tags_of(store, run)


def test_the_note_has_the_question_the_latest_answer_and_the_links(store, run):
    views.ensure(store, run, question=QUESTION, depth=1)
    asked = tags_of(store, run)[NOTE_TAG]
    assert asked.startswith(
        f"**{QUESTION}**\n\n- [Trials](#/experiments/1/runs?viewStateShareKey=narrowgap-trials-digits&"
    )

    run.log(metrics={"test_accuracy": 0.8925, "accuracy_gap": 0.031}, tags={"narrowgap.chosen": "64-32-10"})
    views.ensure(store, run, question=QUESTION, depth=1)

    answered = tags_of(store, run)[NOTE_TAG]
    answer = (
        f"`64-32-10`: test accuracy 89.25 %, honest gap +3.10 points ([search digits](#/experiments/1/runs/{run.id}))."
    )
    assert answered.startswith(f"**{QUESTION}**\n\n{answer}\n\n- [Trials](")

    later = store.root(step="search", experiment="digits", tags={})
    views.ensure(store, later, question=QUESTION, depth=1)
    assert tags_of(store, run)[NOTE_TAG] == answered


def test_experiments_that_share_a_page_have_views_and_questions_of_their_own(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")
    for name, question in (("digits", "First?"), ("smoke", "Second?")):
        run = store.root(step="search", experiment=name, tags={})
        views.ensure(store, run, question=question, depth=1)

    tags = tags_of(store, run)
    assert json.loads(tags[TRIALS_ASKED_TAG])["name"] == "Trials of digits"
    assert json.loads(tags["mlflow.sharedViewState.narrowgap-trials-smoke"])["name"] == "Trials of smoke"
    assert tags[NOTE_TAG].count("**First?**") == 1
    assert tags[NOTE_TAG].count("**Second?**") == 1


def test_a_link_opens_on_the_server_or_on_the_ui_that_make_ui_starts(store, run):
    local = views.link(store, run)
    remote = views.link(Store(store.client, "https://mlflow.example/team/"), run, views.SEARCHES)

    page = "#/experiments/1/runs?viewStateShareKey=narrowgap"
    assert local.startswith(f"http://127.0.0.1:5000/{page}-trials-digits&compareRunsMode=CHART")
    assert remote.startswith(f"https://mlflow.example/team/{page}-searches-digits&compareRunsMode=CHART")
