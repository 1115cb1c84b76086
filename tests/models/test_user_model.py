"""A user's own model: what its function asks for, how its code is kept, and what is refused."""

import itertools
import json
import re
import textwrap

import pytest
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import _validate_param_name

from pipeline.errors import InputError
from pipeline.experiment import ModelCode, Training
from pipeline.models.recipe import Recipe
from pipeline.search.trials import MEASURES, table
from pipeline.tracking.names import TRIAL_PARAMS, is_param, reserved
from tests.evaluation.samples import trial

# ruff: noqa: ISC004, E501 - code of one line each
pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("tensorflow")]
HEAD = """
import keras
import keras_tuner

def dense(inputs, classes, units=4, **options):
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(units, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax", **options)(x))
"""
LAYERS = """
def build(hp, input_shape, classes):
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    for layer in range(hp.Int("layers", 1, 3)):
        x = keras.layers.Dense(hp.Choice(f"units_{layer}", [4, 8]), activation="relu")(x)
    if hp.Choice("end", ["plain", "noisy"]) == "noisy":
        x = keras.layers.Dropout(hp.Float("dropout", 0, .4, step=.2))(x)
    hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))
"""


def code(body: str, function: str = "build") -> ModelCode:
    return ModelCode("net.py", function, HEAD + textwrap.dedent(body))


def space(body: str, function: str = "build", *, grid: bool = False, shape=(4, 4), classes=3):
    from pipeline.models.user.space import user_space

    return user_space(code(body, function), shape, classes, grid=grid)


def built(body: str):
    from pipeline.models.user import network

    return network.build(code(body), (), image_shape=(4, 4), classes=3, seed=1)


def conditions(found) -> dict[str, list]:
    return {each.name: [(of.parent, of.values) for of in each.conditions] for each in found.explored.hyperparameters}


def test_a_hyperparameter_of_a_loop_or_a_branch_depends_on_what_decides_it():
    found = conditions(space(LAYERS))
    assert found["units_0"] == found["layers"] == found["end"] == []
    assert found["units_1"] == [("layers", (2, 3))]
    assert found["units_2"] == [("layers", (3,))]
    assert found["dropout"] == [("end", ("noisy",))]


def test_combinations_are_counted_by_hand():
    # Layers of 2 sizes: 2 + 4 + 8 = 14. Without dropout 1, with 3 rates: 1 + 3 = 4. Learning rates: 10 of a grid.
    assert space(LAYERS, grid=True).size() == 14 * 4 * 10
    rates = {each.name: each.values for each in space(LAYERS, grid=True).hyperparameters().space}["learning_rate"]
    assert rates[0] == 1e-4
    assert rates[-1] == 1e-2
    assert [round(later / earlier, 2) for earlier, later in itertools.pairwise(rates)] == [1.67] * 9


def test_scopes_that_the_function_declares_are_kept_one_in_another():
    found = conditions(
        space("""
        def build(hp, input_shape, classes):
            kind = hp.Choice("kind", ["small", "large"])
            with hp.conditional_scope("kind", ["large"]):
                if kind == "large":
                    deep = hp.Boolean("deep")
                    with hp.conditional_scope("deep", [True]):
                        hp.Int("more", 1, 3)
            hp.Fixed("version", 2)
            return dense(keras.Input(input_shape), classes)
        """)
    )
    assert found["deep"] == [("kind", ("large",))]
    assert found["more"] == [("kind", ("large",)), ("deep", (True,))]
    assert found["version"] == []


def test_what_appears_where_two_values_meet_is_found_and_the_user_is_told():
    found = space("""
    def build(hp, input_shape, classes):
        if hp.Boolean("one") and hp.Boolean("other"):
            hp.Int("both", 1, 2)
        first, second = hp.Boolean("first"), hp.Boolean("second")
        if first and second:
            hp.Int("meeting", 1, 2)
        return dense(keras.Input(input_shape), classes)
    """)
    assert conditions(found)["other"] == [("one", (True,))]
    assert conditions(found)["both"] == [("one", (True,)), ("other", (True,))]
    assert conditions(found)["meeting"] == []
    assert "meeting" in found.notes[0]
    # What was not asked for is no part of the recipe: equal networks are equal.
    values = {"one": False, "first": True, "second": False}
    recipes = {found.recipe({**values, "meeting": number}) for number in (1, 2)}
    assert [dict(each.spec.values) for each in recipes] == [values]


