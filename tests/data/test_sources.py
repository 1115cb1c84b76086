import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import download, sources
from pipeline.data.download import UnavailableError
from pipeline.data.sources import FASHION_MNIST, Source, load
from pipeline.errors import InputError
from pipeline.experiment import Data


def ignore(_line: str) -> None:
    """Progress that nobody reads."""


def given(folder: Path) -> Source:
    """A source from far away that has the real files."""
    return Source("elsewhere", lambda _say: download.from_folder(folder, FASHION_MNIST), keep=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The real Fashion-MNIST, as four files of a user's own."""
    dataset = load(Data(), progress=ignore)
    target = tmp_path_factory.mktemp("mine")
    for part, images, labels in (
        ("train", dataset.images_train, dataset.labels_train),
        ("t10k", dataset.images_test, dataset.labels_test),
    ):
        for name, values in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
            (target / name).write_bytes(header + values.astype(np.uint8).tobytes())
    return target


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def test_the_real_fashion_mnist_has_its_known_shape(folder):
    dataset = load(Data(path=str(folder)), progress=ignore)
    assert dataset.images_train.shape == (60_000, 28, 28)
    assert np.bincount(dataset.labels_test).tolist() == [1000] * 10
    assert dataset.class_names[9] == "Ankle boot"
    assert dataset.source == str(folder)


def test_a_folder_of_gzipped_files_is_read_too(copy):
    labels = copy / "t10k-labels-idx1-ubyte"
    (copy / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels.read_bytes(), 1))
    labels.unlink()
    assert len(load(Data(path=str(copy)), progress=ignore).labels_test) == 10_000


def test_a_path_without_the_files_is_reported_with_what_was_expected(tmp_path):
    with pytest.raises(
        InputError, match=r"data\.path cannot be used: .* has no train-images-idx3-ubyte .*expected the four .*or null"
    ):
        load(Data(path=str(tmp_path)), progress=ignore)


def test_a_missing_path_is_reported(tmp_path):
    with pytest.raises(InputError, match=r"data\.path cannot be used: there is no folder .*/no"):
        load(Data(path=str(tmp_path / "no")), progress=ignore)


@pytest.mark.parametrize(
    ("path", "message"),
    [("x" * 300, "cannot be read .File name too long"), ("~nobody-here/x", "Could not determine home directory")],
)
def test_an_impossible_path_is_reported(path, message):
    with pytest.raises(InputError, match=rf"data\.path cannot be used: .*{message}"):
        load(Data(path=path), progress=ignore)


def test_a_file_of_far_more_than_fashion_mnist_has_is_neither_read_nor_unpacked(copy):
    path = copy / "train-labels-idx1-ubyte"
    packed = gzip.compress(bytes(49 * 2**20), 1)
    path.rename(copy / "kept")
    path.with_name(f"{path.name}.gz").write_bytes(packed)
    with pytest.raises(InputError, match=r"train-labels-idx1-ubyte .* unpacks to more than 48 MiB; expected at most"):
        load(Data(path=str(copy)), progress=ignore)
    with path.open("wb") as file:
        file.truncate(2**40)  # a file with a hole, of 1 TiB
    with pytest.raises(
        InputError, match=r"train-labels-idx1-ubyte has 1,099,511,627,776 bytes; expected 48 MiB at most"
    ):
        load(Data(path=str(copy)), progress=ignore)


def test_a_damaged_gzip_file_is_reported(copy):
    path = copy / "train-labels-idx1-ubyte"
    zipped = bytearray(gzip.compress(path.read_bytes(), 1))
    zipped[-6] ^= 1
    path.write_bytes(zipped)
    with pytest.raises(InputError, match=r"data\.path cannot be used: train-labels-idx1-ubyte .* is damaged: its gzip"):
        load(Data(path=str(copy)), progress=ignore)


def test_one_flipped_bit_is_found(copy):
    name = "t10k-images-idx3-ubyte"
    content = bytearray((copy / name).read_bytes())
    content[5000] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name} .* is not Fashion-MNIST's; .* expected {FASHION_MNIST[name]}"):
        load(Data(path=str(copy)), progress=ignore)


def test_a_truncated_file_is_reported_as_truncated(copy):
    path = copy / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match="has 60,003 bytes; its header 60000 asks for 60,008: the file is truncated"):
        load(Data(path=str(copy)), progress=ignore)


def test_swapped_files_are_reported_as_swapped(copy):
    test, train = copy / "t10k-images-idx3-ubyte", copy / "train-images-idx3-ubyte"
    test.rename(copy / "aside")
    train.rename(test)
    (copy / "aside").rename(train)
    with pytest.raises(InputError, match="holds the content of t10k-images-idx3-ubyte: the files are swapped"):
        load(Data(path=str(copy)), progress=ignore)


def test_a_cache_that_no_longer_matches_is_refused_with_the_cure_and_left_alone(copy, tmp_path, monkeypatch):
    monkeypatch.setenv("NARROWGAP_CACHE", str(tmp_path))
    cache = copy.rename(tmp_path / "fashion-mnist")
    path = cache / "t10k-labels-idx1-ubyte"
    spoiled = path.read_bytes()[:-1] + b"\x07"
    path.write_bytes(spoiled)
    with pytest.raises(InputError, match=r"t10k-labels.* expected 0402a96d.*; delete .*fashion-mnist and run again"):
        load(Data(), progress=ignore)
    assert path.read_bytes() == spoiled


