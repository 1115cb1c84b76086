"""The Keras trainer against plain Keras and against itself."""

import dataclasses
import hashlib
import textwrap

import numpy as np
import pytest

from pipeline.experiment import ModelCode, Training
from pipeline.models.recipe import Recipe
from pipeline.models.user.spec import UserSpec

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("tensorflow")]
CODE = '''
import keras

def noisy(hp, input_shape, classes):
    """Convolution, batch normalization and dropout: XLA does not compile it on a CPU."""
    inputs = keras.Input(input_shape)
    x = keras.layers.Reshape((*input_shape, 1))(inputs)
    x = keras.layers.Conv2D(3, 2)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(hp.Choice("dropout", [0.3]))(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))

def plain(hp, input_shape, classes):
    """Two dense layers that give logits: XLA compiles them."""
    hp.Choice("units", [5])
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(5, activation="tanh"),
                             keras.layers.Dense(classes)])

def compiled(hp, input_shape, classes):
    """Comes with an optimizer, a loss of one-hot rows and a penalty."""
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(),
                              keras.layers.Dense(classes, activation="softmax", kernel_regularizer="l2")])
    model.compile(optimizer=keras.optimizers.SGD(hp.Choice("rate", [.1])), loss="categorical_crossentropy")
    return model

def normed(hp, input_shape, classes):
    """Batch normalization with offsets and scales; no bias before it, whose gradient would be noise alone."""
    hp.Choice("units", [5])
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(5, activation="tanh", use_bias=False)(keras.layers.Flatten()(inputs))
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))

@keras.saving.register_keras_serializable()
class Scale(keras.layers.Layer):
    def call(self, x):
        return 2 * x

def custom(hp, input_shape, classes):
    hp.Choice("units", [5])
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(Scale()(inputs))
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))

def mistaken(hp, input_shape, classes):
    hp.Choice("units", [5])
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(classes)])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model
'''
VALUES = {"noisy": ("dropout", 0.3), "compiled": ("rate", 0.1)} | dict.fromkeys(
    ("plain", "normed", "custom", "mistaken"), ("units", 5)
)


def spec(function: str) -> UserSpec:
    code = ModelCode("net.py", function, textwrap.dedent(CODE))
    return UserSpec(code, (VALUES[function],), parameter_count=1, has_dropout=False, compiled=False)


def settings(**changes) -> Training:
    base = {"epochs": 3, "batch_size": 8, "learning_rate": 0.01, "schedule": "constant", "patience": None}
    return Training(**(base | {"restore_best": False} | changes))


def train(function, split, **options):
    from pipeline.training.choose_trainer import train as trainer

    return trainer(Recipe(spec(function)), options.pop("settings", settings()), split, **{"seed": 3, **options})


def fingerprint(result) -> str:
    sha = hashlib.sha256()
    for array in (*result.weights, *result.probabilities.values()):
        sha.update(array.tobytes())
    sha.update(repr((dict(result.history), result.train, result.validation, result.test)).encode())
    return sha.hexdigest()


def served(result, split):
    from pipeline.models.networks import build

    model = build(result.recipe.spec, image_shape=(4, 4), classes=3, pixel_max=split.pixel_max, seed=3)
    model.set_weights(result.weights)
    return model


@pytest.mark.parametrize("function", ["noisy", "plain"])
def test_the_same_inputs_give_the_same_bits_and_another_seed_others(tiny_split, function):
    first, again, other = (train(function, tiny_split, seed=seed) for seed in (3, 3, 4))
    assert fingerprint(first) == fingerprint(again) != fingerprint(other)


@pytest.mark.parametrize("function", ["noisy", "plain", "compiled"])
def test_training_that_goes_on_gives_the_bits_of_uninterrupted_training(tiny_split, function):
    """With the moments of the optimizer, the running means of batch normalization, and the random numbers of dropout."""
    from pipeline.training.state_file import from_bytes, to_bytes

    whole = train(function, tiny_split, settings=settings(schedule="cosine"))
    part = train(function, tiny_split, settings=settings(schedule="cosine"), until=2)
    assert part.epochs_run == 2
    rest = train(function, tiny_split, settings=settings(schedule="cosine"), state=from_bytes(to_bytes(part.state)))
    assert fingerprint(rest) == fingerprint(whole)


