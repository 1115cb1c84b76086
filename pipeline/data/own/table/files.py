"""Says where in its files a row of a table is, and what is wrong with a cell there."""

import bisect
import csv
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.data import formats
from pipeline.data.own.table.csv_header import separator
from pipeline.errors import InputError
from pipeline.formatting import few, shortened

CSV, PARQUET = (".csv", ".tsv"), (".parquet", ".pq")


@dataclass(frozen=True)
class Files:
    """Files of one part, one below the other. Rows are counted from 1, without a header."""

    paths: Sequence[Path]
    rows: Sequence[int]
    """Of each file."""

    @property
    def name(self) -> str:
        return few([path.name for path in self.paths], most=2)

    def no_number(self, place: int, column: Any, value: Any) -> InputError:
        path, row = self.find(place)
        return InputError(
            f"{path.name} has {shortened(str(value), 40)!r} in column {column}, row {row}; expected a number: correct the "
            "cell, or leave the row out"
        )

    def missing(self, place: int, column: Any, count: int = 1) -> InputError:
        """For a cell without a value, the first of so many."""
        path, row = self.find(place)
        more = f" ({count:,} cells are empty)" if count > 1 else ""
        return _short_line(path) or InputError(
            f"{path.name} has no value in column {column}, row {row}{more}; expected one in each cell: fill it, or leave "
            "the row out"
        )

    def find(self, place: int) -> tuple[Path, int]:
        """The file of a row, and the row there; `place` counts the rows of all files from 0."""
        ends = list(itertools.accumulate(self.rows))
        file = bisect.bisect_right(ends, place)
        return self.paths[file], place - ends[file] + self.rows[file] + 1


def is_parquet(path: Path) -> bool:
    return path.suffix.lower() in PARQUET


def _short_line(path: Path) -> InputError | None:
    """What is said of the first line of a CSV file that has fewer cells than the first one: pandas fills it up. The file is
    read once more for it.
    """
    if is_parquet(path):
        return None
    text = io.TextIOWrapper(io.BytesIO(formats.inflate(path.name, formats.read_file(path))), "utf-8-sig", newline="")
    try:
        lines = csv.reader(text, delimiter=separator(text.readline()))
        text.seek(0)
        expected = len(next(lines))
        short = next((cells for cells in lines if 0 < len(cells) < expected), None)
    except (csv.Error, UnicodeError, StopIteration):  # what pandas can read may be too much for csv
        return None
    if short is None:
        return None
    return InputError(
        f"{path.name} has {len(short):,} cell{'s' * (len(short) != 1)} in line {lines.line_num:,}; expected {expected:,} as "
        "in line 1: the line is cut off, or separators are missing"
    )
