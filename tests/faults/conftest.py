"""Real searches, whose processes end with the test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.faults.search import Search


@pytest.fixture
def searching() -> Iterator[Callable[..., "Search"]]:
    """Starts a `Search`."""
    from tests.faults.search import Search  # not before: MLflow

    started = []

    def begin(folder: Path, address: str, name: str, *words: str) -> Search:
        started.append(Search(folder, address, name, *words))
        return started[-1]

    yield begin
    for search in started:
        search.kill()
