"""The schema of `experiments/*.yaml` and of dotted overrides.

Enters: an experiment's name or path, and overrides such as `{"search.trials": "5"}`. Leaves: a frozen `Experiment`.
Whatever is wrong ends in an `InputError` of one line that names the key, what was given and what was expected.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeGuard, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import InputError
from pipeline.network.spec import NetworkSpec
from pipeline.wording import nearest, told

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"


def _no_bool(value: Any) -> Any:
    """`true` is no number to anybody but Python."""
    if isinstance(value, bool):
        raise ValueError("expected a number")  # noqa: TRY004 - pydantic tells only ValueErrors to the user
    return value


Count = Annotated[int, Field(ge=1, strict=True)]
Rate = Annotated[float, Field(ge=0, lt=1), BeforeValidator(_no_bool)]
LearningRate = Annotated[float, Field(gt=0, le=10), BeforeValidator(_no_bool)]
Share = Annotated[float, Field(gt=0, lt=1, strict=True)]
Seed = Annotated[int, Field(ge=1, lt=2**31, strict=True)]
"""From 1: Keras Tuner takes a seed of 0 for none."""
CountOrShare = Count | Share
Activation = Literal["relu", "linear", "tanh", "sigmoid", "elu", "selu", "gelu", "silu"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Data(_Section):
    """Which images, and how they are divided."""

    dataset: Literal["fashion_mnist", "digits", "own"] = "fashion_mnist"
    """`fashion_mnist` (Zalando's, 70,000 of 28x28), `digits` (scikit-learn's, 1,797 of 8x8) or `own`, what `path` names."""
    path: str | None = None
    """A folder with the four IDX files of Fashion-MNIST, gzipped or not; tried before every other source. For `own`: an
    npz file, a folder of IDX files, or a folder of pictures, one folder per class."""
    pixel_max: Annotated[int, Field(ge=1, le=255, strict=True)] | None = None
    """For `own`: the largest value that a pixel can take; null is 255."""
    validation: CountOrShare = 10_000
    """Held out of the training images to choose by: a count of images, or a share of them between 0 and 1. For `own` a
    share, a tenth unless told otherwise."""
    test: CountOrShare | None = None
    """Held out to report on, as count or share; null takes the data set's own test set (without one: a tenth). For `own` a
    share."""
    seed: Seed = 1
    """Decides which images are held out."""

    @model_validator(mode="before")
    @classmethod
    def _of_own_data_a_tenth(cls, given: Any) -> Any:
        """The default of `validation` is Fashion-MNIST's."""
        if isinstance(given, Mapping) and given.get("dataset") == "own":
            return {"validation": 0.1, **given}
        return given

    @model_validator(mode="after")
    def _fits_its_data_set(self) -> Self:
        if self.dataset != "own":
            if self.pixel_max is not None:
                raise ValueError(f"pixel_max is {self.pixel_max}, but {self.dataset} has its own; leave it out")
            return self
        for key, size in (("validation", self.validation), ("test", self.test)):
            if isinstance(size, int):
                raise ValueError(  # noqa: TRY004 - pydantic tells only ValueErrors to the user
                    f"{key} is {size}, a count; own data are divided by shares, so that no image changes sides when others "
                    "come: expected one between 0 and 1, such as 0.1"
                )
        return self


class TrainingOverrides(_Section):
    """What one fixed network trains differently from the experiment; a key left out is as in `training`."""

    epochs: Count | None = None
    """As in `training`."""
    batch_size: Count | None = None
    """As in `training`."""
    learning_rate: LearningRate | None = None
    """As in `training`."""
    schedule: Literal["constant", "cosine"] | None = None
    """As in `training`."""
    monitor: Literal["val_loss", "val_accuracy", "loss"] | None = None
    """As in `training`."""
    patience: Count | None = None
    """As in `training`; cannot be switched off here."""
    restore_best: bool | None = None
    """As in `training`."""


