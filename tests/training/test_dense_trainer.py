"""The trainer against plain Keras and against itself."""

import dataclasses
import hashlib
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.split import Part, Split
from pipeline.experiment import Training
from pipeline.models.dense import DenseSpec, notebook_network
from pipeline.models.recipe import Recipe
from pipeline.training import runtime
from pipeline.training.result import EarlyStopping
from tests.fixtures import compiled_programs

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("tensorflow")]
ROOT = Path(__file__).parent.parent.parent
SMALL = DenseSpec((6, 5), (0.2, 0.3, 0.1), ("relu", "tanh"))
PLAIN = DenseSpec((6, 5), (0, 0, 0), ("linear", "relu"))


def settings(**changes) -> Training:
    base = {"epochs": 4, "batch_size": 8, "learning_rate": 0.01, "schedule": "constant", "patience": None}
    return Training(**(base | {"restore_best": False} | changes))


def train(spec, split, **options):
    from pipeline.training.dense_trainer import train as trainer

    return trainer(Recipe(spec), options.pop("settings", settings()), split, **{"seed": 3, **options})


def fingerprint(result) -> str:
    sha = hashlib.sha256()
    for array in (*result.weights, *result.probabilities.values()):
        sha.update(array.tobytes())
    sha.update(repr((dict(result.history), result.train, result.validation, result.test)).encode())
    return sha.hexdigest()


def test_the_same_inputs_give_the_same_bits(digits_split):
    first, second = (train(SMALL, digits_split) for _ in range(2))
    assert fingerprint(first) == fingerprint(second)


def test_another_seed_gives_other_bits(digits_split):
    assert fingerprint(train(SMALL, digits_split)) != fingerprint(train(SMALL, digits_split, seed=4))


def test_a_fresh_process_gives_the_same_bits(digits_split):
    script = (
        "from pipeline.training.runtime import init_tensorflow; init_tensorflow()\n"
        "from tests.training import test_dense_trainer as t\n"
        "from pipeline.data.formats import digits\n"
        "from pipeline.data.split import split\n"
        "from pipeline.experiment import Data\n"
        "data = split(digits(), Data(dataset='digits', validation=0.1, test=0.1))\n"
        "print(t.fingerprint(t.train(t.SMALL, data)))\n"
    )
    compiles = compiled_programs.without(os.environ)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=compiles, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == fingerprint(train(SMALL, digits_split))


def test_going_on_from_a_state_is_the_same_as_not_having_stopped(digits_split):
    cosine = settings(schedule="cosine", patience=3, restore_best=True, epochs=5)
    whole = train(SMALL, digits_split, settings=cosine)
    part = train(SMALL, digits_split, settings=cosine, until=2)
    rest = train(SMALL, digits_split, settings=cosine, state=part.state)
    assert part.epochs_run == 2
    assert fingerprint(rest) == fingerprint(whole)
    assert rest.best_epoch == whole.best_epoch
    for ours, theirs in zip(rest.state.optimizer, whole.state.optimizer, strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("class_weight", ["none", "balanced"])
def test_one_epoch_equals_plain_keras_batch_by_batch(tiny_split, class_weight):
    """37 images in batches of 8: four whole ones, and one of 5 that counts as any other. Classes of 25, 6 and 6: balanced,
    an image of the first counts 37 / (3 x 25).
    """
    import keras

    from pipeline.models.dense_keras import build

    labels = np.repeat([0, 1, 2], [25, 6, 6])
    tiny_split = dataclasses.replace(tiny_split, train=Part(tiny_split.train.images, labels))
    weights = {0: 37 / 75, 1: 37 / 18, 2: 37 / 18} if class_weight == "balanced" else None
    ours = train(PLAIN, tiny_split, until=1, settings=settings(class_weight=class_weight))
    model = build(PLAIN, image_shape=(4, 4), classes=3, pixel_max=255, seed=3)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=False)
    order = np.random.Generator(np.random.Philox([3, 0])).permutation(37)
    losses = []
    for start in range(0, 37, 8):
        rows = order[start : start + 8]
        loss = model.train_on_batch(
            tiny_split.train.images[rows], labels[rows], class_weight=weights, return_dict=True
        )["loss"]
        model.reset_metrics()
        losses.append(float(loss) * len(rows))
    for mine, theirs in zip(ours.weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-4, atol=2e-6)
    assert ours.history["loss"][0] == pytest.approx(sum(losses) / 37, rel=1e-4)


