"""The walls of the design, held by reading every import."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STAGES = ["data", "network", "search", "findings", "registry"]
"""In the order of the way of the data: each may import those before it."""
SIDE_ROOMS = {
    "figures": {"data", "network", "findings"},
    "report": set(),
    "tracking": set(),
    "steps": {*STAGES, "figures", "report", "tracking"},
}
"""What stands beside the way, and the stages that it may import."""
PURE_RECORDS = {"pipeline.network.spec", "pipeline.network.result"}
"""Records without a library behind them: importable where their folder is not."""
ALLOWED = {
    "mlflow": ("tracking/", "registry/"),
    "keras_tuner": ("network/space.py", "search/proposals.py", "search/oracles.py"),
    "tensorflow": ("network/",),
    "keras": ("network/", "registry/served.py"),
    "distributed": ("search/cluster.py", "search/connection.py"),
    "dask": ("search/cluster.py",),
    "matplotlib": ("figures/",),
    "jinja2": ("report/",),
    "rich": ("__main__.py", "steps/"),
}
"""Where a library may be imported; one that is not named may be anywhere."""


def imports(source: str) -> Iterator[str]:
    """Every module that a source text imports, at the top or inside a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def breaches(place: str, source: str) -> list[str]:
    """What a file at `place` (below pipeline/) imports through a wall."""
    folder = place.split("/", maxsplit=1)[0]
    found = []
    for module in imports(source):
        library = module.split(".")[0]
        if library in ALLOWED and not place.startswith(ALLOWED[library]):
            found.append(f"{place} imports {library}")
        if module.startswith("."):
            found.append(f"{place} imports {module}, relatively")
        if library == "experiments":
            found.append(f"{place} imports experiments")
        parts = module.split(".")
        if library != "pipeline" or len(parts) < 2 or any(module.startswith(record) for record in PURE_RECORDS):
            continue
        target = parts[1]
        if target in {"experiment", "errors", folder} or place == "__main__.py":
            continue
        if target in {*STAGES, *SIDE_ROOMS} and target not in may_import(folder, place):
            found.append(f"{place} imports pipeline.{target}")
    return found


def may_import(folder: str, place: str) -> set[str]:
    if folder in STAGES:
        # What is registered is logged to a run.
        return {*STAGES[: STAGES.index(folder)], *({"tracking"} if folder == "registry" else set())} - (
            {"search", "network"} if folder == "findings" else set()
        )
    return SIDE_ROOMS.get(folder, set())


FILES = sorted(path.relative_to(ROOT / "pipeline").as_posix() for path in (ROOT / "pipeline").rglob("*.py"))


@pytest.mark.parametrize("place", FILES)
def test_no_import_goes_through_a_wall(place):
    assert breaches(place, (ROOT / "pipeline" / place).read_text()) == []


@pytest.mark.parametrize(
    ("place", "source", "breach"),
    [
        ("data/x.py", "import mlflow", "data/x.py imports mlflow"),
        ("findings/x.py", "def f():\n    from keras import layers", "findings/x.py imports keras"),
        ("search/loop.py", "import keras_tuner as kt", "search/loop.py imports keras_tuner"),
        ("data/x.py", "from pipeline.network import build", "data/x.py imports pipeline.network"),
        ("search/x.py", "from pipeline.findings import gaps", "search/x.py imports pipeline.findings"),
        ("findings/x.py", "from pipeline.network.training import train", "findings/x.py imports pipeline.network"),
        ("figures/x.py", "from pipeline.steps import search", "figures/x.py imports pipeline.steps"),
        ("tracking/x.py", "import pipeline.search.loop", "tracking/x.py imports pipeline.search"),
        ("experiment.py", "from pipeline.data import split", "experiment.py imports pipeline.data"),
        ("steps/x.py", "import experiments.mine", "steps/x.py imports experiments"),
        ("experiment.py", "from .data import split", "experiment.py imports .data.split, relatively"),
        ("findings/x.py", "if True:\n    import tensorflow.keras", "findings/x.py imports tensorflow"),
        ("report/x.py", "from pipeline.findings import gaps", "report/x.py imports pipeline.findings"),
        ("findings/x.py", "from pipeline.report.page import Table", "findings/x.py imports pipeline.report"),
        ("figures/x.py", "import jinja2", "figures/x.py imports jinja2"),
        ("tracking/x.py", "from pipeline import steps", "tracking/x.py imports pipeline.steps"),
    ],
)
def test_a_breach_is_seen(place, source, breach):
    assert breaches(place, source) == [breach]


def test_a_pure_record_may_be_imported_anywhere():
    assert breaches("findings/x.py", "from pipeline.network.result import TrialResult") == []


@pytest.mark.parametrize("record", sorted(PURE_RECORDS))
def test_a_pure_record_has_no_library_behind_it(record):
    source = (ROOT / record.replace(".", "/")).with_suffix(".py").read_text()
    libraries = {module.split(".")[0] for module in imports(source)} - sys.stdlib_module_names
    assert libraries <= {"numpy", "pipeline"}


def test_there_is_something_to_hold_the_walls_around():
    assert {"network/training.py", "search/loop.py", "tracking/store.py"} <= set(FILES)
