"""The documentation is right: links, commands, keys, examples and paths exist. Without TensorFlow, within seconds."""

import ast
import importlib.util
import itertools
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from pipeline import experiment
from pipeline.experiment import Experiment
from pipeline.experiment.model_code import read_model

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").glob("**/*.md"))
ALL = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
MOST_LINES = 150
NO_RUN = {"ui", "schedule", "serve"}
"""Subcommands that are no entry points of MLproject."""
FIXED = {"rollback", "status", "predict", "prune"}
"""Entry points that take no overrides."""
FILES = {"data.csv", "model.fit", "model.evaluate", "search.json"}
"""Artifacts whose names look like keys."""
PLACEHOLDER = "section.key"
STAND_INS = {"path/to/mine.yaml": "smoke"}
"""Experiments of the reader, and those that stand in for them here."""
FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)


def _id(page):
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", ALL, ids=_id)


def _blocks(page, kind):
    return [match["text"] for match in FENCE.finditer(page.read_text()) if match["kind"] == kind]


@cache
def _prose(page):
    return FENCE.sub("", page.read_text())


def _commands(page):
    """Each command of the sh blocks as words, comments cut off and continued lines joined."""
    for block in _blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|\|\|?", line):
                words = shlex.split(part, comments=True)
                if words:
                    yield words


def _anchors(text):
    """The anchors that MkDocs and GitHub both give to the headings of a page."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", each).strip().lower()) for each in headings}


@cache
def _entry_points():
    return yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]


@cache
def _make_targets():
    return set(re.findall(r"^([a-z][a-z-]*)(?:\s+[a-z-]+)*:", (ROOT / "Makefile").read_text(), re.MULTILINE)) | {
        target
        for line in re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
        for target in line.split()
    }


def _check_overrides(given):
    """`-P` values of one command: parameters of the entry point, or keys that the experiment takes with these values."""
    name = given.pop("experiment", "fashion_mnist")
    name = STAND_INS.get(name, name)
    experiment.load(name, given)


def _split(pairs):
    return dict(pair.split("=", 1) for pair in pairs)


def _after(words, flag):
    return [value for word, value in itertools.pairwise(words) if word == flag]


def _check_mlflow_run(words):
    step = (_after(words, "-e") or ["main"])[0]
    assert step in _entry_points(), f"-e {step} is no entry point of MLproject"
    given = _split(_after(words, "-P"))
    declared = set(_entry_points()[step]["parameters"]) - {"experiment"}
    if step in FIXED:
        assert set(given) - declared <= {"experiment"}, f"{step} takes no overrides"
    _check_overrides({key: value for key, value in given.items() if key not in declared})


def _check_make(words):
    assigned = _split(word for word in words[1:] if "=" in word)
    targets = [word for word in words[1:] if "=" not in word]
    assert set(targets) <= _make_targets(), f"{targets} are not all targets of the Makefile"
    assert targets, "make without a target"
    overrides = _split(_after(shlex.split(assigned.get("ARGS", "")), "-P"))
    _check_overrides({"experiment": assigned.get("EXPERIMENT", "fashion_mnist"), **overrides})


def _check_module(words):
    module = words[words.index("-m") + 1]
    if module == "pipeline":
        assert words[words.index("-m") + 2] in {*_entry_points(), *NO_RUN}
        _check_overrides({"experiment": (_after(words, "--experiment") or ["fashion_mnist"])[0]})
    elif module.startswith("tests."):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists(), f"there is no {module}"


@every_page
def test_every_command_names_what_exists(page):
    for words in _commands(page):
        if words[:2] == ["mlflow", "run"]:
            _check_mlflow_run(words)
        elif words[0] == "make":
            _check_make(words)
        elif words[0].endswith("python") and "-m" in words:
            _check_module(words)


def test_a_wrong_command_is_seen():
    with pytest.raises(AssertionError, match="no entry point"):
        _check_mlflow_run(shlex.split("mlflow run . -e serach -P experiment=digits"))
    with pytest.raises(ValueError, match="trails"):
        _check_mlflow_run(shlex.split("mlflow run . -P experiment=digits -P search.trails=5"))
    with pytest.raises(ValueError, match="digts"):
        _check_make(shlex.split("make run EXPERIMENT=digts"))
    with pytest.raises(AssertionError, match="not all targets"):
        _check_make(shlex.split("make runn"))


@every_page
def test_every_make_target_entry_point_and_override_in_the_text_exists(page):
    for code in re.findall(r"`([^`\n]+)`", _prose(page)):
        if match := re.match(r"make ([a-z-]+)", code):
            assert match[1] in _make_targets(), code
        for step in re.findall(r"(?<!\S)-e ([a-z]+)", code):
            assert step in _entry_points(), code
        for key in re.findall(r"-P ([a-z_]+\.[a-z_.]+)=", code):
            assert key in _keys() | {PLACEHOLDER}, code
        if code.partition(".")[0] in Experiment.model_fields and re.fullmatch(r"[a-z]+\.[a-z_]+", code):
            assert code in _keys() | FILES, code


@cache
def _keys():
    generated = _generated()
    keys = set()
    for name, field in Experiment.model_fields.items():
        for model in generated.sections_of(field.annotation):
            keys |= {f"{name}.{key}" for key in model.model_fields}
    return keys


@cache
def _generated():
    spec = importlib.util.spec_from_file_location("write_tables", ROOT / "docs" / "write_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@every_page
def test_every_link_and_picture_exists(page):
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", _prose(page)):
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{_id(page)} links {target}"
        assert file.is_relative_to(ROOT), f"{_id(page)} links {target}, outside of the project"
        if anchor and file.suffix == ".md":
            assert anchor in _anchors(file.read_text()), f"{_id(page)} links {target}"


@every_page
def test_every_yaml_example_of_an_experiment_loads(page):
    for block in _blocks(page, "yaml"):
        content = yaml.safe_load(block)
        if set(content) <= set(Experiment.model_fields):
            if isinstance(content.get("model"), str):
                content["model"] = read_model(content["model"], beside=ROOT / "experiments")
            experiment.parse({"name": "example", "question": "Does it load?", **content}, where=_id(page))


@every_page
def test_every_path_of_the_code_exists(page):
    named = set(re.findall(r"(?<![\w/.-])((?:pipeline|tests|experiments|docs)/[\w./-]*)", page.read_text()))
    gone = sorted(path for path in named if not (ROOT / path.rstrip(".")).exists() and "://" not in path)
    assert gone == []


def _where_to_look():
    """The rows under "Where to look": the cells question, file, and what to look for."""
    text = (ROOT / "docs" / "architecture.md").read_text().split("## Where to look")[1].split("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def _names_in(body):
    """Every name that a module has: its own, those that it imports, and what is in a class, as `name` and `Class.name`."""
    for node in body:
        if isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
            if isinstance(node, ast.ClassDef):
                inside = list(_names_in(node.body))
                yield from (*inside, *(f"{node.name}.{each}" for each in inside))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield from (each.id for each in ast.walk(target) if isinstance(each, ast.Name))


def test_every_name_under_where_to_look_is_in_the_file_beside_it():
    rows = _where_to_look()
    assert len(rows) == 13
    for question, file, names in rows:
        if file == "`CONTRIBUTING.md`":  # all steps of what takes several files
            (title,) = re.findall(r'"([^"]+)"', names)
            assert f"**{title}.**" in (ROOT / "CONTRIBUTING.md").read_text(), question
            continue
        (place,) = re.findall(r"^`([\w./]+\.py)`$", file)  # one file settles the question
        here, *also = names.split("See also ")
        (other,) = re.findall(r"`[\w.]+` in `([\w./]+\.py)`", also[0]) if also else ("",)
        assert names.count(".py`") == len(also) <= 1, question
        for text, path in ((here, place), *((each, other) for each in also)):
            wanted = re.findall(r"`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?)`", text)
            assert wanted, question
            assert set(wanted) <= set(_names_in(ast.parse((ROOT / path).read_text()).body)), question


def test_the_places_where_a_kind_of_model_is_chosen_exist():
    listed = re.findall(r"`(\w+(?:\.\w+)?)` in `([\w/]+\.py)`", (ROOT / "pipeline/models/spec.py").read_text())
    assert len(listed) >= 5
    for name, path in listed:
        beside = ROOT / "pipeline" / "models" / path
        file = beside if beside.exists() else ROOT / "pipeline" / path
        assert name in set(_names_in(ast.parse(file.read_text()).body)), f"{name} in {path}"


def test_every_object_of_the_api_page_exists():
    for name in re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE):
        parts = name.split(".")
        file = next(
            path
            for end in range(len(parts), 0, -1)
            for path in [ROOT.joinpath(*parts[:end]).with_suffix(".py"), ROOT.joinpath(*parts[:end], "__init__.py")]
            if path.exists()
        )
        rest = parts[len(file.with_suffix("").relative_to(ROOT).parts) - (file.stem == "__init__") :]
        body = ast.parse(file.read_text()).body
        defined = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert set(rest[:1]) <= defined, name


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= MOST_LINES


def test_the_navigation_has_every_page():
    # Keys of MkDocs alone are read, not its tags for Python objects.
    nav = re.findall(r": ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(nav) == [str(page.relative_to(ROOT / "docs")) for page in PAGES]


def test_every_picture_is_shown_somewhere():
    shown = "".join(page.read_text() for page in ALL)
    pictures = [each.name for each in (ROOT / "docs").iterdir() if each.suffix in {".png", ".svg"}]
    assert [name for name in pictures if name not in shown] == []


def test_the_reference_has_every_key_with_its_meaning():
    reference = "\n".join(_generated().sections(Experiment))
    for key in _keys():
        assert f"| `{key.partition('.')[2]}` |" in reference
    rows = [line.strip("| ").split(" | ") for line in reference.splitlines() if line.startswith("| `")]
    assert [row[0] for row in rows if len(row) < 4 or not row[3].strip()] == []


def test_the_tables_in_the_pages_are_those_of_the_code():
    generated = _generated()
    stale = [page.name for page in ALL if generated.renewed(page.read_text()) != page.read_text()]
    assert stale == [], "write them again: python docs/write_tables.py"
    assert sum(len(generated.PLACE.findall(page.read_text())) for page in ALL) >= 8


def test_a_short_table_has_the_first_sentence_of_each_key():
    (_, _, *rows) = _generated().short_rows(Experiment, ["space.input_dropout", "minutes"])
    assert rows == [
        "| `space.input_dropout` | `[0, 0.1, 0.2]` | Possible dropout rates after the input. |",
        "| `minutes` | `null` | Time budget in minutes for the whole command, preparation included. |",
    ]


def test_the_reference_says_what_is_allowed():
    reference = "\n".join(_generated().sections(Experiment))
    assert "| `epochs` | whole number ≥ 1 | `20` |" in reference
    assert re.search(
        r"\| `objective` \| `val_loss`, `val_accuracy`, `val_balanced_accuracy` \| `val_loss` \|", reference
    )
    assert "| `question` | text | required |" in reference


def test_the_store_page_lists_the_steps_tag():
    names = "\n".join(_generated().store_names())
    assert "| `narrowgap.step` |" in names
    assert "| `accuracy_gap` | honest gap | points |" in names


def test_reading_the_store_names_imports_no_heavy_library():
    code = (
        "import sys, pipeline.tracking.names; print([x for x in ('mlflow', 'tensorflow', 'keras') if x in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the docs tools of requirements-dev.lock")
    pytest.importorskip("material", reason="needs the docs tools of requirements-dev.lock")
    pytest.importorskip("mkdocstrings", reason="needs the docs tools of requirements-dev.lock")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list((tmp_path / "site").glob("*.html"))
    assert len(pages) >= len(PAGES)
    text = "".join(page.read_text() for page in pages)
    loaded = re.findall(r"<(?:script|img)[^>]* src=[\"']?https?:[^>]*>", text)
    loaded += re.findall(r"<link[^>]*stylesheet[^>]* href=[\"']?https?:[^>]*>", text)
    assert loaded == [], "the site is to load nothing from the internet"
