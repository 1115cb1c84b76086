"""The command line: `python -m pipeline STEP --experiment NAME [--some.key VALUE]…`, as MLproject calls it.

Owns the exit codes and what is printed about a failure. Heavy libraries are imported inside a command only, so bad input is
reported at once.
"""

import argparse
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn

from rich.console import Console

from pipeline import experiment, stop_request
from pipeline.errors import InputError, NarrowgapError
from pipeline.paths import check_working_directory
from pipeline.tracking.connection.masking import MaskedStream, mask_logs, mask_tracebacks, masked

LINE = 140
"""Characters per line where there is no terminal: a table in a log needs more than 80 columns."""
STOPPED = {128 + signal.SIGTERM: "SIGTERM", 128 + signal.SIGHUP: "SIGHUP"}
"""Signals that end a step in order, by the exit code."""
Overrides = Mapping[str, str]
"""Keys of the experiment such as `search.trials`, with their values as text."""


@dataclass(frozen=True)
class Command:
    """One command: what it does, the options that it declares, and whether it takes overrides of the experiment."""

    help: str
    run: Callable[[argparse.Namespace, Overrides], None]
    options: Mapping[str, str] = field(default_factory=dict)
    """Help text by name, without dashes. An option that is empty, as MLproject's defaults are, counts as not given."""
    overrides: bool = True
    experiment: bool = True
    """Whether it takes `--experiment`."""


def _step(arguments: argparse.Namespace, overrides: Overrides) -> None:
    asked = experiment.load(arguments.experiment, overrides)
    experiment.check_data_path(arguments.experiment, asked)
    gc.disable()  # until TensorFlow is imported: collecting is a quarter of the time of the imports
    from pipeline import run  # noqa: PLC0415 - MLflow

    search_run_id = getattr(arguments, "search_run_id", None)
    try:
        run.run(arguments.command, asked, search_run_id=search_run_id, console=_console())
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(_kept(arguments.command, asked)) from error
    except SystemExit as error:
        error.add_note(_kept(arguments.command, asked))
        raise


def _kept(step: str, asked: experiment.Experiment) -> str:
    """What an interrupted step has kept, in the store or in the outbox if that is away; empty if nothing goes on with it."""
    what = {"main": "trials", "search": "trials", "evaluate": "refits"}.get(step)
    if what is None or (what == "trials" and asked.search.resume == "never"):
        return ""
    return f"finished {what} are kept, and the same command goes on"


def _rollback(arguments: argparse.Namespace, _overrides: Overrides) -> None:
    from pipeline.retraining.rollback import rollback  # noqa: PLC0415 - MLflow

    asked = experiment.load(arguments.experiment)
    rollback(asked, version=arguments.version, why=arguments.why, console=_console())


def _status(arguments: argparse.Namespace, _overrides: Overrides) -> None:
    from pipeline.retraining.status import status  # noqa: PLC0415 - MLflow

    status(experiment.load(arguments.experiment), console=_console())


def _prune(arguments: argparse.Namespace, _overrides: Overrides) -> None:
    from pipeline.retraining.cleanup.prune import prune  # noqa: PLC0415 - MLflow

    asked = experiment.load(arguments.experiment)
    prune(asked, keep_days=arguments.keep_days, apply=arguments.apply, console=_console())


def _predict(arguments: argparse.Namespace, _overrides: Overrides) -> None:
    from pipeline.serving.predict import predict  # noqa: PLC0415 - MLflow

    given = {name: getattr(arguments, name) for name in COMMANDS["predict"].options}
    predict(experiment.load(arguments.experiment), **given, console=_console())


def _schedule(arguments: argparse.Namespace, overrides: Overrides) -> None:
    asked = experiment.load(arguments.experiment, overrides)  # what would fail in every run is reported now
    experiment.check_data_path(arguments.experiment, asked)
    from pipeline.retraining.schedule import schedule  # noqa: PLC0415 - MLflow

    print(schedule.schedule(asked, arguments.experiment, overrides, at=arguments.at or "03:30"))  # noqa: T201 - the output


