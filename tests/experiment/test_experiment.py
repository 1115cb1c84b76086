from typing import Annotated, Any, get_args

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from pipeline import experiment
from pipeline.errors import InputError
from pipeline.experiment import Experiment, Published, Space, Training, TrainingOverrides, load, parse
from pipeline.experiment.messages import describe
from pipeline.models.dense import DenseSpec

PUBLISHES = (
    "name: x\nquestion: y\nspace: {networks: [{hidden: [8], dropout: [0, 0], activations: [relu], published: "
)  # fmt: skip
SHIPPED = [
    "batchnorm_or_dropout",
    "convnet",
    "digits",
    "fashion_mnist",
    "fashion_mnist_large",
    "fashion_mnist_narrow",
    "notebook",
    "notebook_digits",
    "placement",
    "regularisers",
    "smoke",
]


def test_the_shipped_experiments_come_with_the_project():
    assert experiment.names() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_experiment_loads_under_its_own_name(name):
    assert load(name).name == name


def test_a_path_works_as_well_as_a_name(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nquestion: Why?\nsearch: {trials: 7}\n")
    assert load(str(file)).search.trials == 7


def test_the_notebooks_two_networks_differ_in_dropout_and_early_stopping_alone():
    plain, dropped = load("notebook").space.networks or []
    assert DenseSpec.of(plain).dropout == (0, 0, 0, 0)
    assert DenseSpec.of(dropped).dropout == (0, 0, 0.1, 0)
    assert DenseSpec.of(plain).activations == DenseSpec.of(dropped).activations == ("linear", "relu", "relu")
    base = load("notebook").training
    assert (base.monitor, base.batch_size, base.schedule, base.epochs) == ("loss", 32, "constant", 500)
    assert (base.merged(plain.training).patience, base.merged(plain.training).restore_best) == (5, False)
    assert (base.merged(dropped.training).patience, base.merged(dropped.training).restore_best) == (3, True)


def test_the_notebooks_published_figures_stand_with_its_networks():
    plain, dropped = (each.published for each in load("notebook").space.networks or [])
    assert plain is not None
    assert dropped is not None
    assert (plain.train_accuracy, plain.train_loss, plain.test_accuracy, plain.test_loss) == (
        0.959,
        0.1097,
        0.8823,
        0.7011,
    )
    assert (dropped.train_accuracy, dropped.train_loss) == (0.9192, 0.2176)
    assert (dropped.test_accuracy, dropped.test_loss) == (0.8814, 0.3978)


def test_the_notebook_on_digits_has_the_same_networks_for_50_epochs_and_publishes_nothing():
    there, here = load("notebook"), load("notebook_digits")
    networks = here.space.networks or []
    assert [DenseSpec.of(each) for each in networks] == [DenseSpec.of(each) for each in there.space.networks or []]
    assert [each.training for each in networks] == [each.training for each in there.space.networks or []]
    assert here.training == there.training.model_copy(update={"epochs": 50})
    assert here.data.test == 0.1
    assert {each.published for each in networks} == {None}


def test_one_dropout_layer_is_moved_through_every_place_and_rate_of_one_network():
    specs = [DenseSpec.of(each) for each in load("placement").space.networks or []]
    assert {(each.hidden, each.activations) for each in specs} == {((256, 128, 64), ("relu",) * 3)}
    moved = {(place, rate) for each in specs for place, rate in enumerate(each.dropout) if rate}
    assert moved == {(place, rate) for place in range(4) for rate in (0.1, 0.2, 0.3, 0.4, 0.5)}
    assert [sum(rate > 0 for rate in each.dropout) for each in specs] == [0, *[1] * 20]


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("search.trails", "5", r"unknown key search\.trails \(did you mean search\.trials\?\); expected one of: tuner"),
        ("trials", "5", r"unknown key trials \(did you mean search\.trials\?\)"),
        ("trainig.epochs", "5", r"unknown key trainig \(did you mean training\?\)"),
        ("training.batch", "5", r"unknown key training\.batch \(did you mean training\.batch_size\?\)"),
        ("evaluation.seed", "5", r"unknown key evaluation\.seed \(did you mean evaluation\.seeds\?\); expected one of"),
        ("seeds", "5", r"unknown key seeds \(did you mean evaluation\.seeds\?\)"),
        ("evaluation.seeds", "0", r"evaluation\.seeds is 0: expected 1 or more"),
        ("evaluation.seeds", "2.5", r"evaluation\.seeds is 2\.5: expected a whole number"),
        ("evaluation.finalists", "0", r"evaluation\.finalists is 0: expected 1 or more"),
        ("evaluation.target_accuracy", "0", r"evaluation\.target_accuracy is 0: expected more than 0"),
        ("evaluation.target_accuracy", "95", r"evaluation\.target_accuracy is 95: expected 1\.0 or less"),
        ("evaluation.target_accuracy", "true", r"evaluation\.target_accuracy is true: expected a number"),
        (
            "selection.rule",
            "best",
            r"selection\.rule is 'best': expected 'one_standard_error', 'best_loss' or 'best_acc",
        ),
        ("selection.tolerance", "0", r"selection\.tolerance is 0: expected more than 0"),
        ("selection.tolerance", "1", r"selection\.tolerance is 1: expected less than 1"),
        ("search.trials", "0", r"search\.trials is 0: expected 1 or more"),
        ("search.trials", "abc", r"search\.trials is 'abc': expected a whole number"),
        ("search.trials", "2.5", r"search\.trials is 2\.5: expected a whole number"),
        ("search.trials", "", r"search\.trials is '': expected a whole number"),
        ("search.trials", "5 # not 50", r"search\.trials is '5 # not 50': expected a whole number"),
        ("search.trials", "#5", r"search\.trials is '#5': expected a whole number"),
        ("search.trials", "010", r"search\.trials is '010': expected a whole number"),
        ("search.trials", "9" * 5000, r"search\.trials=9+ cannot be read as a YAML value"),
        ("search.minutes", "1:30", r"search\.minutes is '1:30': expected a number"),
        ("search.minutes", "yes", r"search\.minutes is true: expected a number"),
        ("search.minutes", "", r"search\.minutes is '': expected a number"),
        ("training.patience", "", r"training\.patience is '': expected a whole number"),
        ("search.seed", "0", r"search\.seed is 0: expected 1 or more"),
        ("search.workers", "many", r"search\.workers is 'many': expected auto, or 1 or more"),
        ("search.workers", "0", r"search\.workers is 0: expected auto, or 1 or more"),
        ("search", "3", r"search is 3: expected a section of keys"),
        ("search.trials.x", "3", r"search\.trials\.x cannot be set: trials is 3, not a section"),
        ("space", "", r"space is '': expected a section of keys"),
        ("space", "{hidden: [8], hidden: [16]}", r"space=\{.* cannot be read as a YAML value"),
        ("space.hidden", "[8, 010]", r"space\.hidden\.1 is '010': expected a whole number"),
        ("space.hidden", "[8] # and 16", r"space\.hidden is '\[8\] # and 16': expected a list"),
        ("space.hidden", "[]", r"space\.hidden is \[\]: expected 1 or more entries"),
        ("space.hidden", "64", r"space\.hidden is 64: expected a list, such as \[64, 128\]"),
        ("space.depth", "[3, 1]", r"space: depth is \[3, 1\]: an empty range"),
        ("space.depth", "[1]", r"space\.depth is \[1\]: expected 2 or more entries"),
        ("space.depth", "[1, 2, 3]", r"space\.depth is \[1, 2, 3\]: expected 2 entries at most"),
        ("space.dropout", "[0, 1.2]", r"space\.dropout\.1 is 1\.2: expected less than 1"),
        ("space.dropout", "[true]", r"space\.dropout\.0 is true: expected a number"),
        ("space.hidden", "[8, 8]", r"space: hidden is \[8, 8\]: contains a duplicate value"),
        ("space.networks", "[]", r"space\.networks is \[\]: expected 1 or more entries"),
        ("space.networks", "[3]", r"space\.networks\.0 is 3: expected a section of keys"),
        ("data.validation", "1.5", r"data\.validation is 1\.5: expected a count of images .* or a share"),
        ("data.validation", "-3", r"data\.validation is -3: expected a count of images .* or a share"),
        ("data.validation", "true", r"data\.validation is true: expected a count of images .* or a share"),
        ("data.path", "", r"data\.path is '': expected some text, or null"),
        ("data", "{path: 2025}", r"data\.path is 2025: expected text, in quotes"),
        ("data.dataset", "mnist", r"data\.dataset is 'mnist': expected 'fashion_mnist', 'digits' or 'own'"),
        ("data.pixel_max", "16", r"data: pixel_max is 16, but digits has its own; leave it out"),
        ("data.pixel_max", "65536", r"data\.pixel_max is 65536: expected 65535 or less"),
        ("training.learning_rate", "0", r"training\.learning_rate is 0: expected more than 0"),
        ("training.learning_rate", "11", r"training\.learning_rate is 11: expected 10\.0 or less"),
        ("training.learning_rate", "true", r"training\.learning_rate is true: expected a number"),
        ("training.learning_rate", ".nan", r"training\.learning_rate is nan: expected a finite number"),
        ("training.learning_rate", "[1e-3, 20]", r"training\.learning_rate is 20: expected 10\.0 or less"),
        ("training.learning_rate", "[]", r"learning_rate is \[\]: expected one value or more"),
        ("training.learning_rate", "[0.1, 0.1]", r"learning_rate is \[0\.1, 0\.1\]: contains a duplicate value"),
        ("training.learning_rate", "{from: 0.1}", r"learning_rate is .*; expected a range such as \{from: 0\.0001, to"),
        ("training.learning_rate", "{from: 0.1, to: 0.01}", r"learning_rate is .*: an empty range"),
        ("training.learning_rate", "{from: 0.1, to: 1, log: 2}", r"learning_rate is .*; expected log: true or false"),
        (
            "training.weight_decay",
            "{from: 0, to: 0.1, log: true}",
            r"weight_decay is .*; with log: true, expected from mo",
        ),
        ("training.batch_size", "[32, 0.5]", r"training\.batch_size is 0\.5: expected a whole number"),
        ("training.patience", "[5, null]", r"patience is \[5, None\]: null cannot be in a list; expected numbers"),
        ("training.patience", "{from: null, to: 5}", r"patience is .*; expected a range such as"),
        ("training.epochs", "[10, 20]", r"epochs is \[10, 20\], which cannot be searched; expected one value"),
        ("space.activation", "[relu, rely]", r"space\.activation is \['relu', 'rely'\]: expected one of relu, linear"),
        ("space.activation", "[relu, relu]", r"space: activation is \['relu', 'relu'\]: contains a duplicate value"),
        (
            "space.normalization",
            "[none, group]",
            r"space\.normalization is \['none', 'group'\]: expected one of none, batch, layer",
        ),
        (
            "space.normalization",
            "[batch, batch]",
            r"space: normalization is \['batch', 'batch'\]: contains a duplicate value",
        ),
        ("training.schedule", "cos", r"training\.schedule is 'cos': expected 'constant' or 'cosine'"),
        ("training.restore_best", "maybe", r"training\.restore_best is 'maybe': expected true or false"),
        ("training.patience", "0", r"training\.patience is 0: expected 1 or more"),
        ("name", "a/b", r"name is 'a/b': expected letters, digits"),
        ("search.tuner", "[", r"search\.tuner is '\[': expected 'random', 'grid'"),
        ("search.tuner", "grid # all", r"search\.tuner is 'grid # all': expected 'random', 'grid'"),
        (
            "search.cluster",
            "localhost:8786",
            r"search\.cluster is 'localhost:8786': expected the address of a Dask sched",
        ),
        ("space.hidden", "[", r"space\.hidden=\[ cannot be read as a YAML value"),
    ],
)
def test_a_wrong_override_is_reported_in_one_line(key, text, message):
    with pytest.raises(InputError, match=message) as caught:
        load("smoke", {key: text})
    assert "\n" not in str(caught.value)
    assert "smoke.yaml" in str(caught.value) or "cannot be" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"holds nothing; expected keys such as name"),
        ("name: x\n", "question is missing; every experiment needs it"),
        ("name: x\nquestion: y\nspace: {networks: [{dropout: [0]}]}", r"space\.networks\.0\.hidden is missing \("),
        ("[1, 2]\n", r"holds list; expected keys such as name"),
        ("name: [\n", "cannot be read as YAML"),
        ("name: x\nquestion: y\nname: z\n", "cannot be read as YAML: name is given twice, the second time in line 3"),
        ("name: x\nquestion: y\nsearch: {trials: 010}\n", r"search\.trials is '010': expected a whole number"),
        ("name: x\nquestion: y\nsearch: {minutes: 1:30}\n", r"search\.minutes is '1:30': expected a number"),
        ("name: 2025\nquestion: y\n", r"name is 2025: expected text, in quotes"),
        (
            "name: x\nquestion: y\nspace: {networks: [{hidden: [8, 8], dropout: [0, 0], activations: [relu, relu]}]}",
            r"dropout has 2 entries for 2 hidden layers; expected 3: one after the input and one after each hidden layer",
        ),
        ("name: x\nquestion: y\nspace: {networks: [{hidden: [8], dropout: [0, 0], activations: [rely]}]}", "'rely'"),
        ("name: x\nquestion: y\nspace: {networks: [{hiden: [8]}]}", r"unknown key space\.networks\.0\.hiden"),
        (
            PUBLISHES + "{source: z, train_accuracy: 95.9, train_loss: 0.1, test_accuracy: .9, test_loss: 0.4}}]}",
            r"space\.networks\.0\.published\.train_accuracy is 95\.9: expected 1\.0 or less",
        ),
        (PUBLISHES + "{}}]}", r"space\.networks\.0\.published\.source is missing"),
        (
            PUBLISHES + "{sorce: z}}]}",
            r"unknown key space\.networks\.0\.published\.sorce \(did you mean space\.networks\.0\.published\.source\?\)",
        ),
        ("name: a b\nquestion: y\n", "name is 'a b'"),
    ],
)
def test_a_wrong_file_is_reported_in_one_line(tmp_path, content, message):
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        load(str(file))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fashon_mnist", r"unknown experiment 'fashon_mnist' \(did you mean fashion_mnist\?\)"),
        ("no/such.yaml", r"no experiment file at no/such\.yaml"),
    ],
)
def test_an_unknown_experiment_is_reported_with_the_known_ones(name, message):
    with pytest.raises(InputError, match=message) as caught:
        load(name)
    assert ", ".join(SHIPPED) in str(caught.value)