class Published(_Section):
    """Figures from elsewhere, by the notebook's measure: train as training last reported it."""

    source: Annotated[str, Field(min_length=1)]
    """Who says so."""
    train_accuracy: Share
    """0 to 1."""
    train_loss: Annotated[float, Field(ge=0)]
    """Nats."""
    test_accuracy: Share
    """0 to 1."""
    test_loss: Annotated[float, Field(ge=0)]
    """Nats."""


class FixedNetwork(_Section):
    """One network given in full."""

    hidden: Annotated[list[Count], Field(min_length=1)]
    """Units of each hidden layer."""
    dropout: list[Rate]
    """One rate after the input and one after each hidden layer: one more than `hidden` has entries; 0 is no layer."""
    activations: list[Activation]
    """One per hidden layer."""
    training: TrainingOverrides = TrainingOverrides()
    """What this network trains differently."""
    published: Published | None = None
    """What others report of it, shown beside what is measured here."""

    @model_validator(mode="after")
    def _is_a_network(self) -> Self:
        self.spec()
        return self

    def spec(self) -> NetworkSpec:
        return NetworkSpec(tuple(self.hidden), tuple(self.dropout), tuple(self.activations))


class Space(_Section):
    """The networks to search over: ranges to draw from, or a list of fixed networks."""

    depth: Annotated[list[Count], Field(min_length=2, max_length=2)] = [1, 4]
    """Fewest and most hidden layers."""
    hidden: Annotated[list[Count], Field(min_length=1)] = [32, 64, 128, 256, 512]
    """Sizes that a hidden layer can have."""
    dropout: Annotated[list[Rate], Field(min_length=1)] = [0, 0.1, 0.2, 0.3, 0.4, 0.5]
    """Rates that can follow a hidden layer; 0 is no dropout there."""
    input_dropout: Annotated[list[Rate], Field(min_length=1)] = [0, 0.1, 0.2]
    """Rates that can follow the input."""
    activation: Activation = "relu"
    """Of every hidden layer."""
    networks: Annotated[list[FixedNetwork], Field(min_length=1)] | None = None
    """Fixed networks to train instead of drawing from the ranges above."""

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        fewest, most = self.depth
        if fewest > most:
            raise ValueError(f"depth is [{fewest}, {most}]: an empty range; expected [fewest, most]")
        for key in ("hidden", "dropout", "input_dropout"):
            values = getattr(self, key)
            if len(set(values)) < len(values):
                raise ValueError(f"{key} is {values}: a value stands there twice")
        return self


class Training(_Section):
    """How every trial trains."""

    epochs: Count = 20
    """At most; early stopping can end sooner."""
    batch_size: Count = 64
    """Images per step; the last, partial batch of an epoch is used too."""
    learning_rate: LearningRate = 0.001
    """Of Adam, at the start."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """`cosine` lets the learning rate fall to 0 over `epochs`."""
    monitor: Literal["val_loss", "val_accuracy", "loss"] = "val_loss"
    """What early stopping watches and the best epoch is chosen by; `loss` is the training loss, as in the notebook."""
    patience: Count | None = 5
    """Epochs without improvement before training stops; null never stops early."""
    restore_best: bool = True
    """Keep the weights of the best epoch; false keeps the last."""

    def merged(self, overrides: TrainingOverrides) -> "Training":
        """These settings with what `overrides` names put in their place."""
        return self.model_copy(update=overrides.model_dump(exclude_none=True))


class Search(_Section):
    """How the space is searched."""

    tuner: Literal["random", "grid", "bayesian", "bayesian_stock", "hyperband"] = "bayesian"
    """Which of Keras Tuner's oracles proposes; `bayesian` is its Gaussian process with our search for the next network
    to try, `bayesian_stock` Keras Tuner's own: seconds per proposal, and it can propose a network twice."""
    objective: Literal["val_loss", "val_accuracy"] = "val_loss"
    """What the search minimises (`val_loss`) or maximises (`val_accuracy`)."""
    trials: Count = 24
    """How many networks to train at most."""
    seed: Seed = 1
    """Decides the proposals and, with a trial's number, its weights, order of images and dropout."""
    workers: Literal["auto"] | Count = "auto"
    """Networks trained at the same time: 1 in this process; more, or `auto` (one per core), in processes of their own."""
    resume: Literal["auto", "never"] = "auto"
    """`auto` goes on with the experiment's latest search when that did not finish, or is to have more trials."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """No trial starts that would not be finished so many minutes after the search, or its going on, began."""
    cluster: Annotated[str, Field(pattern=r"^(tcp|tls)://[^\s:/]+:\d+$")] | None = None
    """`tcp://host:port` or `tls://host:port` of a Dask scheduler to train on, instead of this machine."""


class Evaluation(_Section):
    """What is trained again, to tell merit from luck."""

    finalists: Count = 3
    """Networks of the search that are trained again, the best by the selection's rule; fixed networks are all of them."""
    seeds: Count = 5
    """Times that each is trained again, from seeds that the search has not seen; the same ones for every network."""
    target_accuracy: Annotated[float, Field(gt=0, le=1), BeforeValidator(_no_bool)] | None = None
    """The accuracy to reach on the images that are answered, by leaving out unsure ones; null asks for none."""


