"""A recipe: a network with the training settings that are its own."""

import json
import re
from pathlib import Path

from pipeline.experiment import Training, TrainingOverrides
from pipeline.models.dense import DenseSpec
from pipeline.models.recipe import Recipe

SPEC = DenseSpec((256, 128), (0.0, 0.2, 0.0), ("relu", "tanh"))
PATIENT = Recipe(SPEC, TrainingOverrides(patience=3, restore_best=False))


def test_own_settings_take_the_place_of_the_experiments_and_the_rest_is_the_experiments():
    settings = PATIENT.settings(Training(epochs=7, patience=5))
    assert (settings.epochs, settings.patience, settings.restore_best) == (7, 3, False)
    assert Recipe(SPEC).settings(Training(epochs=7)) == Training(epochs=7)


def test_json_gives_an_equal_recipe_back():
    assert Recipe.from_json(PATIENT.to_json()) == PATIENT
    assert hash(Recipe.from_json(PATIENT.to_json())) == hash(PATIENT)


def test_recipes_differ_in_training_alone():
    assert Recipe(SPEC) != PATIENT
    assert Recipe(SPEC) == Recipe(SPEC, TrainingOverrides())


def test_the_name_says_what_is_its_own():
    # Rates stand behind the layer that they follow: .2 comes after 256.
    assert Recipe(SPEC).name(784, 10) == "784-256(0.2)-128-10"
    assert PATIENT.name(784, 10) == "784-256(0.2)-128-10, patience 3, restore_best false"


def test_params_are_the_layers_and_the_resolved_settings():
    params = PATIENT.params(PATIENT.settings(Training(epochs=7)), seed=5, inputs=784, classes=10)
    layers = {"depth": 2, "hidden_1": 256, "hidden_2": 128, "dropout_1": 0.2, "seed": 5, "patience": 3}
    assert layers.items() <= params.items()
    # 785 * 256 + 257 * 128 + 129 * 10
    assert (params["parameters"], params["activations"], params["epochs"]) == (235_146, "relu,tanh", 7)
    assert Recipe(SPEC).params(Training(patience=None), seed=1, inputs=784, classes=10)["patience"] == "None"


def test_every_param_besides_the_training_settings_is_in_the_documented_table():
    page = (Path(__file__).parents[2] / "docs" / "store.md").read_text()
    (table,) = re.findall(r"## Params of a trial and a refit\n\n(.*?)\n\n", page, re.DOTALL)
    named = set(re.findall(r"`(\w+)`", "\n".join(row.split("|")[1] for row in table.splitlines())))
    params = PATIENT.params(Training(), seed=1, inputs=784, classes=10).keys() - Training().model_dump().keys()
    # Of two hidden layers; the table has the first two names of each row of numbers, and what is searched.
    assert params - {"dropout_2"} == named - {"activation"}
    assert {"normalization", "activations", "dropout_1"} <= named


def test_a_version_of_before_recipes_has_no_settings_of_its_own():
    old = {"narrowgap.network": json.dumps({"hidden": [8], "dropout": [0, 0.5], "activations": ["relu"]})}
    assert Recipe.from_tags(old) == Recipe(DenseSpec((8,), (0, 0.5), ("relu",)))


def test_tags_give_the_recipe_back_and_older_readers_find_the_network():
    tags = PATIENT.tags()
    assert Recipe.from_tags(tags) == PATIENT
    assert json.loads(tags["narrowgap.network"])["hidden"] == [256, 128]


SEARCHED = Recipe(
    DenseSpec((64,), (0.2, 0.0), ("gelu",)),
    TrainingOverrides(learning_rate=0.001, weight_decay=0.0),
    (("activation", "gelu"), ("learning_rate", 0.001), ("weight_decay", 0.0)),
)


def test_what_was_searched_besides_layers_is_named_and_is_a_param_and_nothing_else_is():
    name = "64(0.2)-64-10, activation gelu, learning_rate 0.001, weight_decay 0"
    assert SEARCHED.architecture(64, 10) == SEARCHED.name(64, 10) == name
    params = SEARCHED.params(SEARCHED.settings(Training()), seed=1, inputs=64, classes=10)
    assert (params["activation"], params["learning_rate"], params["architecture"]) == ("gelu", 0.001, name)
    plain = Recipe(SEARCHED.spec, SEARCHED.own)
    assert plain.architecture(64, 10) == "64(0.2)-64-10"
    assert plain.name(64, 10) == "64(0.2)-64-10, learning_rate 0.001, weight_decay 0.0"
    assert "activation" not in plain.params(Training(), seed=1, inputs=64, classes=10)


def test_what_was_searched_is_in_the_json_where_anything_was():
    assert Recipe.from_json(SEARCHED.to_json()) == SEARCHED
    assert "searched" not in PATIENT.to_json()


def test_a_normalization_is_named_once_and_none_where_it_was_searched():
    def named(normalization, *searched):
        recipe = Recipe(DenseSpec((8,), (0, 0.5), ("relu",), normalization), searched=searched)
        return recipe.name(784, 10)

    assert named("batch") == "784-8(0.5)-10, normalization batch"
    assert named("batch", ("normalization", "batch")) == "784-8(0.5)-10, normalization batch"
    assert named("none", ("normalization", "none")) == "784-8(0.5)-10, normalization none"
    assert named("none") == "784-8(0.5)-10"
