"""Reads a folder with one subfolder of pictures per class."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.dataset import Images
from pipeline.data.own.parts import PARTS, TRAIN, Form, Notes, RawData, RawPart, part_named
from pipeline.data.own.pictures import SUFFIXES
from pipeline.data.own.stack import stacked
from pipeline.errors import InputError, as_utf8
from pipeline.formatting import few

LEFTOVERS = {
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "__pycache__", "checkpoints", "@eadir",
    "$recycle.bin", "system volume information", "lost+found",
}  # fmt: skip
"""What operating systems and editors leave behind, in small letters; so is everything that is hidden."""
TEXTS = {
    ".txt",
    ".md",
    ".rst",
    ".csv",
    ".json",
    ".xml",
    ".html",
    ".pdf",
    ".log",
    ".yaml",
    ".yml",
    ".ini",
    ".py",
    ".ipynb",
}
DRAFTS = (".tmp", ".part", ".crdownload", ".swp", ".bak", "~")
DOCUMENTS = ("readme", "license", "licence")


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder with a subfolder per class."""

    folder: Path
    files: dict[str, list[Path]]
    """By class, each sorted by name."""


def read_tree(folder: Path, form: Form, notes: Notes) -> RawData:
    """Reads a folder with one subfolder per class, or one such folder for each part."""
    skipped: list[Path] = []
    listings = _listings(folder, skipped, notes)
    if skipped:
        names = sorted({path.name for path in skipped})
        notes.add(f"skipped, as no pictures: {len(skipped):,} ({few(names, most=3)})")
    files = {part: [path for each in listing.files.values() for path in each] for part, listing in listings.items()}
    images = stacked(files, form, notes)
    return RawData({part: _part(listing, images[part]) for part, listing in listings.items()}, pictures=True)


def _part(listing: Listing, images: Images) -> RawPart:
    labels = np.repeat(list(listing.files), [len(each) for each in listing.files.values()])
    files = [
        as_utf8(f"{listing.folder.name}/{path.relative_to(listing.folder)}")
        for each in listing.files.values()
        for path in each
    ]
    return RawPart(images, labels, str(listing.folder), str(listing.folder), files)


def is_leftover(path: Path) -> bool:
    """Whether a file or folder is hidden, or one that systems, editors and authors leave beside pictures."""
    name = path.name.lower()
    return (
        name.startswith(".")
        or name in LEFTOVERS
        or name.endswith(DRAFTS)
        or (
            path.is_file()
            and (name.startswith(DOCUMENTS) or path.suffix.lower() in TEXTS)
            and path.suffix.lower() not in SUFFIXES
        )
    )


def _listings(folder: Path, skipped: list[Path], notes: Notes) -> dict[str, Listing]:
    inside = _entries(folder, skipped)
    loose = [path for path in inside if path.is_file() and path.suffix.lower() in SUFFIXES]
    if loose:
        raise InputError(f"{loose[0]} is beside the class folders; expected it in one of them")
    folders = [path for path in inside if path.is_dir()]
    if not folders:
        raise InputError(
            f"{folder} has no folders and no train-images-idx3-ubyte; expected a folder of pictures per class, or train/ "
            "and test/ with one per class, or IDX files as Fashion-MNIST's"
        )
    parts = {path.name: part_named(path.name) for path in folders}
    if not any(parts.values()):
        if len(folders) == 1 and any(path.is_dir() for path in _entries(folders[0], [])):
            notes.add(f"read below {folders[0].name}/")
            return _listings(folders[0], skipped, notes)
        return {TRAIN: _listing(folder, folders, skipped)}
    _refuse_mixed(folder, parts)
    by_part = {part: path for path in folders if (part := part_named(path.name)) is not None}
    return {
        part: _listing(by_part[part], [path for path in _entries(by_part[part], skipped) if path.is_dir()], skipped)
        for part in PARTS
        if part in by_part
    }


def _refuse_mixed(folder: Path, parts: dict[str, str | None]) -> None:
    found = list(parts.values())
    if TRAIN not in found or None in found or len(set(found)) < len(found):
        raise InputError(
            f"{folder} has the folders {', '.join(sorted(parts))}; expected train, with or without validation and test, or "
            "one folder per class"
        )


def _listing(folder: Path, classes: list[Path], skipped: list[Path]) -> Listing:
    if not classes:
        raise InputError(f"{folder} has no folders; expected one per class")
    return Listing(folder, {path.name: _files(path, skipped) for path in classes})


def _files(folder: Path, skipped: list[Path]) -> list[Path]:
    """The pictures of one class, in its folder and below, sorted by name."""
    paths = list(_below(folder, skipped))
    if not paths:
        raise InputError(f"the folder {folder} is empty; expected pictures of its class")
    return paths


def _below(folder: Path, skipped: list[Path]) -> Iterator[Path]:
    for path in _entries(folder, skipped):
        if path.is_dir():
            yield from _below(path, skipped)
        elif path.suffix.lower() in SUFFIXES and (path.is_file() or not path.exists()):
            yield path
        else:
            raise InputError(
                f"{path} is no picture; expected PNG, JPEG, BMP, GIF, WebP and TIFF files alone in the folder of a class"
            )


def _entries(folder: Path, skipped: list[Path]) -> list[Path]:
    """What is in a folder, sorted by name, without what is left behind there."""
    inside = sorted(folder.iterdir())
    skipped += [path for path in inside if is_leftover(path)]
    return [path for path in inside if not is_leftover(path)]
