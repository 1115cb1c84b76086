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
"""Letters from which a column of text may wrap, and keeps some width on a phone."""
ABSENT = "\N{EN DASH}"
MINUS = re.compile(r"(?<!\w)-(?=[\d.])")
"""A hyphen that means a negative number: not the one in `784-10`, `1e-05` or a date."""


@dataclass(frozen=True)
class Picture:
    """A PNG file; ValueError for another kind, or where no text can stand in its place."""

    png: bytes
    alt: str
    """What the picture tells, for readers who do not see it; not empty."""
    caption: str

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise ValueError(f"the picture {self.caption!r} has no alternative text; expected what it tells, in words")
        if not self.png.startswith(SIGNATURE) or len(self.png) < len(SIGNATURE) + 16:
            raise ValueError(f"the picture {self.caption!r} starts with {self.png[:8]!r}; expected a PNG file")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, from the header that the PNG specification (section 11.2.1) puts first."""
        return int.from_bytes(self.png[16:20]), int.from_bytes(self.png[20:24])

    @property
    def source(self) -> str:
        """The picture as a data URI."""
        return f"data:image/png;base64,{b64encode(self.png).decode()}"


@dataclass(frozen=True, eq=False)
class Table:
    """A data frame to show, its index left out; ValueError where a column or row is named that it does not have.

    The first column names the rows. Columns of numbers, and those with a format, stand to the right.
    """

    caption: str
    frame: pd.DataFrame
    formats: Mapping[str, Callable[[Any], str]] = field(default_factory=dict)
    """Column to what writes a value of it, such as `"{:+.2f}".format`; never asked for an absent value (NaN, None)."""
    highlight: int | None = None
    """The row to point out, counted from 0."""

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
                f"the table {self.caption!r} is to point out row {self.highlight}; it has {len(self.frame)}, counted from 0"
            )


@dataclass(frozen=True, eq=False)
class Section:
    """One chapter: text first, then tables, then pictures, each of them only where there is any."""

    title: str
    text: str = ""
    """Paragraphs, with an empty line between them."""
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    method: str = ""
    """How it was computed: paragraphs, folded on the page."""


@dataclass(frozen=True, eq=False)
class Report:
    """All that the page tells, in its order."""

    title: str
    question: str
    answer: str
    """One or two sentences."""
    facts: Sequence[tuple[str, str]] = ()
    """Name and value: the figures and origins to have at a glance."""
    sections: Sequence[Section] = ()
    commands: Sequence[tuple[str, str]] = ()
    """What it does, and the command line; lines are kept."""
    summary: tuple[Table, Picture] | None = None
    """One table and one picture below the answer."""


def render(report: Report) -> str:
    """The page, as text to be written in UTF-8; half a surrogate pair (a damaged file name) becomes a question mark."""
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
    """A column as it is shown."""

    name: str
    kind: str
    """`number`, `text` or `long`, the classes of the style sheet."""
    cells: Sequence[str]


def _digest(script: str) -> str:
    """What a content security policy knows a script by."""
    return b64encode(sha256(script.encode()).digest()).decode()


def _paragraphs(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def _words(command: str) -> list[str]:
    """What stays together on a line, a short option with its value too, and the white space between."""
    return re.findall(r"-\w \S+|\S+|\s+", command.strip())


def _breakable(text: str) -> Markup:
    """Lines may break behind every hyphen; browsers do not where `)` stands before it, as in `784(0.2)-128-10`."""
    return escape(text).replace("-", Markup("-<wbr>"))


def _columns(table: Table) -> list[_Column]:
    return [_column(str(name), values, table.formats.get(str(name))) for name, values in table.frame.items()]


def _rows(columns: Sequence[_Column]) -> Iterator[tuple[tuple[str, str], ...]]:
    """Row by row, the kind and the text of every cell."""
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
    """A value without a format of its own: four significant digits of a fraction, yes and no."""
    if pd.api.types.is_bool(value):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
