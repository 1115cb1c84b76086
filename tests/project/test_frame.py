"""The project's frame: pins, entry points, the Makefile, and what is (not) in the repository."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]


def _pins(file: str) -> list[str]:
    """The pins of a lock, without their hashes."""
    lines = (ROOT / file).read_text().splitlines()
    return [line.removesuffix(" \\") for line in lines if not line.startswith(" ")]


def _ranges(extra: str | None = None) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [
        Requirement(line) for line in (project["optional-dependencies"][extra] if extra else project["dependencies"])
    ]


def test_conda_yaml_holds_the_pins_of_the_lock():
    conda = yaml.safe_load((ROOT / "conda.yaml").read_text())
    assert conda["dependencies"][-1]["pip"] == _pins("requirements.lock")


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-dev.lock"])
def test_every_pin_has_hashes_so_that_pip_installs_nothing_else(file):
    parts = re.split(r"\n(?=\S)", (ROOT / file).read_text())
    assert len(parts) > 100
    assert [part.split()[0] for part in parts if "--hash=sha256:" not in part] == []


def test_conda_yaml_asks_for_the_pythons_that_the_project_supports():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = Requirement(yaml.safe_load((ROOT / "conda.yaml").read_text())["dependencies"][0])
    assert (asked.name, asked.specifier) == ("python", SpecifierSet(project["requires-python"]))


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


def test_every_action_is_pinned_by_its_commit_with_the_version_beside_it():
    files = [*(ROOT / ".github" / "workflows").glob("*.yml"), ROOT / "pipeline/retraining/schedule/github.j2"]
    used = {use for file in files for use in re.findall(r"uses: (.+)", file.read_text())}
    assert len({use.partition("@")[0] for use in used}) == len(used) == 5
    for use in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use), use


def test_mlproject_offers_every_step():
    from pipeline.__main__ import COMMANDS

    project = yaml.safe_load((ROOT / "MLproject").read_text())
    assert [*project["entry_points"], "schedule", "serve", "ui"] == list(COMMANDS), (
        "what makes no run is no entry point"
    )
    for name, entry in project["entry_points"].items():
        assert set(entry["parameters"]) == {"experiment", *COMMANDS[name].options}
        assert entry["command"].startswith(f"python -m pipeline {name} --experiment {{experiment}}")
        assert "'" not in entry["command"], "MLflow quotes the values itself"


def _make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`make` as a user calls it, not as the child of the `make test` that may run this."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make here")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MAKE") and key != "MFLAGS"}
    return subprocess.run(
        [make, *arguments], cwd=folder, env=inherited, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def checkout(tmp_path):
    """The Makefile and the locks in a folder whose name has a space."""
    folder = tmp_path / "narrow gap"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("Makefile", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def made(checkout):
    """A checkout with a finished environment, whose Python says what it is asked to run."""
    python = checkout / ".venv" / "bin" / "python"
    python.write_text("#!/bin/sh\nprintf '<%s>' \"$@\"\n")
    python.chmod(0o755)
    (checkout / ".venv" / "run.stamp").touch()
    return checkout


def test_make_says_in_one_line_that_no_python_fits(checkout):
    done = _make(checkout, "run", "PYTHON=/bin/false")
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1
    assert lines[0].startswith("/bin/false is not Python 3.11 to 3.13 with venv; install one")


def test_make_run_hands_a_name_and_overrides_to_mlflow(made):
    done = _make(made, "run", "EXPERIMENT=digits", "ARGS=-P search.trials=5")
    assert "<mlflow><run><.><--env-manager><local><--experiment-name><digits>" in done.stdout
    assert "<-P><experiment=digits><-P><search.trials=5>" in done.stdout


def test_make_run_takes_a_file_of_the_users_own(made):
    done = _make(made, "run", "EXPERIMENT=my files/own.yaml")
    assert "<--experiment-name><own><-P><experiment=my files/own.yaml>" in done.stdout


def test_make_serve_hands_over_the_experiment_and_the_port(made):
    done = _make(made, "serve", "EXPERIMENT=my files/own.yaml", "PORT=8123")
    assert done.stdout == "<-m><pipeline><serve><--experiment><my files/own.yaml><--port><8123>"
    assert _make(made, "serve").stdout.endswith("<--experiment><fashion_mnist><--port><5001>")


def test_make_schedule_hands_over_the_time_and_the_overrides(made):
    done = _make(made, "schedule", "EXPERIMENT=digits", "AT=04:15", "ARGS=-P retrain.mode=refit")
    assert "<-m><pipeline><schedule><--experiment><digits><--at><04:15><-P><retrain.mode=refit>" in done.stdout


def test_make_leaves_a_finished_environment_alone(made):
    assert _make(made, "--question", ".venv/run.stamp").returncode == 0


def test_make_makes_an_environment_again_whose_python_is_gone(made):
    (made / ".venv" / "bin" / "python").unlink()
    assert _make(made, "--question", ".venv/run.stamp").returncode == 1


def test_make_installs_again_when_the_lock_is_newer(made):
    stamp = (made / ".venv" / "run.stamp").stat().st_mtime
    os.utime(made / "requirements.lock", (stamp + 9, stamp + 9))
    assert _make(made, "--question", ".venv/run.stamp").returncode == 1


def test_of_a_users_settings_of_pip_and_python_only_those_of_the_index_count(made, monkeypatch):
    kept = {"PIP_INDEX_URL": "https://index.example.org/simple", "PIP_CERT": "/ca.pem", "PIP_TRUSTED_HOST": "index"}
    others = {"PIP_USER": "1", "PIP_TARGET": "/elsewhere", "PIP_REQUIRE_HASHES": "1", "PIP_NO_DEPS": "1"}
    pythons = {"PYTHONPATH": "/other", "PYTHONHOME": "/other", "PYTHONNOUSERSITE": "1", "PYTHONSAFEPATH": "1"}
    for name in [name for name in os.environ if name.startswith(("PIP_", "PYTHON"))]:
        monkeypatch.delenv(name)
    for name, value in (kept | others | pythons).items():
        monkeypatch.setenv(name, value)
    seen = made / "seen"
    python = made / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\n[ "$2" = pip ] && env > \'{seen}\'\n[ -z "$PYTHONHOME" ]\n')
    os.utime(made / "requirements.lock", (2e9, 2e9))
    assert _make(made, ".venv/run.stamp").returncode == 0
    found = dict(line.split("=", 1) for line in seen.read_text().splitlines() if line.startswith(("PIP_", "PYTHON")))
    assert found == {**kept, "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def test_a_home_of_another_python_does_not_make_the_environment_again(made, monkeypatch):
    (made / ".venv" / "bin" / "python").write_text('#!/bin/sh\n[ -z "$PYTHONHOME" ]\n')
    monkeypatch.setenv("PYTHONHOME", "/other")
    assert _make(made, "--question", ".venv/run.stamp").returncode == 0


def _tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return done.stdout.splitlines()


def test_mlruns_travels_as_an_empty_store():
    assert [path for path in _tracked() if path.startswith("mlruns/")] == ["mlruns/.gitignore"]


def test_no_data_database_or_model_is_tracked():
    forbidden = re.compile(r"\.(db|keras|h5|pkl|npz|gz|zip)$|-ubyte$")
    allowed = {"tests/fixtures/store_259ad47.tar.gz", "tests/fixtures/digits.npz"}  # see tests/fixtures/README.md
    assert {path for path in _tracked() if forbidden.search(path)} == allowed
    assert sum((ROOT / path).stat().st_size for path in allowed) < 300_000


def test_every_file_that_the_readme_shows_or_links_is_tracked():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert len(links) > 5
    assert sorted(set(links) - set(_tracked())) == []
