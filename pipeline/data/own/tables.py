"""Reads CSV and Parquet files: a column of labels, and a column per pixel, of paths, of pictures or of arrays."""

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.data import formats
from pipeline.data.own.parts import PARTS, TRAIN, Form, Notes, RawData, RawImages, RawPart, part_named
from pipeline.data.own.stack import Source, Stored, stacked
from pipeline.data.own.table import pixel_columns, row_parts
from pipeline.data.own.table.csv_header import INDEX, FirstLine, counts_up, first_line, is_number, label_is_first
from pipeline.data.own.table.files import CSV, PARQUET, Files, is_parquet
from pipeline.data.own.table.pixel_columns import is_nested, is_text
from pipeline.errors import InputError
from pipeline.formatting import few, listed

LABEL = ("label", "labels", "class", "target", "y", "category", "class_name")
PATH = ("path", "file", "filename", "file_name", "filepath", "image_path", "image", "img")
"""Names of columns, in small letters; earlier ones are preferred."""


@dataclass(frozen=True, eq=False)
class Table:
    """A file, or several of one part, as columns."""

    files: Files
    frame: pd.DataFrame
    """Its index has the places of the rows in the files."""
    label: Any
    """The column of labels; None if there is none."""
    split: Any
    """The column that says which part a row is of; None if there is none."""
    class_names: Sequence[str] | None = None
    """Where the file itself names the classes of its numbers."""

    @property
    def name(self) -> str:
        """For messages."""
        return self.files.name


