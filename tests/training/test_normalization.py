"""Batch and layer normalization in the compiled trainer, against Keras' own layers and by hand."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.split import Part
from pipeline.models.dense import DenseSpec
from pipeline.training.state_file import from_bytes, to_bytes
from tests.fixtures import compiled_programs
from tests.training.test_dense_trainer import fingerprint, settings, train

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("tensorflow")]
each_kind = pytest.mark.parametrize("kind", ["batch", "layer"])


def plain(kind: str) -> DenseSpec:
    """No linear layer: the next batch normalization would cancel its offset, whose gradient would be rounding alone."""
    return DenseSpec((6, 5), (0, 0, 0), ("tanh", "relu"), kind)


def lossy(kind: str) -> DenseSpec:
    """With dropout at every place; of 65,536, the rates are whole numbers."""
    return DenseSpec((6, 5), (0.25, 0.5, 0.125), ("relu", "tanh"), kind)


def keras_model(spec, seed=3):
    from pipeline.models.dense_keras import build

    return build(spec, image_shape=(4, 4), classes=3, pixel_max=255, seed=seed)


def same_weights(ours, model):
    for mine, theirs in zip(ours.weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=5e-4, atol=5e-6)


def order(count):
    return np.random.Generator(np.random.Philox([3, 0])).permutation(count)


@each_kind
@pytest.mark.parametrize("count", [37, 33])
def test_one_epoch_equals_plain_keras_batch_by_batch(tiny_split, kind, count):
    """In batches of 8, the last has 5 images or a single one: padding counts neither in the mean nor in the variance. Weight
    decay shrinks kernels alone.
    """
    import keras

    part = Part(tiny_split.train.images[:count], tiny_split.train.labels[:count])
    split = dataclasses.replace(tiny_split, train=part)
    ours = train(plain(kind), split, until=1, settings=settings(weight_decay=0.4))
    model = keras_model(plain(kind))
    adam = keras.optimizers.AdamW(0.01, weight_decay=0.4)
    adam.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(adam, "sparse_categorical_crossentropy", jit_compile=False)
    total = 0.0
    for start in range(0, count, 8):
        rows = order(count)[start : start + 8]
        loss = model.train_on_batch(part.images[rows], part.labels[rows], return_dict=True)["loss"]
        model.reset_metrics()
        total += len(rows) * float(loss)
    same_weights(ours, model)
    assert ours.history["loss"][0] == pytest.approx(total / count, rel=1e-4)
    np.testing.assert_allclose(
        ours.probabilities["test"], model.predict(split.test.images, verbose=0), rtol=1e-3, atol=1e-5
    )


@each_kind
def test_dropout_comes_after_the_activation_of_a_normalized_layer(tiny_split, kind):
    """One epoch through Keras' layers, with the draws of ours in place of its dropout."""
    import keras
    import tensorflow as tf

    from pipeline.training.layers.dropout import DropoutMasks

    spec = lossy(kind)
    ours, model = train(spec, tiny_split, until=1), keras_model(spec)
    assert [layer.name for layer in model.layers] == [
        "flatten", "rescaling", "dropout_0", "hidden_1", "normalization_1", "activation_1", "dropout_1",
        "hidden_2", "normalization_2", "activation_2", "dropout_2", "classes",
    ]  # fmt: skip
    drawn = DropoutMasks(spec, 16, seed=3).draw(0, 0, (5, 8))  # 37 images: five batches, in one call
    optimizer = keras.optimizers.Adam(0.01)
    for step, start in enumerate(range(0, 37, 8)):
        rows = order(37)[start : start + 8]
        kept = iter(
            np.float32(each[step, : len(rows)] >= 65_536 * rate) / (1 - rate)
            for each, rate in zip(drawn, spec.dropout, strict=True)
        )
        with tf.GradientTape() as tape:
            numbers = tf.constant(tiny_split.train.images[rows], tf.float32)
            for layer in model.layers:
                dropout = isinstance(layer, keras.layers.Dropout)
                numbers = numbers * next(kept) if dropout else layer(numbers, training=True)
            losses = keras.losses.sparse_categorical_crossentropy(tiny_split.train.labels[rows], numbers)
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    same_weights(ours, model)


def test_moving_averages_after_one_step_are_a_hundredth_of_the_batch(tiny_split):
    """They start at mean 0 and variance 1, and keep 0.99 of themselves."""
    ours = train(plain("batch"), tiny_split, until=1, settings=settings(batch_size=37))
    kernel, *_ = keras_model(plain("batch")).get_weights()
    product = (tiny_split.train.images.reshape(37, 16) / 255) @ kernel
    np.testing.assert_allclose(ours.weights[3], 0.01 * product.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ours.weights[4], 0.99 + 0.01 * product.var(axis=0), rtol=1e-5)


