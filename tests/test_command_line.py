"""The command line: what it declares, what it takes as an override, and what it rejects in one line."""

import os
import sys
from types import SimpleNamespace

import pytest
from rich.table import Table

from pipeline.__main__ import COMMANDS, _console, main, read
from pipeline.errors import InputError
from pipeline.experiment import load as experiment_of


@pytest.mark.parametrize(
    "words",
    [
        ["search", "--experiment", "smoke", "--search.trials", "5", "--space.depth", "[1, 1]"],
        ["search", "--experiment=smoke", "--search.trials=5", "--space.depth=[1, 1]"],
        ["search", "-P", "experiment=smoke", "-P", "search.trials=5", "-P", "space.depth=[1, 1]"],
    ],
)
def test_options_and_overrides_are_separated_in_every_form(words):
    known, overrides = read(words)
    assert (known.command, known.experiment) == ("search", "smoke")
    assert overrides == {"search.trials": "5", "space.depth": "[1, 1]"}


def test_an_override_may_be_negative_or_hold_an_equals_sign():
    _, overrides = read(["search", "--data.seed", "-1", "--question=a=b"])
    assert overrides == {"data.seed": "-1", "question": "a=b"}


def test_an_empty_option_is_not_given_as_mlprojects_defaults_are():
    known, overrides = read(["evaluate", "--search_run_id", "", "--experiment", ""])
    assert (known.search_run_id, known.experiment, overrides) == (None, "fashion_mnist", {})
    known, _ = read(["rollback", "--version", "", "--why", "it is worse"])
    assert (known.version, known.why) == (None, "it is worse")


@pytest.mark.parametrize("value", ["-slow", "-2 points", "-1", "-"])
def test_a_value_may_start_with_a_dash(value):
    known, _ = read(["rollback", "--why", value, "--version", "3"])
    assert (known.why, known.version) == (value, "3")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["serch"], "unknown step 'serch'; expected one of main, prepare, check, search, evaluate, retrain, rollback"),
        (["--experiment", "smoke"], "no step given; expected one of main"),
        (["search", "--search.trials"], "--search.trials has no value; expected --search.trials VALUE"),
        (["search", "--experiment"], "--experiment has no value; expected --experiment VALUE"),
        (["search", "stray"], "'stray' is no option; expected --key value, such as --search.trials 5"),
        (["search", "-P"], "'--' is no option"),
        (["search", "--a.b", "1", "--a.b", "2"], "--a.b is given twice"),
        (["search", "--experiment", "a", "--experiment", "b"], "--experiment is given twice"),
        (["search", "--search_run_id", "x"], "search_run_id is for the step evaluate; the step search takes none"),
        (
            ["rollback", "--search.trials", "5"],
            "unknown option --search.trials of rollback; expected --version or --why",
        ),
        (["status", "--version", "5"], "unknown option --version of status; expected none besides --experiment"),
        (
            ["prune", "--days", "5"],
            "unknown option --days of prune; expected --keep_days or --apply besides --experiment",
        ),
        (["ui", "--experiment", "smoke"], "unknown option --experiment of ui; expected --port"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_was_expected(words, message):
    with pytest.raises(InputError) as error:
        read(words)
    assert message in str(error.value)


def test_an_abbreviated_option_is_an_unknown_key_not_a_guess():
    _, overrides = read(["search", "--exp", "smoke"])
    assert overrides == {"exp": "smoke"}


def test_a_line_break_in_what_was_given_leaves_the_message_one_line():
    with pytest.raises(InputError) as caught:
        experiment_of("smoke", {"DATA.SHAPE": "{|\n xa: 1"})
    assert str(caught.value).startswith(r"DATA.SHAPE={|\n xa: 1 cannot be read as a YAML value")
    assert len(str(caught.value).splitlines()) == 1


def test_without_words_the_usage_is_printed_and_the_exit_code_is_2(capsys):
    assert main([]) == 2
    usage = capsys.readouterr().out
    assert all(name in usage for name in COMMANDS)


@pytest.mark.parametrize("words", [["help"], ["-h"], ["predict", "--help"]])
def test_help_is_no_error(words, capsys):
    if words == ["help"]:
        assert main(words) == 0
    else:
        with pytest.raises(SystemExit) as ended:  # as argparse ends
            main(words)
        assert ended.value.code == 0
    assert "usage: python -m pipeline" in capsys.readouterr().out


def test_brackets_and_colons_of_a_path_are_printed_as_they_are(capsys):
    table = Table(title="/[b]old[/b]")
    table.add_column("a")
    table.add_row("[/x] as wide as the title")
    console = _console()
    console.print("/data/:bug:/[old]/[/old]", soft_wrap=True)
    console.print(table)
    printed = capsys.readouterr().out
    assert "/data/:bug:/[old]/[/old]\n" in printed
    assert "/[b]old[/b]" in printed
    assert "[/x]" in printed


def test_no_line_on_the_screen_shows_a_password(capsys, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://bob:hunter2@proxy:3128")
    console = _console()
    console.print("the mirror cannot be used: http://bob:hunter2@proxy:3128 refuses hunter2", soft_wrap=True)
    assert capsys.readouterr().out == "the mirror cannot be used: http://proxy:3128 refuses ***\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["main", "--experiment", "smoke"], "; finished trials are kept, and the same command goes on"),
        (["search", "--experiment", "smoke"], "; finished trials are kept, and the same command goes on"),
        (["search", "--experiment", "smoke", "--search.resume", "never"], ""),
        (["evaluate", "--experiment", "smoke"], "; finished refits are kept, and the same command goes on"),
        (["retrain", "--experiment", "smoke"], ""),
        (["prepare", "--experiment", "smoke"], ""),
    ],
)
def test_after_ctrl_c_a_step_says_that_it_goes_on_only_if_it_does(words, line, capsys, monkeypatch):
    def interrupted(*_words: object, **_named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "pipeline.run", SimpleNamespace(run=interrupted))
    monkeypatch.setattr("pipeline.run", SimpleNamespace(run=interrupted), raising=False)
    assert main(words) == 130
    assert capsys.readouterr().err == f"narrowgap: interrupted{line}\n"


def test_a_working_directory_whose_name_is_not_utf8_or_that_was_deleted_is_refused_in_one_line(
    tmp_path, monkeypatch, capsys
):
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    monkeypatch.chdir(odd)
    assert main(["status", "--experiment", "smoke"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"narrowgap: the working directory is {tmp_path}/caf\\xe9, and its name is not UTF-8")
    assert line.endswith("rename it, or run from another one")
    odd.rmdir()
    assert main(["status", "--experiment", "smoke"]) == 2
    assert "the working directory was deleted; change to a folder that exists" in capsys.readouterr().err


@pytest.mark.parametrize("step", ["prepare", "schedule"])
def test_data_that_are_beside_the_experiment_alone_are_refused_with_the_path_to_write(
    step, tmp_path, monkeypatch, capsys
):
    """`data.path` starts at the working directory."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "small.csv").write_text("label,pixel0\n")
    (folder / "mine.yaml").write_text("name: mine\nquestion: What?\ndata: {dataset: own, path: small.csv}\n")
    monkeypatch.chdir(tmp_path)
    assert main([step, "--experiment", "mine/mine.yaml"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"data.path is small.csv: there is no file or folder {tmp_path}/small.csv, but there is one beside" in line
    assert line.endswith("mine.yaml; write data.path as mine/small.csv: it starts at the working directory")
