"""Reads an experiment from its file, with overrides such as `{"search.trials": "5"}`.

Everything that is wrong raises an `InputError` of one line that names the key, what was given and what was expected.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from pipeline.errors import InputError
from pipeline.experiment.messages import describe, nearest
from pipeline.experiment.model_code import read_model
from pipeline.experiment.reading import read_value, read_yaml
from pipeline.experiment.schema import Experiment
from pipeline.experiment.sections.space import FixedNetwork, Space
from pipeline.paths import user_path

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"


def load(experiment: str, overrides: Mapping[str, str] | None = None) -> Experiment:
    """Loads the experiment of that name or path.

    Args:
        experiment: A name such as `digits`, or the path of a YAML file.
        overrides: Values by dotted key, as typed: see `_value`.

    Raises:
        InputError: Naming the key, what was given and what was expected.
    """
    path = _find(experiment)
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        held = "nothing" if content is None else type(content).__name__
        raise InputError(f"{path} holds {held}; expected keys such as name, question, data and space")
    for key, text in (overrides or {}).items():
        _override(content, key, text)
    if isinstance(content.get("model"), str):
        content["model"] = read_model(content["model"], beside=path.parent)
    return parse(content, where=str(path) if not overrides else f"{path} with the given overrides")


def parse(content: Mapping[str, Any], *, where: str) -> Experiment:
    """Validates `content` as an experiment; `where` names its origin in messages."""
    _refuse_unknown_keys(content, Experiment, prefix="", where=where)
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{describe(error)} (in {where})") from error


def check_data_path(experiment: str, asked: Experiment) -> None:
    """Raises InputError if `data.path` is not below the working directory, but beside the file of the experiment."""
    given = asked.data.path
    if given is None or not is_path(experiment) or user_path(given, name="data.path").exists():
        return
    file = _find(experiment)
    beside = file.parent / given
    if not Path(given).is_absolute() and beside.exists():
        raise InputError(
            f"data.path is {given}: there is no file or folder {Path(given).absolute()}, but there is one beside "
            f"{file.name}; write data.path as {beside}: it starts at the working directory"
        )


def names() -> list[str]:
    """The experiments that come with the project."""
    return sorted(path.stem for path in EXPERIMENTS.glob("*.yaml"))


def is_path(experiment: str) -> bool:
    """Whether an experiment is given as the path of its file, not by its name."""
    return "/" in experiment or experiment.endswith((".yaml", ".yml"))


def _find(experiment: str) -> Path:
    if is_path(experiment):
        path = user_path(experiment, name="experiment")
        if path.is_file():
            return path
        raise InputError(f"no experiment file at {path}; expected a YAML file, or one of: {', '.join(names())}")
    if experiment in names():
        return EXPERIMENTS / f"{experiment}.yaml"
    hint = nearest(experiment, {name: name for name in names()})
    raise InputError(
        f"unknown experiment {experiment!r}{hint}; expected one of: {', '.join(names())}, or the path of a YAML file"
    )


def _override(content: dict[str, Any], key: str, text: str) -> None:
    value = _value(key, text)
    *sections, last = key.split(".")
    for section in sections:
        nested = content.setdefault(section, {})
        if not isinstance(nested, dict):
            raise InputError(f"{key} cannot be set: {section} is {nested!r}, not a section")
        content = nested
    content[last] = value


def _value(key: str, text: str) -> Any:
    """The value that was typed. A key for text gets the text itself, but for the word null where it may be null; any other
    key gets a number, list or section as in YAML.
    """
    kinds = _kinds(key)
    if kinds and all(kind in {str, type(None)} for kind in kinds):
        return None if text == "null" and type(None) in kinds else text
    try:
        return read_value(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{key}={repr(text[:200])[1:-1]} cannot be read as a YAML value") from error


def _kinds(key: str) -> set[Any]:
    """Types that the value of a key may have; none if there is no such key."""
    annotation: Any = Experiment
    for part in key.split("."):
        field = annotation.model_fields.get(part) if _is_section(annotation) else None
        if field is None:
            return set()
        annotation = field.annotation
    return set(_simple_types(annotation))


def _simple_types(annotation: Any) -> Iterator[Any]:
    """`str` and `None` of `Annotated[str, …] | None`; the types of the words of a `Literal`."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        yield from (type(each) for each in parts)
    elif origin is Annotated:
        yield from _simple_types(parts[0])
    elif origin in {Union, UnionType}:
        for each in parts:
            yield from _simple_types(each)
    else:
        yield annotation


def _refuse_unknown_keys(content: Mapping[str, Any], model: type[BaseModel], *, prefix: str, where: str) -> None:
    for key, value in content.items():
        field = model.model_fields.get(str(key))
        if field is None:
            known = list(model.model_fields)
            hint = _nearest_key(str(key), known, prefix=prefix)
            raise InputError(f"unknown key {prefix}{key}{hint}; expected one of: {', '.join(known)} (in {where})")
        # A section, or one that may be left out.
        nested = next((each for each in (field.annotation, *get_args(field.annotation)) if _is_section(each)), None)
        if isinstance(value, Mapping) and nested is not None:
            _refuse_unknown_keys(value, nested, prefix=f"{prefix}{key}.", where=where)
        if model is Space and key == "networks" and isinstance(value, list):
            for place, each in enumerate(value):
                if isinstance(each, Mapping):
                    _refuse_unknown_keys(each, FixedNetwork, prefix=f"{prefix}{key}.{place}.", where=where)


def _is_section(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _nearest_key(given: str, siblings: list[str], *, prefix: str) -> str:
    """The hint for an unknown key: a similar key of the same section, or else of any other."""
    elsewhere = {
        key: f"{section}.{key}"
        for section, field in Experiment.model_fields.items()
        if _is_section(field.annotation)
        for key in field.annotation.model_fields
    }
    return nearest(given, {key: prefix + key for key in siblings}) or nearest(given, elsewhere, likeness=0.85)
