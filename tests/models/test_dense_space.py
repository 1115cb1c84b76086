import pytest

from pipeline.experiment import FixedNetwork, Space, Training, TrainingOverrides, load
from pipeline.models import dense_space
from pipeline.models.dense import DenseSpec, dense
from pipeline.models.spaces import DenseSpace

pytestmark = pytest.mark.tensorflow

SMALL = Space(depth=[1, 2], hidden=[32, 64], dropout=[0, 0.5], input_dropout=[0])
FIXED = Space(
    networks=[
        FixedNetwork(hidden=[128, 64], dropout=[0, 0.1, 0], activations=["linear", "relu"]),
        FixedNetwork(hidden=[32], dropout=[0, 0], activations=["relu"], training=TrainingOverrides(epochs=3)),
    ]
)


def names_active_at(depth):
    hp = dense_space.hyperparameters(SMALL)
    hp.values = {"depth": depth}
    return {choice.name for choice in hp.space if hp.is_active(choice)}


def test_a_layers_choices_are_active_from_its_depth_on():
    assert names_active_at(1) == {"depth", "dropout_0", "hidden_1", "dropout_1"}
    assert names_active_at(2) == names_active_at(1) | {"hidden_2", "dropout_2"}


def test_layers_below_the_fewest_are_active_at_every_depth():
    hp = dense_space.hyperparameters(Space(depth=[2, 3]))
    hp.values = {"depth": 2}
    assert [choice.name for choice in hp.space if hp.is_active(choice)] == [
        "depth", "dropout_0", "hidden_1", "dropout_1", "hidden_2", "dropout_2",
    ]  # fmt: skip


def test_the_default_space_is_one_that_keras_tuner_takes():
    rates = next(choice.values for choice in dense_space.hyperparameters(Space()).space if choice.name == "dropout_1")
    assert rates == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert all(isinstance(rate, float) for rate in rates)


def test_proposed_values_become_the_network_they_name():
    values = {"depth": 2, "dropout_0": 0.0, "hidden_1": 64, "dropout_1": 0.5, "hidden_2": 32, "dropout_2": 0.0}
    assert dense_space.recipe(SMALL, values).spec == DenseSpec((64, 32), (0.0, 0.5, 0.0), ("relu", "relu"))


def test_hyperbands_own_values_do_not_disturb_the_network():
    values = {"depth": 1, "dropout_0": 0.0, "hidden_1": 64, "dropout_1": 0.5, "tuner/epochs": 3, "tuner/round": 1}
    assert dense_space.recipe(SMALL, values).spec == DenseSpec((64,), (0.0, 0.5), ("relu",))


def test_a_fixed_network_is_proposed_by_its_place_and_trains_as_it_says():
    assert dense_space.recipe(FIXED, {"network": 0}).spec == DenseSpec((128, 64), (0, 0.1, 0), ("linear", "relu"))
    assert dense_space.recipe(FIXED, {"network": 0}).settings(Training(epochs=9, batch_size=32)).epochs == 9
    shorter = dense_space.recipe(FIXED, {"network": 1}).settings(Training(epochs=9, batch_size=32))
    assert (shorter.epochs, shorter.batch_size) == (3, 32)


@pytest.mark.parametrize(
    ("given", "networks"),
    [
        pytest.param(SMALL, 4 + 16, id="one rate after the input, 2*2 per layer"),
        pytest.param(Space(), 3 * (30 + 30**2 + 30**3 + 30**4), id="the default: 2,513,790"),
        pytest.param(Space(depth=[2, 2], hidden=[8], dropout=[0], input_dropout=[0, 0.1]), 2, id="one per input rate"),
        pytest.param(FIXED, 2, id="fixed networks"),
    ],
)
def test_the_size_of_a_space_is_known_beforehand(given, networks):
    assert dense_space.size(given) == networks


SEARCHED = Training.model_validate(
    {
        "learning_rate": {"from": "1e-4", "to": 1e-2, "log": True},
        "batch_size": [64, 128],
        "weight_decay": [0, 0.01, 0.1],
    }
)


def test_a_logarithmic_range_is_spread_over_its_decades_and_keeps_its_ends():
    values = dense_space.values_of(SEARCHED.searched["learning_rate"])
    assert (values[0], values[-1], len(values)) == (1e-4, 1e-2, 1000)
    assert sum(value < 1e-3 for value in values) == 500
    assert SEARCHED.learning_rate == 1e-3