def test_one_epoch_with_dropout_equals_a_loop_by_hand_under_the_same_draws(tiny_split):
    """What is kept is scaled up by 1 / (1 - rate), after the input and after each hidden layer."""
    import keras
    import tensorflow as tf

    from pipeline.models.dense_keras import build
    from pipeline.training.layers.dropout import DropoutMasks

    rates = (0.25, 0.5, 0.125)  # of 65,536, all whole numbers
    spec = DenseSpec((6, 5), rates, ("linear", "relu"))
    ours = train(spec, tiny_split, until=1)
    model = build(spec, image_shape=(4, 4), classes=3, pixel_max=255, seed=3)
    (first, first_bias), (second, second_bias), (last, last_bias) = (layer.weights for layer in model.layers[3::2])
    drawn = DropoutMasks(spec, 16, seed=3).draw(0, 0, (5, 8))  # 37 images: five batches, in one call
    order = np.random.Generator(np.random.Philox([3, 0])).permutation(37)
    optimizer = keras.optimizers.Adam(0.01)
    for step, start in enumerate(range(0, 37, 8)):
        rows = order[start : start + 8]
        masks = [
            np.float32(each[step, : len(rows)] >= 65_536 * rate) / (1 - rate)
            for each, rate in zip(drawn, rates, strict=True)
        ]
        with tf.GradientTape() as tape:
            pixels = tf.constant(tiny_split.train.images[rows].reshape(-1, 16) / 255, tf.float32)
            linear = (pixels * masks[0]) @ first + first_bias
            relu = tf.nn.relu((linear * masks[1]) @ second + second_bias)
            answers = tf.nn.log_softmax((relu * masks[2]) @ last + last_bias)
            loss = -tf.reduce_mean(tf.gather(answers, tiny_split.train.labels[rows], batch_dims=1))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    for mine, theirs in zip(ours.weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-4, atol=2e-6)


def test_the_last_partial_batch_is_trained_on(tiny_split):
    """One image more than a batch: the optimizer takes two steps, so the odd image moves the weights."""
    rows = slice(0, 9)
    part = Part(tiny_split.train.images[rows], tiny_split.train.labels[rows])
    split = Split(part, tiny_split.validation, tiny_split.test, ("a", "b", "c"), 255, "d", "f")
    steps = {
        size: int(train(PLAIN, split, settings=settings(batch_size=size), until=1).state.optimizer[0])
        for size in (8, 9)
    }
    assert steps == {8: 2, 9: 1}


def test_a_batch_larger_than_the_data_is_the_data(tiny_split):
    assert int(train(PLAIN, tiny_split, settings=settings(batch_size=500), until=1).state.optimizer[0]) == 1


@pytest.fixture(scope="module")
def fashion_shaped() -> Split:
    """Noise in the shape of Fashion-MNIST, more images than one call holds: 9,000 to train on, 6,000 to report on."""
    generator = np.random.default_rng(3)

    def part(count: int) -> Part:
        return Part(generator.integers(0, 256, (count, 28, 28), np.uint8), generator.integers(0, 10, count))

    return Split(part(9_000), part(500), part(6_000), tuple("abcdefghij"), 255, "digest", "fingerprint")


def test_the_limit_of_bytes_changes_no_bit_for_images_of_28x28(fashion_shaped, monkeypatch):
    """9,000 images in batches of 128: 64 batches per call as ever (8,192 images), so the second call has the rest."""
    from pipeline.training import call_size
    from pipeline.training.layers.dropout import DropoutMasks

    drawn = []
    draw = DropoutMasks.draw

    def noting(self, epoch, call, shape):
        drawn.append((epoch, call, shape))
        return draw(self, epoch, call, shape)

    monkeypatch.setattr(DropoutMasks, "draw", noting)
    limited = train(SMALL, fashion_shaped, settings=settings(batch_size=128, epochs=2))
    assert drawn == [(0, 0, (64, 128)), (0, 1, (64, 128)), (1, 0, (64, 128)), (1, 1, (64, 128))]
    monkeypatch.setattr(call_size, "CALL_BYTES", 2**60)
    assert fingerprint(train(SMALL, fashion_shaped, settings=settings(batch_size=128, epochs=2))) == fingerprint(
        limited
    )