def test_a_number_in_scientific_notation_is_a_number():
    assert load("smoke", {"training.learning_rate": "1e-3"}).training.learning_rate == 0.001


@pytest.mark.parametrize(
    "text",
    ["faces #2", "2025-11-27", "2025", "yes", "~", "1e-3", "'a'", " a ", "[a]", "a: b", "*a", "null ", "-", "a\nb"],
)
def test_a_key_for_text_gets_the_text_as_it_was_typed(text):
    assert load("smoke", {"data.dataset": "own", "data.path": text, "data.validation": "0.1"}).data.path == text


@settings(deadline=None)
@given(key=st.sampled_from(["name", "question", "data.path", "search.cluster", "search.tuner"]), text=st.text())
def test_a_key_for_text_gets_any_text_as_typed_or_one_line_refuses_it(key, text):
    try:
        got = load("smoke", {key: text})
    except InputError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert len(refused.splitlines()) == 1
        return
    for part in key.split("."):
        got = getattr(got, part)
    assert got == (None if text == "null" and key in {"data.path", "search.cluster"} else text)


def test_the_word_null_empties_a_key_for_text_that_may_be_null():
    loaded = load("smoke", {"data.path": "null", "search.cluster": "null", "question": "null"})
    assert (loaded.data.path, loaded.search.cluster, loaded.question) == (None, None, "null")