def test_a_recipe_has_the_names_and_numbers_of_its_hyperparameters():
    values = {"layers": 1, "units_0": 8, "end": "noisy", "dropout": 0.2, "learning_rate": 0.002}
    recipe = space(LAYERS).recipe({**values, "tuner/epochs": 2})
    assert recipe.name(16, 3) == "layers 1, units_0 8, end noisy, dropout 0.2, learning_rate 0.002"
    # 16 pixels to 8 units, 8 units to 3 classes, with their biases.
    assert recipe.spec.parameters(16, 3) == 17 * 8 + 9 * 3
    assert recipe.spec.has_dropout
    assert recipe.spec.coordinates() == {name: each for name, each in values.items() if name != "end"}
    settings = recipe.settings(Training())
    assert settings.learning_rate == 0.002
    params = recipe.params(settings, seed=7, inputs=16, classes=3)
    assert values.items() <= params.items()
    assert (params["seed"], params["batch_size"]) == (7, 64)


def test_json_gives_an_equal_recipe_back_if_the_code_is_the_same():
    recipe = space(LAYERS).recipe({"layers": 1, "units_0": 8, "end": "plain", "learning_rate": 0.002})
    assert Recipe.from_json(recipe.to_json(), code(LAYERS)) == recipe
    assert "def build" not in recipe.to_json()
    with pytest.raises(InputError, match="made by other code"):
        Recipe.from_json(recipe.to_json(), code(LAYERS + "\n# changed"))
    with pytest.raises(InputError, match="made by other code"):
        Recipe.from_tags(recipe.tags())
    assert json.loads(recipe.to_json())["training"] == {"learning_rate": 0.002}


