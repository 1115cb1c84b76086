"""Damaged files: npz, npy, IDX, gzip and pictures, as data of an experiment and as images to predict."""

import gzip
import io
import random
import shutil
import struct
import traceback
import warnings
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from PIL import Image

from pipeline.data import sources
from pipeline.errors import NarrowgapError
from pipeline.experiment import Data
from pipeline.serving import inputs
from tests.benchmarks.fuzz.cases import Case, HangError, limited

MOST_SECONDS = 30
DTYPES = ("uint8", "int16", "uint16", "int64", "float32", "float64", "bool", "complex64", "U3", "S2", "object", "M8[s]")
SUFFIXES = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")


def images(choice: random.Random) -> np.ndarray:
    """Images of a random count, size, kind of numbers and number of colours, mostly usual ones."""
    generator = np.random.default_rng(choice.randrange(2**32))
    shape: tuple[int, ...] = (choice.choice([0, 1, 8, 40]), choice.choice([1, 4, 8]), choice.choice([4, 8]))
    if choice.random() < 0.2:
        shape = (*shape, choice.choice([1, 2, 3, 4]))
    plain = generator.integers(0, 256, shape)
    kind = choice.choice([*["uint8"] * 8, *DTYPES])
    return plain.astype("O" if kind == "object" else kind)


def labels(choice: random.Random, count: int) -> np.ndarray:
    """Labels of a random kind, mostly as many as there are images."""
    count += choice.choice([0, 0, 0, 0, 1, -count])
    plain = np.arange(count) % choice.choice([1, 2, 3, 10])
    if choice.random() < 0.2:
        return np.eye(10)[plain % 10]
    kind = choice.choice([*["uint8"] * 6, *DTYPES])
    return plain.astype("O" if kind == "object" else kind)


def damaged(content: bytes, choice: random.Random) -> bytes:
    """The bytes with some changed, left out, doubled or added; at times none."""
    raw = bytearray(content)
    for _ in range(choice.choice([0, 1, 1, 2, 8])):
        place, kind = choice.randrange(len(raw) + 1), choice.randrange(5)
        if kind == 0:
            raw[place : place + 1] = bytes([choice.randrange(256)])
        elif kind == 1:
            del raw[place : place + choice.choice([1, 4, 100])]
        elif kind == 2:
            raw[place:place] = raw[place : place + choice.choice([1, 16])]
        elif kind == 3:
            raw[place : place + 4] = struct.pack(">I", choice.choice([0, 1, 2**31 - 1, 2**32 - 1]))
        else:
            del raw[place:]
    return bytes(raw)


class Readers:
    """Reads damaged files as the data of an experiment and as images to predict."""

    name = "readers"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        warnings.simplefilter("ignore")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Nothing is open."""

    def case(self, seed: int) -> Case:
        choice = random.Random(seed)  # noqa: S311 - no secret
        place = self._folder / "data"
        shutil.rmtree(place, ignore_errors=True)
        place.unlink(missing_ok=True) if place.is_file() else None
        make = choice.choice([self._npz, self._idx, self._pictures])
        path = make(place, choice)
        outcome, findings = "read", list[str]()
        try:
            with limited(MOST_SECONDS):
                if choice.random() < 0.6:
                    sources.load(Data(dataset="own", path=str(path), size=choice.choice([None, (8, 8)])))
                else:
                    list(inputs.read(path, image_shape=(8, 8), pixel_max=255))
        except NarrowgapError as error:
            outcome = "refused"
            if "\n" in str(error).strip():
                findings.append(f"more than one line: {error}")
        except HangError:
            findings.append(f"did not end within {MOST_SECONDS} s")
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is a finding
            (last,) = traceback.extract_tb(error.__traceback__)[-1:]
            own = [each for each in traceback.extract_tb(error.__traceback__) if "/pipeline/" in each.filename][-1:]
            where = own[0] if own else last
            findings.append(f"{type(error).__name__}: {error} at {Path(where.filename).name}:{where.lineno}")
        return Case(outcome, f"{make.__name__.strip('_')} {path.name}", "", findings)

    def _npz(self, place: Path, choice: random.Random) -> Path:
        place.mkdir()
        arrays = {}
        for part in choice.choice([["train"], ["train", "test"], ["train", "validation", "test"], [""]]):
            end = f"_{part}" if part else ""
            first, second = choice.choice([("images", "labels"), ("x", "y")])
            arrays[first + end] = images(choice)
            arrays[second + end] = labels(choice, len(arrays[first + end]))
        buffer = io.BytesIO()
        choice.choice([np.savez, np.savez_compressed])(buffer, **arrays)  # type: ignore[arg-type]  # the names are those of arrays
        content = buffer.getvalue()
        if choice.random() < 0.4:  # damage within an entry, with a checksum that is right again
            content = self._rewritten(content, choice)
        path = place / choice.choice(["a.npz", "a.npy", "noname"])
        path.write_bytes(damaged(content, choice))
        return path

    @staticmethod
    def _rewritten(content: bytes, choice: random.Random) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
            for name in old.namelist():
                raw = old.read(name)
                head = damaged(raw[:128], choice)
                new.writestr(choice.choice([name, name, name.upper(), "../" + name, "x" + name]), head + raw[128:])
        return buffer.getvalue()

    def _idx(self, place: Path, choice: random.Random) -> Path:
        place.mkdir()
        count, side = choice.choice([1, 8, 40]), choice.choice([4, 8])
        end = choice.choice(["", ".gz"])
        for part in choice.choice([["train"], ["train", "t10k"]]):
            pixels = np.random.default_rng(count).integers(0, 256, (count, side, side), dtype=np.uint8)
            for name, array in (
                (f"{part}-images-idx3-ubyte", pixels),
                (f"{part}-labels-idx1-ubyte", np.arange(count) % 3),
            ):
                sizes = b"".join(struct.pack(">I", size) for size in array.shape)
                raw = damaged(bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes(), choice)
                (place / f"{name}{end}").write_bytes(damaged(gzip.compress(raw), choice) if end else raw)
        return choice.choice([place, *place.iterdir()])

    def _pictures(self, place: Path, choice: random.Random) -> Path:
        for name in choice.sample(["cat", "dog", "é", "=1+1", "a b", ".hidden"], choice.randint(1, 3)):
            folder = place / choice.choice(["", "", "train", "test"]) / name
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(choice.randint(0, 12)):
                kind = choice.choice(SUFFIXES)
                mode = choice.choice(["L", "RGB", "RGBA", "P", "1", "LA", "I;16", "CMYK", "F"])
                buffer = io.BytesIO()
                try:
                    Image.new(mode, (choice.choice([1, 8, 9]), 8), choice.choice([0, 1])).save(buffer, kind)
                except (OSError, ValueError, KeyError):
                    buffer = io.BytesIO(b"not a picture")
                content = damaged(buffer.getvalue(), choice) if choice.random() < 0.3 else buffer.getvalue()
                (folder / f"{number}.{choice.choice([kind.lower(), 'png', 'txt'])}").write_bytes(content)
        files = [each for each in place.rglob("*") if each.is_file()]
        return choice.choice([place, place, *files[:3]])
