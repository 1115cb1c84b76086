"""Who is trained again: the best of a search and the references, or all of the fixed networks."""

import math
from dataclasses import replace
from typing import Any

import pytest

from pipeline.evaluation.finalists import BASELINE, NOTEBOOK, NOTEBOOK_DROPOUT, finalists
from pipeline.experiment import Experiment, ModelCode, Training, TrainingOverrides
from pipeline.models.dense import DenseSpec, dense, notebook_network
from pipeline.models.recipe import Recipe
from pipeline.models.user.spec import UserSpec
from pipeline.search.trials import Trial
from tests.evaluation.samples import figures, relu, trial

pytestmark = pytest.mark.tensorflow

# sqrt(.9 * .1 / 10,000) is .003: one standard error of the best accuracy reaches down to .897.
SURE = trial(0, relu(512), figures(accuracy=0.900, gap=0.05))
CALM = trial(1, relu(256), figures(accuracy=0.898, gap=0.03))
WEAK = trial(2, relu(32), figures(accuracy=0.890, gap=0.01))
PLAIN = {"hidden": [128, 64, 32], "dropout": [0, 0, 0, 0], "activations": ["linear", "relu", "relu"]}
DROPPED = PLAIN | {"dropout": [0, 0, 0.1, 0]}
OTHER = {"hidden": [8], "dropout": [0, 0.5], "activations": ["tanh"]}
PUBLISHED = {"source": "a book", "train_accuracy": 0.9, "train_loss": 0.3, "test_accuracy": 0.8, "test_loss": 0.4}


def experiment(*networks: dict[str, Any], **sections: Any) -> Experiment:
    space = {"networks": list(networks)} if networks else {}
    return Experiment(name="x", question="y?", space=space, **sections)


def fixed(asked: Experiment, number: int, place: int) -> Trial:
    """The trial of the network at a place of the experiment's file."""
    assert asked.space.networks is not None
    spec = DenseSpec.of(asked.space.networks[place])
    return trial(number, spec, figures(accuracy=0.5 + place / 100), proposed={"network": place})


def test_the_searchs_best_come_in_the_order_of_its_rule_and_then_the_notebooks_two() -> None:
    asked = experiment(evaluation={"finalists": 2})
    found = finalists(asked, [SURE, WEAK, CALM], 10_000)
    # Calm has the smallest gap within the error of Sure; of the two left, Sure is alone within its own.
    assert [(each.role, each.recipe.spec) for each in found] == [
        ("finalist 1", CALM.recipe.spec),
        ("finalist 2", SURE.recipe.spec),
        (BASELINE, notebook_network()),
        (NOTEBOOK, notebook_network(dropout=NOTEBOOK_DROPOUT)),
    ]
    assert [each.at_selection for each in found] == [0.898, 0.9, None, None]
    assert [each.reference for each in found] == [False, False, True, True]
    assert {each.settings for each in found} == {asked.training}


def test_the_rule_and_its_tolerance_decide_the_order() -> None:
    def order(**selection: Any) -> list[str]:
        found = finalists(experiment(selection=selection), [SURE, CALM, WEAK], 10_000)
        return [each.recipe.spec.architecture(64, 10) for each in found if not each.reference]

    assert order(rule="best_accuracy") == ["64-512-10", "64-256-10", "64-32-10"]
    assert order(tolerance=0.02) == ["64-32-10", "64-256-10", "64-512-10"]


def test_there_are_no_more_finalists_than_networks() -> None:
    found = finalists(experiment(evaluation={"finalists": 5}), [SURE], 10_000)
    assert [each.role for each in found] == ["finalist 1", BASELINE, NOTEBOOK]


