"""What makes two searches the same."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pipeline.errors import BusyError, InputError
from pipeline.experiment import Experiment, parse
from pipeline.search.resume import differences, identity, identity_tag, search_to_resume, unevaluated
from pipeline.session import Session
from pipeline.tracking import run_lock
from pipeline.tracking.store import Run
from tests.fixtures.commands import Commands

pytestmark = pytest.mark.tensorflow

PUBLISHED = {"source": "a book", "train_accuracy": 0.9, "train_loss": 0.3, "test_accuracy": 0.8, "test_loss": 0.4}


@pytest.fixture(autouse=True)
def beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are of the MLflow experiment whose artifacts are in the session's folder."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "smoke")


def test_what_others_published_does_not_make_another_search_and_another_rate_does(session: Session) -> None:
    def identified(**changes: object) -> dict[str, object]:
        network = {"hidden": [8], "dropout": [0, 0.5], "activations": ["relu"]} | changes
        content = {"name": "x", "question": "y?", "space": {"networks": [network]}}
        return identity(parse(content, where="here"), session.prepared)

    assert identified(published=PUBLISHED) == identified()
    assert identified(dropout=[0, 0.4]) != identified()
    assert identified(normalization="none") == identified() != identified(normalization="batch")
    assert "normalization" not in json.dumps(identified())


def test_keys_that_are_newer_than_a_search_are_no_difference_where_they_change_nothing(session: Session) -> None:
    def identified(**sections: dict[str, object]) -> dict[str, object]:
        return identity(parse({"name": "x", "question": "y?", **sections}, where="here"), session.prepared)

    plain = identified()
    assert not {"shape", "size", "channels", "background"} & set(plain["data"])  # type: ignore[call-overload]
    assert "class_weight" not in plain["training"]  # type: ignore[operator]
    assert identified(training={"class_weight": "balanced"}) != plain
    assert not {"weight_decay", "label_smoothing"} & set(plain["training"])  # type: ignore[call-overload]
    assert identified(training={"weight_decay": 0.1}) != plain
    assert identified(training={"label_smoothing": 0.1}) != plain
    assert "normalization" not in plain["space"]  # type: ignore[operator]
    assert identified(space={"normalization": "none"}) == plain
    assert identified(space={"normalization": ["none", "batch"]}) != plain


def test_a_range_of_training_is_part_of_what_makes_a_search(session: Session) -> None:
    def identified(rate: object) -> dict[str, object]:
        content = {"name": "x", "question": "y?", "training": {"learning_rate": rate}}
        return identity(parse(content, where="here"), session.prepared)

    ranges = [{"from": 0.001, "to": end} for end in (0.1, 0.1, 0.2)]
    assert identified(ranges[0]) == identified(ranges[1]) != identified(ranges[2])
    # The middle, 0.0505, is what the plain field has.
    assert identified(ranges[0]) != identified(0.0505) != identified([0.0505])


def test_a_searched_space_is_part_of_what_makes_a_search(session: Session) -> None:
    def identified(hidden: list[int]) -> dict[str, object]:
        content = {"name": "x", "question": "y?", "space": {"hidden": hidden}}
        return identity(parse(content, where="here"), session.prepared)

    assert identified([8, 16]) != identified([8])
    assert identified([8]) == identified([8])


def networks(count: int, *, last: float = 0.5) -> Experiment:
    """An experiment of `count` fixed networks, the last with its own dropout rate."""
    many = [{"hidden": [8, 8, 8], "dropout": [0, 0, 0, 0.5], "activations": ["relu"] * 3} for _ in range(count)]
    many[-1]["dropout"] = [0, 0, 0, last]
    content = {"name": f"n{count}", "question": "y?", "space": {"networks": many}, "search": {"trials": count}}
    return parse(content, where="here")


def unfinished(session: Session, asked: Experiment, tag: Callable[[Run], str]) -> Run:
    run = session.store.root(step="search", experiment=asked.name, tags={})
    run.log(tags={"narrowgap.identity": tag(run), "narrowgap.trials_asked": str(asked.search.trials)})
    run.finish("FAILED")
    return run


@pytest.mark.parametrize("count", [3, 300])
def test_an_unfinished_search_is_found_and_what_differs_is_named_whatever_its_number_of_networks(session, count):
    asked = networks(count)
    ours = identity(asked, session.prepared)
    run = unfinished(session, asked, lambda run: identity_tag(run, ours))
    tag = run.tags["narrowgap.identity"]
    assert (tag.startswith("sha256:") and len(tag) == 71) == (count == 300)
    found = search_to_resume(replace(session, experiment=asked), run.experiment_id)
    assert found is not None
    assert found.id == run.id
    with pytest.raises(InputError) as refused:
        search_to_resume(replace(session, experiment=networks(count, last=0.4)), run.experiment_id)
    place = f"space.networks.{count - 1}.dropout"
    assert f"differs: {place} is [0.0, 0.0, 0.0, 0.5] there and [0.0, 0.0, 0.0, 0.4] here. Finish it" in str(
        refused.value
    )


def test_a_running_search_is_not_taken_over_though_it_took_no_lease(session):
    """One that was started with search.resume=never."""
    asked = networks(4)
    tags = {**run_lock.owner_tag(), "narrowgap.trials_asked": "4"}
    run = session.store.root(step="search", experiment=asked.name, tags=tags)
    run.log(tags={"narrowgap.identity": identity_tag(run, identity(asked, session.prepared))})
    with pytest.raises(BusyError, match=rf"search {run.id} is being run by process \d+ on .*search.resume=never"):
        search_to_resume(replace(session, experiment=asked), run.experiment_id)
    other = networks(4, last=0.25)  # another search of that name is begun beside it
    assert search_to_resume(replace(session, experiment=other), run.experiment_id) is None
    run.finish("KILLED")
    found = search_to_resume(replace(session, experiment=asked), run.experiment_id)
    assert found is not None
    assert found.id == run.id


@pytest.mark.parametrize(("ending", "count"), [("FINISHED", 5), ("KILLED", 6)])
def test_the_search_of_a_retraining_run_hides_no_search_of_a_user_and_is_left_to_its_run(session, ending, count):
    asked = networks(count)
    tag = {"narrowgap.identity": json.dumps(identity(asked, session.prepared)), "narrowgap.trials_asked": "3"}
    tag["narrowgap.experiment"] = asked.name
    retraining = session.store.root(step="retrain", experiment=asked.name, tags={})
    session.store.child(retraining, step="search", name="search", tags=tag).finish(ending)
    ours = replace(session, experiment=asked)
    assert search_to_resume(ours, retraining.experiment_id) is None
    assert unevaluated(ours, retraining.experiment_id) is None
    mine = unfinished(session, asked, lambda _: tag["narrowgap.identity"])
    session.store.child(retraining, step="search", name="search", tags=tag).finish(ending)
    found = search_to_resume(ours, retraining.experiment_id)
    assert found is not None
    assert found.id == mine.id


def test_a_search_whose_main_was_stopped_is_evaluated_though_a_retraining_run_searched_after_it(session):
    asked = networks(7)
    tag = {"narrowgap.identity": json.dumps(identity(asked, session.prepared)), "narrowgap.trials_asked": "7"}
    tag["narrowgap.experiment"] = asked.name
    main = session.store.root(step="main", experiment=asked.name, tags={})
    mine = session.store.child(main, step="search", name="search", tags=tag)
    mine.finish("FINISHED")
    main.finish("KILLED")
    retraining = session.store.root(step="retrain", experiment=asked.name, tags={})
    session.store.child(retraining, step="search", name="search", tags=tag).finish("FINISHED")
    found = unevaluated(replace(session, experiment=asked), main.experiment_id)
    assert found is not None
    assert found.id == mine.id


def test_a_search_whose_tag_has_the_whole_json_is_still_found(session):
    """As every version before recorded it, in whatever order of keys."""
    asked = networks(4)
    text = json.dumps(identity(asked, session.prepared), sort_keys=True)
    run = unfinished(session, asked, lambda _run: text)
    found = search_to_resume(replace(session, experiment=asked), run.experiment_id)
    assert found is not None
    assert found.id == run.id


def test_of_many_differences_a_few_are_named(session):
    asked = networks(40)
    ours = identity(asked, session.prepared)
    run = unfinished(session, asked, lambda run: identity_tag(run, ours))
    other = asked.model_dump(mode="json")
    for each in other["space"]["networks"]:
        each["hidden"] = [8, 8, 16]
    with pytest.raises(InputError) as refused:
        search_to_resume(replace(session, experiment=parse(other, where="here")), run.experiment_id)
    assert "space.networks.0.hidden is [8, 8, 8] there and [8, 8, 16] here; " in str(refused.value)
    assert " here and 35 more. Finish it" in str(refused.value)


def test_networks_that_were_added_are_counted_and_a_deleted_artifact_is_named(session):
    asked = networks(200)
    ours, more = (identity(each, session.prepared) for each in (asked, networks(201)))
    run = unfinished(session, asked, lambda run: identity_tag(run, ours))
    assert differences(run, more) == ["space.networks has 200 entries there and 201 here"]
    (Path(run.artifact_uri.removeprefix("file://")) / "search.json").unlink()
    assert differences(run, ours) == []
    assert differences(run, more) == ["its settings, which its deleted artifact search.json could name"]


def test_three_hundred_networks_are_searched_and_the_search_goes_on(tmp_path, monkeypatch, tensorflow):
    file = tmp_path / "many.yaml"
    content = yaml.safe_load(networks(300).to_yaml())
    content |= {"data": {"dataset": "digits", "validation": 0.1, "test": 0.1}}
    content["training"] |= {"epochs": 1, "batch_size": 256}
    content["search"] |= {"tuner": "grid", "trials": 1, "workers": 1}
    file.write_text(yaml.safe_dump(content))
    call = Commands(tmp_path, f"sqlite:///{tmp_path}/mlflow.db", monkeypatch)
    assert call("search", file).code == 0
    done = call("search", file, "--search.trials", "2")
    assert done.code == 0, done.said
    assert "resuming search" in done.said
    assert "(1 trials done)" in done.said
