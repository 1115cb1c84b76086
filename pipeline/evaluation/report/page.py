"""Renders a report as one self-contained HTML page. Owns its looks, not its content.

The page refers to nothing outside itself; pictures are embedded. Text, including names of classes, is shown as text and
never read as markup, and no script runs except its own.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LONG = 24
"""Length in characters from which a text column may wrap; on a phone it keeps a minimum width."""
ABSENT = "\N{EN DASH}"
MINUS = re.compile(r"(?<![\w)])-(?=[\d.])")
"""A hyphen that is a minus sign: not the one in `784(0.1)-10`, `784-10`, `1e-05` or a date."""


@dataclass(frozen=True)
class Picture:
    """A PNG file with its texts. Raises ValueError for another kind of file or an empty `alt`."""

    png: bytes
    alt: str
    """Alternative text: what the picture shows; not empty."""
    caption: str

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise ValueError(f"the picture {self.caption!r} has no alternative text; expected what it shows, in words")
        if not self.png.startswith(SIGNATURE) or len(self.png) < len(SIGNATURE) + 16:
            raise ValueError(f"the picture {self.caption!r} starts with {self.png[:8]!r}; expected a PNG file")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, from the PNG header (section 11.2.1 of the specification)."""
        return int.from_bytes(self.png[16:20]), int.from_bytes(self.png[20:24])

    @property
    def source(self) -> str:
        """The picture as a data URI."""
        return f"data:image/png;base64,{b64encode(self.png).decode()}"


@dataclass(frozen=True, eq=False)
class Table:
    """A data frame without its index. Raises ValueError if a format or highlight names a missing column or row.

    The first column names the rows. Columns of numbers, and those with a format, are aligned right.
    """

    caption: str
    frame: pd.DataFrame
    formats: Mapping[str, Callable[[Any], str]] = field(default_factory=dict)
    """Column to formatter, such as `"{:+z.2f}".format`; not called for missing values (NaN, None)."""
    highlight: int | None = None
    """The row to highlight, counted from 0."""

    def __post_init__(self) -> None:
        columns = [str(column) for column in self.frame.columns]
        if not columns:
            raise ValueError(f"the table {self.caption!r} has no columns; expected one or more")
        unknown = [column for column in self.formats if column not in columns]
        if unknown:
            raise ValueError(
                f"the table {self.caption!r} has formats for {', '.join(unknown)}; expected some of its columns: "
                f"{', '.join(columns)}"
            )
        if self.highlight is not None and not 0 <= self.highlight < len(self.frame):
            raise ValueError(
                f"the table {self.caption!r} is to highlight row {self.highlight}; it has {len(self.frame)}, counted from 0"
            )


@dataclass(frozen=True, eq=False)
class Section:
    """A section: text, tables, pictures and method, in this order; empty parts leave no trace."""

    title: str
    text: str = ""
    """Paragraphs, with an empty line between them."""
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    method: str = ""
    """How it was computed: paragraphs, folded on the page."""


@dataclass(frozen=True, eq=False)
class Report:
    """The content of the page."""

    title: str
    question: str
    answer: str
    """Paragraphs, with an empty line between them; the first is the largest."""
    facts: Sequence[tuple[str, str]] = ()
    """Name and value of data, sizes and run ids."""
    sections: Sequence[Section] = ()
    commands: Sequence[tuple[str, str]] = ()
    """Purpose and command line; line breaks are kept."""
    summary: tuple[Table, Picture] | None = None
    """One table and one picture below the answer."""


def render(report: Report) -> str:
    """Renders the page, to be written as UTF-8; half a surrogate pair (a damaged file name) becomes a question mark."""
    environment = Environment(
        loader=PackageLoader("pipeline.evaluation", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        digest=_digest, paragraphs=_paragraphs, breakable=_breakable, words=_words, columns=_columns, rows=_rows
    )
    page = environment.get_template("page.html.j2").render(report=report)
    return page.encode(errors="replace").decode()


@dataclass(frozen=True)
class _Column:
    """A column as text."""

    name: str
    kind: str
    """`number`, `text` or `long`, the classes of the style sheet."""
    cells: Sequence[str]


def _digest(script: str) -> str:
    """The SHA-256 of a script, as a content security policy names it."""
    return b64encode(sha256(script.encode()).digest()).decode()


def _paragraphs(text: str) -> list[str]:
    """Parts with an empty line between them, with minus signs."""
    return [MINUS.sub("\N{MINUS SIGN}", part.strip()) for part in re.split(r"\n\s*\n", text) if part.strip()]


def _words(command: str) -> list[str]:
    """Splits a command into words and white space; a short option stays with its value."""
    return re.findall(r"-\w \S+|\S+|\s+", command.strip())


def _breakable(text: str) -> Markup:
    """Allows line breaks after every hyphen; browsers do not break after `)-`, as in `784(0.2)-128-10`."""
    return escape(text).replace("-", Markup("-<wbr>"))


def _columns(table: Table) -> list[_Column]:
    return [_column(str(name), values, table.formats.get(str(name))) for name, values in table.frame.items()]


def _rows(columns: Sequence[_Column]) -> Iterator[tuple[tuple[str, str], ...]]:
    """Kind and text of every cell, row by row."""
    for cells in zip(*(column.cells for column in columns), strict=True):
        yield tuple((column.kind, cell) for column, cell in zip(columns, cells, strict=True))


def _column(name: str, values: pd.Series, write: Callable[[Any], str] | None) -> _Column:
    counts = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    cells = [_cell(value, write or _plain) for value in values]
    if counts or write:
        return _Column(name.replace("_", " "), "number", [MINUS.sub("\N{MINUS SIGN}", cell) for cell in cells])
    kind = "long" if any(len(cell) >= LONG for cell in cells) else "text"
    return _Column(name.replace("_", " "), kind, cells)


def _cell(value: Any, write: Callable[[Any], str]) -> str:
    absent = pd.api.types.is_scalar(value) and pd.isna(value)
    return ABSENT if absent else write(value)


def _plain(value: Any) -> str:
    """The default format: four significant digits for a fraction, yes or no for a truth value."""
    if pd.api.types.is_bool(value):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