def is_table(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith((*CSV, *PARQUET))


def read(path: Path, form: Form, notes: Notes) -> RawData:
    """Reads one file; a column such as `split` may divide its rows into parts."""
    return _data(_divided(_table([path], form, notes), TRAIN, notes), form, notes)


def read_folder(folder: Path, form: Form, notes: Notes) -> RawData:
    """Reads the files of a folder by the parts that their names tell, such as `train.csv` and `test.csv`; several of one
    part are put together. A single file needs no part in its name. A column such as `split` may divide the files to train
    on into parts that have no file.
    """
    files = sorted(path for path in folder.iterdir() if is_table(path) and not path.name.startswith("."))
    by_part = {part: [path for path in files if _part_of(path) == part] for part in PARTS}
    if not by_part[TRAIN]:
        if len(files) == 1:
            return read(files[0], form, notes)
        raise InputError(
            f"{folder} has {few([path.name for path in files])}; expected train.csv (and validation.csv, test.csv), or a "
            "single file: name it in data.path"
        )
    unread = [path.name for path in files if _part_of(path) is None]
    if unread:
        notes.add(f"files left unread: {few(unread)}")
    files_of = {part: _table(paths, form, notes) for part, paths in by_part.items() if paths}
    for part in [part for part, table in files_of.items() if part != TRAIN and table.label is None]:
        notes.add(f"{files_of.pop(part).name} has no labels and is left unread")
    if len(files) > 1:
        read_as = [f"{table.name} {'read ' * (part == TRAIN)}as {part}" for part, table in files_of.items()]
        notes.add(", ".join(read_as))
    tables: dict[str, Table] = {}
    for part, table in files_of.items():
        for found, rows in _divided(table, part, notes).items():
            if found != part and (part != TRAIN or found in files_of):
                why = f"but there is {files_of[found].name}" if found in files_of else f"but its name says {part}"
                raise InputError(
                    f"column {table.split} of {table.name} has rows of {found}, {why}; expected rows of {part} alone: take "
                    "the column or these rows out"
                )
            tables[found] = rows
    return _data(tables, form, notes)


def read_images(path: Path, form: Form) -> RawImages:
    """Reads the images of a file whose labels nobody asks for."""
    table = _table([path], form, Notes())
    tables = {TRAIN: table}
    return RawImages(_images(tables, form, Notes())[TRAIN], table.name, _has_pictures(tables))


def _part_of(path: Path) -> str | None:
    words = re.split(r"[^a-z0-9]+", path.name.lower())
    found = [part for word in words if (part := part_named(word)) is not None]
    return found[0] if len(set(found)) == 1 else None


def _data(tables: Mapping[str, Table], form: Form, notes: Notes) -> RawData:
    images = _images(tables, form, notes)
    parts = {
        part: RawPart(
            images[part],
            _labels(table),
            f"the {part} part of {table.name}",
            f"column {table.label} of {table.name}",
            _files(table),
        )
        for part, table in tables.items()
    }
    return RawData(parts, tables[TRAIN].class_names, _has_pictures(tables))


def _files(table: Table) -> Sequence[str]:
    """The file of each row, if each names one."""
    column = _named(table.frame, PATH)
    given = [] if column is None else table.frame[column].tolist()
    return given if all(isinstance(each, str) for each in given) else ()


def _divided(table: Table, part: str, notes: Notes) -> dict[str, Table]:
    """The rows of each part by the column that names one for every row; all of them are of `part` without one."""
    frames = None if table.split is None else row_parts.divided(table.name, table.frame, table.split, notes)
    if frames is None:
        return {part: table}
    if part == TRAIN and TRAIN not in frames:
        raise InputError(
            f"column {table.split} of {table.name} has rows of {listed(list(frames))} alone; expected rows of train too: "
            "correct the column, or take it out"
        )
    return {each: replace(table, frame=frame) for each, frame in frames.items()}


def _labels(table: Table) -> NDArray[Any]:
    if table.label is None:
        raise InputError(
            f"{table.name} has the columns {few(list(map(str, table.frame.columns)))}; expected one of labels, named label"
        )
    column = table.frame[table.label]
    if column.isna().any():
        raise table.files.missing(column.index[column.isna().to_numpy().argmax()], table.label)
    return np.asarray(column.astype(str).to_numpy(np.str_) if is_text(column) else column.to_numpy())


def _images(tables: Mapping[str, Table], form: Form, notes: Notes) -> dict[str, Any]:
    """The images of each part, as arrays that are not yet checked."""
    frames = {part: _without_index(table) for part, table in tables.items()}
    column = _column_of_pictures(frames[TRAIN])
    if column is not None:
        _note_unread(frames[TRAIN], [column], notes)
        sources = {part: _sources(tables[part], frame, column) for part, frame in frames.items()}
        return dict(stacked(sources, form, notes))
    nested = _nested(frames[TRAIN])
    if nested is not None:
        _note_unread(frames[TRAIN], [nested], notes)
        return {part: _arrays(tables[part], frame, nested) for part, frame in frames.items()}
    columns = _pixel_columns(tables[TRAIN].name, frames[TRAIN], notes)
    return {part: _pixels(tables[part], frame, columns) for part, frame in frames.items()}


def _without_index(table: Table) -> pd.DataFrame:
    """The columns that are neither labels, nor parts, nor row numbers."""
    others = [each for each in (table.label, table.split) if each is not None]
    return table.frame.drop(columns=[*filter(_is_index, table.frame), *others])


def _is_index(column: Any) -> bool:
    return _lower(column) in INDEX or str(column).startswith("Unnamed:")


def _lower(column: Any) -> str:
    return str(column).strip().lower()


def _note_unread(frame: pd.DataFrame, columns: Sequence[Any], notes: Notes) -> None:
    unread = [str(column) for column in frame if column not in set(columns)]
    if unread:
        notes.add(f"columns left unread: {few(unread)}")


def _has_pictures(tables: Mapping[str, Table]) -> bool:
    """Whether the images are those of `_images`' first kind."""
    return _column_of_pictures(_without_index(tables[TRAIN])) is not None


def _column_of_pictures(frame: pd.DataFrame) -> Any:
    column = _named(frame, PATH)
    return column if column is not None and _holds_pictures(frame[column]) else None


def _holds_pictures(column: pd.Series) -> bool:
    first = column.iloc[0] if len(column) else None
    return isinstance(first, str | bytes) or (isinstance(first, Mapping) and "bytes" in first)


def _sources(table: Table, frame: pd.DataFrame, column: str) -> list[Source]:
    if column not in frame:
        raise InputError(f"{table.name} has no column {column}, as the file to train on has; expected the same columns")
    return [_source(*table.files.find(place), column, value) for place, value in _cells(frame[column])]


def _cells(column: pd.Series) -> Iterator[tuple[int, Any]]:
    """The place of each row in the files, with the value there."""
    return zip(column.index.tolist(), column, strict=True)


def _source(file: Path, row: int, column: str, value: Any) -> Source:
    """A picture: a path below the folder of the table, or content."""
    content = value.get("bytes") if isinstance(value, Mapping) else value
    if content is None and isinstance(value, Mapping):
        content = value.get("path")
    if isinstance(content, bytes):
        return Stored(f"{column} in row {row} of {file.name}", content)
    if not isinstance(content, str) or not content:
        raise InputError(f"{file.name} has no {column} in row {row}; expected the path of a picture")
    path = file.parent / content
    if not path.exists():
        raise InputError(
            f"{column} in row {row} of {file.name} is {content!r}: there is no such file below {file.parent}"
        )
    return path


def _nested(frame: pd.DataFrame) -> Any:
    """The column of arrays, or of texts of many numbers; None if there is none."""
    found = [column for column in frame if is_nested(frame[column])]
    numeric = [column for column in frame if pd.api.types.is_numeric_dtype(frame[column])]
    return next((column for column in found if not pixel_columns.alike(column, numeric)), None)


def _arrays(table: Table, frame: pd.DataFrame, column: Any) -> NDArray[Any]:
    if column not in frame:
        raise InputError(f"{table.name} has no column {column}, as the file to train on has; expected the same columns")
    images = [_array(table, column, place, value) for place, value in _cells(frame[column])]
    try:
        return np.array(images)
    except ValueError as error:
        raise InputError(f"{column} of {table.name} has arrays of several shapes; expected one size") from error


def _array(table: Table, column: Any, place: int, value: Any) -> Any:
    """A text of numbers, or nested arrays of arrays as Parquet gives them, as lists."""
    if isinstance(value, np.ndarray | list):
        return _plain(value)
    if not isinstance(value, str):
        raise table.files.missing(place, column)
    try:
        return np.array(value.split(), np.float64)
    except ValueError as error:
        word = next(word for word in value.split() if not is_number(word))
        raise table.files.no_number(place, column, word) from error


def _plain(value: Any) -> Any:
    return [_plain(each) for each in value] if isinstance(value, np.ndarray) and value.dtype.kind == "O" else value


def _pixel_columns(name: str, frame: pd.DataFrame, notes: Notes) -> list[Any]:
    """The columns of pixels in the order of their numbers; others are left unread."""
    columns = pixel_columns.numbered(frame) or pixel_columns.others(frame)
    if not columns:
        raise InputError(
            f"{name} has the columns {few(list(map(str, frame.columns)))}; expected one per pixel, or one named path with "
            "the files of pictures"
        )
    pixel_columns.refuse_hole(name, columns)
    if columns != [column for column in frame if column in set(columns)]:
        notes.add("columns of pixels put in the order of their numbers")
    _note_unread(frame, columns, notes)
    return columns


def _pixels(table: Table, frame: pd.DataFrame, columns: list[Any]) -> NDArray[Any]:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise InputError(
            f"{table.name} has no column {missing[0]}, as the file to train on has; expected the same columns"
        )
    more = [column for column in frame if column not in set(columns) and pixel_columns.alike(column, columns)]
    if more:
        raise InputError(
            f"{table.name} has a column {more[0]}, which the file to train on has not; expected the same columns"
        )
    return pixel_columns.values(table.files, frame, columns)


def _named(frame: pd.DataFrame, names: Sequence[str]) -> Any:
    """The column of the first of some names."""
    lower = {_lower(column): column for column in reversed(list(frame.columns))}
    return next((lower[name] for name in names if name in lower), None)


def _table(paths: Sequence[Path], form: Form, notes: Notes) -> Table:
    """Reads files of one part, one below the other."""
    read_one = [_parquet(path) if is_parquet(path) else (_csv(path, form, notes), None) for path in paths]
    frames = [frame for frame, _ in read_one]
    for path, frame in zip(paths, frames, strict=True):
        if list(frame.columns) != list(frames[0].columns):
            raise InputError(f"{path} has other columns than {paths[0].name}; expected the same")
        if not len(frame):
            raise InputError(f"{path} has no rows; expected one per image")
    frame = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0].reset_index(drop=True)
    named = _named(frame, LABEL)
    split = row_parts.find(frame.drop(columns=[] if named is None else [named]))
    label = _label_column(frame, split, form, notes) if named is None else named
    return Table(Files(paths, [len(each) for each in frames]), frame, label, split, read_one[0][1])


