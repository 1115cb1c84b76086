"""Where the bytes of a data set come from. Enters: the `data` section. Leaves: a verified `Dataset`.

Fashion-MNIST's sources are tried in order, and the first that verifies wins. Whatever the source, what counts is the
SHA-256 of the uncompressed content: mirrors compress the same bytes differently.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests

from pipeline.data import formats
from pipeline.data.dataset import Dataset
from pipeline.errors import InputError
from pipeline.experiment import Data

Say = Callable[[str], None]
"""Takes one line for people."""

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
CONNECT_SECONDS, READ_SECONDS, TRIES = 5, 60, 3


class UnavailableError(Exception):
    """A source has nothing to offer here; the next one is tried."""


@dataclass(frozen=True)
class Source:
    """One place that the four files can come from."""

    name: str
    read: Callable[[Say], dict[str, bytes]]
    """Raw files by name without `.gz`; raises UnavailableError."""
    keep: bool
    """Whether what it gave is copied to the cache."""


def load(data: Data, *, progress: Say) -> Dataset:
    """The data set that the experiment asks for, verified; raises InputError, saying what was tried."""
    if data.dataset == "digits":
        if data.path is not None:
            raise InputError(f"data.path is {data.path!r}, but digits come with scikit-learn; leave data.path empty")
        return formats.digits()
    if data.path is not None:
        folder = Path(data.path).expanduser()
        try:
            return _fashion_mnist(_verified(_from_folder(folder), where=str(folder)), source=str(folder))
        except UnavailableError as error:
            raise InputError(f"data.path does not serve: {error}; expected {_expected_files()}") from error
    return _first_that_verifies(fashion_mnist_sources(), progress)


def cache_folder() -> Path:
    """Narrowgap's folder in the user's cache; the environment variable NARROWGAP_CACHE names another one."""
    return Path(os.environ.get("NARROWGAP_CACHE") or pooch.os_cache("narrowgap")).expanduser() / "fashion-mnist"


def fashion_mnist_sources() -> list[Source]:
    """In the order in which they are tried."""
    installed = Path("/") / DEBIAN_FOLDER
    return [
        Source(f"the cache {cache_folder()}", lambda _: _from_folder(cache_folder()), keep=False),
        Source(f"Debian's installed package {DEBIAN_PACKAGE}", lambda _: _from_folder(installed), keep=False),
        Source(f"download from {DOWNLOAD}", _downloaded, keep=True),
        Source(f"Debian's package {DEBIAN_PACKAGE}, fetched without installing", _from_debian, keep=True),
    ]


def _first_that_verifies(sources: list[Source], say: Say) -> Dataset:
    tried = []
    for source in sources:
        try:
            contents = _verified(source.read(say), where=source.name)
        except UnavailableError as error:
            tried.append(f"  - {source.name}: {error}")
            continue
        except InputError as error:
            if source.name.startswith("the cache"):
                raise InputError(f"{error}; or delete {cache_folder()} and run again") from error
            tried.append(f"  - {source.name}: {error}")
            continue
        if source.keep:
            _keep(contents, say)
        return _fashion_mnist(contents, source=source.name)
    raise InputError(
        "Fashion-MNIST is to be had nowhere. Tried:\n"
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
    """The uncompressed contents, checked first for their form, which tells more, and then against the pinned digests."""
    contents = {}
    names = {digest: name for name, digest in FASHION_MNIST.items()}
    for name, expected in FASHION_MNIST.items():
        content = formats.inflate(f"{name} ({where})", raw[name])
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            if found in names:
                raise InputError(f"{name} ({where}) holds the content of {names[found]}: the files are swapped")
            formats.read_idx(f"{name} ({where})", content, dimensions=3 if "images" in name else 1)
            raise InputError(
                f"{name} ({where}) is not Fashion-MNIST's: its content has SHA-256 {found}, expected {expected}; get "
                "the file again"
            )
        contents[name] = content
    return contents


def _from_folder(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise UnavailableError(f"there is no folder {folder}")
    raw = {}
    for name in FASHION_MNIST:
        path = next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
        if path is None:
            raise UnavailableError(f"{folder} has no {name} or {name}.gz")
        try:
            raw[name] = path.read_bytes()
        except OSError as error:
            raise UnavailableError(f"{path} cannot be read ({error.strerror})") from error
    return raw


def _downloaded(say: Say) -> dict[str, bytes]:
    raw = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in FASHION_MNIST:
            downloader = pooch.HTTPDownloader(timeout=(CONNECT_SECONDS, READ_SECONDS), progressbar=_Quarters(name, say))
            try:
                path = pooch.retrieve(f"{DOWNLOAD}{name}.gz", None, name, folder, downloader=downloader)
            except (requests.RequestException, OSError, ValueError) as error:
                raise UnavailableError(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
            raw[name] = Path(path).read_bytes()
    return raw


class _Quarters:
    """A progress bar as pooch wants one, in lines: a quarter, a half, …"""

    def __init__(self, name: str, say: Say) -> None:
        self.total, self._name, self._say, self._done, self._told = 0, name, say, 0, 0

    def update(self, count: int) -> None:
        self._done += count
        quarter = 4 * self._done // self.total if self.total else 0
        if quarter > self._told:
            self._told = quarter
            self._say(f"downloading {self._name}: {25 * quarter} % of {self.total / 1e6:.1f} MB")

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """Nothing is left open."""


def _from_debian(say: Say) -> dict[str, bytes]:
    """Fetches and unpacks Debian's package in a temporary folder, as any user."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise UnavailableError("this machine has no apt-get and dpkg-deb")
    say(f"fetching Debian's package {DEBIAN_PACKAGE} (31 MB)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for needed in ("state/lists/partial", "cache/archives/partial"):
            (folder / needed).mkdir(parents=True)
        options = ["Dir::State=" + str(folder / "state"), "Dir::State::status=/var/lib/dpkg/status"]
        options += ["Dir::Cache=" + str(folder / "cache"), "APT::Sandbox::User=", "Acquire::Retries=2"]
        apt = ["apt-get", "-q", *(word for option in options for word in ("-o", option))]
        _ran([*apt, "update"], folder)
        _ran([*apt, "download", DEBIAN_PACKAGE], folder)
        package = next(folder.glob("*.deb"), None)
        if package is None:
            raise UnavailableError("apt-get downloaded nothing")
        _ran(["dpkg-deb", "-x", str(package), str(folder / "unpacked")], folder)
        return _from_folder(folder / "unpacked" / DEBIAN_FOLDER)


def _ran(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(str(error)) from error
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise UnavailableError(f"{command[0]} {command[-2]} {command[-1]}: {last[0]}")


def _keep(contents: Mapping[str, bytes], say: Say) -> None:
    """Copies verified files to the cache, each written beside its place and renamed; without it, the run goes on."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{name}-", delete=False) as draft:
                try:
                    draft.write(content)
                    draft.close()
                    Path(draft.name).replace(folder / name)
                except BaseException:
                    Path(draft.name).unlink(missing_ok=True)
                    raise
    except OSError as error:
        say(f"the cache {folder} cannot be written ({error.strerror}); the next run fetches the data again")


def _expected_files() -> str:
    return f"the four files {', '.join(FASHION_MNIST)} (each as it is or with .gz)"
