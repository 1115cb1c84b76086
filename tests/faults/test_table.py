"""The table of faults names tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROWS = [line for line in (TESTS / "faults/README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]


def test_every_row_of_the_table_names_tests_that_exist():
    rows = [row for row in ROWS if not row.startswith("| fault |")]
    assert len(rows) > 40
    named = {row: re.findall(r"`([a-z_/]+(?:\.py|/))`", row.split("|")[3]) for row in rows}
    assert [row for row, files in named.items() if not files] == []
    assert {file for files in named.values() for file in files if not (TESTS / file).exists()} == set()