def _serve(arguments: argparse.Namespace, _overrides: Overrides) -> None:
    port = _port(arguments.port, default=5001)
    asked = experiment.load(arguments.experiment)
    from pipeline.serving.serve import serve  # noqa: PLC0415 - MLflow

    serve(asked, arguments.experiment, port=port)


def _ui(arguments: argparse.Namespace, _overrides: Overrides) -> None:
    port = _port(arguments.port, default=5000)
    from pipeline.tracking import ui  # noqa: PLC0415 - MLflow

    ui.serve(port)


def _port(given: str | None, *, default: int) -> int:
    if given is None:
        return default
    if not (given.isdecimal() and 0 < int(given) < 2**16):
        raise InputError(f"--port is {given!r}; expected a number from 1 to 65535")
    return int(given)


COMMANDS: Mapping[str, Command] = {
    "main": Command("prepare, search and evaluate in one run", _step),
    "prepare": Command("explore the data: pixel ranges, class counts, duplicates", _step),
    "check": Command("judge the data without training: duplicates, wrong labels, imbalance", _step),
    "search": Command("search the space, or resume an interrupted search", _step),
    "evaluate": Command(
        "retrain the best networks with several seeds and write the report",
        _step,
        {"search_run_id": "the search to evaluate; without it the latest that finished"},
    ),
    "retrain": Command("train a challenger and compare it with the champion", _step),
    "rollback": Command(
        "make an earlier version the champion again",
        _rollback,
        {"version": "the version; without it the previous champion", "why": "the reason, for the record"},
        overrides=False,
    ),
    "status": Command("list the registered versions of the model", _status, overrides=False),
    "predict": Command(
        "classify images with the champion",
        _predict,
        {
            "input": "npz, npy, IDX, CSV or Parquet file, picture, or folder of pictures",
            "version": "the version; without it the champion",
            "policy": "which predictions are accepted: argmax, min_confidence, min_margin, coin_flip or candidates",
            "threshold": "smallest accepted confidence or margin, 0 to 1",
            "invert": "auto, yes or no: whether dark and light are swapped; default: auto, and no for your own data",
        },
        overrides=False,
    ),
    "prune": Command(
        "list old runs and versions that nothing needs; delete them with --apply yes",
        _prune,
        {"keep_days": "nothing younger is deleted; default: 90", "apply": "yes deletes; default: no, which only lists"},
        overrides=False,
    ),
    "schedule": Command(
        "print a scheduled retraining for cron, systemd and GitHub Actions",
        _schedule,
        {"at": "time of day, HH:MM; default: 03:30"},
    ),
    "serve": Command(
        "serve the champion over HTTP on this machine",
        _serve,
        {"port": "1 to 65535; default: 5001"},
        overrides=False,
    ),
    "ui": Command("open the MLflow UI", _ui, {"port": "1 to 65535; default: 5000"}, overrides=False, experiment=False),
}


class _Parser(argparse.ArgumentParser):
    """Reports an error as an InputError of one line."""

    def error(self, message: str) -> NoReturn:
        option, _, problem = message.removeprefix("argument ").partition(": ")
        if problem == "expected one argument":
            raise InputError(f"{option} has no value; expected {option} VALUE")
        raise InputError(message)


