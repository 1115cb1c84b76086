"""Paths and names that a user gives: what the system refuses to look up, and names that are not UTF-8."""

import os

import pytest

from pipeline import experiment
from pipeline.data.sources import cache_folder
from pipeline.errors import InputError, as_utf8
from pipeline.paths import user_path


def test_a_tilde_is_the_users_home_and_a_missing_path_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/x", name="input") == tmp_path / "x"
    (tmp_path / "file").touch()
    assert user_path("~/file/below", name="input") == tmp_path / "file" / "below"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("~nobody-here/x", "input is ~nobody-here/x: Could not determine home directory"),
        ("x" * 300, r"input is x+: it cannot be read .File name too long.; expected"),
        ("a\0b", r"input is a.b: it cannot be read .*null"),
    ],
)
def test_a_path_that_cannot_be_looked_up_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        user_path(given, name="input")


def test_a_loop_of_links_is_refused(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(InputError, match=r"cannot be read .Too many levels of symbolic links"):
        user_path(str(tmp_path / "a"), name="input")


@pytest.mark.parametrize("given", ["~nobody-here/x.yaml", f"{'x' * 300}.yaml", "~nobody-here/\udce9.yaml"])
def test_an_experiment_whose_path_cannot_be_looked_up_is_refused(given):
    with pytest.raises(InputError, match=r"experiment is .*: (Could not determine home|it cannot be read)"):
        experiment.load(given)


@pytest.mark.parametrize("given", ["x" * 300, "no\0thing", "../README"])
def test_an_experiment_of_no_possible_name_is_unknown(given):
    with pytest.raises(InputError, match=r"unknown experiment|no experiment file"):
        experiment.load(given)


def test_the_cache_of_an_unknown_user_is_refused(monkeypatch):
    monkeypatch.setenv("NARROWGAP_CACHE", "~nobody-here/cache")
    with pytest.raises(InputError, match="NARROWGAP_CACHE is ~nobody-here/cache: Could not determine home"):
        cache_folder()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (os.fsdecode(b"caf\xe9.png"), r"caf\xe9.png"),
        (os.fsdecode(b"\xff\xc3\xa9"), "\\xffé"),
        ("\ud800x", r"\ud800x"),
        ("日本\n", "日本\n"),
    ],
)
def test_what_is_not_utf_8_is_shown_by_its_bytes(given, shown):
    assert as_utf8(given) == shown
    assert str(InputError(f"{given} cannot be read")) == f"{shown} cannot be read"