def test_a_network_that_was_trained_twice_is_one_finalist_with_the_better_of_its_trials() -> None:
    """As Hyperband trains what it promotes, and Keras Tuner's own Bayesian oracle what it forgot."""
    again = trial(3, CALM.recipe.spec, figures(accuracy=0.899, gap=0.02))
    found = finalists(experiment(evaluation={"finalists": 2}), [CALM, SURE, again, WEAK], 10_000)
    assert [(each.recipe.spec, each.at_selection) for each in found[:2]] == [
        (CALM.recipe.spec, 0.899),
        (SURE.recipe.spec, 0.9),
    ]


def test_networks_that_differ_in_training_alone_are_two_finalists_each_with_its_own_settings() -> None:
    patient = replace(CALM, number=3, recipe=Recipe(CALM.recipe.spec, TrainingOverrides(patience=9)))
    found = finalists(experiment(training={"patience": 2}), [CALM, patient], 10_000)
    best = [each for each in found if not each.reference]
    assert {each.recipe for each in best} == {CALM.recipe, patient.recipe}
    assert {each.settings.patience for each in best} == {2, 9}


def test_what_hyperband_stopped_early_is_a_finalist_only_where_others_are_too_few() -> None:
    """Its gap is small because it was stopped; and its accuracy then is not that of a full training."""
    early = trial(3, relu(64), figures(accuracy=0.899, gap=0.001), proposed={"tuner/epochs": 7})
    again = trial(4, SURE.recipe.spec, figures(accuracy=0.899, gap=0.002), proposed={"tuner/epochs": 7})
    full = [
        trial(each.number, each.recipe.spec, each.run.metrics, proposed={"tuner/epochs": 20}) for each in (SURE, CALM)
    ]

    def best(wished: int) -> list[tuple[str, float | None]]:
        found = finalists(experiment(evaluation={"finalists": wished}), [early, again, *full], 10_000)
        return [(each.recipe.spec.architecture(64, 10), each.at_selection) for each in found if not each.reference]

    assert best(2) == [("64-256-10", 0.898), ("64-512-10", 0.9)]
    assert best(3) == [("64-256-10", 0.898), ("64-512-10", 0.9), ("64-64-10", None)]


def test_a_trial_without_finite_figures_is_no_finalist() -> None:
    broken = trial(3, relu(64), figures(accuracy=0.99) | {"val_loss": math.nan})
    found = finalists(experiment(), [broken, SURE], 10_000)
    assert [each.recipe.spec for each in found if not each.reference] == [SURE.recipe.spec]


def test_fixed_networks_are_all_trained_again_in_the_order_of_the_file() -> None:
    asked = experiment(OTHER, PLAIN, DROPPED, evaluation={"finalists": 1})
    found = finalists(asked, [fixed(asked, number, place) for number, place in enumerate((2, 0, 1))], 10_000)
    assert [each.role for each in found] == ["network 1", BASELINE, NOTEBOOK]
    assert [dense(each.recipe.spec).hidden for each in found] == [(8,), (128, 64, 32), (128, 64, 32)]
    assert not any(each.reference for each in found)
    assert {each.at_selection for each in found} == {None}


def test_fixed_networks_of_one_shape_keep_settings_and_roles_of_their_own() -> None:
    patient = PLAIN | {"training": {"patience": 9}}
    asked = experiment(PLAIN, patient, PLAIN | {"training": {"epochs": 3}}, training={"epochs": 7, "patience": 2})
    found = finalists(asked, [fixed(asked, place, place) for place in range(3)], 10_000)
    assert [each.role for each in found] == [BASELINE, "network 2", "network 3"]
    assert [(each.settings.epochs, each.settings.patience) for each in found] == [(7, 2), (7, 9), (3, 2)]


def test_a_fixed_network_whose_trial_failed_is_left_out_and_the_others_keep_their_place() -> None:
    asked = experiment(OTHER, OTHER, OTHER)
    found = finalists(asked, [fixed(asked, 0, 0), fixed(asked, 2, 2)], 10_000)
    assert [each.role for each in found] == ["network 1", "network 3"]