class Selection(_Section):
    """How the chosen network is picked; only validation figures count."""

    rule: Literal["one_standard_error", "best_loss", "best_accuracy"] = "one_standard_error"
    """`one_standard_error`: of the networks within one standard error of the best validation accuracy, the one with
    the smallest gap between train and validation; or plainly the best validation loss or accuracy."""
    tolerance: Share | None = None
    """For `one_standard_error`: so much validation accuracy, 0 to 1, may be given up for a smaller gap, instead of one
    standard error; 0.01 is one point."""


Margin = Annotated[float, Field(ge=0, lt=1), BeforeValidator(_no_bool)]


class Promotion(_Section):
    """What a challenger must show to replace the champion. Accuracies, recalls, gaps and errors 0 to 1."""

    margin: Margin = 0.005
    """It may be less accurate by so much at most, at the lower bound of the difference."""
    class_margin: Margin = 0.05
    """No class may lose more recall, where the loss is beyond noise."""
    gap_margin: Margin = 0.01
    """Its honest gap may be larger by so much."""
    calibration_margin: Margin = 0.02
    """Its calibration error may be larger by so much."""
    min_accuracy: Margin = 0.8
    """Without a champion: at least so accurate."""
    max_gap: Margin = 0.15
    """Without a champion: an honest gap of at most so much."""
    max_calibration_error: Margin = 0.15
    """Without a champion: a calibration error of at most so much."""
    alpha: Annotated[float, Field(gt=0, lt=0.5), BeforeValidator(_no_bool)] = 0.05
    """How often a challenger that is not better may be promoted, at most."""
    refuse_drift: bool = False
    """Keep the champion while the data differ from those that it was trained on, rather than only warn."""


class Retrain(_Section):
    """What the step `retrain` trains, and what it makes of the outcome."""

    mode: Literal["auto", "refit", "search"] = "auto"
    """`refit` trains the champion's network on the present data, `search` looks for another one, `auto` refits, and searches
    when the refit is refused, or when it is time to."""
    search_every: Annotated[int, Field(ge=1), BeforeValidator(_no_bool)] | None = 7
    """For `auto`: every so many nights that have something to train, a search takes the place of the refit; null: never."""
    force: bool = False
    """Train and judge although neither data nor recipe have changed."""
    fail_when_kept: bool = False
    """End with exit code 1 when the champion is kept."""