@each_kind
def test_the_first_weights_are_those_of_the_keras_model(kind):
    from pipeline.models.dense_keras import initial_weights

    ours = initial_weights(plain(kind), inputs=16, classes=3, seed=3)
    theirs = keras_model(plain(kind)).get_weights()
    assert all(np.array_equal(mine, other) for mine, other in zip(ours, theirs, strict=True))
    kernels = [each for each in ours if each.ndim == 2]
    without = [each for each in initial_weights(plain("none"), inputs=16, classes=3, seed=3) if each.ndim == 2]
    assert all(np.array_equal(mine, other) for mine, other in zip(kernels, without, strict=True))


@each_kind
def test_the_keras_model_has_the_parameters_that_are_counted(kind):
    """16 pixels, 6 and 5 units, 3 classes: 16*6 + 6*5 + 5*3 products, 3 biases, gain and offset of 11 units; and for layer
    normalization, 11 biases.
    """
    counted = {"batch": 141 + 3 + 22, "layer": 141 + 3 + 22 + 11}[kind]
    trained = sum(int(np.prod(each.shape)) for each in keras_model(plain(kind)).trainable_variables)
    assert plain(kind).parameters(16, 3) == trained == counted


@each_kind
def test_the_same_inputs_give_the_same_bits_with_a_new_program_a_kept_one_and_in_a_fresh_process(digits_split, kind):
    from pipeline.training.program_cache import PROGRAMS

    PROGRAMS.forget()
    new = fingerprint(train(lossy(kind), digits_split))
    compiled = PROGRAMS.compiled
    other = train(lossy(kind), digits_split, seed=4, settings=settings(learning_rate=0.03))
    assert fingerprint(train(lossy(kind), digits_split)) == new != fingerprint(other)
    assert PROGRAMS.compiled == compiled
    script = (
        "from pipeline.training.runtime import init_tensorflow; init_tensorflow()\n"
        "from tests.training import test_dense_trainer as t, test_normalization as n\n"
        "from pipeline.data.formats import digits\n"
        "from pipeline.data.split import split\n"
        "from pipeline.experiment import Data\n"
        "data = split(digits(), Data(dataset='digits', validation=0.1, test=0.1))\n"
        f"print(t.fingerprint(t.train(n.lossy('{kind}'), data)))\n"
    )
    root = Path(__file__).parent.parent.parent
    compiles = compiled_programs.without(os.environ)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, env=compiles, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == new


@each_kind
def test_going_on_from_a_stored_state_is_the_same_as_not_having_stopped(digits_split, kind):
    asked = settings(schedule="cosine", patience=3, restore_best=True, epochs=5)
    whole = train(lossy(kind), digits_split, settings=asked)
    part = train(lossy(kind), digits_split, settings=asked, until=2)
    rest = train(lossy(kind), digits_split, settings=asked, state=from_bytes(to_bytes(part.state)))
    assert fingerprint(rest) == fingerprint(whole)


@each_kind
def test_restored_weights_come_with_the_moving_averages_of_their_epoch(digits_split, kind):
    """The scores of the kept weights are those that were measured at the end of the best epoch."""
    spec = DenseSpec((16,), (0, 0), ("relu",), kind)
    asked = settings(epochs=200, learning_rate=0.1, patience=2, restore_best=True)
    result = train(spec, digits_split, settings=asked)
    assert result.best_epoch == result.epochs_run - 3
    assert result.validation.loss == pytest.approx(result.history["val_loss"][result.best_epoch], rel=1e-6)
    assert not np.array_equal(result.weights[3], result.state.weights[3])


@each_kind
def test_a_saved_file_gives_the_same_answers(tiny_split, tmp_path, kind):
    from pipeline.models.dense_keras import load, save

    result = train(lossy(kind), tiny_split)
    model = keras_model(lossy(kind), seed=99)
    model.set_weights(result.weights)
    save(model, tmp_path / "network.keras")
    for name, part in tiny_split.parts():
        answers = load(tmp_path / "network.keras").predict(part.images, verbose=0)
        np.testing.assert_allclose(answers, result.probabilities[name], atol=1e-6)


@each_kind
def test_the_table_of_layers_adds_up(tiny_split, kind):
    from pipeline.search.log_trial import describe

    rows = [line.split() for line in describe(plain(kind), tiny_split).splitlines()[2:]]
    biases = {"batch": 0, "layer": 6}[kind]
    assert rows[2:5] == [["dense", "6", f"{16 * 6 + biases}"], [kind, "normalization", "6", "12"], ["tanh", "6", "0"]]
    assert sum(int(row[-1]) for row in rows[1:-1]) == int(rows[-1][-1]) == plain(kind).parameters(16, 3)