def test_published_figures_stay_with_their_network() -> None:
    asked = experiment(OTHER, PLAIN | {"published": PUBLISHED})
    first, second = finalists(asked, [fixed(asked, place, place) for place in range(2)], 10_000)
    assert first.published is None
    assert second.published is not None
    assert second.published.test_accuracy == 0.8


def test_settings_of_a_searched_network_and_of_the_references_are_the_experiments() -> None:
    asked = experiment(training={"epochs": 4, "learning_rate": 0.5})
    assert {each.settings for each in finalists(asked, [SURE, CALM], 10_000)} == {Training(epochs=4, learning_rate=0.5)}


def own_model(*values: tuple[str, Any], compiled: bool = False, **settings: Any) -> Trial:
    """A trial of a user's own model that names training settings among its hyperparameters."""
    code = ModelCode("net.py", "build", "text")
    spec = UserSpec(code, values, parameter_count=1, has_dropout=False, compiled=compiled)
    return replace(trial(0, spec, figures(accuracy=0.9)), recipe=Recipe(spec, TrainingOverrides(**settings)))


def test_the_references_of_an_own_model_train_with_the_settings_that_its_best_network_names_itself() -> None:
    """Otherwise the difference to the baseline is due to the learning rate as well."""
    values = (("filters", 8), ("learning_rate", 0.02), ("epochs", 7), ("batch_size", 32))
    best = own_model(*values, learning_rate=0.02, epochs=7, batch_size=32)
    model = {"file": "net.py", "function": "build", "source": "text"}
    asked = Experiment(name="x", question="y?", model=model, training={"patience": 4})
    first, *references = finalists(asked, [best], 10_000)
    assert {each.settings for each in references} == {first.settings}
    assert first.settings == asked.training.merged(TrainingOverrides(learning_rate=0.02, epochs=7, batch_size=32))
    assert [each.recipe.architecture(64, 10) for each in references] == [
        "64-128-64-32-10, epochs 7, batch_size 32, learning_rate 0.02",
        "64-128-64(0.1)-32-10, epochs 7, batch_size 32, learning_rate 0.02",
    ]
    assert [each.recipe.name(64, 10) for each in references] == [
        each.recipe.architecture(64, 10) for each in references
    ]


def test_what_the_optimizer_of_a_compiled_model_is_given_is_not_given_to_the_references() -> None:
    """Its learning rate is that of another optimizer."""
    best = own_model(("learning_rate", 0.5), ("batch_size", 32), compiled=True, learning_rate=0.5, batch_size=32)
    model = {"file": "net.py", "function": "build", "source": "text"}
    asked = Experiment(name="x", question="y?", model=model)
    _, *references = finalists(asked, [best], 10_000)
    assert {each.settings for each in references} == {asked.training.merged(TrainingOverrides(batch_size=32))}


def test_the_notebooks_dropout_is_where_the_notebook_has_it() -> None:
    assert notebook_network(dropout=NOTEBOOK_DROPOUT).architecture(784, 10) == "784-128-64(0.1)-32-10"


def test_the_references_are_named_with_the_training_settings_that_were_searched_and_not_with_the_layers() -> None:
    sections: dict[str, Any] = {"training": {"learning_rate": [0.1, 0.2]}, "space": {"activation": ["relu", "gelu"]}}
    asked = Experiment(name="x", question="y?", **sections)
    searched = (("activation", "relu"), ("learning_rate", 0.2))
    recipe = Recipe(relu(16), TrainingOverrides(learning_rate=0.2), searched)
    found = finalists(asked, [replace(SURE, recipe=recipe)], 10_000)
    assert [each.recipe.architecture(64, 10) for each in found] == [
        "64-16-10, activation relu, learning_rate 0.2",
        "64-128-64-32-10, learning_rate 0.2",
        "64-128-64(0.1)-32-10, learning_rate 0.2",
    ]
    assert {each.settings.learning_rate for each in found} == {0.2}
