"""Runs the file of a user's own model, and calls its function."""

import functools
import inspect
import linecache
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras_tuner

from pipeline.errors import InputError
from pipeline.experiment import ModelCode
from pipeline.formatting import shortened

Build = Callable[[keras_tuner.HyperParameters, tuple[int, ...], int], Any]
"""From hyperparameters, the shape of an image and the number of classes to what the user's function returns."""
MOST_LETTERS = 300
ARGUMENTS = ("input_shape", "classes", "num_classes")
"""What a function may take besides `hp`, by name."""


def run(code: ModelCode) -> types.ModuleType:
    """Runs the file, once more at every call: what it registers with Keras then counts.

    The module is not left among Python's modules, so that Keras finds a custom layer in a saved model only if it is
    registered, as where the model is served.

    Raises:
        InputError: The file raises; with its line.
    """
    is_module = not code.file.endswith(".py")
    module = types.ModuleType(code.file if is_module else f"narrowgap_model_{code.digest[:12]}")
    module.__file__ = _filename(code)
    if is_module:
        module.__package__ = code.file.rpartition(".")[0]
    linecache.cache[_filename(code)] = len(code.source), None, code.source.splitlines(keepends=True), _filename(code)
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module  # dataclasses look there while they are made
    try:
        with user_errors(code):
            exec(compile(code.source, _filename(code), "exec"), module.__dict__)  # noqa: S102 - the user's own code
    finally:
        del sys.modules[module.__name__]
        if before is not None:
            sys.modules[module.__name__] = before
    return module


@functools.lru_cache(maxsize=8)
def function(code: ModelCode) -> Build:
    """The function, or the `build` of the `HyperModel`, that a model names; the file is run once.

    Raises:
        InputError: There is no such function, or it cannot be called with hyperparameters.
    """
    module = _module(code.file, code.source)
    found = getattr(module, code.function, None)
    if found is None:
        known = [name for name, each in vars(module).items() if inspect.isfunction(each) and not name.startswith("_")]
        raise InputError(
            f"model is {code.name}: {code.file} has no {code.function}; it has {', '.join(known) or 'no function'}"
        )
    if isinstance(found, type) and issubclass(found, keras_tuner.HyperModel):
        return _of_hypermodel(code, found)
    if isinstance(found, keras_tuner.HyperModel):
        return _of_hypermodel(code, lambda: found)
    if not callable(found) or isinstance(found, type):
        raise InputError(
            f"model is {code.name}: {code.function} is a {type(found).__name__}; expected a function, such as "
            "build(hp, input_shape, classes), or a HyperModel"
        )
    return _fitting(code, found)


@functools.lru_cache(maxsize=8)
def _module(file: str, source: str) -> types.ModuleType:
    """The file, run once per process for all its functions."""
    return run(ModelCode(file, "", source))


def _of_hypermodel(code: ModelCode, make: Callable[..., Any]) -> Build:
    def build(hp: keras_tuner.HyperParameters, input_shape: tuple[int, ...], classes: int) -> Any:
        made = make(**_accepted(make, input_shape, classes))
        if type(made).fit is not keras_tuner.HyperModel.fit:
            raise InputError(
                f"model is {code.name}: {code.function} has a method fit of its own, which would not be called; ask for "
                "batch_size or epochs by that name in build, and Narrowgap trains with them"
            )
        return made.build(hp)

    return build


def _fitting(code: ModelCode, found: Callable[..., Any]) -> Build:
    """The function with as many of the three arguments as it takes.

    Raises:
        InputError: It needs others.
    """
    try:
        known = list(inspect.signature(found).parameters.values())
    except (TypeError, ValueError) as error:
        raise InputError(
            f"model is {code.name}: {code.function} is no function of Python; expected build(hp, input_shape, classes)"
        ) from error
    needed = [
        each.name for each in known[1:]
        if each.default is each.empty and each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
    ]  # fmt: skip
    by_place = {each.name for each in known[1:] if each.kind is each.POSITIONAL_ONLY}
    unknown = [name for name in needed if name not in ARGUMENTS or name in by_place]
    if unknown or not known:
        given = f"asks for {', '.join(unknown)}" if unknown else "takes no hyperparameters"
        raise InputError(
            f"model is {code.name}: {code.function} {given}; expected build(hp, input_shape, classes), or build(hp)"
        )

    def build(hp: keras_tuner.HyperParameters, input_shape: tuple[int, ...], classes: int) -> Any:
        return found(hp, **_accepted(found, input_shape, classes))

    return build


def _accepted(found: Callable[..., Any], input_shape: tuple[int, ...], classes: int) -> dict[str, Any]:
    """Arguments besides `hp`, by name, that a function has."""
    known = inspect.signature(found).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in known):
        return {"input_shape": input_shape, "classes": classes}
    names = {each.name for each in known}
    given = {"input_shape": input_shape, "classes": classes, "num_classes": classes}
    return {name: value for name, value in given.items() if name in names}


@contextmanager
def user_errors(code: ModelCode) -> Iterator[None]:
    """Turns an error of the user's code into an `InputError` of one line, with the line of that code."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"model is {code.name.rstrip(':')}: {describe(code, error)}") from error


def describe(code: ModelCode, error: BaseException) -> str:
    """What the user's code raised, and where in it."""
    reason = f"{type(error).__name__}: {shortened(' '.join(str(error).split()), MOST_LETTERS)}"
    if isinstance(error, SyntaxError):
        return f"line {error.lineno} is no Python ({error.msg})"
    frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename == _filename(code)]
    where = f" in line {frames[-1].lineno}: {frames[-1].line}" if frames else ""
    return f"it raises {reason}{where}"


def _filename(code: ModelCode) -> str:
    return f"<{code.file} {code.digest[:12]}>"