@pytest.mark.parametrize(
    "body",
    [
        "def build(hp):\n    hp.Int('a', 1, 2)\n    return dense(keras.Input((4, 4)), 3)",
        "def build(hp):\n    hp.Int('a', 1, 2)\n    return dense(keras.Input((4, 4, 1)), 3)",
        "def build(hp, **more):\n    hp.Int('a', 1, 2)\n    return dense(keras.Input((16,)), more['classes'])",
        "def build(hp):\n    hp.Int('a', 1, 2)\n"
        "    return keras.Sequential([keras.layers.Conv2D(2, 2), keras.layers.Flatten(), keras.layers.Dense(3)])",
        "class build(keras_tuner.HyperModel):\n    def build(self, hp):\n"
        "        hp.Int('a', 1, 2)\n        return dense(keras.Input((4, 4)), 3)",
        "class Net(keras_tuner.HyperModel):\n    def __init__(self, shape):\n        super().__init__()\n"
        "        self.shape = shape\n    def build(self, hp):\n        hp.Int('a', 1, 2)\n"
        "        return dense(keras.Input(self.shape), 3)\nbuild = Net((4, 4))",
    ],
)
def test_every_way_to_write_the_function_works(body):
    assert [each.name for each in space(body).explored.hyperparameters] == ["a"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import no_such_library", "ModuleNotFoundError"),
        ("def build(hp:", r"line \d+ is no Python"),
        ("def other(hp): pass", "net.py has no build; it has dense, other"),
        ("build = 3", "build is a int; expected a function"),
        ("def build(hp, shape, *, classes, units): pass", r"build asks for shape, units; expected build\(hp, input_shape, cl"),
        ("build = max", r"build is no function of Python; expected build\(hp, input_shape, classes\)"),
        ("def build(hp, input_shape, classes, /): pass", "build asks for input_shape, classes"),
        ("def build(): pass", r"build takes no hyperparameters; expected build\(hp, input_shape, classes\)"),
        ("def build(hp, input_shape, classes):\n    hp.Int('a', 1, 2)\n    return 1 / 0", "in line 11: return 1 / 0"),
        ("def build(hp):\n    hp.Int('a', 1, 2)", "it returns None; expected a Keras model"),
        ("def build(hp):\n    return dense(keras.Input((4, 4)), 3)", "asks for no hyperparameters"),
        ("def build(hp):\n    hp.Int('a', 1, 2)\n    return dense(keras.Input((4, 4)), 5)", r"shape \(5,\) per image; expected \(3,\)"),
        ("def build(hp):\n    hp.Int('a', 1, 2)\n    return dense(keras.Input((5, 5)), 3)", r"takes inputs \(5, 5\); expected images"),
        (
            "def build(hp):\n    hp.Int('a', 1, 2)\n    x = keras.Input((4, 4))\n"
            "    return keras.Model(x, keras.layers.Dense(3, activation='sigmoid')(keras.layers.Flatten()(x)))",
            "do not sum to 1",
        ),
        (
            "import random\nhidden = random.Random()\n"
            "def build(hp):\n    hp.Int('a', 1, 2)\n    return dense(keras.Input((4, 4)), 3, hidden.randint(1, 10**4))",
            "gave different networks",
        ),
        (
            "import itertools\ncount = itertools.count()\n"
            "def build(hp):\n    hp.Int(f'a_{next(count)}', 1, 2)\n    return dense(keras.Input((4, 4)), 3)",
            "asked for different hyperparameters",
        ),
        (
            "import os\ndef build(hp):\n    hp.Int('a', 1, 2)\n    model = dense(keras.Input((4, 4)), 3)\n"
            "    model.layers[-1].bias.assign([int.from_bytes(os.urandom(2)) for _ in range(3)])\n    return model",
            "different initial weights",
        ),
        (
            "class Scale(keras.layers.Layer):\n    def call(self, x):\n        return 2 * x\n"
            "def build(hp):\n    hp.Int('a', 1, 2)\n    x = keras.Input((4, 4))\n"
            "    return keras.Model(x, dense(keras.Input((4, 4)), 3)(Scale(name='twice')(x)))",
            "the layer twice is a Scale, which cannot be loaded.*register_keras_serializable",
        ),
        (
            "def build(hp):\n    hp.Int('a', 1, 2)\n    x = keras.Input((4, 4))\n"
            "    return keras.Model(x, dense(keras.Input((4, 4)), 3)(keras.layers.Lambda(lambda y: 2 * y)(x)))",
            "is a Lambda",
        ),
        (
            "class build(keras_tuner.HyperModel):\n    def build(self, hp):\n        return dense(keras.Input((4, 4)), 3)\n"
            "    def fit(self, hp, model, *a, **k):\n        pass",
            "has a method fit of its own",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_in_one_line(body, message):
    with pytest.raises(InputError, match=message) as refused:
        space(body)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(("model is net.py:build: ", "model is net.py: "))


def test_a_hyperparameter_called_as_a_setting_must_be_one():
    found = space("def build(hp):\n    hp.Choice('batch_size', [0, 32])\n    return dense(keras.Input((4, 4)), 3)")
    assert found.recipe({"batch_size": 32}).settings(Training()).batch_size == 32
    with pytest.raises(InputError, match="batch_size is called as a key of training, and 0 is no value"):
        found.recipe({"batch_size": 0})


ASKS = "def build(hp):\n    hp.Int('a', 1, 2)\n    hp.Float({!r}, 0, 1)\n    return dense(keras.Input((4, 4)), 3)"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("architecture", "a param of its runs"),
        ("parameters", "a param of its runs"),
        ("seed", "a param of its runs"),
        ("trial", "a column of trials.csv"),
        ("pruned", "a column of trials.csv"),
        ("run_id", "a column of trials.csv"),
        ("val_accuracy", "a metric of its runs"),
        ("seconds", "a metric of its runs"),
        ("tuner/epochs", "what Hyperband adds to a proposal"),
    ],
)
def test_a_hyperparameter_may_not_be_called_as_what_is_recorded_beside_it(name, what):
    """The recorded value would overwrite it in the params, in trials.csv and in the effects."""
    message = f"model is net.py:build: a hyperparameter is called {name!r}, as is {what}, which would overwrite it; call it otherwise, such as 'my_"
    with pytest.raises(InputError, match=re.escape(message)) as refused:
        space(ASKS.format(name))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("units[0]", "'units_0'"),
        ("l2 (dense)", "'l2 _dense'"),
        ("größe, µm", "'größe_ µm'"),
        ("a\nb", "'a_b'"),
        ("/a", "'a'"),
        ("a/", "'a'"),
        ("a//b", "'a_b'"),
        ("../a", "'a'"),
        (".", "'hyperparameter'"),
        ("", "'hyperparameter'"),
        ("x" * 251, "shorter"),
    ],
)
def test_a_name_that_no_param_may_have_is_refused_before_the_first_trial(name, cure):
    with pytest.raises(InputError, match=re.escape("a hyperparameter is called ")) as refused:
        space(ASKS.format(name))
    assert cure in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["units_0", "block 1/units", "größe", "l2.dense-1", "x:y", "x" * 250, "learning_rate"])