class Experiment(_Section):
    """One file of `experiments/`: what is asked."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
    """Letters, digits, `_`, `.` and `-`; the name of the file serves."""
    question: Annotated[str, Field(min_length=1)]
    """What the experiment is to answer, one sentence; shown in the MLflow UI."""
    data: Data = Data()
    """Which images, and how they are divided."""
    space: Space = Space()
    """The networks to search over."""
    training: Training = Training()
    """How every trial trains."""
    search: Search = Search()
    """How the space is searched."""
    evaluation: Evaluation = Evaluation()
    """What is trained again, to tell merit from luck."""
    selection: Selection = Selection()
    """How one network is chosen."""
    promotion: Promotion = Promotion()
    """What a challenger must show to replace the champion."""
    retrain: Retrain = Retrain()
    """What the step `retrain` does."""

    def to_yaml(self) -> str:
        """The resolved experiment, every default spelled out; reading it back gives an equal experiment."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)


def load(experiment: str, overrides: Mapping[str, str] | None = None) -> Experiment:
    """The experiment of that name or path, with dotted overrides (values as YAML would read them) applied."""
    path = _find(experiment)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        held = "nothing" if content is None else type(content).__name__
        raise InputError(f"{path} holds {held}; expected keys such as name, question, data and space")
    for key, text in (overrides or {}).items():
        _override(content, key, text)
    return parse(content, where=str(path) if not overrides else f"{path} with the given overrides")


def parse(content: Mapping[str, Any], *, where: str) -> Experiment:
    """`content` as an experiment; `where` says in messages what it was read from."""
    _refuse_unknown(content, Experiment, prefix="", where=where)
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{told(error)} (in {where})") from error


def names() -> list[str]:
    """The experiments that come with the project."""
    return sorted(path.stem for path in EXPERIMENTS.glob("*.yaml"))


def _find(experiment: str) -> Path:
    if experiment.endswith((".yaml", ".yml")) or "/" in experiment:
        path = Path(experiment).expanduser()
        if path.is_file():
            return path
        raise InputError(f"no experiment file at {path}; expected a YAML file, or one of: {', '.join(names())}")
    path = EXPERIMENTS / f"{experiment}.yaml"
    if path.is_file():
        return path
    hint = nearest(experiment, {name: name for name in names()})
    raise InputError(
        f"unknown experiment {experiment!r}{hint}; expected one of: {', '.join(names())}, or the path of a YAML file"
    )


def _override(content: dict[str, Any], key: str, text: str) -> None:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{key}={text} cannot be read as a YAML value") from error
    # `1e-3` is text in YAML 1.1, and a number to everybody else.
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = text if value == text.strip() else value
    *sections, last = key.split(".")
    for section in sections:
        nested = content.setdefault(section, {})
        if not isinstance(nested, dict):
            raise InputError(f"{key} cannot be set: {section} is {nested!r}, not a section")
        content = nested
    content[last] = value


def _refuse_unknown(content: Mapping[str, Any], model: type[BaseModel], *, prefix: str, where: str) -> None:
    for key, value in content.items():
        field = model.model_fields.get(str(key))
        if field is None:
            known = list(model.model_fields)
            hint = _nearest_key(str(key), known, prefix=prefix)
            raise InputError(f"unknown key {prefix}{key}{hint}; expected one of: {', '.join(known)} (in {where})")
        # A section, or one that may be left out.
        nested = next((each for each in (field.annotation, *get_args(field.annotation)) if _is_section(each)), None)
        if isinstance(value, Mapping) and nested is not None:
            _refuse_unknown(value, nested, prefix=f"{prefix}{key}.", where=where)
        if model is Space and key == "networks" and isinstance(value, list):
            for place, each in enumerate(value):
                if isinstance(each, Mapping):
                    _refuse_unknown(each, FixedNetwork, prefix=f"{prefix}{key}.{place}.", where=where)


def _is_section(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _nearest_key(given: str, siblings: list[str], *, prefix: str) -> str:
    """The hint for an unknown key: its like in the same section, or else in any other."""
    elsewhere = {
        key: f"{section}.{key}"
        for section, field in Experiment.model_fields.items()
        if _is_section(field.annotation)
        for key in field.annotation.model_fields
    }
    return nearest(given, {key: prefix + key for key in siblings}) or nearest(given, elsewhere, likeness=0.85)