class _Once(argparse.Action):
    """An option that may be given once; empty counts as not given."""

    def __call__(self, _parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        given: set[str] = namespace.__dict__.setdefault("_given", set())
        if self.dest in given:
            raise InputError(f"{option} is given twice")
        given.add(self.dest)
        setattr(namespace, self.dest, values or self.default)


def parser() -> argparse.ArgumentParser:
    """The parser of the command line, a sub-parser per command."""
    known = f"Experiments: {', '.join(experiment.names())}."
    whole = _Parser(prog="python -m pipeline", allow_abbrev=False, description=known)
    commands = whole.add_subparsers(dest="command", metavar="STEP", parser_class=_Parser)
    for name, command in COMMANDS.items():
        epilog = (
            "Any key of the experiment can be set: --search.trials 5 --training.epochs 3" if command.overrides else None
        )
        sub = commands.add_parser(name, help=command.help, description=command.help, epilog=epilog, allow_abbrev=False)
        if command.experiment:
            sub.add_argument(
                "--experiment",
                action=_Once,
                default="fashion_mnist",
                metavar="NAME|PATH",
                help="default: fashion_mnist",
            )
        for option, text in command.options.items():
            sub.add_argument(f"--{option}", action=_Once, metavar="VALUE", help=text)
    return whole


def read(arguments: Sequence[str]) -> tuple[argparse.Namespace, Overrides]:
    """The declared options of a command line, and every other `--a.b value` as an override of the experiment."""
    expected = f"expected one of {', '.join(COMMANDS)}"
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"-h", "--help"}):
        raise InputError(f"no step given; {expected}")
    if not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        raise InputError(f"unknown step {arguments[0]!r}; {expected}")
    command = COMMANDS.get(arguments[0])
    known, rest = parser().parse_known_args(_joined(_long(arguments), command.options if command else {}))
    overrides = _pairs(rest)
    command = COMMANDS[known.command]
    for name in overrides:
        owners = [step for step, other in COMMANDS.items() if name in other.options]
        if command.overrides and owners:
            raise InputError(f"{name} is for the step {' or '.join(owners)}; the step {known.command} takes none")
        if not command.overrides:
            declared = " or ".join(f"--{option}" for option in command.options) or "none"
            besides = " besides --experiment" if command.experiment else ""
            raise InputError(f"unknown option --{name} of {known.command}; expected {declared}{besides}")
    return known, overrides


def _long(arguments: Sequence[str]) -> list[str]:
    """`-P a.b=value`, as for `mlflow run`, as `--a.b=value`."""
    remaining = iter(arguments)
    return [f"--{next(remaining, '')}" if word == "-P" else word for word in remaining]


def _joined(words: Sequence[str], options: Mapping[str, str]) -> list[str]:
    """The words, with `--option=-value` for a declared option and a value that argparse would take for another option."""
    joined: list[str] = []
    for word in words:
        before = joined[-1] if joined else ""
        if word.startswith("-") and not word.startswith("--") and before.startswith("--") and before[2:] in options:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _pairs(words: Sequence[str]) -> dict[str, str]:
    """`--a.b value` and `--a.b=value` by name."""
    pairs: dict[str, str] = {}
    remaining = iter(words)
    for word in remaining:
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise InputError(f"{word!r} is no option; expected --key value, such as --search.trials 5")
        if not equals:
            try:
                value = next(remaining)
            except StopIteration:
                raise InputError(f"--{name} has no value; expected --{name} VALUE") from None
        if name in pairs:
            raise InputError(f"--{name} is given twice")
        pairs[name] = value
    return pairs


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] == "help":
        parser().print_help()
        return 0 if arguments else InputError.exit_code
    stop_request.listen()
    mask_logs()
    mask_tracebacks()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # a run reports to the tracking store alone
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines per ended run of a server
    try:
        known, overrides = read(arguments)
        check_working_directory()
        COMMANDS[known.command].run(known, overrides)
    except NarrowgapError as error:
        print(f"narrowgap: {masked(str(error))}", file=sys.stderr)  # noqa: T201 - the one line that bad input gets
        return error.exit_code
    except KeyboardInterrupt as error:
        _say_stopped("interrupted", str(error))
        return 128 + signal.SIGINT
    except SystemExit as error:
        if error.code in STOPPED:
            _say_stopped(f"stopped by {STOPPED[error.code]}", *getattr(error, "__notes__", ()))
        raise
    except Exception:  # noqa: BLE001 - a defect of ours keeps its traceback, without passwords of addresses in it
        print(masked(traceback.format_exc()), file=sys.stderr, end="")  # noqa: T201 - as above
        return 1
    finally:
        gc.enable()
        stop_request.over()
    return 0


def _say_stopped(how: str, *kept: str) -> None:
    words = "; ".join(filter(None, (how, *kept)))
    with suppress(OSError):  # the terminal may be gone
        print(f"narrowgap: {words}", file=sys.stderr, flush=True)  # noqa: T201 - the one line of a step that was stopped


def _console() -> Console:
    screen: Any = MaskedStream(sys.stdout)
    # A path or a name may hold brackets and colons.
    console = Console(file=screen, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = LINE
    return console


if __name__ == "__main__":
    sys.exit(main())