def test_names_that_mlflow_takes_are_taken(name):
    found = space(ASKS.format(name))
    assert [each.name for each in found.explored.hyperparameters] == ["a", name]
    _validate_param_name(name)


def test_what_mlflow_refuses_is_refused_and_nothing_else():
    letters = "aZ9_-./: []()\tä€"
    for length in (1, 2, 3):
        for each in map("".join, itertools.product(letters, repeat=length)):
            try:
                _validate_param_name(each)
            except MlflowException:
                assert not is_param(each)
            else:
                assert is_param(each)


def test_a_bad_name_that_is_asked_for_with_some_values_only_is_found_too():
    with pytest.raises(InputError, match=r"a hyperparameter is called 'units\[0\]'"):
        space(
            "def build(hp):\n    if hp.Boolean('deep'):\n        hp.Int('units[0]', 1, 2)\n"
            "    return dense(keras.Input((4, 4)), 3)"
        )


def test_everything_that_a_trial_records_beside_its_hyperparameters_is_reserved():
    found = space("def build(hp):\n    hp.Int('a', 1, 2)\n    return dense(keras.Input((4, 4)), 3)")
    recipe = found.recipe({"a": 1})
    params = recipe.params(Training(), seed=1, inputs=16, classes=3)
    own = {"a", *Training.model_fields}
    assert {*params} - own == set(TRIAL_PARAMS)
    measured = dict.fromkeys(MEASURES, 0.5)
    made = trial(0, recipe.spec, measured)
    assert {name for name in table([made]).columns if reserved(name) is None} == {"a"}


ZEROS = (
    "def build(hp):\n    hp.Int('a', 1, 2)\n    x = keras.Input((4, 4))\n    y = keras.layers.Flatten()(x)\n"
    "    y = keras.layers.Dense(3, {})(y)\n    return keras.Model(x, {})"
)


@pytest.mark.parametrize(
    ("options", "outputs"),
    [
        ("kernel_initializer='zeros'", "y"),
        ("kernel_initializer='zeros', bias_initializer='ones'", "y"),
        ("kernel_initializer='zeros', activation='linear'", "y"),
        ("kernel_initializer='zeros'", "keras.layers.Activation('linear')(y)"),
        ("kernel_initializer='zeros'", "keras.layers.Rescaling(2.0)(y)"),
    ],
)
def test_outputs_of_a_last_layer_that_starts_at_zero_are_logits(options, outputs):
    assert space(ZEROS.format(options, outputs)).recipe({"a": 1}).spec.parameter_count == 17 * 3
    assert built(ZEROS.format(options, outputs)).logits


def test_so_they_are_of_a_sequential_model_and_of_one_that_says_nothing_of_its_layers():
    last = "keras.layers.Dense(3, kernel_initializer='zeros')"
    for net in (
        f"keras.Sequential([keras.layers.Flatten(), {last}])",
        f"keras.Sequential([keras.Sequential([keras.layers.Flatten(), {last}])])",
    ):
        assert built(f"def build(hp):\n    hp.Int('a', 1, 2)\n    return {net}").logits


@pytest.mark.parametrize("activation", ["relu", "softplus", "sigmoid"])
def test_outputs_that_cannot_be_negative_are_no_logits(activation):
    with pytest.raises(InputError, match="its outputs are not negative and do not sum to 1"):
        space(ZEROS.format(f"kernel_initializer='zeros', activation={activation!r}", "y"))


def test_softmax_of_a_layer_that_starts_at_zero_gives_probabilities():
    assert not built(ZEROS.format("kernel_initializer='zeros', activation='softmax'", "y")).logits
    assert not built(ZEROS.format("kernel_initializer='zeros'", "keras.layers.Softmax()(y)")).logits


