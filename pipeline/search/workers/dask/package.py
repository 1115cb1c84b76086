"""Workers of an existing Dask scheduler train with this code alone: sends the package, and looks at what they have."""

import hashlib
import tempfile
import time
import zipfile
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import distributed
from distributed.diagnostics.plugin import SchedulerUploadFile, UploadFile

from pipeline.errors import InputError

UPLOADS = 5
"""Number of attempts to send the package."""
JOIN_SECONDS = 20
"""How long a worker that joins may take until it has imported the package."""
ARCHIVE = "narrowgap_pipeline.zip"
PLUGIN = "narrowgap-package"
CURE = "give Narrowgap a scheduler and workers of its own"
ROOT = Path(__file__).resolve().parents[4]


def version() -> str:
    """The SHA-256 of the source code of this package."""
    digest = hashlib.sha256()
    for file in sorted((ROOT / "pipeline").rglob("*.py")):
        digest.update(file.relative_to(ROOT).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def send_package(client: distributed.Client, code: str) -> None:
    """Sends this package as a zip file to the scheduler, its workers, and workers that join later. It is not sent again
    if the scheduler has it: a worker may be training from it, for a killed driver or for another search.

    Args:
        client: A client of the scheduler.
        code: Version of this package.

    Raises:
        InputError: If another package named `pipeline` is there, or another version of this one is training.
    """
    foreign, sent = _foreign(), _sent()
    places = [*client.run(foreign, on_error="ignore").values(), client.run_on_scheduler(foreign)]
    other = next((place for place in places if place is not None), None)
    address = client.scheduler.address
    if other is not None:
        raise InputError(
            f"the Dask scheduler {address} or its workers have another package named pipeline ({other}), which this one "
            f"would replace: {CURE}"
        )
    there = client.run_on_scheduler(sent)
    if there == code:
        return
    if there is not None and any(
        str(key).startswith("narrowgap-") for keys in client.processing().values() for key in keys
    ):
        raise InputError(
            f"the workers of the Dask scheduler {address} train for a search with another version of Narrowgap: wait for "
            f"it, or {CURE}"
        )
    with tempfile.TemporaryDirectory() as folder:
        _upload(client, _archive(Path(folder), code))
    forget = _forget()
    client.run(forget, on_error="ignore")  # a worker that leaves meanwhile needs no more
    client.run_on_scheduler(forget)


class CodeCheck:
    """Tells which workers have this package in this version and may be given jobs.

    Args:
        code: The version; None for workers that import the same files as this process, and are not asked.
    """

    def __init__(self, code: str | None) -> None:
        self.code = code
        self._sound: set[str] = set()
        self._other: dict[str, float] = {}
        """Workers with other code, and since when."""

    @property
    def waits(self) -> bool:
        """Whether there are workers that may still be importing the package."""
        return bool(self._other)

    def sound(self, client: distributed.Client, workers: Collection[str]) -> set[str]:
        """Those of the workers, by address, that have the code. One that has just joined is waited for.

        Raises:
            InputError: If one has anything else for a while.
        """
        if self.code is None:
            return set(workers)
        self._sound &= set(workers)
        new = sorted(set(workers) - self._sound)
        found = client.run(other_code(self.code), workers=new, on_error="return") if new else {}
        self._sound |= {address for address, place in found.items() if place is None}
        self._other = {
            address: self._other.get(address, time.monotonic())
            for address, place in found.items()
            if place is not None and not isinstance(place, OSError)  # does not answer
        }
        for address, since in self._other.items():
            if time.monotonic() - since > JOIN_SECONDS:
                self._refuse(address, str(found[address]))
        return self._sound & set(workers)

    def refuse(self, client: distributed.Client, worker: str) -> None:
        """Looks at what a worker has imported on which a job failed, if it is still there. Before it gets another job, it
        is asked again: another worker may have come at its address.

        Raises:
            InputError: If it is anything else.
        """
        self._sound.discard(worker)
        if self.code is not None:
            for address, place in client.run(other_code(self.code), workers=[worker], on_error="ignore").items():
                if place is not None:
                    self._refuse(address, place)

    def _refuse(self, address: str, place: str) -> NoReturn:
        raise InputError(
            f"the Dask worker {address} has another package named pipeline, or another version of Narrowgap ({place}): "
            f"{CURE}, and run the same command to resume"
        )


def _archive(folder: Path, code: str) -> Path:
    """This package as a zip file; `pipeline.sent` there is the version."""
    with zipfile.ZipFile(folder / ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((ROOT / "pipeline").rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                name, content = file.relative_to(ROOT).as_posix(), file.read_bytes()
                if name == "pipeline/__init__.py":
                    content += f'\nsent = "{code}"\n'.encode()
                archive.writestr(name, content)
    return folder / ARCHIVE


# What follows runs where this package may be missing: a function within a function travels by value, not by its name.


def _sent() -> Callable[[], str | None]:
    def sent() -> str | None:
        """The version that was sent to this process."""
        import sys  # noqa: PLC0415 - travels along

        return getattr(sys.modules.get("pipeline"), "sent", None)

    return sent


def _foreign() -> Callable[[], str | None]:
    def foreign() -> str | None:
        """The place of another project's package `pipeline` that this process has imported, or would."""
        import importlib.util  # noqa: PLC0415 - travels along
        import sys  # noqa: PLC0415 - travels along
        from pathlib import Path  # noqa: PLC0415 - travels along

        loaded = sys.modules.get("pipeline")
        if loaded is not None:
            ours = (loaded.__doc__ or "").startswith("Narrowgap")
            return None if ours else str(getattr(loaded, "__file__", None) or list(loaded.__path__))
        spec = importlib.util.find_spec("pipeline")
        if spec is None or spec.origin is None or ".zip" in spec.origin:
            return None
        text = Path(spec.origin).read_text(encoding="utf-8", errors="replace")
        return None if "Narrowgap" in text.partition("\n")[0] else spec.origin

    return foreign


def _package(file: Path) -> UploadFile:
    foreign = _foreign()

    class Package(UploadFile):  # type: ignore[misc] # Dask has no types
        """Loads the archive on every worker, also on one that joins later, except where it would replace another project's
        package: that worker is refused by `CodeCheck`.
        """

        async def setup(self, worker: distributed.Worker) -> None:
            if foreign() is None:
                await UploadFile.setup(self, worker)

    return Package(str(file))


def _forget() -> Callable[[], None]:
    def forget() -> None:
        """Drops modules that the process imported from another version of this package."""
        import sys  # noqa: PLC0415 - travels along

        for name in [name for name in sys.modules if name.partition(".")[0] == "pipeline"]:
            del sys.modules[name]
        __import__("pipeline")

    return forget


def other_code(code: str) -> Callable[[], str | None]:
    archive = ARCHIVE

    def other() -> str | None:
        """The place of a module that is not of the archive that was sent, or of an archive of another version."""
        import importlib  # noqa: PLC0415 - travels along
        import sys  # noqa: PLC0415 - travels along

        package = importlib.import_module("pipeline")
        for name, module in list(sys.modules.items()):
            place = str(getattr(module, "__file__", None))
            if name.partition(".")[0] == "pipeline" and archive not in place:
                return place
        return None if getattr(package, "sent", None) == code else str(package.__file__)

    return other


def _upload(client: distributed.Client, file: Path) -> None:
    """Sends a file. A worker that imports something at this moment may miss the zip file in a cache of Python's, which
    Dask has just emptied; the next attempt succeeds.
    """
    for _ in range(UPLOADS):
        with suppress(KeyError):
            # Not `client.upload_file`: it never drops an earlier version, and workers that join later take any of them.
            client.register_plugin(SchedulerUploadFile(str(file)), name=PLUGIN)
            client.register_plugin(_package(file), name=PLUGIN)
            return
        time.sleep(1)
    raise RuntimeError("its workers do not take this package")