def test_images_that_fill_a_call_sooner_are_trained_on_in_more_calls_and_all_of_them(tiny_split, monkeypatch):
    """A 4x4 image has 64 bytes as float32: 1,024 bytes are 16 images, so two batches of 8. 37 images: 16, 16 and 5."""
    from pipeline.training import call_size, scoring
    from pipeline.training.program import Program

    calls, scored = [], []
    run, log_probabilities = Program.run, scoring.log_probabilities

    def noting(self, images, labels, count, *rest):
        calls.append((images.shape, count))
        return run(self, images, labels, count, *rest)

    def noting_rows(score_rows, images):
        def noted(rows):
            scored.append(len(rows))
            return score_rows(rows)

        return log_probabilities(noted, images)

    whole = train(PLAIN, tiny_split, until=1)
    monkeypatch.setattr(Program, "run", noting)
    monkeypatch.setattr(scoring, "log_probabilities", noting_rows)
    monkeypatch.setattr(call_size, "CALL_BYTES", 1_024)
    parted = train(PLAIN, tiny_split, until=1)
    trained = [each for each in calls if each[1]]  # the call without images compiles
    assert trained == [((2, 8, 16), 16), ((2, 8, 16), 16), ((2, 8, 16), 5)]
    assert scored == [12, 12, 16, 16, 5, 12, 12]  # probe and validation; then train, validation and test
    assert parted.state.optimizer[0] == whole.state.optimizer[0] == 5
    for ours, theirs in zip(parted.weights, whole.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_dropout_loses_the_asked_share_and_draws_anew_in_every_call():
    from pipeline.training.layers.dropout import DropoutMasks

    masks = DropoutMasks(DenseSpec((7,), (0.25, 0), ("relu",)), 100, seed=1)
    (drawn,) = masks.draw(0, 0, (50, 20))
    lost = (drawn < masks.threshold(0)).mean()
    # 100,000 draws: the standard deviation of the share is 0.0014.
    assert lost == pytest.approx(0.25, abs=0.006)
    assert masks.places == [0]
    assert not np.array_equal(drawn, masks.draw(0, 1, (50, 20))[0])
    assert np.array_equal(drawn, masks.draw(0, 0, (50, 20))[0])


@pytest.mark.parametrize(
    ("rate", "lost"),
    # Of 65,536: 0.5 is half; 0.1 is 6,553.6, rounded; 0.999999 would be all of them, and leave nothing to scale up.
    [(0.5, 32_768), (0.1, 6_554), (1e-9, 0), (0.999999, 65_535)],
)
def test_a_rate_is_met_to_one_part_in_65536_and_never_drops_everything(rate, lost):
    from pipeline.training.layers.dropout import DropoutMasks

    assert DropoutMasks(DenseSpec((7,), (rate, 0), ("relu",)), 4, seed=1).threshold(0) == lost


def test_dropout_is_on_in_training_and_off_in_scoring(digits_split):
    much = DenseSpec((32,), (0, 0.9), ("relu",))
    result = train(much, digits_split, settings=settings(epochs=6))
    assert result.history["loss"][-1] > 1.15 * result.history["train_loss"][-1]


def test_with_every_rate_close_to_one_nearly_nothing_is_learned(digits_split):
    deaf = DenseSpec((32,), (0, 0.999), ("relu",))
    assert train(deaf, digits_split).history["accuracy"][-1] < 0.3


def test_scores_are_those_of_plain_keras(digits_split):
    import keras

    from pipeline.models.dense_keras import build

    result = train(SMALL, digits_split)
    model = build(SMALL, image_shape=(8, 8), classes=10, pixel_max=16, seed=99)
    model.set_weights(result.weights)
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    for name, part in digits_split.parts():
        loss, accuracy = model.evaluate(part.images, part.labels, verbose=0)
        score = getattr(result, name)
        assert score.loss == pytest.approx(loss, rel=1e-4)
        assert score.accuracy == pytest.approx(accuracy, abs=1e-6)
        np.testing.assert_allclose(result.probabilities[name], model.predict(part.images, verbose=0), atol=1e-5)
    assert isinstance(model, keras.Sequential)


def test_the_probe_is_as_large_as_the_validation_set(tiny_split):
    from pipeline.training.training_loop import probe

    assert len(probe(tiny_split, 1)) == 12


def test_a_cosine_rate_starts_whole_is_half_in_the_middle_and_ends_at_nothing():
    """Ten epochs of 7 steps: pi over 70 steps. A constant rate has no phase."""
    from pipeline.training.dense_trainer import phase_per_step

    phase = phase_per_step(settings(schedule="cosine", epochs=10), 7)
    assert [0.01 * (1 + math.cos(step * phase)) / 2 for step in (0, 35, 70)] == pytest.approx([0.01, 0.005, 0])
    assert phase_per_step(settings(schedule="constant"), 7) == 0


def test_a_cosine_epoch_equals_plain_keras_with_its_schedule(tiny_split):
    """37 images in batches of 8, four epochs: 20 steps in all, of which the first five are taken."""
    import keras

    from pipeline.models.dense_keras import build

    ours = train(PLAIN, tiny_split, until=1, settings=settings(schedule="cosine"))
    model = build(PLAIN, image_shape=(4, 4), classes=3, pixel_max=255, seed=3)
    rate = keras.optimizers.schedules.CosineDecay(0.01, 20)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", jit_compile=False)
    order = np.random.Generator(np.random.Philox([3, 0])).permutation(37)
    for start in range(0, 37, 8):
        rows = order[start : start + 8]
        model.train_on_batch(tiny_split.train.images[rows], tiny_split.train.labels[rows])
    for mine, theirs in zip(ours.weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-4, atol=2e-6)


def test_an_epoch_with_weight_decay_and_label_smoothing_equals_plain_keras(tiny_split):
    """AdamW without decay of biases, and the loss of one-hot labels of which a tenth is spread over the three classes."""
    import keras

    from pipeline.models.dense_keras import build

    asked = settings(weight_decay=0.4, label_smoothing=0.1)
    ours = train(PLAIN, tiny_split, until=1, settings=asked)
    model = build(PLAIN, image_shape=(4, 4), classes=3, pixel_max=255, seed=3)
    adam = keras.optimizers.AdamW(0.01, weight_decay=0.4)
    adam.exclude_from_weight_decay(var_names=["bias"])
    model.compile(adam, keras.losses.CategoricalCrossentropy(label_smoothing=0.1), jit_compile=False)
    order = np.random.Generator(np.random.Philox([3, 0])).permutation(37)
    total = 0.0
    for start in range(0, 37, 8):
        rows = order[start : start + 8]
        truth = keras.ops.one_hot(tiny_split.train.labels[rows], 3)
        total += len(rows) * float(model.train_on_batch(tiny_split.train.images[rows], truth, return_dict=True)["loss"])
        model.reset_metrics()
    for mine, theirs in zip(ours.weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-4, atol=2e-6)
    assert ours.history["loss"][0] == pytest.approx(total / 37, rel=1e-4)


def test_decay_and_smoothing_of_another_size_share_a_program_and_are_told_apart(digits_split):
    from pipeline.training.program_cache import PROGRAMS

    first = train(SMALL, digits_split, settings=settings(weight_decay=0.1, label_smoothing=0.1), until=2)
    compiled = PROGRAMS.compiled
    other = train(SMALL, digits_split, settings=settings(weight_decay=0.2, label_smoothing=0.05), until=2)
    again = train(SMALL, digits_split, settings=settings(weight_decay=0.1, label_smoothing=0.1), until=2)
    assert PROGRAMS.compiled == compiled
    assert fingerprint(again) == fingerprint(first) != fingerprint(other)


def test_a_kept_program_gives_the_bits_of_a_new_one(digits_split):
    """Between the two, the program trains with other rates, another learning rate, schedule and seed."""
    from pipeline.training.program_cache import PROGRAMS

    asked = settings(schedule="cosine", epochs=3, patience=2, restore_best=True)
    PROGRAMS.forget()
    new = train(SMALL, digits_split, settings=asked)
    compiled = PROGRAMS.compiled
    other = DenseSpec(SMALL.hidden, (0.5, 0.1, 0.4), SMALL.activations)
    between = train(other, digits_split, settings=settings(learning_rate=0.03), seed=4)
    kept = train(SMALL, digits_split, settings=asked)
    assert PROGRAMS.compiled == compiled
    assert fingerprint(kept) == fingerprint(new) != fingerprint(between)
    PROGRAMS.forget()
    assert fingerprint(train(other, digits_split, settings=settings(learning_rate=0.03), seed=4)) == fingerprint(
        between
    )


def test_a_state_of_an_earlier_version_with_its_learning_rate_is_continued(digits_split):
    whole, part = train(SMALL, digits_split), train(SMALL, digits_split, until=2)
    count, *moments = part.state.optimizer
    earlier = dataclasses.replace(part.state, optimizer=(count, np.float32(0.01), *moments))
    assert fingerprint(train(SMALL, digits_split, state=earlier)) == fingerprint(whole)


def test_the_first_weights_are_those_of_the_keras_model():
    from pipeline.models.dense_keras import build, initial_weights

    ours = initial_weights(SMALL, inputs=16, classes=3, seed=5)
    theirs = build(SMALL, image_shape=(4, 4), classes=3, pixel_max=255, seed=5).get_weights()
    assert all(np.array_equal(mine, other) for mine, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("monitor", ["val_loss", "val_accuracy", "loss"])
def test_training_stops_when_patience_is_out_and_keeps_the_best_epoch(digits_split, monitor):
    result = train(
        DenseSpec((16,), (0, 0), ("relu",)),
        digits_split,
        settings=settings(epochs=200, learning_rate=0.1, patience=2, monitor=monitor, restore_best=True),
    )
    values = list(result.history[monitor])
    best = values.index(max(values) if monitor == "val_accuracy" else min(values))
    assert result.best_epoch == best
    assert len(values) == best + 3 == result.epochs_run < 200
    assert result.validation.loss == pytest.approx(result.history["val_loss"][best], rel=1e-6)


def test_without_restoring_the_last_weights_are_kept(digits_split):
    result = train(
        DenseSpec((16,), (0, 0), ("relu",)),
        digits_split,
        settings=settings(epochs=200, learning_rate=0.1, patience=2, monitor="val_loss"),
    )
    assert result.best_epoch == result.epochs_run - 1
    assert result.validation.loss == pytest.approx(result.history["val_loss"][-1], rel=1e-6)


@pytest.mark.parametrize(("waited", "patience", "stops"), [(1, 2, False), (2, 2, True), (9, None, False)])
def test_patience_counts_epochs_without_improvement(waited, patience, stops):
    assert EarlyStopping(waited=waited).exhausted(patience) is stops


@pytest.mark.parametrize(
    ("monitor", "values"), [("val_accuracy", (0.5, 0.7, 0.7, 0.6)), ("val_loss", (2.0, 1.0, 1.0, 1.5))]
)
def test_of_equally_good_epochs_the_first_is_the_best(tiny_split, monitor, values):
    from pipeline.training.dense_trainer import _Trainer
    from pipeline.training.training_loop import after

    trainer = _Trainer(PLAIN, settings(monitor=monitor), tiny_split, 1)
    state = trainer.start()
    for value in values:
        state = after(trainer, settings(monitor=monitor), state, {monitor: value})
    assert (state.early.best, state.early.best_epoch, state.early.waited) == (values[1], 1, 2)
    assert state.history[monitor] == values


def test_a_trial_that_had_stopped_early_does_not_train_on_when_promoted(digits_split):
    stopped = train(
        DenseSpec((16,), (0, 0), ("relu",)), digits_split, settings=settings(epochs=99, learning_rate=1, patience=1)
    )
    again = train(
        DenseSpec((16,), (0, 0), ("relu",)),
        digits_split,
        settings=settings(epochs=99, learning_rate=1, patience=1),
        state=stopped.state,
    )
    assert again.epochs_run == stopped.epochs_run < 99
    assert fingerprint(again) == fingerprint(stopped)


def test_a_loss_that_is_no_number_is_a_failure_with_its_epoch(digits_split):
    from pipeline.training.training_loop import refuse_nan

    with pytest.raises(FloatingPointError, match=r"^loss is nan in epoch 7: training diverged$"):
        refuse_nan({"loss": math.nan}, 7)
    broken = Training.model_construct(**{**settings().model_dump(), "learning_rate": 1e38})
    with pytest.raises(FloatingPointError, match="in epoch 0"):
        train(PLAIN, digits_split, settings=broken)


def test_a_trained_network_leaves_no_graph_in_the_process(tiny_split):
    """A worker trains many networks; the optimizer's own `apply` would keep the graph of each of them."""
    import gc

    from pipeline.training.program_cache import PROGRAMS

    def graphs() -> int:
        PROGRAMS.forget()
        gc.collect()
        return sum(type(each).__name__ == "FuncGraph" for each in gc.get_objects())

    train(SMALL, tiny_split, until=1)
    before = graphs()
    for seed in (1, 2):
        train(SMALL, tiny_split, until=1, seed=seed)
    assert graphs() <= before


def test_every_epoch_is_reported(tiny_split):
    seen = []
    train(PLAIN, tiny_split, on_epoch=lambda epoch, measured: seen.append((epoch, sorted(measured))))
    names = ["accuracy", "loss", "train_accuracy", "train_loss", "val_accuracy", "val_loss"]
    assert seen == [(epoch, names) for epoch in range(4)]


def test_the_notebooks_network_in_keras_has_its_parameters():
    from pipeline.models.dense_keras import build

    model = build(notebook_network(), image_shape=(28, 28), classes=10, pixel_max=255, seed=1)
    assert model.count_params() == 111_146
    assert [layer.name for layer in model.layers] == [
        "flatten",
        "rescaling",
        "hidden_1",
        "hidden_2",
        "hidden_3",
        "classes",
    ]


def test_a_saved_file_is_loaded_by_plain_keras_alone(tiny_split, tmp_path):
    from pipeline.models.dense_keras import build, save

    result = train(SMALL, tiny_split)
    model = build(SMALL, image_shape=(4, 4), classes=3, pixel_max=255, seed=1)
    model.set_weights(result.weights)
    save(model, tmp_path / "network.keras")
    np.save(tmp_path / "images.npy", tiny_split.test.images)
    script = (
        "import sys, keras, numpy as np\n"
        f"images = np.load(r'{tmp_path}/images.npy')\n"
        f"answers = keras.models.load_model(r'{tmp_path}/network.keras').predict(images, verbose=0)\n"
        "assert not any(name.startswith('pipeline') for name in sys.modules)\n"
        f"np.save(r'{tmp_path}/answers.npy', answers)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    answers = np.load(tmp_path / "answers.npy")
    np.testing.assert_allclose(answers, result.probabilities["test"], atol=1e-6)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.npy", "images.npy", "network.keras"]


@pytest.mark.parametrize("kind", ["function", "object"])
def test_weights_of_classes_multiply_the_loss_of_their_rows_in_any_model(kind):
    """Rows of probability 1/2 and 1/4 of their class, weights 2 and 1: (2 log 2 + log 4) / 2 = 2 log 2."""
    import keras
    import tensorflow as tf

    from pipeline.training.keras_trainer import _mean_loss

    losses = {
        "function": keras.losses.sparse_categorical_crossentropy,
        "object": keras.losses.SparseCategoricalCrossentropy(),
    }
    answers, weights = tf.constant([[0.5, 0.5], [0.75, 0.25]]), tf.constant([2.0, 1.0])
    found = _mean_loss(losses[kind], tf.constant([0, 1]), answers, weights)
    assert float(found) == pytest.approx(2 * math.log(2), rel=1e-5)


def test_a_process_that_starts_tensorflow_keeps_the_memory_that_a_step_frees(monkeypatch):
    kept = []
    monkeypatch.setattr("pipeline.training.runtime._keep_freed_memory", lambda: kept.append(True))
    runtime.init_tensorflow()
    assert kept == [True]
