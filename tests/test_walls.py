"""The walls of the design, held by reading every import."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LEVELS = [
    "__main__", "run", "retraining", "checking", "evaluation", "search", "preparation", "serving", "figures",
    "statistics", "training",
    "models", "session", "data", "tracking", "experiment", "formatting", "paths",
    "time_limit", "stop_request", "errors",
]  # fmt: skip
"""The rooms and single modules of `pipeline`, from top to bottom: each may import those below it, and none above."""
ALLOWED = {
    "mlflow": ("tracking/", "serving/"),
    "keras_tuner": ("search/proposals/", "models/"),
    "tensorflow": ("training/",),
    "keras": ("training/", "models/", "serving/"),
    "distributed": ("search/workers/dask/",),
    "dask": ("search/workers/dask/",),
    "matplotlib": ("figures/",),
    "jinja2": ("evaluation/report/", "retraining/schedule/"),
}
"""Where a library may be imported; one that is not named may be anywhere."""
MOST_FILES = 13
"""In a room without sub-rooms."""


@cache
def nodes(source: str) -> tuple[ast.AST, ...]:
    """All that a source text consists of; each is parsed once for all walls."""
    return tuple(ast.walk(ast.parse(source)))


def imports(source: str) -> Iterator[str]:
    """Every module that a source text imports, at the top or inside a function."""
    for node in nodes(source):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def breaches(place: str, source: str) -> list[str]:
    """What a file at `place` (below pipeline/) imports through a wall."""
    room = place.split("/", maxsplit=1)[0].removesuffix(".py")
    found = []
    for module in imports(source):
        library, _, rest = module.partition(".")
        if library in ALLOWED and not place.startswith(ALLOWED[library]):
            found.append(f"{place} imports {library}")
        if module.startswith("."):
            found.append(f"{place} imports {module}, relatively")
        if library == "experiments":
            found.append(f"{place} imports experiments")
        target = rest.split(".")[0]
        if library == "pipeline" and target in LEVELS and LEVELS.index(target) < LEVELS.index(room):
            found.append(f"{place} imports pipeline.{target}, which stands above it")
    return found


FILES = sorted(path.relative_to(ROOT / "pipeline").as_posix() for path in (ROOT / "pipeline").rglob("*.py"))


@pytest.mark.parametrize("place", FILES)
def test_no_import_goes_through_a_wall(place):
    assert breaches(place, (ROOT / "pipeline" / place).read_text()) == []


@pytest.mark.parametrize("place", FILES)
def test_a_keras_file_is_loaded_in_safe_mode_and_not_compiled(place):
    """Said at every call: a file may come from a registry to which others write."""
    calls = [node for node in nodes((ROOT / "pipeline" / place).read_text()) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "load_model"]
    loads = [call for call in named if ast.unparse(call.func) == "keras.models.load_model"]
    for call in loads:
        said = {each.arg: ast.unparse(each.value) for each in call.keywords}
        assert (said.get("safe_mode"), said.get("compile")) == ("True", "False")
    assert bool(loads) == (place in {"models/dense_keras.py", "serving/served.py"})


def test_the_list_above_model_spec_names_every_file_that_asks_for_the_kind_of_model():
    asks = re.compile(r"experiment\.model\b|\.model is (?:not )?None|isinstance\([^)]*\b(?:UserSpec|DenseSpec)\b")
    refuse_the_other_kind = {"models/dense.py", "training/keras_trainer.py", "models/spec.py"}
    found = {place for place in FILES if asks.search((ROOT / "pipeline" / place).read_text())} - refuse_the_other_kind
    listed = ast.get_docstring(ast.parse((ROOT / "pipeline/models/spec.py").read_text()))
    assert listed is not None
    named = {name if name in FILES else f"models/{name}" for name in re.findall(r"`([\w/]+\.py)`", listed)}
    assert found <= named
    assert named <= set(FILES)


def test_every_room_has_its_level():
    assert {place.split("/")[0].removesuffix(".py") for place in FILES} - {"__init__"} == set(LEVELS)


def test_the_picture_shows_the_rooms_in_this_order():
    spec = importlib.util.spec_from_file_location("rooms", ROOT / "docs" / "rooms.py")
    assert spec is not None
    assert spec.loader is not None
    picture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(picture)
    assert picture.rooms() == LEVELS
    assert picture.FILE.read_text() == picture.drawn(), "draw it again: python docs/rooms.py"


def test_the_guide_names_where_a_library_may_be_imported():
    text = (ROOT / "docs" / "architecture.md").read_text().split("| library | imported only by |\n")[1]
    rows = [line.strip("|").split("|") for line in text.split("\n\n")[0].splitlines()[1:]]
    shown = {
        library: re.findall(r"`pipeline/([\w/]+)`", places)
        for libraries, places in rows
        for library in libraries.strip().split(", ")
    }
    assert shown == {library: list(places) for library, places in ALLOWED.items()}


def test_the_guide_shows_the_rooms_in_this_order():
    rows = [
        line for line in (ROOT / "docs" / "architecture.md").read_text().splitlines() if line.startswith("| `pipeline/")
    ]
    shown = [name for row in rows for name in re.findall(r"`pipeline/(\w+)[/.`]", row)]
    assert shown[: len(LEVELS)] == LEVELS


@pytest.mark.parametrize(
    ("place", "source", "breach"),
    [
        ("data/x.py", "import mlflow", "data/x.py imports mlflow"),
        ("statistics/x.py", "def f():\n    from keras import layers", "statistics/x.py imports keras"),
        ("search/loop.py", "import keras_tuner as kt", "search/loop.py imports keras_tuner"),
        (
            "data/x.py",
            "from pipeline.models import dense",
            "data/x.py imports pipeline.models, which stands above it",
        ),
        (
            "search/x.py",
            "from pipeline import evaluation",
            "search/x.py imports pipeline.evaluation, which stands above it",
        ),
        (
            "tracking/x.py",
            "import pipeline.search.loop",
            "tracking/x.py imports pipeline.search, which stands above it",
        ),
        (
            "experiment/schema.py",
            "from pipeline.models.dense import DenseSpec",
            "experiment/schema.py imports pipeline.models, which stands above it",
        ),
        ("errors.py", "import pipeline.formatting", "errors.py imports pipeline.formatting, which stands above it"),
        ("evaluation/x.py", "import experiments.mine", "evaluation/x.py imports experiments"),
        ("session.py", "from .data import split", "session.py imports .data.split, relatively"),
        ("statistics/x.py", "if True:\n    import tensorflow.keras", "statistics/x.py imports tensorflow"),
        ("figures/x.py", "import jinja2", "figures/x.py imports jinja2"),
    ],
)
def test_a_breach_is_seen(place, source, breach):
    assert breaches(place, source) == [breach]


def test_what_runs_without_keras_imports_nothing_that_does():
    """Of `training` and `models`, statistics and figures import plain records alone."""
    records = {"pipeline.training.result", "pipeline.models.recipe", "pipeline.models.dense", "pipeline.models.spec"}
    for place in FILES:
        if place.startswith(("statistics/", "figures/")):
            used = [each for each in imports((ROOT / "pipeline" / place).read_text()) if each.startswith("pipeline.")]
            heavy = [each for each in used if each.startswith(("pipeline.training", "pipeline.models"))]
            assert all(each.startswith(tuple(records)) for each in heavy), place


def test_no_room_has_more_than_a_dozen_files():
    rooms: dict[str, int] = {}
    for place in FILES:
        if not place.endswith("__init__.py"):
            rooms[place.rpartition("/")[0]] = rooms.get(place.rpartition("/")[0], 0) + 1
    assert {room: count for room, count in rooms.items() if count > MOST_FILES} == {}


def test_there_is_something_to_hold_the_walls_around():
    assert {"training/dense_trainer.py", "search/loop.py", "tracking/store.py"} <= set(FILES)
