"""Versions and aliases in a real registry (SQLite)."""

import socket

import mlflow
import mlflow.pyfunc
import pytest

from pipeline.errors import InputError, StoreError
from pipeline.tracking.names import CHALLENGER, CHAMPION, PREVIOUS_CHAMPION, REQUEST_TAG
from pipeline.tracking.registry import Registry
from pipeline.tracking.store import Store


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with one logged model, whose address every version here has."""
    folder = tmp_path_factory.mktemp("registry")
    code = folder / "code.py"
    code.write_text(
        "import mlflow\n\n\nclass Same(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n        return model_input\n\n\n"
        "mlflow.models.set_model(Same())\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        # What is said to MLflow itself outlasts a test, and counts more than the environment of the next one.
        patch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
        patch.setattr("mlflow.tracking.fluent._active_experiment_id", None)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        store = Store.connect()
        experiment = store.client.create_experiment("here", f"{folder}/artifacts")
        with mlflow.start_run(experiment_id=experiment) as run:
            info = mlflow.pyfunc.log_model(name="model", python_model=str(code), pip_requirements=["mlflow"])
        yield store, info.model_uri, run.info.run_id


@pytest.fixture
def registry(made, request):
    store, _, _ = made
    return Registry(store, request.node.name[:60])


@pytest.fixture
def register(made, registry):
    _, source, run_id = made
    return lambda **tags: registry.register(source, run_id, tags)


def bearer(registry, alias):
    """Whose number an alias has."""
    version = registry.by_alias(alias)
    return version and version.number


def test_a_registry_without_the_model_has_no_champion_and_no_versions(registry):
    assert registry.by_alias(CHAMPION) is None
    assert registry.versions() == []


def test_a_model_without_an_alias_has_no_champion(registry, register):
    register()
    assert registry.by_alias(CHAMPION) is None
    assert [each.number for each in registry.versions()] == ["1"]


def test_a_registry_that_fails_is_never_one_without_a_champion(registry, register, monkeypatch):
    register()

    def fails(*_arguments):
        raise mlflow.MlflowException("the database is gone")  # an internal error, as MLflow itself wraps one

    monkeypatch.setattr(registry._client, "get_model_version_by_alias", fails)
    with pytest.raises(mlflow.MlflowException, match="gone"):
        registry.by_alias(CHAMPION)


def test_a_separate_registry_that_does_not_answer_is_reported_within_seconds(made, monkeypatch):
    store, _, _ = made
    monkeypatch.setattr("mlflow.tracking._model_registry.utils._registry_uri", None)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and not listened to
        monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        with pytest.raises(StoreError, match=r"the model registry http.* cannot be reached .*set MLFLOW_REGISTRY_URI"):
            Registry(store, "elsewhere")


def test_a_version_keeps_its_tags_run_and_address(made, registry, register):
    _, source, run_id = made
    register(origin="1")
    (version,) = registry.versions()
    request = version.tags[REQUEST_TAG]
    own = {"origin": "1", REQUEST_TAG: request}
    assert (version.tags, version.run_id, version.source) == (own, run_id, source)
    registry.tag(version, {"decision": "kept"})
    assert registry.get("1").tags == own | {"decision": "kept"}


def test_the_first_champion_has_no_predecessor(registry, register):
    first = register()
    assert registry.promote(first, instead_of=None)
    assert bearer(registry, CHAMPION) == first.number
    assert registry.by_alias(PREVIOUS_CHAMPION) is None


def test_a_promotion_keeps_the_former_champion_as_the_previous_one(registry, register):
    first, second = register(), register()
    registry.promote(first, instead_of=None)
    assert registry.promote(second, instead_of=first)
    assert bearer(registry, CHAMPION) == second.number
    assert bearer(registry, PREVIOUS_CHAMPION) == first.number


@pytest.mark.parametrize("believed", ["none", "first"])
def test_a_champion_that_was_moved_meanwhile_is_left_alone(registry, register, believed):
    first, second, third = register(), register(), register()
    registry.promote(first, instead_of=None)
    registry.promote(second, instead_of=first)
    assert not registry.promote(third, instead_of=first if believed == "first" else None)
    assert bearer(registry, CHAMPION) == second.number
    assert bearer(registry, PREVIOUS_CHAMPION) == first.number


def test_interrupted_between_the_two_aliases_the_champion_is_the_old_one(registry, register, monkeypatch):
    first, second = register(), register()
    registry.promote(first, instead_of=None)
    real = registry._client.set_registered_model_alias

    def dies_at_the_second(name, alias, number):
        if alias == CHAMPION:
            raise KeyboardInterrupt
        real(name, alias, number)

    monkeypatch.setattr(registry._client, "set_registered_model_alias", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        registry.promote(second, instead_of=first)
    assert bearer(registry, CHAMPION) == first.number


def test_each_rollback_goes_one_further_back_and_a_promotion_after_one_records_what_it_replaced(registry, register):
    first, second, third, fourth = (register() for _ in range(4))
    registry.promote(first, instead_of=None)
    registry.promote(second, instead_of=first)
    registry.promote(third, instead_of=second)
    assert registry.roll_back(second, instead_of=third)
    assert (bearer(registry, CHAMPION), bearer(registry, PREVIOUS_CHAMPION)) == ("2", "1")
    assert registry.promote(fourth, instead_of=second)
    assert (bearer(registry, CHAMPION), bearer(registry, PREVIOUS_CHAMPION)) == ("4", "2")
    assert registry.roll_back(second, instead_of=fourth)
    assert registry.roll_back(first, instead_of=second)
    assert (bearer(registry, CHAMPION), bearer(registry, PREVIOUS_CHAMPION)) == ("1", None)


def test_a_rollback_from_a_champion_that_was_moved_meanwhile_changes_nothing(registry, register):
    first, second, third = (register() for _ in range(3))
    registry.promote(first, instead_of=None)
    registry.promote(second, instead_of=first)
    registry.promote(third, instead_of=second)
    assert not registry.roll_back(first, instead_of=second)
    assert (bearer(registry, CHAMPION), bearer(registry, PREVIOUS_CHAMPION)) == ("3", "2")


def test_an_interrupted_rollback_is_completed_by_the_next_call(registry, register, monkeypatch):
    first, second, third = (register() for _ in range(3))
    registry.promote(first, instead_of=None)
    registry.promote(second, instead_of=first)
    registry.promote(third, instead_of=second)

    def dies(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(registry, "repair_previous", dies)
        with pytest.raises(KeyboardInterrupt):
            registry.roll_back(second, instead_of=third)
    assert bearer(registry, CHAMPION) == "2"
    assert registry.repair_previous()
    assert (bearer(registry, CHAMPION), bearer(registry, PREVIOUS_CHAMPION)) == ("2", "1")


def test_deleting_a_version_leaves_the_champion(registry, register):
    first, second = register(), register()
    registry.promote(first, instead_of=None)
    registry.set_challenger(second)
    registry.delete(second)
    assert registry.by_alias(CHALLENGER) is None
    assert bearer(registry, CHAMPION) == first.number


def test_versions_come_in_the_order_of_their_numbers(registry, register):
    for _ in range(11):
        register()
    assert [each.number for each in registry.versions()] == [str(number) for number in range(1, 12)]


def test_an_unknown_version_is_refused_with_the_known_ones(registry, register):
    register()
    with pytest.raises(InputError, match=r"has no version '7'; expected one of: 1"):
        registry.get("7")