def test_a_range_of_whole_numbers_has_each_of_them_once():
    training = Training.model_validate({"batch_size": {"from": 30, "to": 33}})
    assert dense_space.values_of(training.searched["batch_size"]) == [30, 31, 32, 33]


def test_searched_settings_multiply_the_space_and_become_the_recipes_own():
    both = SMALL.model_copy(update={"activation": ["relu", "gelu"]})
    # Depth 1: 2 sizes x 2 rates; depth 2: 16; twice for the activations.
    assert dense_space.size(both) == 40
    assert dense_space.size(both, SEARCHED) == 40 * 1000 * 2 * 3
    values = {"depth": 1, "dropout_0": 0.0, "hidden_1": 64, "dropout_1": 0.5, "activation": "gelu"}
    recipe = dense_space.recipe(
        both, values | {"learning_rate": 2e-4, "batch_size": 128, "weight_decay": 0.1}, SEARCHED
    )
    assert recipe.spec == DenseSpec((64,), (0.0, 0.5), ("gelu",))
    settings = recipe.settings(SEARCHED)
    assert (settings.learning_rate, settings.batch_size, settings.weight_decay) == (2e-4, 128, 0.1)
    assert not settings.searched
    assert settings.model_dump()["batch_size"] == 128
    assert recipe.architecture(784, 10) == (
        "784-64(0.5)-10, activation gelu, learning_rate 0.0002, batch_size 128, weight_decay 0.1"
    )
    # One value is no choice: the name of the network is that of before.
    one = dense_space.recipe(SMALL, values)
    assert (one.architecture(784, 10), one.searched) == ("784-64(0.5)-10", ())


def test_a_list_of_normalizations_is_searched_and_one_is_fixed():
    listed = SMALL.model_copy(update={"normalization": ["none", "batch", "layer"]})
    assert dense_space.size(listed) == 3 * 20
    values = {"depth": 1, "dropout_0": 0.0, "hidden_1": 64, "dropout_1": 0.5}
    assert dense(dense_space.recipe(listed, {**values, "normalization": "layer"}).spec).normalization == "layer"
    fixed = SMALL.model_copy(update={"normalization": "batch"})
    assert dense_space.size(fixed) == 20
    assert dense(dense_space.recipe(fixed, values).spec).normalization == "batch"
    networks = [
        FixedNetwork(hidden=[8], dropout=[0, 0], activations=["relu"], normalization=each) for each in ("none", "layer")
    ]
    specs = [dense(dense_space.recipe(Space(networks=networks), {"network": place}).spec) for place in (0, 1)]
    assert [spec.normalization for spec in specs] == ["none", "layer"]


def test_regularisers_are_tried_in_all_combinations_with_a_network_that_has_none():
    """Dropout after two layers, weight decay, smoothing and early stopping, on or off, and three normalizations."""
    asked = load("regularisers")
    assert dense_space.size(asked.space, asked.training) == asked.search.trials == 2**5 * 3
    first = {choice.name: choice.values[0] for choice in dense_space.hyperparameters(asked.space, asked.training).space}
    off = {"dropout_1": 0, "dropout_2": 0, "weight_decay": 0, "label_smoothing": 0, "normalization": "none"}
    assert off.items() <= first.items()
    settings = dense_space.recipe(asked.space, first | {"patience": 30}, asked.training).settings(asked.training)
    assert settings.patience == settings.epochs  # never stops


def test_the_largest_network_of_a_space_has_the_normalization_with_the_most_parameters():
    """16 pixels, two layers of 64, 3 classes; layer normalization adds a gain and an offset to every unit."""
    plain = DenseSpace(SMALL, Training()).largest(16, 3)
    both = SMALL.model_copy(update={"normalization": ["none", "layer"]})
    assert DenseSpace(both, Training()).largest(16, 3) == plain + 2 * 128


def test_copies_have_values_of_their_own_and_share_the_choices():
    original = dense_space.hyperparameters(SMALL)
    copied = original.copy()
    copied.values["depth"] = 2
    assert original.values["depth"] == 1
    assert copied.space is original.space