def test_values_with_which_the_function_raises_make_a_trial_that_will_fail():
    found = space(
        "def build(hp):\n    if hp.Int('a', 1, 2) == 2:\n        raise ValueError('too deep')\n"
        "    return dense(keras.Input((4, 4)), 3)"
    )
    assert found.recipe({"a": 2}).spec.values == (("a", 2),)


def test_a_grid_of_thousands_of_millions_is_refused_in_one_line():
    from pipeline.experiment import parse
    from pipeline.search.proposals.proposals import Proposals

    body = "def build(hp):\n    [hp.Int(f'a_{place}', 1, 100) for place in range(5)]\n    return dense(keras.Input((4, 4)), 3)"
    content = {"name": "x", "question": "?", "search": {"tuner": "grid"}}
    with pytest.raises(InputError, match=r"the grid holds 10,000,000,000 networks; .* 1,000,000,000 at most"):
        Proposals(parse(content, where="test"), space(body, grid=True))


@pytest.mark.parametrize("tuner", ["random", "grid", "bayesian", "hyperband"])
def test_every_oracle_repeats_its_proposals_never_repeats_a_network_and_ends_with_the_space(tuner):
    from pipeline.experiment import parse
    from pipeline.search.proposals.proposals import NoProposal, Proposals

    found = space(
        "def build(hp):\n    kind = hp.Choice('kind', ['a', 'b', 'c'])\n    if kind == 'b':\n        hp.Boolean('yes')\n"
        "    hp.Int('n', 1, 3)\n    return dense(keras.Input((4, 4)), 3)"
    )
    content = {"name": "x", "question": "?", "search": {"tuner": tuner}, "training": {"epochs": 3}}

    def proposed() -> list[str]:
        asking = Proposals(parse(content, where="test"), found)
        seen: list[str] = []
        while not isinstance(asked := asking.ask(), NoProposal):
            asking.tell(asked.trial_id, len(seen) / 10)
            seen.append(json.dumps(asked.recipe.spec.to_dict()["values"]) + str(asked.until))
        return seen

    first = proposed()
    assert first == proposed()
    assert len(first) == len(set(first))
    if tuner != "hyperband":
        assert len(first) == found.size() == 2 * 3 + 2 * 3  # a and c with 3 numbers each; b with yes or no as well


def test_settings_that_a_compiled_model_does_not_get_are_refused_unless_its_function_asks_for_them():
    from pipeline.models.user.space import refuse_unused

    body = (
        "def build(hp):\n    {}\n    model = dense(keras.Input((4, 4)), 3)\n"
        "    model.compile('adam', 'categorical_crossentropy')\n    return model"
    )
    found = space(body.format("hp.Int('a', 1, 2)"))
    refuse_unused(found, Training(learning_rate=0.1, class_weight="balanced"))
    with pytest.raises(
        InputError, match=r"training.weight_decay is 0.1, and model is net.py:build: it comes compiled"
    ) as told:
        refuse_unused(found, Training(weight_decay=0.1))
    assert "\n" not in str(told.value)
    with pytest.raises(InputError, match=r"training.label_smoothing is 0.1, .* give it to them in compile"):
        refuse_unused(found, Training(label_smoothing=0.1))
    refuse_unused(space(body.format("hp.Float('weight_decay', 0, .1)")), Training(weight_decay=0.1))
    refuse_unused(space(LAYERS), Training(weight_decay=0.1))


@pytest.mark.parametrize(
    ("given", "cure"),
    [
        (
            {"learning_rate": {"from": 1e-4, "to": 1e-2, "log": True}},
            "hp.Float('learning_rate', 0.0001, 0.01, sampling='log')",
        ),
        ({"weight_decay": {"from": 0, "to": 0.1}}, "hp.Float('weight_decay', 0.0, 0.1)"),
        ({"batch_size": {"from": 16, "to": 64}}, "hp.Int('batch_size', 16, 64)"),
        ({"batch_size": [32, 64]}, "hp.Choice('batch_size', [32, 64])"),
    ],
)
def test_a_setting_to_search_is_refused_with_the_words_that_ask_for_it(given, cure):
    from pipeline.experiment import parse

    model = {"file": "net.py", "function": "build", "source": LAYERS}
    content = {"name": "x", "question": "?", "model": model, "training": given}
    with pytest.raises(
        InputError, match=re.escape(f"expected one value: let the model's function ask for it by {cure}")
    ):
        parse(content, where="test")