def _label_column(frame: pd.DataFrame, split: Any, form: Form, notes: Notes) -> Any:
    """The only column that is nothing else, or the first of columns that are only numbered; None if there is none."""
    others = [column for column in frame if not _is_index(column) and column != split]
    pixels = pixel_columns.numbered(frame)
    nested = {column for column in frame if is_nested(frame[column])}
    known = {*pixels, *nested} - {*pixel_columns.may_be_labels(frame, pixels)}
    rest = [column for column in others if column not in known and _lower(column) not in (*PATH, *row_parts.NAMES)]
    if counts_up(list(map(str, others))) and label_is_first(len(others), form):
        rest = others[:1]
    if len(rest) != 1 or len(rest) == len(frame.columns):
        return None
    notes.add(f"column {rest[0]} read as labels")
    return rest[0]


def _csv(path: Path, form: Form, notes: Notes) -> pd.DataFrame:
    content = formats.inflate(path.name, formats.read_file(path))
    try:
        first = content[: content.find(b"\n") if b"\n" in content else len(content)].decode("utf-8-sig").strip()
        line = first_line(first, form, label=LABEL[0], known=(*LABEL, *PATH))
        frame = pd.read_csv(
            io.BytesIO(content),
            sep=line.separator,
            header=0 if line.header else None,
            encoding="utf-8-sig",
            keep_default_na=False,  # a class may be called None or NA
            na_values=[""],
            low_memory=False,
        )
        if line.columns is not None:
            frame.columns = pd.Index(line.columns)
    except Exception as error:  # whatever pandas raises at damage
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path} cannot be read as CSV ({reason}); write the file again with to_csv") from error
    if line.columns is not None:
        notes.add(_named_columns(path.name, line))
    return frame


