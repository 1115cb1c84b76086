"""The project's frame: pins, entry points, and what is (not) in the repository."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def _pins(file: str) -> list[str]:
    return (ROOT / file).read_text().splitlines()


def _ranges(extra: str | None = None) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [
        Requirement(line) for line in (project["optional-dependencies"][extra] if extra else project["dependencies"])
    ]


def test_conda_yaml_holds_the_pins_of_the_lock():
    conda = yaml.safe_load((ROOT / "conda.yaml").read_text())
    assert conda["dependencies"][-1]["pip"] == _pins("requirements.lock")


@pytest.mark.parametrize(("file", "extra"), [("requirements.lock", None), ("requirements-dev.lock", "dev")])
def test_every_range_admits_its_pin(file, extra):
    pins = {requirement.name: requirement.specifier for requirement in map(Requirement, _pins(file))}
    for asked in _ranges(extra):
        assert [pin.operator for pin in pins[asked.name]] == ["=="], asked.name
        assert asked.specifier.contains(next(iter(pins[asked.name])).version), asked.name


def test_the_tests_use_the_versions_that_users_get():
    run = {requirement.name: str(requirement.specifier) for requirement in map(Requirement, _pins("requirements.lock"))}
    dev = {
        requirement.name: str(requirement.specifier) for requirement in map(Requirement, _pins("requirements-dev.lock"))
    }
    assert {name: dev.get(name) for name in run} == run


def test_mlproject_offers_every_step():
    from pipeline.__main__ import STEPS

    project = yaml.safe_load((ROOT / "MLproject").read_text())
    assert tuple(project["entry_points"]) == STEPS
    for name, entry in project["entry_points"].items():
        assert entry["command"].startswith(f"python -m pipeline {name} --experiment {{experiment}}")
        assert "'" not in entry["command"], "MLflow quotes the values itself"


def _tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return done.stdout.splitlines()


def test_mlruns_travels_as_an_empty_store():
    assert [path for path in _tracked() if path.startswith("mlruns/")] == ["mlruns/.gitignore"]


def test_no_data_database_or_model_is_tracked():
    forbidden = re.compile(r"\.(db|keras|h5|pkl|npz|gz|zip)$|-ubyte$")
    assert [path for path in _tracked() if forbidden.search(path)] == []
