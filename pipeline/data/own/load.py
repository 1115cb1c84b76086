"""Reads a user's own images: arrays, tables (CSV, Parquet), IDX files, or a folder of pictures."""

from dataclasses import replace
from pathlib import Path

from pipeline.data import download, formats
from pipeline.data.dataset import Dataset
from pipeline.data.download import Say, UnavailableError
from pipeline.data.own import archive, class_folders, labels, pixels, tables
from pipeline.data.own.parts import TEST, TRAIN, VALIDATION, Form, Notes, RawData, RawPart, Trained
from pipeline.errors import InputError, as_utf8
from pipeline.experiment import Data
from pipeline.paths import user_path


def load(data: Data, *, keep_colour: bool = False, say: Say) -> Dataset:
    """Returns the checked data set at `data.path`, and says in one line what was converted.

    Raises:
        InputError: One line with what was found, what was expected and the cure.
    """
    if data.path is None:
        raise InputError(
            "data.path is null, but data.dataset is own; expected the path of a file of arrays, of a table (CSV, "
            "Parquet) or of a folder of images"
        )
    path, form, notes = user_path(data.path, name="data.path"), _form(data, keep_colour=keep_colour), Notes()
    try:
        dataset = _dataset(_read(path, form, notes), form, source=as_utf8(str(path)), notes=notes)
    except OSError as error:
        raise InputError(f"data.path is {data.path}: {error.filename} cannot be read ({error.strerror})") from error
    if dataset.notes:
        say(f"data: {'; '.join(dataset.notes)}")
    return dataset


def _form(data: Data, *, keep_colour: bool) -> Form:
    """What an experiment says of its images."""
    return Form(
        pixel_max=data.pixel_max,
        shape=data.shape,
        size=data.size,
        channels=data.channels or (None if keep_colour else "grey"),
        background=data.background,
    )


def _read(path: Path, form: Form, notes: Notes) -> RawData:
    """Reads a path by what is there: a file, arrays, IDX files or folders of pictures."""
    if path.suffix.lower() == ".npy" and path.is_file():
        raise InputError(
            f"data.path is {path}, one array; expected the folder that has it, with images.npy and labels.npy, or "
            "x_train.npy, y_train.npy and so on"
        )
    if path.suffix.lower() == ".zip" and path.is_file():
        raise InputError(f"data.path is {path}, a zip file; unpack it and name the folder or the file in it")
    if path.is_file() and tables.is_table(path):
        return tables.read(path, form, notes)
    if path.is_file():
        return archive.read(path, notes)
    if not path.is_dir():
        raise InputError(
            f"data.path is {path}: there is no file or folder {path.absolute()}; expected an npz, CSV or Parquet file, or a "
            "folder of images"
        )
    if any(path.glob("train-*-ubyte*")):
        has_test = any(path.glob("t10k-*-ubyte*"))
        return RawData({TRAIN: _read_idx(path, "train")} | ({TEST: _read_idx(path, "t10k")} if has_test else {}))
    if any(path.glob("*.npy")):
        return archive.read_folder(path, notes)
    inside = [each for each in path.iterdir() if not class_folders.is_leftover(each) or tables.is_table(each)]
    if any(map(tables.is_table, inside)) and not any(each.is_dir() for each in inside):
        return tables.read_folder(path, form, notes)
    return class_folders.read_tree(path, form, notes)


def _read_idx(folder: Path, part: str) -> RawPart:
    """Reads one part from its two IDX files, gzipped or not."""
    names = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
    try:
        raw = download.from_folder(folder, names)
    except UnavailableError as error:
        raise InputError(f"{error}; expected {names[0]} and {names[1]}") from error
    images, given = (
        formats.read_idx(name, formats.inflate(name, raw[name]), dimensions=dimensions)
        for name, dimensions in zip(names, (3, 1), strict=True)
    )
    return RawPart(images, given, *names)


def _dataset(raw: RawData, form: Form, *, source: str, notes: Notes) -> Dataset:
    parts = raw.parts
    made = pixels.uint8_images({part.images_name: part.images for part in parts.values()}, form, notes)
    images = dict(zip(parts, made.images, strict=True))
    for part, array in images.items():
        if array.shape[1:] != images[TRAIN].shape[1:]:
            sizes = [pixels.shape_text(each.shape[1:]) for each in (images[TRAIN], array)]
            raise InputError(
                f"{parts[TRAIN].images_name} has images of {sizes[0]} and {parts[part].images_name} of {sizes[1]} "
                "(height x width); expected one size: -P data.size='[height, width]' scales them"
            )
    if not images[TRAIN].any():
        raise InputError(f"{parts[TRAIN].images_name} is blank: every pixel is 0; expected images that differ")
    indices, names = labels.classes(parts, raw.class_names, notes)
    if VALIDATION in parts:
        notes.add("the validation part of the data is used (data.validation is not)")
    none = images[TRAIN][:0], indices[TRAIN][:0]
    return Dataset(
        "own",
        images[TRAIN],
        indices[TRAIN],
        images.get(TEST, none[0]),
        indices.get(TEST, none[1]),
        names,
        pixel_max=made.pixel_max,
        source=source,
        images_validation=images.get(VALIDATION),
        labels_validation=indices.get(VALIDATION),
        notes=notes.lines,
        files={part: each.files for part, each in parts.items() if each.files},
        read_as=_read_as(raw, form, made),
    )


def _read_as(raw: RawData, form: Form, made: pixels.Made) -> Form:
    """The form that gives the same pixels for each image by itself."""
    flat = next((part.images for part in raw.parts.values() if part.images.ndim == 2), None)
    return replace(
        form,
        shape=form.shape if flat is None else pixels.shape_of_rows(flat.shape[1], form),
        channels="rgb" if made.images[0].ndim == 4 else "grey",
        trained=Trained(made.pixel_max, made.fractions_max, raw.pictures),
    )
