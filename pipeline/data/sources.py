"""Finds and verifies a data set.

Fashion-MNIST's sources are tried in order; the first whose content matches is used. The SHA-256 is that of the
uncompressed content, since mirrors compress the same bytes differently.
"""

import hashlib
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pooch

from pipeline.data import download, formats
from pipeline.data.dataset import Dataset
from pipeline.data.download import Say, UnavailableError
from pipeline.data.own import load as own
from pipeline.errors import InputError, as_utf8
from pipeline.experiment import Data

FASHION_MNIST = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""SHA-256 of the uncompressed content, by file name without `.gz`."""
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_FOLDER = Path("usr/share/datasets/fashion-mnist")
DOWNLOAD = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


@dataclass(frozen=True)
class Source:
    """A place where the four files may be."""

    name: str
    read: Callable[[Say], dict[str, bytes]]
    """Raw files by name without `.gz`; raises UnavailableError."""
    keep: bool = False
    """Whether it is far, so that what it gave is copied to the cache."""
    cure: str | None = None
    """What to do when its files are damaged; without a cure, the next source is tried."""


def _silent(_line: str) -> None:
    """Prints nothing."""


def load(data: Data, *, keep_colour: bool = False, progress: Say = _silent) -> Dataset:
    """Returns the verified data set of an experiment; `keep_colour` is what `data.channels` of null means.

    Raises:
        InputError: Listing what was tried.
    """
    if data.dataset == "own":
        return own.load(data, keep_colour=keep_colour, say=progress)
    if data.dataset == "digits":
        if data.path is not None:
            raise InputError(f"data.path is {data.path!r}, but digits come with scikit-learn; expected null")
        return formats.digits()
    if data.path is not None:
        return _from_path(Path(data.path))
    return _first_that_verifies(fashion_mnist_sources(), progress)


def _from_path(folder: Path) -> Dataset:
    """Reads the folder that the user named; if it cannot be used, no other source replaces it."""
    try:
        contents = _verified(download.from_folder(folder, FASHION_MNIST, largest=download.LARGEST), where=str(folder))
    except (UnavailableError, InputError) as error:
        raise InputError(
            f"data.path cannot be used: {error}; expected {_expected_files()}, or null (data.path)"
        ) from error
    return _fashion_mnist(contents, source=str(folder))


def cache_folder() -> Path:
    """Narrowgap's folder in the user's cache; the environment variable NARROWGAP_CACHE names another one."""
    named = os.environ.get("NARROWGAP_CACHE") or pooch.os_cache("narrowgap")
    try:
        return Path(named).expanduser()
    except RuntimeError as error:  # an unknown user after `~`
        raise InputError(
            f"NARROWGAP_CACHE is {named}: {str(error).rstrip('.')}; give the whole path, or leave it unset"
        ) from error


def fashion_mnist_sources() -> list[Source]:
    """Returns the sources in the order in which they are tried."""
    cache, installed, package = cache_folder() / "fashion-mnist", Path("/") / DEBIAN_FOLDER, DEBIAN_PACKAGE
    shown = as_utf8(str(cache))
    names = tuple(FASHION_MNIST)
    return [
        Source(
            f"the cache {shown}",
            lambda _: download.from_folder(cache, names, largest=download.LARGEST),
            cure=f"delete {shown} and run again",
        ),
        Source(
            f"Debian's installed package {package}",
            lambda _: download.from_folder(installed, names, largest=download.LARGEST),
        ),
        Source(f"download from {DOWNLOAD}", lambda say: download.from_web(DOWNLOAD, names, say), keep=True),
        Source(
            f"Debian's package {package}, fetched without installing",
            lambda say: download.from_debian(package, DEBIAN_FOLDER, names, say),
            keep=True,
        ),
    ]


def _first_that_verifies(sources: list[Source], say: Say) -> Dataset:
    tried = []
    for source in sources:
        try:
            contents = _verified(source.read(say), where=source.name)
        except (UnavailableError, InputError) as error:
            damaged = isinstance(error, InputError)
            if damaged and source.cure:
                raise InputError(f"{error}; {source.cure}") from error
            if damaged or source.keep:
                say(f"{source.name} failed: {error}")
            tried.append(f"  - {source.name}: {error}")
            continue
        if source.keep:
            _keep(contents, say)
        return _fashion_mnist(contents, source=source.name)
    raise InputError(
        "Could not obtain Fashion-MNIST. Tried:\n"
        + "\n".join(tried)
        + f"\nCures: install the package {DEBIAN_PACKAGE} (Debian, Ubuntu), go online, or put {_expected_files()} into a "
        "folder and pass -P data.path=FOLDER; -P experiment=digits needs none of this."
    )


def _fashion_mnist(contents: Mapping[str, bytes], *, source: str) -> Dataset:
    parts = []
    for part in ("train", "t10k"):
        images, labels = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
        pair = (images, contents[images]), (labels, contents[labels])
        parts.append(formats.images_and_labels(*pair, classes=len(CLASS_NAMES)))
    (images_train, labels_train), (images_test, labels_test) = parts
    return Dataset(
        "fashion_mnist", images_train, labels_train, images_test, labels_test, CLASS_NAMES, pixel_max=255, source=source
    )


def _verified(raw: Mapping[str, bytes], *, where: str) -> dict[str, bytes]:
    """Returns the uncompressed contents after checking their digests.

    Raises:
        InputError: Naming the file and both digests.
    """
    contents = {}
    for name, expected in FASHION_MNIST.items():
        content = formats.inflate(f"{name} ({where})", raw[name], largest=download.LARGEST)
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            wrong = _what_is_wrong(name, content, found, where=where)
            raise InputError(f"{wrong}; its content has SHA-256 {found}, expected {expected}")
        contents[name] = content
    return contents


def _what_is_wrong(name: str, content: bytes, found: str, *, where: str) -> str:
    """Describes a wrong file: another one of the four, or a malformed one."""
    for other, digest in FASHION_MNIST.items():
        if found == digest:
            return f"{name} ({where}) holds the content of {other}: the files are swapped"
    try:
        formats.read_idx(f"{name} ({where})", content, dimensions=3 if "images" in name else 1)
    except InputError as error:
        return str(error)
    return f"{name} ({where}) is not Fashion-MNIST's"


def _keep(contents: Mapping[str, bytes], say: Say) -> None:
    """Copies verified files to the cache where they are missing; a failure is printed and the run continues.

    Each file is written under another name, read back and renamed, so a second process sees a whole file or none.
    """
    folder = cache_folder() / "fashion-mnist"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            # A damaged file is kept for its owner to look at.
            if not (folder / name).exists():
                _write(folder / name, content)
    except OSError as error:
        shown = as_utf8(str(folder))
        say(f"the cache {shown} cannot be written ({error.strerror or error}); the next run fetches the data again")


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if draft.read_bytes() != content:
            raise OSError(f"{path} reads back differently")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _expected_files() -> str:
    return f"the four files {', '.join(FASHION_MNIST)} (each as it is or with .gz)"
