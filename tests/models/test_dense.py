import pytest

from pipeline.models.dense import DenseSpec, notebook_network


def test_the_notebooks_network_has_111146_parameters():
    assert notebook_network().parameters(28 * 28, 10) == 111_146


def test_parameters_by_hand():
    # (2+1)*3 + (3+1)*2 = 9 + 8
    assert DenseSpec((3,), (0, 0), ("relu",)).parameters(2, 2) == 17


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (notebook_network(), "784-128-64-32-10"),
        (notebook_network(dropout=(0, 0, 0.1, 0)), "784-128-64(0.1)-32-10"),
        (DenseSpec((256, 128), (0.2, 0, 0.5), ("relu", "relu")), "784(0.2)-256-128(0.5)-10"),
        (DenseSpec((8,), (0, 0.5), ("relu",), "batch"), "784-8(0.5)-10, normalization batch"),
        (DenseSpec((8,), (0, 0.5), ("relu",), "none"), "784-8(0.5)-10"),
    ],
)
def test_an_architecture_names_sizes_and_the_dropout_behind_them(spec, name):
    assert spec.architecture(784, 10) == name


@pytest.mark.parametrize(
    ("hidden", "dropout", "activations", "message"),
    [
        (
            (8, 8, 8),
            (0, 0),
            ("relu",) * 3,
            "dropout has 2 entries for 3 hidden layers; expected 4: one after the input",
        ),
        ((8,), (0, 0, 0), ("relu",), "dropout has 3 entries for 1 hidden layer; expected 2"),
        ((8,), (0, 0), (), "activations has 0 entries for 1 hidden layer; expected 1"),
        ((), (0,), (), "hidden is empty"),
        ((0,), (0, 0), ("relu",), "a hidden layer has 0 units; expected 1 or more"),
        ((8,), (0, 1.0), ("relu",), "a dropout rate is 1.0; expected 0"),
        ((8,), (-0.1, 0), ("relu",), "a dropout rate is -0.1"),
        ((8,), (float("nan"), 0), ("relu",), "a dropout rate is nan"),
        ((8,), (0, 0), ("rely",), "unknown activation 'rely'; expected one of relu"),
    ],
)
def test_a_specification_that_is_no_network_is_refused(hidden, dropout, activations, message):
    with pytest.raises(ValueError, match=message):
        DenseSpec(hidden, dropout, activations)


def test_an_unknown_normalization_is_refused():
    with pytest.raises(ValueError, match="unknown normalization 'group'; expected one of none, batch, layer"):
        DenseSpec((8,), (0, 0), ("relu",), "group")


def test_a_network_without_normalization_is_written_and_read_as_in_earlier_versions():
    plain, layer = DenseSpec((8,), (0, 0), ("relu",)), DenseSpec((8,), (0, 0), ("relu",), "layer")
    assert plain.to_dict() == {"hidden": [8], "dropout": [0, 0], "activations": ["relu"]}
    assert layer.to_dict() == {**plain.to_dict(), "normalization": "layer"}
    assert [DenseSpec.from_dict(each.to_dict()) for each in (plain, layer)] == [plain, layer]
    assert (plain.params()["normalization"], layer.params()["normalization"]) == ("none", "layer")


@pytest.mark.parametrize(
    ("normalization", "parameters"),
    # 2*3 + 3*2 = 12 products and 2 biases; of the 3 units, biases, and gains and offsets.
    [("none", 12 + 2 + 3), ("batch", 12 + 2 + 6), ("layer", 12 + 2 + 3 + 6)],
)
def test_gain_and_offset_are_parameters_and_batch_normalization_has_no_bias(normalization, parameters):
    assert DenseSpec((3,), (0, 0), ("relu",), normalization).parameters(2, 2) == parameters