def _named_columns(name: str, line: FirstLine) -> str:
    if line.header:
        return f"the first column of {name} read as labels"
    labelled = LABEL[0] in (line.columns or ())
    return f"{name} has no header; {'its first column read as labels' if labelled else 'all columns read as pixels'}"


def _parquet(path: Path) -> tuple[pd.DataFrame, Sequence[str] | None]:
    from pyarrow import parquet  # noqa: PLC0415 - takes a while, only for such files

    try:
        file = parquet.ParquetFile(path)
        _refuse_large(
            path, sum(file.metadata.row_group(row).total_byte_size for row in range(file.metadata.num_row_groups))
        )
        table = file.read()
        table.validate(full=True)  # text that is not UTF-8 would fail where it is used
        return table.to_pandas(), _names_of_hugging_face(table.schema.metadata or {})
    except InputError:
        raise
    except Exception as error:  # whatever pyarrow raises at damage
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{path} cannot be read as Parquet ({reason}); write the file again with to_parquet"
        ) from error


def _refuse_large(path: Path, size: int) -> None:
    if size > formats.LARGEST:
        raise InputError(f"{path} unpacks to {size / 2**30:,.1f} GiB; expected {formats.LARGEST / 2**30:g} at most")


def _names_of_hugging_face(metadata: Mapping[bytes, bytes]) -> Sequence[str] | None:
    """Class names, as the library `datasets` stores them in a Parquet file."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return next(tuple(each["names"]) for name in LABEL if (each := features.get(name)) and "names" in each)
    except (KeyError, ValueError, TypeError, AttributeError, StopIteration):
        return None
