"""The command line: `python -m pipeline STEP --experiment NAME [--some.key VALUE]…`, as MLproject calls it.

Owns exit codes and what is printed about a failure. Heavy libraries are imported inside a step alone, so that bad input
is told at once.
"""

import gc
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console

from pipeline import experiment
from pipeline.errors import InputError, NarrowgapError


@dataclass(frozen=True)
class Desk:
    """A step that works with what is registered, and takes options of its own instead of overrides."""

    module: str
    """Where the function of the step's name stands."""
    options: tuple[str, ...]
    """Its keyword-only arguments; None where one is not given, or empty, as MLproject's defaults are."""


STEPS = ("main", "prepare", "search", "evaluate", "retrain")
DESK = {
    "rollback": Desk("pipeline.retraining.rollback", ("version", "why")),
    "status": Desk("pipeline.retraining.status", ()),
    "predict": Desk("pipeline.serving.predict", ("input", "version", "policy", "threshold", "invert")),
}
HERE = ("ui", "schedule")
"""What is no entry point of MLproject, for it makes no run."""
ALL = (*STEPS, *DESK, *HERE)
LINE = 140
"""Letters per line where there is no terminal."""
USAGE = f"""usage: python -m pipeline STEP [--experiment NAME|PATH] [--search_run_id ID] [--some.key VALUE]...
       python -m pipeline rollback|status [--experiment NAME|PATH] [--version N] [--why TEXT]
       python -m pipeline predict --input PATH [--experiment NAME|PATH] [--version N] [--policy NAME] [--threshold SHARE]
                                  [--invert auto|yes|no]
       python -m pipeline schedule [--experiment NAME|PATH] [--at HH:MM] [--some.key VALUE]...
       python -m pipeline ui [--port N]

STEP: {", ".join(STEPS)}. Experiments: {", ".join(experiment.names())}."""


@dataclass(frozen=True)
class Call:
    """One command line, read."""

    step: str
    experiment: str = "fashion_mnist"
    search_run_id: str | None = None
    overrides: dict[str, str] = field(default_factory=dict)


def read(arguments: Sequence[str]) -> Call:
    """The step, the declared options, and every other `--a.b value` as an override of the experiment."""
    if not arguments or arguments[0].startswith("-"):
        raise InputError(f"no step given; expected one of {', '.join(ALL)}")
    step, *rest = arguments
    if step not in ALL:
        raise InputError(f"unknown step {step!r}; expected one of {', '.join(ALL)}")
    options: dict[str, str] = {}
    words = iter(rest)
    for word in words:
        if word == "-P":  # as for `mlflow run`
            word = f"--{next(words, '')}"  # noqa: PLW2901 - what follows is read in its place
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise InputError(f"{word!r} is no option; expected --key value, such as --search.trials 5")
        if not equals:
            try:
                value = next(words)
            except StopIteration:
                raise InputError(f"--{name} has no value; expected --{name} VALUE") from None
        if name in options:
            raise InputError(f"--{name} is given twice")
        options[name] = value
    name = options.pop("experiment", "fashion_mnist")
    run_id = options.pop("search_run_id", "") or None
    if run_id and step != "evaluate":
        raise InputError(f"search_run_id is for the step evaluate; the step {step} takes none")
    return Call(step, name, run_id, options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(USAGE)  # noqa: T201 - this is what was asked for
        return 0 if arguments else InputError.exit_code
    signal.signal(signal.SIGTERM, _terminated)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # a run tells nobody but the tracking store
    try:
        _run(read(arguments))
    except NarrowgapError as error:
        print(f"narrowgap: {error}", file=sys.stderr)  # noqa: T201 - the one line that bad input gets
        return error.exit_code
    except KeyboardInterrupt:
        print("narrowgap: interrupted; what had finished is in the tracking store", file=sys.stderr)  # noqa: T201
        return 128 + signal.SIGINT
    finally:
        gc.enable()
    return 0


def _run(call: Call) -> None:
    if call.step == "ui":
        from pipeline.tracking import ui  # noqa: PLC0415 - MLflow

        ui.serve(**_ui_options(call.overrides))
        return
    if call.step == "schedule":
        _schedule(call)
        return
    if call.step in DESK:
        _desk(call)
        return
    asked = experiment.load(call.experiment, call.overrides)
    gc.disable()  # until TensorFlow is there: the hunt for garbage is a quarter of the time of the imports
    from pipeline import run  # noqa: PLC0415 - MLflow

    run.run(call.step, asked, search_run_id=call.search_run_id, console=_console())


def _desk(call: Call) -> None:
    desk = DESK[call.step]
    unknown = set(call.overrides) - set(desk.options)
    if unknown:
        expected = " or ".join(f"--{name}" for name in desk.options) or "none"
        raise InputError(f"unknown option --{min(unknown)} of {call.step}; expected {expected} besides --experiment")
    asked = experiment.load(call.experiment)
    given = {name: call.overrides.get(name) or None for name in desk.options}
    step = getattr(importlib.import_module(desk.module), call.step)  # MLflow, only now
    step(asked, **given, console=_console())


def _schedule(call: Call) -> None:
    overrides = dict(call.overrides)
    at = overrides.pop("at", "02:30")
    asked = experiment.load(call.experiment, overrides)  # what would fail every night is told now
    from pipeline.retraining.schedule import schedule  # noqa: PLC0415 - MLflow

    print(schedule.schedule(asked, call.experiment, overrides, at=at))  # noqa: T201 - this is what was asked for


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = LINE  # no table of a log is to be squeezed into 80 columns
    return console


def _ui_options(given: dict[str, str]) -> dict[str, int]:
    unknown = set(given) - {"port"}
    if unknown:
        raise InputError(f"unknown option --{min(unknown)} of ui; expected --port N")
    if "port" in given and not (given["port"].isdigit() and 0 < int(given["port"]) < 2**16):
        raise InputError(f"--port is {given['port']!r}; expected a number from 1 to 65535")
    return {"port": int(given["port"])} if "port" in given else {}


def _terminated(_signal: int, _frame: object) -> None:
    """SIGTERM ends the program as Ctrl-C does, so that open runs are closed."""
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
