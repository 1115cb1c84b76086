"""Fetches raw files from a folder, the web or a Debian package. The bytes are not verified here."""

import queue
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pooch
import requests

from pipeline.data import formats
from pipeline.errors import as_utf8

Say = Callable[[str], None]
"""Takes one line for people."""
ANSWER_SECONDS = 10
"""Timeout of the first answer, over all addresses of a host: each of a dozen may be slow to refuse."""
READ_SECONDS = 20
"""Longest pause inside a download."""
LARGEST = 48 * 2**20
"""Bytes of one file of Fashion-MNIST, gzipped or not; the largest has 47,040,016. A source that gives more is not used."""
TRIES = 3
"""Attempts per file if its download breaks off."""


class UnavailableError(Exception):
    """A source that cannot be used here; the next one is tried."""

    def __init__(self, message: str) -> None:
        super().__init__(as_utf8(message))


def from_folder(folder: Path, names: Iterable[str], *, largest: int | None = None) -> dict[str, bytes]:
    """Reads the files of a folder, each as `name` or `name.gz`, of `largest` bytes at most (`formats.LARGEST` if not given).

    Raises:
        UnavailableError: For the first file that is missing.
        InputError: For the first file that is too large.
    """
    raw = {}
    try:
        folder = folder.expanduser()
        if not folder.is_dir():
            raise UnavailableError(f"there is no folder {folder}")
        for name in names:
            path = next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
            if path is None:
                raise UnavailableError(f"{folder} has no {name} or {name}.gz")
            raw[name] = formats.read_file(path, largest=largest)
    except OSError as error:
        raise UnavailableError(f"{error.filename} cannot be read ({error.strerror})") from error
    except RuntimeError as error:  # an unknown user after `~`
        raise UnavailableError(f"{folder}: {error}") from error
    return raw


def from_web(base: str, names: Iterable[str], say: Say) -> dict[str, bytes]:
    """Downloads `base` + `name.gz` for each name.

    Raises:
        UnavailableError: If the host does not answer or refuses.
    """
    pooch.get_logger().setLevel("WARNING")  # progress is printed here
    names = list(names)
    _check_answers(f"{base}{names[0]}.gz")
    return {name: _download(f"{base}{name}.gz", say) for name in names}


def from_debian(package: str, place: Path, names: Iterable[str], say: Say) -> dict[str, bytes]:
    """Fetches a Debian package and unpacks it in a temporary folder, without root; the files are at `place` in it."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise UnavailableError("this machine has no apt-get and dpkg-deb")
    say(f"fetching Debian's package {package} (31 MB)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for needed in ("state/lists/partial", "cache/archives/partial"):
            (folder / needed).mkdir(parents=True)
        options = [
            f"Dir::State={folder}/state",
            "Dir::State::status=/var/lib/dpkg/status",
            f"Dir::Cache={folder}/cache",
        ]
        options += ["APT::Sandbox::User=", "Acquire::Retries=1"]
        options += [f"Acquire::{scheme}::Timeout={ANSWER_SECONDS}" for scheme in ("http", "https")]
        apt = ["apt-get", "-q", *(word for option in options for word in ("-o", option))]
        # An update that reaches no mirror only warns, and the download then misses the package: both are the reason.
        warnings = _run([*apt, "update"], folder)
        try:
            _run([*apt, "download", package], folder)
        except UnavailableError as error:
            raise UnavailableError("; ".join([str(error), *warnings[:1]])) from error
        archive = next(folder.glob("*.deb"), None)
        if archive is None:
            raise UnavailableError("apt-get downloaded nothing")
        _run(["dpkg-deb", "-x", str(archive), str(folder / "unpacked")], folder)
        return from_folder(folder / "unpacked" / place, names, largest=LARGEST)


def _check_answers(address: str) -> None:
    """Raises UnavailableError unless the host answers within seconds and has the file."""
    answer: queue.SimpleQueue[requests.Response | requests.RequestException] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put(requests.head(address, timeout=ANSWER_SECONDS, allow_redirects=True))
        except requests.RequestException as error:
            answer.put(error)

    # In a thread: requests' timeout covers neither the look-up of a name nor all of its addresses together.
    threading.Thread(target=ask, daemon=True).start()
    try:
        found = answer.get(timeout=ANSWER_SECONDS)
    except queue.Empty as error:
        raise UnavailableError(f"no answer within {ANSWER_SECONDS} seconds") from error
    if isinstance(found, requests.RequestException):
        raise UnavailableError(_reason(found)) from found
    if not found.ok:
        raise UnavailableError(f"{found.status_code} {found.reason} for {address}")


def _download(address: str, say: Say) -> bytes:
    name = address.rpartition("/")[2]
    for left in reversed(range(TRIES)):
        bar = _QuarterProgress(name, say)
        downloader = pooch.HTTPDownloader(timeout=READ_SECONDS, progressbar=bar, chunk_size=2**16)
        with tempfile.TemporaryDirectory() as folder:
            try:
                return Path(pooch.retrieve(address, None, name, folder, downloader=downloader)).read_bytes()
            except (requests.RequestException, OSError, ValueError) as error:
                # A refusal is final; an interrupted download may succeed when repeated.
                if isinstance(error, requests.HTTPError) or not left:
                    raise UnavailableError(_reason(error)) from error
                say(f"downloading {name} broke off ({_reason(error)}); trying again")
    raise AssertionError("the last try returns or raises")


def _reason(error: Exception) -> str:
    """The innermost reason of an error of requests and urllib3, in one line."""
    inner = error.args[0] if error.args else error
    return " ".join(str(getattr(inner, "reason", None) or error).split())[:300]


class _QuarterProgress:
    """A progress bar for pooch that prints a line per quarter."""

    def __init__(self, name: str, say: Say) -> None:
        self.total, self._name, self._say, self._done, self._printed = 0, name, say, 0, 0

    def update(self, count: int) -> None:
        self._done += count
        if self._done > LARGEST:
            raise UnavailableError(f"{self._name} has more than {LARGEST / 2**20:g} MiB; expected at most that")
        quarter = min(4, 4 * self._done // self.total) if self.total else 0
        if quarter > self._printed:
            self._printed = quarter
            self._say(f"downloading {self._name}: {25 * quarter} % of {self.total / 1e6:.1f} MB")

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """Does nothing: there is nothing to close."""


def _run(command: list[str], folder: Path) -> list[str]:
    """Runs a command and returns its error output, line by line.

    Raises:
        UnavailableError: With the last of these lines, if the command failed.
    """
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(str(error)) from error
    lines = done.stderr.strip().splitlines()
    if done.returncode:
        raise UnavailableError(f"{command[0]} {command[-2]} {command[-1]}: {(lines or ['no reason given'])[-1]}")
    return lines