@pytest.mark.parametrize("function", ["noisy", "plain", "compiled", "custom"])
def test_scores_are_those_of_the_served_model_from_raw_pixels(tiny_split, function):
    import keras

    result = train(function, tiny_split)
    model = served(result, tiny_split)
    for name, score in (("train", result.train), ("validation", result.validation), ("test", result.test)):
        part = getattr(tiny_split, name)
        probabilities = model.predict(part.images, verbose=0)
        assert result.probabilities[name] == pytest.approx(probabilities, abs=1e-5)
        loss = keras.losses.sparse_categorical_crossentropy(part.labels, probabilities)
        assert score.loss == pytest.approx(float(np.mean(loss)), abs=1e-5)
        assert score.accuracy == np.mean(np.argmax(probabilities, axis=1) == part.labels)


@pytest.mark.parametrize(("function", "loss"), [("plain", "sparse_categorical_crossentropy"), ("compiled", None)])
def test_an_epoch_is_that_of_plain_keras(tiny_split, function, loss):
    """37 images in batches of 8: the last, smaller one counts too. The penalty is minimised and not reported."""
    import keras

    from pipeline.models.user.network import build
    from pipeline.training.training_loop import order

    result = train(function, tiny_split, settings=settings(epochs=2, learning_rate=0.03))
    built = build(spec(function).code, (VALUES[function],), image_shape=(4, 4), classes=3, seed=3)
    model, train_part = built.model, tiny_split.train
    if loss is not None:
        model.compile(keras.optimizers.Adam(0.03), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = train_part.images.astype(np.float32) / tiny_split.pixel_max
    labels = train_part.labels if loss is not None else keras.utils.to_categorical(train_part.labels, 3)
    for epoch in range(2):
        rows = order(3, epoch, len(train_part))
        model.fit(images[rows], labels[rows], batch_size=8, shuffle=False, verbose=0)
    for ours, theirs in zip(result.weights, model.get_weights(), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("function", ["plain", "normed"])
def test_decay_smoothing_and_weights_of_classes_are_those_of_plain_keras(tiny_split, function):
    """AdamW spares biases, offsets and scales. A tenth of each label is spread over three classes. Of 40 images 25, 10 and 5
    are of a class: their losses count 40 / (3 x 25), 40 / (3 x 10) and 40 / (3 x 5) times.
    """
    import keras

    from pipeline.data.split import Part
    from pipeline.models.user.network import build
    from pipeline.training.training_loop import order

    images = np.resize(tiny_split.train.images, (40, 4, 4))
    labels = np.array([0] * 25 + [1] * 10 + [2] * 5)
    split = dataclasses.replace(tiny_split, train=Part(images, labels))
    asked = settings(epochs=2, weight_decay=0.4, label_smoothing=0.1, class_weight="balanced")
    result = train(function, split, settings=asked)
    model = build(spec(function).code, (VALUES[function],), image_shape=(4, 4), classes=3, seed=3).model
    adam = keras.optimizers.AdamW(0.01, weight_decay=0.4)
    adam.exclude_from_weight_decay([each for each in model.trainable_variables if len(each.shape) == 1])
    model.compile(adam, keras.losses.CategoricalCrossentropy(from_logits=function == "plain", label_smoothing=0.1))
    losses = []
    for epoch in range(2):
        rows = order(3, epoch, 40)
        fitted = model.fit(
            images[rows].astype(np.float32) / 255, keras.utils.to_categorical(labels[rows], 3), batch_size=8,
            shuffle=False, verbose=0, class_weight={0: 40 / 75, 1: 40 / 30, 2: 40 / 15},
        )  # fmt: skip
        losses += fitted.history["loss"]
    for ours, theirs in zip(result.weights, model.get_weights(), strict=True):
        assert ours == pytest.approx(theirs, abs=2e-5)
    assert result.history["loss"] == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize("changed", [{"weight_decay": 0.4}, {"label_smoothing": 0.5}, {"learning_rate": 0.5}])
def test_a_model_that_comes_compiled_is_trained_without_settings_of_the_optimizer_and_the_loss(tiny_split, changed):
    assert fingerprint(train("compiled", tiny_split)) == fingerprint(
        train("compiled", tiny_split, settings=settings(**changed))
    )
    own = dataclasses.replace(spec("compiled"), compiled=True)
    assert not {*changed} & {*Recipe(own).params(settings(**changed), seed=1, inputs=16, classes=3)}


def test_padding_never_reaches_batch_normalization(tiny_split):
    """After one epoch the moving mean is made of the five batches of the data, the last of five images."""
    from pipeline.models.user.network import build
    from pipeline.training.training_loop import order

    result = train("noisy", tiny_split, settings=settings(epochs=1, learning_rate=1e-9))
    first = build(spec("noisy").code, (VALUES["noisy"],), image_shape=(4, 4), classes=3, seed=3).model
    images = tiny_split.train.images.astype(np.float32)[..., None] / tiny_split.pixel_max
    convolved, mean = first.layers[2], np.zeros(3)
    for start in range(0, 37, 8):
        rows = order(3, 0, 37)[start : start + 8]
        mean = 0.99 * mean + 0.01 * np.asarray(convolved(images[rows])).mean(axis=(0, 1, 2))
    assert len(rows) == 5
    assert np.asarray(result.weights[4]) == pytest.approx(mean, abs=1e-6)


def test_the_best_epochs_weights_are_kept_with_their_running_means(tiny_split):
    kept = train("noisy", tiny_split, settings=settings(epochs=6, restore_best=True, learning_rate=0.3))
    stopped = train("noisy", tiny_split, settings=settings(epochs=6, learning_rate=0.3), until=kept.best_epoch + 1)
    assert [each.tobytes() for each in kept.weights] == [each.tobytes() for each in stopped.weights]
    assert kept.validation.loss == pytest.approx(min(kept.history["val_loss"]), abs=1e-6)


def test_the_text_of_the_layers_says_how_it_was_trained(tiny_split):
    assert "TensorFlow's own kernels" in train("noisy", tiny_split).layers
    assert "compiled by XLA; optimizer: Adam" in train("plain", tiny_split).layers
    assert "optimizer: of its own" in train("compiled", tiny_split).layers


def test_a_loss_that_does_not_fit_the_outputs_fails_with_the_cure(tiny_split):
    from pipeline.search.workers.jobs import Job
    from pipeline.search.workers.run_job import run_job

    job = Job(1, Recipe(spec("mistaken")), settings(), seed=1, until=1)
    outcome = run_job(job, tiny_split, draw=lambda *_: {})
    assert outcome.result is None
    assert "from_logits=True in the loss, or softmax" in str(outcome.failure)


def test_a_model_with_a_layer_of_its_own_is_served_with_its_code(tmp_path, tiny_split, monkeypatch):
    import keras

    from pipeline.models import dense_keras, networks
    from pipeline.serving.model import CODE as FILE
    from pipeline.serving.model import Serving, _files

    model = served(train("custom", tiny_split), tiny_split)
    assert networks.has_custom_parts(model)
    assert not networks.has_custom_parts(served(train("plain", tiny_split), tiny_split))
    files = _files(tmp_path, model, Serving(("a", "b", "c"), (4, 4), 255, 0.5), textwrap.dedent(CODE))
    monkeypatch.setattr("keras.src.saving.object_registration.GLOBAL_CUSTOM_OBJECTS", {})
    with pytest.raises(TypeError, match="Scale"):
        dense_keras.load(tmp_path / "network.keras")
    with networks.custom_parts(tmp_path / FILE):
        loaded = dense_keras.load(tmp_path / "network.keras")
    assert keras.saving.get_custom_objects() == {}
    probe = tiny_split.test.images
    assert np.array_equal(loaded.predict(probe, verbose=0), model.predict(probe, verbose=0))
    assert files["code"].endswith(FILE)


@pytest.mark.parametrize("function", ["noisy", "plain", "compiled"])
def test_a_trained_model_leaves_no_graph_in_the_process(tiny_split, function):
    """A worker trains many: the optimizer's sum over replicas would keep the graph of each of them."""
    import gc

    import keras

    def graphs() -> int:
        keras.backend.clear_session()
        gc.collect()
        return sum(type(each).__name__ == "FuncGraph" for each in gc.get_objects())

    train(function, tiny_split, until=1)
    before = graphs()
    for seed in (1, 2):
        train(function, tiny_split, until=1, seed=seed)
    assert graphs() <= before
