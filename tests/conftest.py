"""Six processes for all tests (many wait for a server or a step), each with TensorFlow started once and on one thread; no
setting of the machine leaks in.

`--quick` (as `make check` calls it) leaves out what is marked `tensorflow`, `server` or `browser`, unopened: nothing
heavy is imported, and a file after which TensorFlow has been imported all the same fails.
"""

import gc
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

for _name in [name for name in os.environ if name.startswith(("MLFLOW_", "NARROWGAP_"))]:
    del os.environ[_name]
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a script's shell starts a command in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as `nohup` does
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

import numpy as np  # noqa: E402 - after the environment is clean
import pytest  # noqa: E402

from pipeline import stop_request  # noqa: E402
from pipeline.data.formats import digits  # noqa: E402
from pipeline.data.split import Part, Split, split  # noqa: E402
from pipeline.experiment import Data  # noqa: E402
from tests.fixtures import compiled_programs  # noqa: E402
from tests.fixtures.commands import forget  # noqa: E402
from tests.fixtures.tables import copy_tables  # noqa: E402

pytest_plugins = ["tests.shared_fixtures"]

MARKED = re.compile(r"^pytestmark = .*pytest\.mark\.(tensorflow|server|browser)", re.MULTILINE)
"""A file that needs more than Python and a SQLite store says so in a line of its own."""
FIRST = (
    "search/test_dask_search",
    "faults/test_store_away",
    "faults/test_killed",
    "serving/test_own_model",
    "retraining/test_schedule",
    "test_whole",
    "test_contract",
    "retraining/test_retrain",
    "search/test_dask_workers",
    "search/test_searched_settings",
    "faults/test_two_evaluations",
    "search/test_proposals",
    "faults/test_disk",
    "search/test_states",
    "tracking/test_ui",
    "models/test_shipped_models",
    "evaluation/test_refits",
    "training/test_keras_settings",
    "faults/test_outbox_grows",
    "serving/test_served",
    "tracking/test_run_lock",
)
"""The slowest files, longest first, so that the processes end at about the same time."""
TOGETHER = {
    "tests/retraining/test_retrain.py": "retraining",
    "tests/retraining/test_rollback.py": "retraining",
    "tests/serving/test_predict.py": "retraining",
    "tests/test_contract.py": "contract",
    "tests/test_old_store.py": "contract",
    "tests/evaluation/test_refits.py": "evaluation",
    "tests/evaluation/analyses": "evaluation",
}
"""Files and folders that share the stores of a session fixture run in the same process; every other file is a group of its
own.
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="only what needs no TensorFlow, no server and no browser")


def pytest_configure(config: pytest.Config) -> None:
    """Processes of xdist inherit the folder of the one that starts them."""
    if not hasattr(config, "workerinput"):
        folder = Path(tempfile.mkdtemp(prefix="narrowgap-programs-"))
        os.environ[compiled_programs.VARIABLE] = compiled_programs.flags(folder)
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    quick = config.getoption("--quick") and collection_path.suffix == ".py"
    return True if quick and MARKED.search(collection_path.read_text(encoding="utf-8")) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--quick"):
        heavy = {"tensorflow", "server", "browser"}
        left_out = [item for item in items if heavy & {mark.name for mark in item.iter_markers()}]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=_turn)  # stable: within a file the order stays


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Gives a process whole groups. The groups of `--dist loadgroup` have no effect with pytest 9.2: xdist 3.8 writes them
    to an attribute that nobody reads any more.
    """
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # it has no types

    class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", maxsplit=1)[0]
            return TOGETHER.get(file) or TOGETHER.get(file.rpartition("/")[0], file)

    return ByGroup(config, log)


def _turn(item: pytest.Item) -> int:
    file = item.nodeid.split("::")[0].removeprefix("tests/").removesuffix(".py")
    return FIRST.index(file) if file in FIRST else len(FIRST)


@pytest.fixture(autouse=True, scope="module")
def _a_file_begins_with_what_the_environment_says_and_without_garbage():
    forget()
    copy_tables()
    gc.collect()
    gc.freeze()  # a collection, of which Keras asks for one per model, then looks at the objects of this file alone
    yield
    forget()


@pytest.fixture(autouse=True, scope="module")
def _a_quick_file_imports_no_tensorflow(request: pytest.FixtureRequest) -> Iterator[None]:
    """All files are imported before the first test: the first file that fails here need not be the one to mark."""
    yield
    if request.config.getoption("--quick"):
        assert "tensorflow" not in sys.modules, "a quick test imports TensorFlow: mark its file pytest.mark.tensorflow"


@pytest.fixture(autouse=True, scope="module")
def _tensorflow_starts_as_workers_have_it(request: pytest.FixtureRequest) -> None:
    """Whichever file a process comes to first: one that loads Keras by itself would start TensorFlow with other threads."""
    if request.node.get_closest_marker("tensorflow"):
        request.getfixturevalue("tensorflow")


@pytest.fixture
def listening() -> Iterator[None]:
    """Signals ask this process to stop, as they ask the command line."""
    before = {number: signal.getsignal(number) for number in stop_request.NUMBERS}
    stop_request.listen()
    yield
    stop_request.listen()  # forgets the request
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def small_forests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few and small forests, for tests that do not look at what they say: they take nine tenths of the time of effects."""
    from pipeline.statistics.effects import importance

    for name, few in (("TREES", 3), ("FOLDS", 2), ("SHUFFLES", 1)):
        monkeypatch.setattr(importance, name, few)


@pytest.fixture(scope="session")
def digits_split() -> Split:
    """Scikit-learn's digits: 1,455 to train on, 162 to choose by, 180 to report on."""
    return split(digits(), Data(dataset="digits", validation=0.1, test=0.1))


@pytest.fixture(scope="session")
def tiny_split() -> Split:
    """Three classes of 4x4 images that a line can tell apart: 37 to train on, 12 and 12 held out."""
    generator = np.random.default_rng(5)

    def part(count: int) -> Part:
        labels = np.arange(count) % 3
        images = generator.integers(0, 60, (count, 4, 4)) + 90 * np.eye(3, 4, dtype=int)[labels][:, None, :]
        return Part(images.astype(np.uint8), labels.astype(np.int64))

    return Split(part(37), part(12), part(12), ("a", "b", "c"), 255, "digest", "fingerprint")


@pytest.fixture(scope="session")
def tensorflow() -> object:
    """TensorFlow as workers have it."""
    from pipeline.training.runtime import init_tensorflow

    init_tensorflow()
    import tensorflow as tf

    return tf