def test_a_truncated_cache_is_reported_with_both_digests(copy, tmp_path, monkeypatch):
    monkeypatch.setenv("NARROWGAP_CACHE", str(tmp_path))
    cache = copy.rename(tmp_path / "fashion-mnist")
    (cache / "t10k-labels-idx1-ubyte").write_bytes(b"")
    # The SHA-256 of nothing begins with e3b0c442.
    with pytest.raises(InputError, match=r"has 0 bytes; .* SHA-256 e3b0c442.*, expected 0402a96d.*; delete") as caught:
        load(Data(), progress=ignore)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_in_an_incomplete_cache_is_not_overwritten(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("NARROWGAP_CACHE", str(tmp_path))
    damaged = tmp_path / "fashion-mnist" / "t10k-labels-idx1-ubyte"
    damaged.parent.mkdir()
    damaged.write_bytes(b"damaged")
    sources._first_that_verifies([given(folder)], ignore)
    assert damaged.read_bytes() == b"damaged"
    with pytest.raises(InputError, match=r"t10k-labels-idx1-ubyte .* has 7 bytes"):
        load(Data(), progress=ignore)


def test_the_cache_lies_where_the_user_keeps_caches(tmp_path, monkeypatch):
    monkeypatch.delenv("NARROWGAP_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert sources.cache_folder() == tmp_path / "narrowgap"


def test_the_cache_is_readable_to_whom_the_user_lets(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("NARROWGAP_CACHE", str(tmp_path))
    before = os.umask(0o022)
    try:
        sources._first_that_verifies([given(folder)], ignore)
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "fashion-mnist").iterdir()}
    assert modes == {0o644}


WRITER = """
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from pipeline.data.sources import FASHION_MNIST, _keep
folder = Path(sys.argv[1])
contents = {name: (folder / name).read_bytes() for name in FASHION_MNIST}
print("ready", flush=True)
sys.stdin.readline()
_keep(contents, print)
"""


def test_two_processes_that_fill_the_cache_at_once_do_not_spoil_it(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("NARROWGAP_CACHE", str(tmp_path))
    command = [sys.executable, "-c", WRITER, str(folder)]
    writers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    assert [writer.communicate()[0] for writer in writers] == [b"", b""]
    assert sorted(path.name for path in (tmp_path / "fashion-mnist").iterdir()) == sorted(FASHION_MNIST)
    assert load(Data()).source.startswith("the cache")


def test_the_cache_is_read_before_anything_else(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("NARROWGAP_CACHE", str(tmp_path))
    shutil.copytree(folder, tmp_path / "fashion-mnist")
    said: list[str] = []
    dataset = load(Data(), progress=said.append)
    assert dataset.source == f"the cache {tmp_path}/fashion-mnist"
    assert said == []


def test_a_cache_whose_name_is_not_utf_8_is_used_and_shown_by_its_bytes(folder, tmp_path, monkeypatch):
    cache = tmp_path / os.fsdecode(b"caf\xe9")
    monkeypatch.setenv("NARROWGAP_CACHE", str(cache))
    first = sources.fashion_mnist_sources()[0]
    said: list[str] = []
    sources._first_that_verifies([replace(first, keep=True), given(folder)], said.append)
    assert said == [
        rf"the cache {tmp_path}/caf\xe9/fashion-mnist failed: there is no folder {tmp_path}/caf\xe9/fashion-mnist"
    ]
    assert load(Data(), progress=ignore).source == rf"the cache {tmp_path}/caf\xe9/fashion-mnist"


def test_what_a_source_gave_is_kept_for_the_next_run(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("NARROWGAP_CACHE", str(tmp_path / "new"))
    sources._first_that_verifies([given(folder)], ignore)
    assert sorted(path.name for path in (tmp_path / "new" / "fashion-mnist").iterdir()) == sorted(FASHION_MNIST)
    assert load(Data(), progress=ignore).source.startswith("the cache")


def test_a_cache_that_cannot_be_written_does_not_stop_the_run(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NARROWGAP_CACHE", str(tmp_path / "file"))
    said: list[str] = []
    assert len(sources._first_that_verifies([given(folder)], said.append).labels_train) == 60_000
    assert "cannot be written" in said[0]


def test_a_source_that_does_not_verify_is_skipped_and_reported(folder):
    def bad(_say):
        return dict.fromkeys(FASHION_MNIST, b"<html>Please log in to this network</html>")

    said: list[str] = []
    good = Source("good", lambda _say: download.from_folder(folder, FASHION_MNIST))
    assert sources._first_that_verifies([Source("bad", bad), good], said.append).source == "good"
    assert said[0].startswith("bad failed: train-images-idx3-ubyte (bad) starts with 3c68746d; expected 00000803")


def refusing(reason: str) -> Callable[[download.Say], dict[str, bytes]]:
    def read(_say):
        raise UnavailableError(reason)

    return read


def test_when_no_source_works_every_source_is_listed_with_its_reason_and_the_cures():
    places = [Source("first", refusing("not there")), Source("second", refusing("no network"), keep=True)]
    with pytest.raises(InputError, match="Could not obtain Fashion-MNIST") as caught:
        sources._first_that_verifies(places, ignore)
    assert "  - first: not there\n  - second: no network\nCures: install the package dataset-fashion-mnist" in str(
        caught.value
    )


def test_sources_are_tried_from_near_to_far_and_only_far_ones_are_kept():
    tried = [(source.name.split()[0], source.keep) for source in sources.fashion_mnist_sources()]
    assert tried == [("the", False), ("Debian's", False), ("download", True), ("Debian's", True)]


def test_digits_take_no_path():
    with pytest.raises(InputError, match="digits come with scikit-learn"):
        load(Data(dataset="digits", path="x", validation=0.1), progress=ignore)