def test_a_date_in_a_file_is_text(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nquestion: Why?\ndata: {dataset: own, path: 2025-11-27}\n")
    assert load(str(file)).data.path == "2025-11-27"


def test_every_pattern_of_a_key_has_words_of_its_own_in_the_message():
    found = {}
    models: list[type[BaseModel]] = [Experiment, *_models(Experiment)]
    for model in models:
        for key, field in model.model_fields.items():
            pattern = _pattern(field)
            if pattern:
                with pytest.raises(ValidationError) as caught:
                    TypeAdapter(Annotated[str, Field(pattern=pattern)]).validate_python("no such thing!")
                found[key] = describe(caught.value)
    assert found == {
        "name": "expected letters, digits, '_', '.' and '-', a letter or digit first",
        "cluster": "expected the address of a Dask scheduler, such as tcp://localhost:8786 or tls://localhost:8786",
    }


def _models(model: type[BaseModel]) -> list[type[BaseModel]]:
    """The sections of a model, those in lists and those that may be left out too."""
    found = []
    for field in model.model_fields.values():
        waiting: list[Any] = [field.annotation]
        while waiting:
            each = waiting.pop()
            waiting += get_args(each)
            if isinstance(each, type) and not get_args(each) and issubclass(each, BaseModel):
                found += [each, *_models(each)]
    return found


def _pattern(field: FieldInfo) -> str | None:
    """The pattern of a key: in its own type, or in one of several."""
    waiting: list[Any] = [field, *get_args(field.annotation)]
    while waiting:
        each = waiting.pop()
        waiting += [*getattr(each, "metadata", ()), *getattr(each, "__metadata__", ())]
        if getattr(each, "pattern", None):
            return str(each.pattern)
    return None


@pytest.mark.parametrize("perfect", ["1", "1.0"])
def test_a_published_accuracy_may_be_perfect(tmp_path, perfect):
    file = tmp_path / "mine.yaml"
    scores = f"train_accuracy: {perfect}, train_loss: 0, test_accuracy: {perfect}, test_loss: 0.4"
    file.write_text(f"{PUBLISHES}{{source: z, {scores}}}}}]}}")
    (network,) = load(str(file)).space.networks or []
    assert network.published is not None
    assert (network.published.train_accuracy, network.published.test_accuracy) == (1, 1)
    file.write_text(f"{PUBLISHES}{{source: z, {scores.replace(f'{perfect}, test_loss', '0, test_loss')}}}}}]}}")
    with pytest.raises(InputError, match=r"published\.test_accuracy is 0: expected more than 0"):
        load(str(file))


def test_the_smallest_accuracy_of_a_first_champion_may_be_perfect():
    assert load("smoke", {"promotion.min_accuracy": "1"}).promotion.min_accuracy == 1


def test_null_switches_patience_off():
    assert load("smoke", {"training.patience": "null"}).training.patience is None


def test_own_data_hold_out_a_tenth_where_a_file_is_silent(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nquestion: Why?\ndata: {dataset: own, path: mine.npz}\n")
    assert (load(str(file)).data.validation, load(str(file)).data.test) == (0.1, None)
    for key in ("test", "validation"):
        with pytest.raises(InputError, match=rf"data: {key} is 50, a count; own data are split by shares"):
            load(str(file), {f"data.{key}": "50"})


def test_an_override_leaves_the_rest_of_its_section():
    overridden = load("smoke", {"search.trials": "5"})
    assert overridden.search.trials == 5
    assert overridden.search.tuner == load("smoke").search.tuner


@settings(deadline=None)  # a busy machine is no failure
@given(
    epochs=st.integers(1, 999),
    validation=st.one_of(st.integers(1, 10**6), st.floats(0.001, 0.999)),
    rates=st.lists(st.floats(0, 0.99), min_size=1, max_size=5, unique=True),
    patience=st.none() | st.integers(1, 50),
    overrides=st.builds(
        TrainingOverrides, epochs=st.none() | st.integers(1, 9), restore_best=st.none() | st.booleans()
    ),
    published=st.none()
    | st.builds(
        Published,
        source=st.just("a: b"),
        train_accuracy=st.floats(0.01, 1),
        train_loss=st.floats(0, 9),
        test_accuracy=st.floats(0.01, 1),
        test_loss=st.floats(0, 9),
    ),
    target=st.none() | st.floats(0.001, 1),
    tolerance=st.none() | st.floats(0.001, 0.999),
)
def test_a_resolved_experiment_reads_back_as_itself(
    epochs, validation, rates, patience, overrides, published, target, tolerance
):
    network = {
        "hidden": [8],
        "dropout": [0, 0.5],
        "activations": ["tanh"],
        "training": overrides,
        "published": published,
    }
    asked = Experiment(
        name="x",
        question="y: z? #",
        data={"validation": validation},
        space={"dropout": rates, "networks": [network]},
        training={"epochs": epochs, "patience": patience},
        evaluation={"target_accuracy": target},
        selection={"tolerance": tolerance},
    )
    assert parse(yaml.safe_load(asked.to_yaml()), where="here") == asked


def test_a_range_that_a_grid_or_fixed_networks_cannot_take_is_refused_with_the_cure():
    wide = {"training.learning_rate": "{from: 1e-4, to: 1e-2, log: true}"}
    with pytest.raises(
        InputError, match=r"learning_rate is a range, .* give a list, such as \[0\.0001, 0\.001, 0\.01\]"
    ):
        load("smoke", wide | {"search.tuner": "grid"})
    with pytest.raises(InputError, match=r"learning_rate is .* fixed networks; expected one value: give a network per"):
        load("notebook_digits", wide | {"search.tuner": "random"})


def test_lists_and_ranges_of_training_read_back_as_they_were():
    asked = load("smoke", {"training.learning_rate": "{from: 1e-4, to: 1e-2}", "training.batch_size": "[32, 64]"})
    assert parse(yaml.safe_load(asked.to_yaml()), where="here") == asked != load("smoke")
    assert asked.training.searched.keys() == {"learning_rate", "batch_size"}


def _sections(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    return {
        name: field.annotation
        for name, field in model.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def test_every_key_is_documented():
    models: list[type[BaseModel]] = [
        *_sections(Experiment).values(),
        Experiment,
        experiment.FixedNetwork,
        TrainingOverrides,
        experiment.Published,
    ]
    undocumented = [
        f"{model.__name__}.{name}"
        for model in models
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert undocumented == []


def test_a_network_can_override_every_training_setting_and_by_default_none():
    assert list(TrainingOverrides.model_fields) == list(Training.model_fields)
    assert TrainingOverrides().model_dump(exclude_none=True) == {}


def test_space_and_training_default_to_the_designs():
    assert Space().depth == [1, 4]
    assert Training().schedule == "cosine"


def own(folder, model, **more):
    (folder / "net.py").write_text("def build(hp):\n    raise RuntimeError  # not run on loading\n", encoding="utf-8")
    (folder / "own.yaml").write_text(f"name: own\nquestion: q\nmodel: {model}\n", encoding="utf-8")
    return experiment.load(str(folder / "own.yaml"), more)


def test_a_model_of_ones_own_is_read_from_beside_the_experiments_file_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    read = own(tmp_path, "net.py:build")
    assert read.model is not None
    assert (read.model.name, read.model.artifact) == ("net.py:build", "net.py")
    assert "not run on loading" in read.model.source
    # The resolved experiment holds the text, so it needs no file.
    assert experiment.parse(yaml.safe_load(read.to_yaml()), where="test") == read
    assert own(tmp_path, "pipeline.formatting:few").model.artifact == "formatting.py"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("other.py:build", r"other\.py cannot be read \(No such file"),
        ("no.such.module:build", "there is no module no.such.module"),
        ("net.py", "expected file.py:function beside the experiment's file"),
    ],
)
def test_a_model_that_is_not_there_is_told_in_one_line(tmp_path, model, message):
    with pytest.raises(InputError, match=message) as refused:
        own(tmp_path, model)
    assert "\n" not in str(refused.value)


def test_a_model_of_ones_own_has_no_space_of_dense_networks(tmp_path):
    with pytest.raises(InputError, match=r"space is for dense networks, and model is net\.py:build"):
        own(tmp_path, "net.py:build", **{"space.depth": "[1, 2]"})


def test_the_digest_of_a_model_is_that_of_its_text_whatever_the_file_is_called():
    first, renamed, changed = (
        experiment.ModelCode(file, "build", text) for file, text in (("a.py", "x"), ("b.py", "x"), ("a.py", "y"))
    )
    assert first.identity() == renamed.identity() != changed.identity()
